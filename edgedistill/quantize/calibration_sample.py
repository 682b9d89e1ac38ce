"""Which training rows a static scheme is calibrated on: drawn at random, balanced by class, or the most informative."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgedistill.decisions import log_probabilities, problem_of_labels, set_numbers
from edgedistill.errors import UsageError
from edgedistill.problem_type import ONE_LABEL, ProblemType

Selection = Literal["random", "class-balanced", "informative"]


def select_rows(
    selection: Selection, count: int, *, rows: int, seed: int, labels: NDArray[np.int64] | None = None,
    logits: NDArray[np.floating] | None = None,
) -> NDArray[np.int64]:
    """Return which rows to calibrate on, ascending, without repeats.

    Args:
        selection: `random`; `class-balanced`: as many of each class as there are, up to equal shares; `informative`: those on
            which the teacher is least sure.
        count: how many; all rows when there are fewer.
        rows: how many there are.
        seed: decides which are drawn.
        labels: class of each row, shape (rows,), for `class-balanced`; those of rows without a label are a class too. Of several
            a row shape (rows, classes): each set of them is a class, and the teacher's answers are yes or no.
        logits: the teacher's raw logits, shape (rows, classes), for `informative`.

    Raises:
        UsageError: labels or logits are needed and not given.
    """
    require_drawable(selection, has_labels=labels is not None, has_logits=logits is not None)
    shuffled = np.random.default_rng(seed).permutation(rows)
    if selection == "class-balanced" and labels is not None:
        shuffled = shuffled[_turns(set_numbers(np.asarray(labels))[shuffled])]
    elif selection == "informative" and logits is not None:
        problem = ONE_LABEL if labels is None else problem_of_labels(labels)
        shuffled = shuffled[np.argsort(-entropy(logits, problem)[shuffled], kind="stable")]
    return np.sort(shuffled[:count]).astype(np.int64)


def require_drawable(selection: Selection, *, has_labels: bool, has_logits: bool) -> None:
    """Refuse a selection for which something is missing.

    Args:
        selection: see `select_rows`.
        has_labels: are there labels of the rows?
        has_logits: are there the teacher's answers to them?

    Raises:
        UsageError: labels or logits are needed and not there.
    """
    if selection == "class-balanced" and not has_labels:
        raise UsageError("a class-balanced calibration set needs labels",
                         hint="--set quantization.calibration.selection=random, or give labels")
    if selection == "informative" and not has_logits:
        raise UsageError("an informative calibration set needs the teacher's soft labels",
                         hint="--set quantization.calibration.selection=random")


def _turns(labels: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return the order in which the classes take turns: the first row of each, then the second of each."""
    turn = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        turn[places] = np.arange(len(places))
    return np.argsort(turn, kind="stable")


def entropy(logits: ArrayLike, problem: ProblemType = ONE_LABEL) -> NDArray[np.float64]:
    """Return the entropy of each row's answer at T = 1, in nats, shape (rows,); logits of shape (rows, classes)."""
    logs = log_probabilities(logits, problem)
    return np.asarray(-(np.exp(logs) * logs).sum(axis=1))
