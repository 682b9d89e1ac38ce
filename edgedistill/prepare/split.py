"""Stratified, seeded splitting: rows of a source are held out for validation or test, class by class."""

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import DataError


def hold_out(
    labels: NDArray[np.int32], *, rows: int, seed: int, source: str, stays: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Choose rows to hold out, each class in proportion.

    A class with a single row stays whole. Every other class should have a row on both sides, so at least as many rows
    as there are such classes are held out.

    Args:
        labels: class numbers, shape (n,); of several a row 0 and 1, shape (n, classes): a row then counts for its rarest label.
        rows: how many to hold out.
        seed: of the choice.
        source: named in messages.
        stays: rows that are not to be held out, shape (n,); where one is drawn, another of its class takes its place, or none
            where the class has no other.

    Returns:
        shape (n,); True where a row is held out.

    Raises:
        DataError: the classes have too few rows to be split.
    """
    from sklearn.model_selection import train_test_split  # takes a second; most data comes with its splits

    strata = _rarest(labels) if labels.ndim == 2 else labels
    counts = np.bincount(strata)
    candidates = np.flatnonzero(counts[strata] > 1)
    classes = int((counts > 1).sum())
    held = max(rows, classes)
    too_few = DataError(
        f"{source}: {len(labels)} different rows in {int((counts > 0).sum())} classes are too few to split off {rows} of them",
        hint="give files of your own: data.validation and data.test, or add rows to the small classes",
    )
    if classes < 2 or len(candidates) - held < classes:
        raise too_few
    _, chosen = train_test_split(candidates, test_size=held, random_state=seed, stratify=strata[candidates])
    is_held = np.zeros(len(labels), bool)
    is_held[chosen] = True
    if stays is not None:
        _put_back(is_held, strata, stays)
    if not is_held.any():
        raise too_few
    return is_held


def _put_back(is_held: NDArray[np.bool_], strata: NDArray[np.int32], stays: NDArray[np.bool_]) -> None:
    """Exchange each row that is held and has to stay for the first of its class that is free, so that no other row moves."""
    for row in np.flatnonzero(is_held & stays):
        free = np.flatnonzero(~is_held & ~stays & (strata == strata[row]))
        is_held[free[:1]] = True
        is_held[row] = False


def _rarest(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return for each row which of its labels the fewest rows have, shape (n,); the number of classes where it has none."""
    rank = np.argsort(np.argsort(labels.sum(axis=0), kind="stable"))
    found = np.where(labels > 0, rank, labels.shape[1]).argmin(axis=1)
    return np.asarray(np.where(labels.any(axis=1), found, labels.shape[1]), np.int32)
