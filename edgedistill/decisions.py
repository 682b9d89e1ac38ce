"""What a classifier decides: the class of the largest logit; or, where an example may have several labels, each class above 0.

    n, C             examples and classes
    logits           shape (n, C), raw (T = 1)
    one label        a decision is a class number, labels have the shape (n,)
    several labels   a decision is a set of classes, labels are 0 and 1 in the shape (n, C), and all of a row must be right

Imports neither torch nor onnxruntime.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgedistill.document import read_text
from edgedistill.errors import ArtifactError
from edgedistill.examples import NO_LABEL
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS, ProblemType, problem_of


def problem_of_folder(folder: Path) -> ProblemType:
    """Return what a model folder's config.json says, or a bundle's labels.json; one label where there is neither.

    Raises:
        ArtifactError: it is no JSON.
    """
    path = next((folder / name for name in ("config.json", "labels.json") if (folder / name).is_file()), None)
    if path is None:
        return ONE_LABEL
    try:
        return problem_of(json.loads(read_text(path, error=ArtifactError)))
    except ValueError as bad:
        raise ArtifactError(f"{path}: is no JSON ({bad})", hint="make the folder again") from None


def problem_of_labels(labels: NDArray[np.integer]) -> ProblemType:
    """Return what labels of the shape (n,) or (n, C) belong to."""
    return SEVERAL_LABELS if labels.ndim == 2 else ONE_LABEL


def is_labelled(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which examples have a label, shape (n,): several labels are known all together, or not at all."""
    return np.asarray(labels != NO_LABEL if labels.ndim == 1 else (labels != NO_LABEL).all(axis=1))


def is_right(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which decisions are the labels', shape (n,); False where there is no label.

    Args:
        logits: shape (n, C).
        labels: shape (n,), or 0 and 1 in the shape (n, C).
    """
    if labels.ndim == 1:
        return np.asarray(logits.argmax(axis=1) == labels)
    return np.asarray(((logits > 0) == labels).all(axis=1))


def is_same(first: NDArray[np.floating], second: NDArray[np.floating], problem: ProblemType) -> NDArray[np.bool_]:
    """Return on which examples two models decide alike, shape (n,); logits of one shape."""
    if problem == SEVERAL_LABELS:
        return np.asarray(((first > 0) == (second > 0)).all(axis=1))
    return np.asarray(first.argmax(axis=1) == second.argmax(axis=1))


def set_numbers(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Number labels so that equal ones have equal numbers, shape (n,): class numbers stay, sets of several are counted."""
    if labels.ndim == 1:
        return labels.astype(np.int64)
    return np.asarray(np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1), np.int64)


def log_probabilities(logits: ArrayLike, problem: ProblemType) -> NDArray[np.float64]:
    """Return ln p of every outcome of a row; those of one variable sum to 1 as probabilities.

    Args:
        logits: shape (n, C), finite.
        problem: one label: one variable a row, C outcomes, shape (n, C). Several: C variables a row, each yes or no, shape
            (n, 2C), first all that say yes.
    """
    values = np.array(logits, np.float64)
    if problem == SEVERAL_LABELS:
        return np.concatenate([-np.logaddexp(0, -values), -np.logaddexp(0, values)], axis=1)
    values -= values.max(axis=1, keepdims=True)
    return np.asarray(values - np.log(np.exp(values).sum(axis=1, keepdims=True)))
