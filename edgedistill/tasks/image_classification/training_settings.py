"""What of a recipe counts for a training on pictures, so that a step is known by nothing that does not change it."""

from typing import Final

from edgedistill.picture_settings import PictureChanges
from edgedistill.recipe import Distillation
from edgedistill.tasks.image_classification.refusals import PICTURE_LOSSES

BEST_BY: Final = "accuracy-then-loss"
"""Which look at validation counts for a training on labels. Small sets of pictures bring many looks of equal accuracy, and the
first of them is early in the training: in handwritten-digits such a teacher took eights for nines on test."""


def of_pictures(distillation: Distillation) -> Distillation:
    """Return the settings without losses that are for texts; `check` lets only the default ones be there."""
    kept = tuple(term for term in distillation.losses if term.name in PICTURE_LOSSES)
    return distillation.model_copy(update={"losses": kept})


def without_teacher(distillation: Distillation) -> Distillation:
    """Return the settings with what is said of the teacher as it is by default.

    So a trial of another temperature or transfer set finds the baseline that is there.
    """
    default = Distillation()
    return distillation.model_copy(update={
        "temperature": default.temperature, "alpha": default.alpha, "losses": (), "transfer_set": default.transfer_set,
    })


def unmixed(changes: PictureChanges) -> PictureChanges:
    """Return the changes of a training on labels: a mixed picture has none, so mixing is no part of its settings."""
    return changes.model_copy(update={"mixup": 0.0, "cutmix": 0.0})
