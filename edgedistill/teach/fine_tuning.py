"""The training of a teacher on hard labels, for every task."""

from pathlib import Path

import torch
from transformers import PreTrainedModel

from edgedistill.checkpoints import flush_files
from edgedistill.processes import current_group
from edgedistill.recipe import FineTuning
from edgedistill.stage import write_text_durably
from edgedistill.teach.files import CURVE_FILE, ONE_FILE
from edgedistill.training import BestBy, Schedule, TrainingSet, train

_ENOUGH_STEPS, _LEAST_EPOCHS, _MOST_EPOCHS = 1500, 3, 12
_LEAST_STEPS = 200
"""A set so small that 12 passes are fewer steps gets more passes: few steps leave a head that was not learned (Mosbach et al.
2021, "On the Stability of Fine-tuning BERT", section 6, who train 20 passes for it)."""


def enough_epochs(steps_a_pass: int) -> int:
    """Return how many passes fine-tuning makes where the recipe does not say: a small data set needs more of them."""
    most = max(_MOST_EPOCHS, -(-_LEAST_STEPS // steps_a_pass))
    return min(most, max(_LEAST_EPOCHS, -(-_ENOUGH_STEPS // steps_a_pass)))


def epochs_of(tuning: FineTuning, rows: int) -> int:
    """Return the passes over so many rows: the recipe's, or enough."""
    return tuning.epochs or enough_epochs(_steps_a_pass(tuning, rows))


def tuning_schedule(tuning: FineTuning, rows: int, *, seed: int, most_evaluations: int | None = None,
                    best_by: BestBy = "accuracy") -> Schedule:
    """Return how long and how fast a teacher is trained.

    Args:
        tuning: what the recipe says.
        rows: examples of a pass.
        seed: of the order and of dropout.
        most_evaluations: looks at validation at most; None: one a pass, but 12 where a small set has more passes by default. With
            a look a pass such a training would end in its warm-up, and write as many checkpoints.
        best_by: which of the looks counts.
    """
    epochs = epochs_of(tuning, rows)
    return Schedule(
        steps=_steps_a_pass(tuning, rows) * epochs, batch_size=tuning.batch_size, learning_rate=tuning.learning_rate,
        warmup_share=tuning.warmup_share, weight_decay=tuning.weight_decay,
        evaluations=min(epochs, most_evaluations or tuning.epochs or _MOST_EPOCHS),
        patience=tuning.patience, best_by=best_by, seed=seed,
    )


def _steps_a_pass(tuning: FineTuning, rows: int) -> int:
    return -(-rows // tuning.batch_size)


def fine_tune(model: PreTrainedModel, sets: tuple[TrainingSet, TrainingSet], *, schedule: Schedule, out: Path) -> float:
    """Train a teacher and write weights and curve; continues from a checkpoint in `out`.

    Args:
        model: with a head for the classes.
        sets: train and validation.
        schedule: how long and how fast.
        out: the folder of the step.

    Returns:
        the accuracy on validation of what is kept, 0 to 1.
    """
    curve = train(
        model, *sets, loss=lambda logits, hard, soft: _hard_loss(logits, hard), schedule=schedule, out=out,
    )
    if current_group().is_main:
        model.save_pretrained(out, max_shard_size=ONE_FILE, safe_serialization=True)
        flush_files(out)
        write_text_durably(out / CURVE_FILE, curve.to_json())  # the last file: with it a rate counts as done
    looks = [point for point in curve.points if point.validation_loss is not None]
    if schedule.best_by == "loss":
        return min(looks, key=lambda point: point.validation_loss or 0.0).validation_accuracy or 0.0
    return max(point.validation_accuracy or 0.0 for point in curve.points)


def _hard_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy; of several labels an example the mean of the classes' binary ones, as transformers has it."""
    if labels.ndim == 2:
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
    return torch.nn.functional.cross_entropy(logits, labels)
