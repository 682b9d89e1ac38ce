"""Which versions of the stages a row of a student is known by."""

_SAME_HERE = {("quantize", 10): 9, ("soft_labels", 5): 4, ("distill", 6): 5}
"""Versions of stages whose results are others, but not for these students, by the version that rows are known by.

Version 10 of quantize stores a table that is also multiplied once, and times candidates longer where the target's int8 is timed
here. No student of the suite has such a table, nothing is timed for a raspberry-pi, and two students of snips at 1/30 had the
same bytes under both (sha256 fe029bdd, c8e46beb). Version 5 of soft_labels takes the basis of the sentence vectors from evenly
spread rows where train has over 10,000: clinc150 is sorted by class, while the rows of snips and sst2_glue stand in random order,
of which the first 10,000 are as good. It cuts texts before it varies them where 1 % of them are longer than the teacher reads:
those of agnews_10k. It makes no text that stands in validation; of sst2_sentence's there was one, of trec6's none. The rest of it
is for teachers that the suites do not have. 6 of distill has another fit.json where validation has over 1,000 rows, and the same
student.
"""

_BUT_FOR = {("soft_labels", 5): ("clinc150", "agnews_10k")}
"""The tasks whose results are others."""


def stage_versions(task: str) -> dict[str, int]:
    """Return by name the versions of the stages that a student's row of a task rests on."""
    from edgedistill.distill.stage import BASELINE, STUDENT
    from edgedistill.evaluate.stage import STAGE as EVALUATE
    from edgedistill.export.stage import STAGE as EXPORT
    from edgedistill.prepare.stage import STAGE as PREPARE
    from edgedistill.quantize.stage import STAGE as QUANTIZE
    from edgedistill.teach.stage import SOFT_LABELS, TEACHER

    named = {"prepare": PREPARE, "teach": TEACHER, "soft_labels": SOFT_LABELS, "distill": STUDENT, "baseline": BASELINE,
             "export": EXPORT, "quantize": QUANTIZE, "evaluate": EVALUATE}
    return {name: stage.version if task in _BUT_FOR.get((name, stage.version), ()) else
            _SAME_HERE.get((name, stage.version), stage.version) for name, stage in named.items()}
