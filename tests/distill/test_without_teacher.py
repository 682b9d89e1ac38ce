"""A training without a teacher that learned nothing is made anew at half the rate, twice at most, and says so."""

from math import log
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from edgedistill.distill import without_teacher as module
from edgedistill.distill.losses import hard_label_loss, hard_multi_label_loss
from edgedistill.distill.without_teacher import SLOWER, has_learned_nothing, loss_of_a_constant, train_without_teacher
from edgedistill.results import TrainingLog, TrainingPoint
from edgedistill.training import Schedule

SCHEDULE = Schedule(steps=600, batch_size=4, learning_rate=1e-3, warmup_share=0.1, weight_decay=0.0, evaluations=3, patience=9,
                    best_by="accuracy", seed=1)


def single(logits: torch.Tensor, hard: torch.Tensor, soft: torch.Tensor | None) -> torch.Tensor:
    return hard_label_loss(logits, hard)


def several(logits: torch.Tensor, hard: torch.Tensor, soft: torch.Tensor | None) -> torch.Tensor:
    return hard_multi_label_loss(logits, hard)


def curve_of(*losses: float | None, every: int = 200, given_up: int | None = None) -> TrainingLog:
    points = tuple(TrainingPoint(step=every * (i + 1), loss=loss, validation_loss=1.0, validation_accuracy=0.5)
                   for i, loss in enumerate(losses))
    return TrainingLog(points=points, steps_planned=600, given_up_at_step=given_up)


def test_loss_of_a_constant_is_the_entropy_of_the_classes() -> None:
    labels = np.array([0, 0, 0, 2], np.int32)  # no example of class 1
    assert loss_of_a_constant(labels, single) == pytest.approx(-0.75 * log(0.75) - 0.25 * log(0.25), abs=1e-5)
    sets = np.array([[1, 0, 0], [1, 0, 1], [0, 0, 1], [1, 0, 0]], np.int32)  # 3/4, never, 1/2
    assert loss_of_a_constant(sets, several) == pytest.approx(-0.75 * log(0.75) - 0.25 * log(0.25) + log(2), abs=1e-5)


def test_loss_of_a_constant_when_there_are_many_rows_then_it_is_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.array([0, 0, 0, 2] * 5, np.int32)
    whole = loss_of_a_constant(labels, single)
    monkeypatch.setattr(module, "_AT_ONCE", 7)
    assert loss_of_a_constant(labels, single) == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize(("curve", "expected"), [
    (curve_of(0.728, 0.704, 0.696), True),
    (curve_of(0.728, 0.704, 0.670), False),
    (curve_of(0.670, 0.704, 0.700), False),  # it did once, and its best step is kept
    (curve_of(0.728, 0.704, 0.696, every=30), False),  # too short to say
    (curve_of(0.728, 0.704, given_up=400), False),
    (curve_of(None), False),
])
def test_has_learned_nothing_when_the_loss_stays_at_that_of_a_constant(curve: TrainingLog, expected: bool) -> None:
    assert has_learned_nothing(curve, log(2)) is expected


@pytest.mark.parametrize(("stuck", "rates", "told"), [
    (0, [1e-3], []),
    (1, [1e-3, 5e-4], ["trained it anew at a learning rate of 0.0005"]),
    (5, [1e-3, 5e-4, 2.5e-4], ["trained it anew at a learning rate of 0.0005", "trained it anew at a learning rate of 0.00025",
                             "the student without the teacher learned nothing at any of three learning rates"]),
])
def test_train_without_teacher_halves_the_rate_until_something_is_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stuck: int, rates: list[float], told: list[str]
) -> None:
    calls: list[tuple[float, Path, Any]] = []

    def train(model: Any, training: Any, validation: Any, *, loss: Any, schedule: Schedule, out: Path) -> TrainingLog:
        calls.append((schedule.learning_rate, out, model))
        return curve_of(0.7, 0.7) if len(calls) <= stuck else curve_of(0.5, 0.3)

    monkeypatch.setattr(module, "train", train)
    training: Any = SimpleNamespace(labels=np.array([0, 1] * 8, np.int32))
    validation: Any = None
    made: Any = object
    found = train_without_teacher(made, training, validation, loss=single, schedule=SCHEDULE, out=tmp_path)
    assert [call[0] for call in calls] == pytest.approx(rates)
    assert [call[1] for call in calls] == [tmp_path, tmp_path / SLOWER[0], tmp_path / SLOWER[1]][: len(rates)]
    assert len({id(call[2]) for call in calls}) == len(rates)  # each from new weights
    assert found.model is calls[-1][2]
    assert [decision.what for decision in found.decisions] == told
