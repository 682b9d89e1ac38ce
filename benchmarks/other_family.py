"""What the contextual start is worth where a student cannot be cut out of its teacher: against random weights, one shape.

`python benchmarks/other_family.py --data DIR` makes the rows that benchmarks/suites/other_family.yaml lists and that are missing,
in benchmarks/results/other_family/<task>.json, and table.md beside them. The rows are those of benchmarks/ablation.py, and so are
its options; the teacher is a RoBERTa that `roberta_of_bert` builds from the suite's BERT, as no other family is at hand offline.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from ablation import measure_suite
from resumable_rows import Row
from roberta_of_bert import ROBERTA, RobertaInputs, RobertaSettings
from script_options import run_script
from student_line import Line
from suite_files import StudentsSuite

from edgedistill.recipe import Recipe

SUITE = "other_family"


class OtherFamilyLine(Line):
    """A line whose teacher is the suite's, rebuilt as a RoBERTa with a tokenizer of its own."""

    is_suites_teacher: ClassVar[bool] = False

    def teacher_model(self, teacher_seed: int) -> Path:
        """Return the folder of the RoBERTa, before it is fine-tuned; its tokenizer is learned from the training texts."""
        from edgedistill.prepare.stage import TRAIN_FILE

        inputs = RobertaInputs(super().teacher_model(teacher_seed), self.prepared(teacher_seed).folder / TRAIN_FILE)
        return self.workspace.perform("roberta", ROBERTA, RobertaSettings(), inputs).folder

    def base_settings(self, recipe: Recipe, *, teacher_seed: int) -> Row:
        """Return the line's settings, with what the teacher was rebuilt as."""
        base = super().base_settings(recipe, teacher_seed=teacher_seed)
        rebuilt = {**RobertaSettings().model_dump(mode="json"), "family": "roberta", "version": ROBERTA.version}
        return {**base, "teacher": {**base["teacher"], "rebuilt_as": rebuilt}}


def base_keys(students: StudentsSuite, overrides: Sequence[str]) -> dict[str, str]:
    """Return by task what the rows have in common that a start with these settings would make."""
    return {task: OtherFamilyLine(students, task, Path(), Path(), tuple(overrides)).base_key() for task in students.tasks}


def main() -> None:
    """Read the command line and measure."""
    measure_suite(__doc__, suite_name=SUITE, line_of=OtherFamilyLine, bases_of=base_keys)


if __name__ == "__main__":
    run_script(main)
