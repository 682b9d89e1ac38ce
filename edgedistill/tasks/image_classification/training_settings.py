"""What of a recipe counts for a training on pictures, so that a step is known by nothing that does not change it."""

from typing import Final

from edgedistill.picture_settings import PictureChanges
from edgedistill.recipe import Distillation, FineTuning
from edgedistill.tasks.image_classification.refusals import PICTURE_LOSSES

BEST_BY: Final = "accuracy-then-loss"
"""Which look at validation counts for a training on labels. Small sets of pictures bring many looks of equal accuracy, and the
first of them is early in the training: in handwritten-digits such a teacher took eights for nines on test."""

_PASSES, _STEPS = 30, 2000
"""What a teacher that begins with random weights needs at least; a small data set makes hardly any steps in 30 passes."""


def enough_for_a_new_teacher(tuning: FineTuning, rows: int, *, rows_seen: int) -> FineTuning:
    """Return a fine-tuning that says its epochs: the recipe's, or enough for a teacher that is trained from a configuration.

    Enough are 30 passes over train or 2,000 steps, whichever is more, but no more pictures than the student sees.

    Args:
        tuning: what the recipe says.
        rows: pictures of train, at least 1; changed copies are not counted, of which a pass takes one or the other instead.
        rows_seen: pictures that the student sees in all. Where it does not see all of train, the teacher does so once.
    """
    if tuning.epochs is not None:
        return tuning
    steps = -(-rows // tuning.batch_size)
    epochs = min(max(_PASSES, -(-_STEPS // steps)), rows_seen // (steps * tuning.batch_size))
    return tuning.model_copy(update={"epochs": max(1, epochs)})


def of_pictures(distillation: Distillation) -> Distillation:
    """Return what counts for a student, without losses that are for texts; `check` lets only the default ones be there."""
    kept = tuple(term for term in distillation.losses if term.name in PICTURE_LOSSES)
    return distillation.without_baseline().model_copy(update={"losses": kept})


def unmixed(changes: PictureChanges) -> PictureChanges:
    """Return the changes of a training on labels: a mixed picture has none, so mixing is no part of its settings."""
    return changes.model_copy(update={"mixup": 0.0, "cutmix": 0.0})
