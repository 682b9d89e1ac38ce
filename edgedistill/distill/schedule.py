"""How long a student is trained, with its teacher and without, for every task."""

from edgedistill.recipe import FEWEST_STEPS, Distillation
from edgedistill.results import Milestone
from edgedistill.training import BestBy, Schedule

_BASELINE_PASSES = 3


def distillation_schedule(
    distillation: Distillation, *, seed: int, milestones: tuple[Milestone, ...] = ()
) -> Schedule:
    """Return how a student is trained with its teacher: for the recipe's rows, and the best by its loss on validation."""
    return _schedule(distillation, rows_seen=distillation.rows_seen, best_by="loss", seed=seed, milestones=milestones)


def baseline_schedule(
    distillation: Distillation, *, rows: int, seed: int, milestones: tuple[Milestone, ...] = (),
    best_by: BestBy = "accuracy",
) -> Schedule:
    """Return how the same student is trained without: for less of `rows` labelled examples, and the best by accuracy."""
    wanted = max(distillation.baseline_rows_seen, _BASELINE_PASSES * rows)
    return _schedule(distillation, rows_seen=min(distillation.rows_seen, wanted), best_by=best_by, seed=seed,
                     milestones=milestones)


def _schedule(
    distillation: Distillation, *, rows_seen: int, best_by: BestBy, seed: int, milestones: tuple[Milestone, ...]
) -> Schedule:
    return Schedule(
        steps=max(FEWEST_STEPS, -(-rows_seen // distillation.batch_size)),
        batch_size=distillation.batch_size, learning_rate=distillation.learning_rate,
        warmup_share=distillation.warmup_share, weight_decay=distillation.weight_decay, evaluations=FEWEST_STEPS,
        patience=distillation.patience, best_by=best_by, seed=seed, milestones=milestones,
    )
