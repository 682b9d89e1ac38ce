"""Which versions of the stages a row of a student is known by."""

from collections.abc import Mapping
from typing import Any

from edgedistill.recipe import Recipe

_SAME_HERE = {
    ("quantize", 13): 9, ("prepare", 5): 2, ("teach", 3): 1, ("soft_labels", 9): 6, ("distill", 10): 9, ("baseline", 5): 2,
    ("export", 2): 1, ("evaluate", 2): 1,
}
"""Versions of stages whose results are others, but not for these students, by the version that rows are known by.

Version 10 of quantize stores a table that is also multiplied once, and times candidates longer where the target's int8 is timed
here. No student of the suite has such a table, nothing is timed for a raspberry-pi, and two students of snips at 1/30 had the
same bytes under both (sha256 fe029bdd, c8e46beb). Version 11 judges rows that are spread over validation in the place of the
first 1,000; twelve students of snips, sst2_sentence and clinc150 had the same bytes under both. Version 12 also writes what the
float model would take on the target, and chooses as before. Version 13 lets nodes read weights without an Identity between, takes
alpha and beta into a Gemm's weights, leaves what lies behind the last convolution float, and gives stacked matrices one scale: no
student of texts here has any of these, and one student of agnews_10k and one of sst2_glue at 1/30 had the same bytes under both
(sha256 a3720ffc, 687a4f0e).

Version 2 of teach takes, of looks at validation with equal accuracy, the one with the lower loss, and gives sets of fewer than 17
steps a pass more passes; version 7 of soft_labels draws 150,000 texts to make others from where there are more. The teachers
of agnews_10k and sst2_glue that were trained under version 1 had no two looks of one accuracy, no set is so small, and none so
large. Version 8 of soft_labels makes texts of as many as hold twice `transfer_set.words`, which is 4,000,000: no set here has a
quarter of that. Version 9 varies only what the teacher reads of texts that are cut also where they are few and very long: of
agnews_10k 6.4 % of the texts are cut, as before, and of the characters of the five others at most 0.03 % are not read. Version 3
of teach looks less often at sets of fewer than 17 steps a pass.
Version 3 of prepare knows Unicode's blanks where it compares texts, of which the six sets have none, and sorts LABEL_10
after LABEL_9; version 4 knows Greek and Turkish capitals there, and writes a label 1.0 as 1: the splits of the six sets are the
same bytes under 3 and 4. Version 5 gives small classes a row in each split: the splits of trec6, clinc150, snips and sst2_glue
are the same bytes as under 4; agnews_10k and sst2_sentence have large classes alone.

Version 10 of distill, and 3 of the baseline, give random first weights a spread that fits their width. A student that is cut has
none, and keeps its bytes; rows that start from random weights are known by `FIRST_WEIGHTS` besides.

Version 4 of the baseline makes a training anew that learned nothing. Of the rows that were there one had learned nothing
(sst2_sentence, 1/80, seed 15); it was taken out and made again. Version 5 takes, of looks at validation with equal accuracy, the
one with the lower loss: of the trainings whose courses are at hand (one of agnews_10k, two of clinc150, one of sst2_sentence, at
1/80) none had two best looks of one accuracy.

Version 2 of evaluate takes logarithms where a graph puts out probabilities; those of these students put out logits.

Version 2 of export stores a matrix once that several layers share. No layers here do; all-MiniLM-L6-v2 has the same bytes under
both.
"""

_FIRST_RATE_IS_KEPT = ("clinc150",)
"""Tasks whose teacher is the one that a single rate gave: of the two that `teach` tries by default validation keeps the first.

clinc150: 0.963 against 0.909, far beyond what another machine's rounding changes. sst2_glue, where it was 0.9430 against 0.9419,
is not among them: the teacher of its rows was trained on another machine.
"""

FIRST_WEIGHTS = 2
"""How random weights start; 1, of rows that do not say it: with a standard deviation of 0.02, whatever the width."""


def first_weights(recipe: Recipe, *, has_teacher: bool = True) -> dict[str, int]:
    """Return what a row is known by besides where its student starts from random weights: with a teacher, if it is not cut."""
    return {} if has_teacher and recipe.student.initialisation == "cut" else {"first_weights": FIRST_WEIGHTS}


def tried_rates(task: str, recipe: Recipe, *, is_suites_teacher: bool = True) -> dict[str, str]:
    """Return what a row is known by besides where `teach` chooses among rates, and not the one that was the only one before.

    Args:
        task: a task of the suite.
        recipe: what is trained.
        is_suites_teacher: is it the encoder of which it is known which rate validation keeps?
    """
    given = recipe.teacher.fine_tuning
    is_known = is_suites_teacher and task in _FIRST_RATE_IS_KEPT
    if "learning_rate" in given.model_fields_set or given.learning_rates or is_known:
        return {}
    return {"tried_rates": "by width"}


def has_todays_start(row: Mapping[str, Any]) -> bool:
    """Did a row's student start as one of today would? One that is cut always did; of a rival its own stage's version says it."""
    settings = row.get("settings", {})
    if row["kind"] == "rival":
        return True
    is_cut = settings.get("student", {}).get("initialisation") == "cut" and row["kind"] != "no_kd"
    return is_cut or "student" not in settings or settings.get("first_weights") == FIRST_WEIGHTS


def stage_versions() -> dict[str, int]:
    """Return by name the versions of the stages that a student's row rests on."""
    from edgedistill.distill.stage import BASELINE, STUDENT
    from edgedistill.evaluate.stage import STAGE as EVALUATE
    from edgedistill.export.stage import STAGE as EXPORT
    from edgedistill.prepare.stage import STAGE as PREPARE
    from edgedistill.quantize.stage import STAGE as QUANTIZE
    from edgedistill.teach.stage import SOFT_LABELS, TEACHER

    named = {"prepare": PREPARE, "teach": TEACHER, "soft_labels": SOFT_LABELS, "distill": STUDENT, "baseline": BASELINE,
             "export": EXPORT, "quantize": QUANTIZE, "evaluate": EVALUATE}
    return {name: _SAME_HERE.get((name, stage.version), stage.version) for name, stage in named.items()}
