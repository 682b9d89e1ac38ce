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
from edgedistill.errors import ArtifactError, DataError
from edgedistill.examples import NO_LABEL
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS, ProblemType, problem_of

_SUM_TOLERANCE = 1e-3
LEAST_SHARE = 1e-7
"""Below it, and as near to 1, a probability is taken as this: its logarithm is a number."""


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
    return np.asarray(((logits > 0) == labels).all(axis=1) & np.isfinite(logits).all(axis=1))


def is_same(first: NDArray[np.floating], second: NDArray[np.floating], problem: ProblemType) -> NDArray[np.bool_]:
    """Return on which examples two models decide alike, shape (n,); logits of one shape."""
    if problem == SEVERAL_LABELS:
        is_finite = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
        return np.asarray(((first > 0) == (second > 0)).all(axis=1) & is_finite)
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


def are_shares(answers: NDArray[np.floating]) -> bool:
    """Are the numbers of each row shares that sum to 1, as a Softmax puts them out?

    Args:
        answers: shape (n, C); of one column they are none.
    """
    is_within = answers.shape[1] > 1 and bool(np.all((answers >= 0) & (answers <= 1)))
    return is_within and bool(np.all(np.abs(answers.sum(axis=1) - 1) < _SUM_TOLERANCE))


def logits_of_shares(shares: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the logarithms of probabilities, of which the softmax is those again; none is taken as less than 1e-7."""
    kept = np.clip(shares.astype(np.float64), LEAST_SHARE, 1 - LEAST_SHARE) + np.where(np.isfinite(shares), 0.0, np.nan)
    return np.asarray(np.log(kept), np.float32)


def require_logits(answers: NDArray[np.floating], problem: ProblemType, *, place: str) -> None:
    """Refuse probabilities where logits are wanted: a model that ends in a Sigmoid would say yes to everything.

    Args:
        answers: shape (n, C).
        problem: may a row have several labels? One label is decided alike by both; see `are_shares`.
        place: names the model.

    Raises:
        ArtifactError: all numbers of several rows lie within 0 and 1.
    """
    if problem == SEVERAL_LABELS and len(answers) > 1 and bool(((answers >= 0) & (answers <= 1)).all()):
        raise ArtifactError(f"{place}: all of its answers lie within 0 and 1: these are probabilities, and logits are expected",
                            hint="let the graph put out logits, without the Sigmoid")


def require_known_labels(labels: NDArray[np.integer], problem: ProblemType, *, classes: int, place: str) -> None:
    """Refuse labels that are not those of a model.

    Args:
        labels: shape (n,), or of several a row 0 and 1, shape (n, C); `NO_LABEL` where nothing is known.
        problem: of the model.
        classes: of the model.
        place: names the labels.

    Raises:
        DataError: they are of another form, or one of them is no class.
    """
    if problem_of_labels(labels) != problem or labels.shape[1:] not in ((), (classes,)):
        raise DataError(
            f"{place}: labels of the shape {labels.shape} for a model of {classes} classes with problem_type {problem}",
            hint="one label a row: its number; several: 0 and 1 for each class, and a config.json beside the model with "
                 f'"problem_type": "{SEVERAL_LABELS}"',
        )
    strange = labels[(labels != NO_LABEL) & ((labels < 0) | (labels >= (2 if labels.ndim == 2 else classes)))]
    if len(strange) and labels.ndim == 2:
        raise DataError(f"{place}: the label {strange[0]} is neither 0 nor 1, and rows may have several labels",
                        hint=f"write 1 for each class that a row has, 0 for each other, and {NO_LABEL} where nothing is known")
    if len(strange):
        raise DataError(f"{place}: the label {strange[0]} is no class; the model has {classes}, numbered from 0",
                        hint=f"number the labels from 0 to {classes - 1}, and {NO_LABEL} for none")
