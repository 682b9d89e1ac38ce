"""The answer that is right most often when it is given to everything: what a model must exceed to have learned anything."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistill.decisions import set_numbers
from edgedistill.results import Evaluation

_LONGEST_LABEL = 60


@dataclass(frozen=True)
class Constant:
    """The answer that is right most often when it is given to everything.

    Attributes:
        answer: in words, for messages.
        accuracy: of a model that always gives it.
        macro_f1: of that model; of the classes that it never gives the F1 is 0.
    """

    answer: str
    accuracy: float
    macro_f1: float


def quoted(label: str) -> str:
    """Return a label as it stands in a sentence: on one line, in quotes, cut at 60 characters."""
    return repr(label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…")


def set_in_words(row: NDArray[np.integer], names: Sequence[str]) -> str:
    """Return a set of labels in words; `row` is 0 and 1, shape (classes,)."""
    return " and ".join(quoted(name) for name, is_in in zip(names, row, strict=True) if is_in) or "no label"


def constant_set(labels: NDArray[np.integer], names: Sequence[str]) -> Constant:
    """Return the most frequent set of labels of examples that may have several, none among them.

    Args:
        labels: 0 and 1, shape (n, classes), n >= 1.
        names: of the classes.
    """
    numbers = set_numbers(labels)
    most = int(np.bincount(numbers).argmax())
    row = labels[int((numbers == most).argmax())]
    shares = labels.mean(axis=0)
    occur = shares > 0
    f1 = np.where(row > 0, 2 * shares / (1 + shares), 0.0)[occur]
    return Constant(set_in_words(row, names), float((numbers == most).mean()), float(f1.mean()) if occur.any() else 0.0)


def constant_class(rows: Sequence[int], names: Sequence[str]) -> Constant:
    """Return the largest class of examples that have one label each.

    Args:
        rows: how many examples each class has; one at least in all.
        names: of the classes.
    """
    most = int(np.argmax(rows))
    share = rows[most] / sum(rows)
    return Constant(quoted(names[most]), share, 2 * share / (1 + share) / sum(n > 0 for n in rows))


def constant_of(evaluation: Evaluation) -> Constant | None:
    """Return the largest class of the split that a model was evaluated on; None where the evaluation does not say.

    Of several labels a text it does not: how often one stands alone is not in it.
    """
    rows = [figures.support for figures in evaluation.classes]
    if not any(rows) or evaluation.micro_f1 is not None:
        return None
    return constant_class(rows, [figures.label for figures in evaluation.classes])
