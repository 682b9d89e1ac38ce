"""Objectives: a function of logits, and parameters that are a part of the model only while it trains."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from edgedistill.objective import LogitObjective, Objective, Scored, TrainingBatch, learned_beside


class WithMatrix(Objective):
    def __init__(self) -> None:
        self.learned = torch.nn.Linear(2, 3)

    def __call__(self, model: Any, batch: TrainingBatch) -> Scored:
        raise NotImplementedError


def test_logit_objective_feeds_the_model_its_inputs_and_the_loss_float_logits_and_labels() -> None:
    tensors = {"input_ids": torch.tensor([[1, 2]]), "labels": torch.tensor([1]), "soft_labels": torch.tensor([[0.5, 2.0]])}
    given: dict[str, Any] = {}

    def model(**inputs: torch.Tensor) -> SimpleNamespace:
        given.update(inputs)
        return SimpleNamespace(logits=torch.tensor([[1.0, 3.0]], dtype=torch.bfloat16))

    def loss(logits: torch.Tensor, hard: torch.Tensor, soft: torch.Tensor | None) -> torch.Tensor:
        assert soft is not None
        assert logits.dtype == torch.float32
        return logits.sum() + 10 * hard.sum() + 100 * soft.sum()

    scored = LogitObjective(loss)(model, TrainingBatch(tensors, ["input_ids"], 0.0))
    assert float(scored.loss) == 4 + 10 + 250
    assert scored.logits.tolist() == [[1.0, 3.0]]
    assert list(given) == ["input_ids"]


def test_learned_beside_makes_them_parameters_of_the_model_and_takes_them_back_even_after_a_failure() -> None:
    model, objective = torch.nn.Linear(2, 2), WithMatrix()
    with pytest.raises(KeyboardInterrupt), learned_beside(model, objective):
        assert {id(p) for p in objective.learned.parameters()} <= {id(p) for p in model.parameters()}
        assert len(model.state_dict()) == 4
        raise KeyboardInterrupt
    assert set(model.state_dict()) == {"weight", "bias"}


def test_learned_beside_of_an_objective_without_parameters_changes_nothing() -> None:
    model = torch.nn.Linear(2, 2)
    with learned_beside(model, LogitObjective(lambda logits, hard, soft: logits.sum())):
        assert set(model.state_dict()) == {"weight", "bias"}
