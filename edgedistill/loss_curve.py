"""A training's losses over its steps: their terms, collected batch by batch, and the log of the looks at validation."""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.distributed as dist

from edgedistill.batch_parts import WEIGHT
from edgedistill.errors import TrainingDivergedError
from edgedistill.objective import LossTerms, TermsFunction
from edgedistill.processes import Group
from edgedistill.results import TrainingLog, TrainingPoint

HARD, SOFT = "hard_loss", "soft_loss"
"""Names of the terms among what a trainer logs."""


class TermMeans:
    """Means of the terms of a loss over the batches since they were last taken."""

    def __init__(self) -> None:
        self._sums: torch.Tensor | None = None

    def add(self, terms: LossTerms, rows: int) -> None:
        """Add a batch of some rows."""
        found = torch.stack([terms.hard.float(), terms.labelled.float(), terms.soft.float() * rows])
        found = torch.cat([found, found.new_tensor([rows])]).detach()
        self._sums = found if self._sums is None else self._sums + found

    def take(self, group: Group, *, prefix: str = "") -> dict[str, float]:
        """Return the means over the batches of all processes, and begin anew; all processes of the group call it.

        Returns:
            the hard term, mean over the rows that have a hard label, and the soft one, mean over all rows, by their
            names after `prefix`; a term that no row has is left out.
        """
        sums = torch.zeros(4) if self._sums is None else self._sums
        self._sums = None
        if group.size > 1:
            sums = sums.cpu()  # a process without a batch has no device to go by
            dist.all_reduce(sums)
        hard, labelled, soft, rows = sums.tolist()
        means: dict[str, float] = {}
        if labelled:
            means[prefix + HARD] = hard / labelled
        if rows:
            means[prefix + SOFT] = soft / rows
        return means


def add_batch(
    means: TermMeans, terms: TermsFunction | None, logits: torch.Tensor, inputs: Mapping[str, torch.Tensor]
) -> None:
    """Add a batch, where the loss has terms and the batch has soft labels; not a process's row of weight 0."""
    if terms is None or "soft_labels" not in inputs or (WEIGHT in inputs and inputs[WEIGHT] == 0):
        return
    with torch.no_grad():
        means.add(terms(logits.float(), inputs["labels"], inputs["soft_labels"]), len(inputs["labels"]))


def terms_of(entry: Mapping[str, float]) -> dict[str, float | None]:
    """Return the terms in what a trainer logged at one step, by the names of `TrainingPoint`; None where there are none."""
    return {
        HARD: entry.get(HARD), SOFT: entry.get(SOFT),
        f"validation_{HARD}": entry.get(f"eval_{HARD}"), f"validation_{SOFT}": entry.get(f"eval_{SOFT}"),
    }


def require_finite(step: int, loss: float) -> None:
    """End a training whose loss on validation is no number any more.

    Raises:
        TrainingDivergedError: it is not finite; names the step.
    """
    if not math.isfinite(loss):
        raise TrainingDivergedError(f"the training diverged: at step {step} the validation loss is {loss}",
                                    hint="lower learning_rate in the recipe, under distillation or teacher.fine_tuning")


def training_log(history: Sequence[Mapping[str, float]]) -> TrainingLog:
    """Return the looks at validation out of what a trainer logged, in the order of their steps.

    Raises:
        TrainingDivergedError: a loss on validation is not finite.
    """
    points: dict[int, dict[str, float]] = {}
    for entry in history:
        points.setdefault(int(entry["step"]), {}).update(entry)
        require_finite(int(entry["step"]), entry.get("eval_loss", 0.0))
    return TrainingLog(
        points=tuple(
            TrainingPoint(
                step=step,
                loss=entry.get("loss"),
                validation_loss=entry["eval_loss"],
                validation_accuracy=entry["eval_accuracy"],
                **terms_of(entry),
            )
            for step, entry in sorted(points.items())
            if "eval_loss" in entry
        )
    )
