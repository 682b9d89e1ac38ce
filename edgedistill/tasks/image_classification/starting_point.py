"""What `init --images` writes: a teacher that is trained in the run, and how much it and the students see of so many pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgedistill.data_settings import Data
from edgedistill.picture_settings import Pictures
from edgedistill.recipe import Distillation, FineTuning, Teacher, TransferSet
from edgedistill.tasks.task import StartingPoint

OWN_TEACHER = Teacher(
    name="resnet-64-128-256", licence="Apache-2.0",
    configuration={"model_type": "resnet", "layer_type": "basic", "embedding_size": 64, "hidden_sizes": [64, 128, 256],
                   "depths": [2, 2, 2]},
    fine_tuning=FineTuning(learning_rate=0.003, batch_size=64, patience=10),
)
"""Its epochs are left open: `training_settings.enough_for_a_new_teacher` says how many."""

_PASSES, _LEAST_SEEN, _MOST_SEEN, _ROUND = 40, 100_000, 3_000_000, 10_000
_MOST_COPIES = 40
_MOST_ROWS = 2_000_000
"""What `distillation.transfer_set.rows` may be."""

_MOST_ANSWERS = 250_000_000
"""Of the teacher, a class each: 1 GB on disk, and in memory while a student is trained."""


@dataclass(frozen=True)
class Amounts:
    """How much is trained on.

    Attributes:
        seen: pictures that the student sees in all, and the one without a teacher, repeats counted.
        rows: changed copies that the teacher labels, at most.
        copies: of each picture, for the transfer set, the teacher and the student without one alike.
    """

    seen: int
    rows: int
    copies: int


def amounts_for(pictures: int, *, classes: int) -> Amounts:
    """Return 40 passes over so many pictures (100,000 to 3,000,000), with a fresh copy for each where the transfer set has room.

    Args:
        pictures: in `data.train`, at least 1; those that become validation and test are counted too.
        classes: at least 1.
    """
    wanted = -(-_PASSES * pictures // _ROUND) * _ROUND
    seen = min(_MOST_SEEN, max(_LEAST_SEEN, wanted))
    rows = min(seen, _MOST_ROWS, _MOST_ANSWERS // classes)
    return Amounts(seen, rows, max(1, min(_MOST_COPIES, rows // pictures)))


def starting_point(column: str, labels: Sequence[str | None]) -> StartingPoint:
    """Return what a recipe begins with.

    Args:
        column: where a table has the pictures.
        labels: the class of each picture of train; of none, the amounts are those of a small data set.
    """
    pictures, amounts = len(labels), amounts_for(max(1, len(labels)), classes=max(1, len(set(labels))))
    distillation = Distillation(
        temperature=4.0, learning_rate=0.005, rows_seen=amounts.seen, baseline_rows_seen=amounts.seen,
        transfer_set=TransferSet(rows=amounts.rows, copies=amounts.copies),
    )
    return StartingPoint(OWN_TEACHER, distillation, Pictures(column=column, teacher_copies=amounts.copies),
                         Data.model_fields["text_column"].default, notes=_notes(pictures))


def _notes(pictures: int) -> dict[str, str]:
    """Return what a user should know of these values besides what their keys mean, by dotted key."""
    return {
        "teacher.fine_tuning": f"epochs: null is enough for a teacher of a configuration. {_HOUR_OF_TEACHER}",
        "pictures.teacher_copies": "as many as transfer_set.copies, so that more pictures are no part of what the teacher brings",
        "pictures.changes": "Which changes keep the class is yours to know: a mirrored dog is a dog, a mirrored digit is none, "
        "and a 6 that is turned far is a 9.",
        "distillation.rows_seen": f"{_PASSES} passes over the {pictures:,} pictures of train, but {_LEAST_SEEN:,} at least and "
        f"{_MOST_SEEN:,} at most. {_HOUR_OF_STUDENT}",
        "distillation.baseline_rows_seen": "as many as the student, so that only the teacher is another",
        "distillation.transfer_set": "Of pictures it is changed copies; the teacher's answers take rows x classes x 4 bytes.",
    }


_HOUR_OF_STUDENT = ("An hour of one core: about 4 million pictures of 56 x 56 for a small ResNet, a third of that of 96 x 96 "
                    "(docs/images.md)")
_HOUR_OF_TEACHER = "An hour of one core: about 1 million pictures of 56 x 56 for a teacher of this kind (docs/images.md)"
"""Both measured on Fashion-MNIST (benchmarks/results/images): a ResNet of 128 kB, a RegNet as wide as `OWN_TEACHER`."""
