"""What of a recipe's `distillation` counts for a student, so that its trainings are known by nothing that does not change it."""

from edgedistill.recipe import Distillation


def without_baseline(distillation: Distillation) -> Distillation:
    """Return the settings with what is said of the baseline as it is by default: another one makes no other student."""
    default = Distillation()
    return distillation.model_copy(update={"baseline": default.baseline, "baseline_rows_seen": default.baseline_rows_seen})
