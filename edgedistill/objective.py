"""What a training minimizes: a function of the logits, or something that also looks inside the model."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

LossFunction = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
"""(logits (batch, classes), hard labels (batch,) or (batch, classes), soft labels (batch, classes) or None) -> scalar."""

@dataclass(frozen=True)
class LossTerms:
    """What a loss is made of, on a batch; for the curves of the report, nothing is trained by it.

    Attributes:
        hard: cross-entropy with the hard labels, summed over the `labelled` rows; a scalar.
        labelled: rows that have a hard label; a scalar.
        soft: the term of the soft labels, averaged over the batch; a scalar.
    """

    hard: torch.Tensor
    labelled: torch.Tensor
    soft: torch.Tensor


TermsFunction = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], LossTerms]
"""(logits (batch, classes), hard labels (batch,) or (batch, classes), soft labels (batch, classes)) -> the terms."""

_PLACE = "learned_beside"
"""The name, in a model that is being trained, of what its objective learns."""


@dataclass(frozen=True)
class Scored:
    """A batch after the forward pass.

    Attributes:
        loss: a scalar.
        logits: shape (batch, classes).
    """

    loss: torch.Tensor
    logits: torch.Tensor


@dataclass(frozen=True)
class TrainingBatch:
    """A batch, and where in the training it comes.

    Attributes:
        tensors: what `TrainingSet.__getitems__` returns, as tensors.
        input_names: those of them that the model is fed.
        progress: share of the steps that are done, 0 <= progress < 1 while training.
    """

    tensors: Mapping[str, torch.Tensor]
    input_names: Sequence[str]
    progress: float

    @property
    def inputs(self) -> dict[str, torch.Tensor]:
        """What the model is fed."""
        return {name: self.tensors[name] for name in self.input_names}


class Objective(ABC):
    """Runs the model on a batch and says how wrong it is.

    Attributes:
        learned: parameters that the objective needs besides the model's, None for none. While it trains they are part
            of the model: the same optimizer, the same checkpoints, the same gradients over many processes. Afterwards
            they are thrown away.
        terms: what the loss is made of, for the curves of the report; None for a loss of one term.
    """

    learned: torch.nn.Module | None = None
    terms: TermsFunction | None = None

    @abstractmethod
    def __call__(self, model: Any, batch: TrainingBatch) -> Scored:
        """Run the model, which may be wrapped for many processes, on a batch; `model.training` says what for."""


class LogitObjective(Objective):
    """The simplest case: a function of logits, hard and soft labels."""

    def __init__(self, loss: LossFunction) -> None:
        self._loss = loss

    def __call__(self, model: Any, batch: TrainingBatch) -> Scored:
        """Run the model and score its logits."""
        return self.score(model(**batch.inputs).logits, batch)

    def score(self, logits: torch.Tensor, batch: TrainingBatch) -> Scored:
        """Return the loss of some logits."""
        loss = self._loss(logits.float(), batch.tensors["labels"], batch.tensors.get("soft_labels"))
        return Scored(loss, logits)


@contextmanager
def learned_beside(model: torch.nn.Module, objective: Objective) -> Iterator[None]:
    """Make an objective's own parameters a part of a model while it trains, and take them out of it afterwards.

    So the optimizer, the checkpoints and a wrapper for many processes have to know of one model only.
    """
    if objective.learned is None:
        yield
        return
    model.add_module(_PLACE, objective.learned)
    try:
        yield
    finally:
        delattr(model, _PLACE)
