"""What a training does differently when several processes share it. The global batch stays the planned batch.

Every process takes its part of each batch, so steps, learning rate and result are those of one process up to rounding.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from transformers.trainer_utils import EvalLoopOutput

from edgedistill.batch_parts import WEIGHT
from edgedistill.bounded_trainer import BoundedTrainer
from edgedistill.errors import EdgedistillError
from edgedistill.processes import Group, current_group, read_seat


@dataclass(frozen=True)
class Part:
    """The rows of a batch that one process takes.

    Attributes:
        rows: example indices, at least one.
        weight: what the mean loss of these rows is multiplied with, so that the mean over the processes is the mean
            over the batch: rows taken * processes / rows of the batch; 0 for a process that gets none.
    """

    rows: NDArray[np.int64]
    weight: float


def part_of(batch: NDArray[np.int64], *, rank: int, size: int, least: int = 1) -> Part:
    """Return the rows of a batch that a process takes: every `size`-th, so that all parts hold texts of like length.

    A process for which no row is left takes the first one with weight 0: it has to come to the averaging of gradients.

    Args:
        batch: example indices.
        rank: of the process.
        size: how many processes there are.
        least: rows that a part must have; where one had fewer, every process takes the whole batch, whose gradient is the mean.
    """
    if len(batch) < least * size and least > 1:
        return Part(batch, 1.0)
    rows = batch[rank::size]
    if len(rows) == 0:
        return Part(batch[:1], 0.0)
    return Part(rows, len(rows) * size / len(batch))


class Batches(Protocol):
    """Something that returns a whole batch by its indices."""

    def __len__(self) -> int: ...

    def __getitems__(self, indices: Sequence[int]) -> Mapping[str, NDArray[Any]]: ...


@dataclass(frozen=True)
class PartialBatches:
    """Batches of which only a part is returned, with its weight.

    Attributes:
        whole: the batches.
        group: the processes that share them.
        least: rows that a part must have.
    """

    whole: Batches
    group: Group
    least: int = 1

    def __len__(self) -> int:
        return len(self.whole)

    def __getitems__(self, indices: Sequence[int]) -> Mapping[str, NDArray[Any]]:
        """Return this process's part of the batch with these indices."""
        part = part_of(np.asarray(indices, np.int64), rank=self.group.rank, size=self.group.size, least=self.least)
        return {**self.whole.__getitems__(part.rows), WEIGHT: np.array(part.weight, np.float32)}  # type: ignore[arg-type]


def group_of_training() -> Group:
    """Return the group that a training is done by.

    Raises:
        EdgedistillError: several processes were launched, but this stage is not one that they share: the training would
            wait for the others for ever.
    """
    group = current_group()
    if group.size == 1 and read_seat(os.environ).size > 1:
        raise EdgedistillError("a training in a stage that the processes do not share",
                               hint="start one process; or mark the stage is_shared (docs/processes.md)")
    return group


def in_parts(whole: Batches, group: Group, *, model: torch.nn.Module) -> Batches:
    """Return batches of which this process gets its part; with one process they are what they were.

    A model that normalizes by its batch gets no part of a single row: it has no variance, and torch refuses it.
    """
    if group.size == 1:
        return whole
    return PartialBatches(whole, group, least=2 if batch_norms_of(model) else 1)


def batch_norms_of(model: torch.nn.Module) -> list[torch.nn.Module]:
    """Return the modules that keep statistics of the batches they see."""
    return [module for module in model.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]  # noqa: SLF001 - the common base of all of them


def share_statistics(model: torch.nn.Module) -> None:
    """Give every process the main one's statistics of batches: the model that is looked at is then the one that is kept."""
    for module in batch_norms_of(model):
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)


def agreed_path(find: Callable[[], Path | None], group: Group) -> Path | None:
    """Return what the main process finds, in every process."""
    found = group.on_main(find)
    path = group.share(str(found.absolute()) if found else "")
    return Path(path) if path else None


def start_alike(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Give parameters that are no part of the model the main process's values; the model itself DDP sees to."""
    for parameter in parameters:
        dist.broadcast(parameter.data, src=0)


def average_gradients(parameters: Iterable[torch.nn.Parameter], group: Group) -> None:
    """Average the gradients of parameters that are no part of the model over the processes, as DDP does for the model."""
    for parameter in parameters:
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        dist.all_reduce(gradient)
        parameter.grad = gradient / group.size


def other_parameters(optimizer: torch.optim.Optimizer, model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """Return what the optimizer changes besides the model: projections of a loss."""
    own = {id(p) for p in model.parameters()}
    return [p for group in optimizer.param_groups for p in group["params"] if id(p) not in own]


@dataclass(frozen=True)
class Validation:
    """Figures over all batches.

    Attributes:
        losses: mean loss of each batch, shape (batches,), float32.
        correct: rows answered right, 0 .. rows.
        rows: how many rows there are.
    """

    losses: NDArray[np.float32]
    correct: int
    rows: int


def answered_right(logits: Any, labels: Any) -> Any:
    """Return which rows are answered right, shape (rows,), as an array of the kind that was given (numpy or torch).

    Args:
        logits: raw, shape (rows, classes).
        labels: class indices, shape (rows,); or, for several labels a text, 0 and 1, shape (rows, classes): all must be right,
            and a logit above 0 is a yes.
    """
    if labels.ndim == 2:
        return ((logits > 0) == labels).all(-1)
    return logits.argmax(-1) == labels


def validate(
    own: Iterable[Any], predict: Callable[[Any], tuple[torch.Tensor, torch.Tensor, torch.Tensor]], *, total: int,
    group: Group,
) -> Validation:
    """Look at validation together: each process takes some of the batches, and all get the same figures to the bit.

    Args:
        own: this process's batches: number `rank`, `rank + size`, ... of all.
        predict: returns mean loss (scalar), logits (rows, classes) and hard labels, (rows,) or (rows, classes), of a batch.
        total: how many batches there are in all.
        group: the processes.
    """
    figures = torch.zeros(total, 3, dtype=torch.float64)
    for turn, batch in enumerate(own):
        loss, logits, labels = predict(batch)
        right = int(answered_right(logits, labels).sum())
        figures[group.rank + turn * group.size] = torch.tensor([float(loss), right, len(labels)], dtype=torch.float64)
    dist.all_reduce(figures)  # each row was filled by one process: adding zeros changes nothing
    return Validation(figures[:, 0].numpy().astype(np.float32), int(figures[:, 1].sum()), int(figures[:, 2].sum()))


class SharedTrainer(BoundedTrainer):
    """Trainer whose steps and evaluations the processes of a group share; with one process it is BoundedTrainer."""

    def share(self, group: Group, *, seed: int) -> None:
        """Make it a training of a group.

        Args:
            group: the processes; all make the same calls.
            seed: of dropout. Each process draws other numbers, for each has other rows.
        """
        self.group = group
        self._batches = 0
        if group.size > 1:
            start_alike(other_parameters(self.optimizer, self.model))
        if group.rank > 0:
            torch.manual_seed(seed + group.rank)

    def own(self, batches: list[Any]) -> list[Any]:
        """Return the batches of validation that this process looks at."""
        self._batches = len(batches)
        return batches[self.group.rank :: self.group.size]

    def training_step(self, *arguments: Any, **named: Any) -> torch.Tensor:
        """See Trainer; the gradients of what is not in the model are averaged too."""
        loss: torch.Tensor = super().training_step(*arguments, **named)
        if self.group.size > 1:
            average_gradients(other_parameters(self.optimizer, self.model), self.group)
        return loss

    def evaluation_loop(self, dataloader: Any, *arguments: Any, **named: Any) -> Any:
        """See Trainer; several processes get together the figures that one process would get."""
        if self.group.size == 1:
            return super().evaluation_loop(dataloader, *arguments, **named)
        self.model.eval()
        share_statistics(self.model)
        found = validate(
            dataloader, lambda inputs: self.prediction_step(self.model, inputs, prediction_loss_only=False),
            total=self._batches, group=self.group,
        )
        every_loss = np.repeat(found.losses, self.args.eval_batch_size)  # Trainer's own mean, to the last bit
        metrics = {"eval_loss": every_loss.mean().item(), "eval_accuracy": found.correct / found.rows}
        return EvalLoopOutput(predictions=None, label_ids=None, metrics=metrics, num_samples=found.rows)
