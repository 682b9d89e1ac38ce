"""Parts of batches: every row once, and the mean over the processes is the mean over the batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import EvalPrediction

from edgedistill import shared_training, training
from edgedistill.batch_parts import WEIGHT
from edgedistill.distill.losses import distillation_loss, hard_label_loss
from edgedistill.errors import EdgedistillError
from edgedistill.examples import NO_LABEL
from edgedistill.processes import ALONE, Group
from edgedistill.shared_training import (
    PartialBatches,
    agreed_path,
    group_of_training,
    in_parts,
    other_parameters,
    part_of,
    validate,
)


class Member(Group):
    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size


class Rows:
    """Batches that hold nothing but their indices."""

    def __len__(self) -> int:
        return 100

    def __getitems__(self, indices: Sequence[int]) -> Mapping[str, NDArray[Any]]:
        return {"row": np.asarray(indices)}


@pytest.mark.parametrize(("rows", "size"), [(32, 2), (7, 2), (1, 2), (3, 4), (10, 3), (5, 1)])
def test_parts_when_put_together_then_every_row_once_and_the_mean_is_the_batchs(rows: int, size: int) -> None:
    batch = np.random.default_rng(rows).permutation(100)[:rows]
    losses = np.random.default_rng(1).normal(size=100)
    parts = [part_of(batch, rank=rank, size=size) for rank in range(size)]
    assert sorted(np.concatenate([p.rows for p in parts if p.weight > 0]).tolist()) == sorted(batch.tolist())
    over_processes = np.mean([p.weight * losses[p.rows].mean() for p in parts])
    assert over_processes == pytest.approx(losses[batch].mean())
    assert all(len(p.rows) for p in parts)


@pytest.mark.parametrize(("rows", "size"), [(2, 2), (3, 2), (1, 2), (5, 3)])
def test_parts_when_a_single_row_is_too_few_then_every_process_takes_the_whole_batch(rows: int, size: int) -> None:
    batch = np.arange(rows) + 7
    parts = [part_of(batch, rank=rank, size=size, least=2) for rank in range(size)]
    assert all(part.rows.tolist() == batch.tolist() and part.weight == 1.0 for part in parts)


def test_batches_in_parts_when_the_model_normalizes_by_its_batch_then_no_part_of_a_single_row() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
    shared = in_parts(Rows(), Member(1, 2), model=model)
    assert shared.__getitems__([4, 9, 2])["row"].tolist() == [4, 9, 2]
    assert shared.__getitems__([4, 9, 2, 5])["row"].tolist() == [9, 5]


def test_share_statistics_when_a_model_has_some_then_they_are_sent_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[torch.Tensor] = []
    monkeypatch.setattr(shared_training.dist, "broadcast", lambda tensor, src: sent.append(tensor))
    norm = torch.nn.BatchNorm2d(2)
    shared_training.share_statistics(torch.nn.Sequential(torch.nn.Linear(2, 2), norm))
    assert [id(tensor) for tensor in sent] == [id(buffer) for buffer in norm.buffers()]
    assert len(sent) == 3


def test_parts_when_texts_are_sorted_by_length_then_all_hold_like_lengths() -> None:
    parts = [part_of(np.arange(32), rank=rank, size=2) for rank in range(2)]
    assert parts[0].rows.tolist() == list(range(0, 32, 2))
    assert parts[0].weight == parts[1].weight == 1.0


@pytest.mark.parametrize("size", [2, 3, 8])
def test_gradient_when_averaged_over_parts_then_that_of_the_batch(size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs, teacher = (torch.randn(7, n, generator=generator, dtype=torch.float64) for n in (5, 3))
    labels = torch.tensor([0, 1, 2, NO_LABEL, 0, NO_LABEL, 1])
    weights = torch.randn(5, 3, generator=generator, dtype=torch.float64)

    def gradient(rows: NDArray[np.int64], scale: float, *, is_hard: bool) -> torch.Tensor:
        own = weights.clone().requires_grad_()
        logits = inputs[rows] @ own
        loss = hard_label_loss(logits, labels[rows]) if is_hard else distillation_loss(
            logits, labels[rows], teacher[rows], temperature=2.0, alpha=0.7)
        return torch.autograd.grad(scale * loss, own)[0]

    for is_hard in (True, False):
        parts = [part_of(np.arange(7), rank=rank, size=size) for rank in range(size)]
        averaged = torch.stack([gradient(p.rows, p.weight, is_hard=is_hard) for p in parts]).mean(0)
        torch.testing.assert_close(averaged, gradient(np.arange(7), 1.0, is_hard=is_hard))


def test_batches_in_parts_when_read_then_the_part_with_its_weight() -> None:
    second = in_parts(Rows(), Member(1, 2), model=torch.nn.Linear(1, 1)).__getitems__([4, 9, 2])
    assert second["row"].tolist() == [9]
    assert second[WEIGHT].dtype == np.float32
    assert float(second[WEIGHT]) == pytest.approx(2 / 3)
    assert len(PartialBatches(Rows(), Member(1, 2))) == 100


def test_batches_when_there_is_one_process_then_as_they_were() -> None:
    whole = Rows()
    assert in_parts(whole, ALONE, model=torch.nn.BatchNorm2d(1)) is whole
    assert WEIGHT not in whole.__getitems__([1])


@pytest.mark.parametrize("several", [False, True])
def test_validate_when_texts_have_one_label_or_several_then_counts_as_one_process_does(
    monkeypatch: pytest.MonkeyPatch, several: bool
) -> None:
    monkeypatch.setattr(shared_training.dist, "all_reduce", lambda figures: None)
    logits = torch.tensor([[2.0, -1.0, 0.5], [-3.0, 1.0, -2.0]])
    labels = torch.tensor([[1, 0, 1], [0, 1, 1]] if several else [0, 2])  # of each: the first row right, the second wrong
    batch = (torch.tensor(0.5), logits, labels)
    found = validate([batch], lambda given: given, total=1, group=ALONE)
    assert (found.correct, found.rows) == (1, 2)
    alone = training._accuracy(EvalPrediction(logits.numpy(), labels.numpy()))
    assert alone == {"accuracy": found.correct / found.rows}


def test_other_parameters_when_a_loss_has_some_then_they_and_no_others() -> None:
    model, projection = torch.nn.Linear(2, 2), torch.nn.Linear(2, 3, bias=False)
    optimizer = torch.optim.AdamW([{"params": list(model.parameters())}, {"params": list(projection.parameters())}])
    assert [id(p) for p in other_parameters(optimizer, model)] == [id(projection.weight)]


def test_agreed_path_when_alone_then_what_was_found(tmp_path: Any) -> None:
    assert agreed_path(lambda: tmp_path / "a", ALONE) == tmp_path / "a"
    assert agreed_path(lambda: None, ALONE) is None


def test_training_when_launched_but_not_shared_then_refused_instead_of_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert group_of_training() is ALONE
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EdgedistillError, match="do not share"):
        group_of_training()
