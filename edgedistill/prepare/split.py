"""Stratified, seeded splitting: rows of a source are held out for validation or test, class by class."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import DataError
from edgedistill.prepare.data_report import SplitName

_MANY_CLASSES = 10
"""More than these, and more than half of the rows: labels that are no classes. Fewer are a small file."""


def hold_out(
    labels: NDArray[np.int32], *, rows: int, seed: int, refusal: DataError, stays: NDArray[np.bool_] | None = None,
    least_classes: int = 2,
) -> NDArray[np.bool_]:
    """Choose rows to hold out, each class in proportion.

    A class with a single row stays whole. At least as many rows as there are other classes are held out, so that each of them
    could have a row on both sides; where rounding left one without, `edgedistill.prepare.exchange` gives it one.

    Args:
        labels: class numbers, shape (n,); of several a row 0 and 1, shape (n, classes): a row then counts for its rarest label.
        rows: how many to hold out.
        seed: of the choice.
        refusal: the error where it cannot be done; `too_few` makes it.
        stays: rows that are not to be held out, shape (n,); where one is drawn, another of its class takes its place, or none
            where the class has no other.
        least_classes: how many classes must have two rows or more.

    Returns:
        shape (n,); True where a row is held out.

    Raises:
        DataError: the classes have too few rows to be split.
    """
    from sklearn.model_selection import train_test_split  # takes a second; most data comes with its splits

    strata = strata_of(labels)
    counts = np.bincount(strata)
    candidates = np.flatnonzero(counts[strata] > 1)
    held = _rows_held(counts, rows=rows, least_classes=least_classes)
    if held is None:
        raise refusal
    _, chosen = train_test_split(candidates, test_size=held, random_state=seed, stratify=strata[candidates])
    is_held = np.zeros(len(labels), bool)
    is_held[chosen] = True
    if stays is not None:
        _put_back(is_held, strata, stays)
    if not is_held.any():
        raise refusal
    return is_held


def _rows_held(counts: NDArray[np.int64], *, rows: int, least_classes: int = 2) -> int | None:
    """Return how many rows are held out of classes with so many rows; None where that cannot be done. As `hold_out` says."""
    shared = counts[counts > 1]
    held = max(rows, len(shared))
    return None if len(shared) < least_classes or shared.sum() - held < len(shared) else held


def require_enough(
    labels: NDArray[np.int32], *, source: str, wanted: Mapping[SplitName, int], classes: Sequence[str]
) -> None:
    """Refuse by counting what surely cannot be split; what passes may still be refused by `hold_out`. Arguments as `too_few`.

    Raises:
        DataError: the classes have too few rows.
    """
    counts = np.bincount(strata_of(labels))
    if wanted and (_lacks(counts, splits=len(wanted)) or _rows_held(counts, rows=next(iter(wanted.values()))) is None):
        raise too_few(labels, source=source, wanted=wanted, classes=classes)


def _lacks(counts: NDArray[np.int64], *, splits: int) -> str:
    """Say what any data must have of which so many splits are made, where these classes lack it; empty where they do not.

    The first split takes a row of each of two classes and leaves one; of one of them each further split needs one more.
    """
    largest = sorted(counts.tolist(), reverse=True)[:2]
    is_lacking = len(largest) < 2 or largest[0] <= splits or largest[1] < 2
    return f"at least {splits + 1} of one class and 2 of another are needed" if is_lacking else ""


def too_few(
    labels: NDArray[np.int32], *, source: str, wanted: Mapping[SplitName, int], classes: Sequence[str]
) -> DataError:
    """Return the error for rows that cannot be split, which says what is the matter with their classes.

    Args:
        labels: as `hold_out` takes them, of all rows that the splits are made of.
        source: where the rows came from.
        wanted: how many rows each split was to have.
        classes: the names of the class numbers.
    """
    counts = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=len(classes))
    rows, present = len(labels), int((counts > 0).sum())
    single = [name for name, count in zip(classes, counts, strict=True) if count == 1]
    parts = " and ".join(f"{count} for {name}" if all(wanted.values()) else name for name, count in wanted.items())
    if present > max(rows / 2, _MANY_CLASSES):
        return DataError(
            f"{source}: nearly every row has a label of its own: {rows} different rows in {present} classes",
            hint="is data.label_column an id, or a number to be predicted (regression is not covered)? name the column of the "
                 "classes: --set data.label_column=NAME (with init: --label-column NAME)",
        )
    if single and present <= rows / 2 and present - len(single) < 2:
        more = f" ({len(single)} classes have)" if len(single) > 1 else ""
        first = next(iter(wanted), "test")
        return DataError(f"{source}: class {single[0]!r} has a single row{more}, so that train and {first} cannot both have one",
                         hint="add rows of it, or give files of your own: data.validation and data.test")
    lacking = _lacks(np.bincount(strata_of(labels)), splits=len(wanted))
    files = " and ".join(f"data.{name}" for name in wanted)
    options = " ".join(f"--{name} FILE" for name in wanted)
    return DataError(f"{source}: {rows} different rows in {present} classes are too few to split off {parts}"
                     + (f"; {lacking}" if lacking else ""),
                     hint=f"add rows{'' if lacking else ' to the small classes'}, or give files of your own: {files} (with init: "
                          f"{options})")


def strata_of(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return by what rows are split, shape (n,): the class; of several labels the rarest, or the number of classes for none."""
    return _rarest(labels) if labels.ndim == 2 else labels


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
