"""A training on hard labels alone, made anew at a lower rate where it learns nothing, so that no gain rests on that."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from edgedistill.manifest import Decision, warned
from edgedistill.objective import LossFunction
from edgedistill.results import TrainingLog
from edgedistill.training import Schedule, TrainingSet, train

SLOWER = ("slower-1", "slower-2")
"""Folders below a stage's own for the checkpoints of trainings that are made anew; scratch, like the first one's."""

_NOTHING = 0.98
_TINY = 1e-6
_AT_ONCE = 4096
_FEW_STEPS = 100
"""Of a shorter training nothing can be said."""


@dataclass(frozen=True)
class Trained:
    """A model with its best weights, the course of its training, and what the report should say of it."""

    model: PreTrainedModel
    curve: TrainingLog
    decisions: tuple[Decision, ...]


def train_without_teacher(
    make: Callable[[], PreTrainedModel], training: TrainingSet, validation: TrainingSet, *, loss: LossFunction,
    schedule: Schedule, out: Path,
) -> Trained:
    """Train on hard labels; at half the learning rate, and half of that, where nothing was learned before.

    Random layers under a rate that suits those cut out of a teacher may fall to the classes' shares and stay there.

    Args:
        make: makes the untrained model, always the same.
        training: what it learns from; labels and no soft labels.
        validation: what the best step is chosen by.
        loss: of logits and hard labels.
        schedule: how long, and how fast at first.
        out: the stage's folder.
    """
    decisions: list[Decision] = []
    constant = loss_of_a_constant(training.labels, loss)
    for folder in (out, *(out / name for name in SLOWER)):
        model = make()
        curve = train(model, training, validation, loss=loss, schedule=schedule, out=folder)
        if not has_learned_nothing(curve, constant):
            break
        if folder == out / SLOWER[-1]:
            decisions.append(warned(Decision(
                step="baseline", what="the student without the teacher learned nothing at any of three learning rates",
                why=f"its loss stayed at {constant:.3f} nats, that of the same answer to everything: a gain over it says little",
            )))
            break
        schedule = replace(schedule, learning_rate=schedule.learning_rate / 2)
        decisions.append(warned(Decision(
            step="baseline", what=f"trained it anew at a learning rate of {schedule.learning_rate:.3g}",
            why=f"at twice that rate its loss stayed at {constant:.3f} nats, that of the same answer to everything",
        )))
    return Trained(model, curve, tuple(decisions))


def has_learned_nothing(curve: TrainingLog, constant_loss: float) -> bool:
    """Did the mean training loss between two looks never fall below that of one answer to everything, but for 2 %?

    Args:
        curve: of a training.
        constant_loss: see `loss_of_a_constant`.
    """
    losses = [point.loss for point in curve.points if point.loss is not None]
    is_whole = curve.given_up_at_step is None and bool(losses) and curve.points[-1].step >= _FEW_STEPS
    return is_whole and min(losses) > _NOTHING * constant_loss


def loss_of_a_constant(labels: NDArray[np.int32], loss: LossFunction) -> float:
    """Return the least loss of a model that gives every example one answer: the shares of the classes.

    Args:
        labels: class numbers, shape (n,); or 0 and 1, shape (n, classes).
        loss: of logits and hard labels.
    """
    shares = np.clip(labels.mean(axis=0) if labels.ndim == 2 else np.bincount(labels) / len(labels), _TINY, 1 - _TINY)
    logits = np.log(shares) - (np.log1p(-shares) if labels.ndim == 2 else 0.0)
    answers = torch.from_numpy(np.tile(logits.astype(np.float32), (min(_AT_ONCE, len(labels)), 1)))
    total = 0.0
    for start in range(0, len(labels), _AT_ONCE):
        rows = torch.from_numpy(labels[start : start + _AT_ONCE].astype(np.int64))
        total += len(rows) * float(loss(answers[: len(rows)], rows, None))
    return total / len(labels)
