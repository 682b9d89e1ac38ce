"""Rows exchanged between what is held out and what is left, so that every class that can has a row on both sides."""

import numpy as np
from numpy.typing import NDArray

from edgedistill.prepare.split import strata_of


def reach_every_class(
    is_held: NDArray[np.bool_], labels: NDArray[np.int32], *, stays: NDArray[np.bool_], lost: NDArray[np.bool_], left: int,
    seed: int,
) -> NDArray[np.bool_]:
    """Give each class with two rows or more one on both sides, where a split in proportion rounded it away.

    For every row that comes, one of the class that has most above its share goes, so that as many are held out as before. Where
    no class lacks a row, nothing moves.

    Args:
        is_held: rows that were held out, shape (n,).
        labels: class numbers, shape (n,); of several a row 0 and 1, shape (n, classes).
        stays: rows that are never held out, shape (n,).
        lost: other rows that may not move, shape (n,): they may be left out later, so that a class with nothing else gives none.
        left: how many rows a class should keep, if it has as many besides the one that is held out.
        seed: of the choice.

    Returns:
        shape (n,); True where a row is held out.
    """
    sides = _Sides(is_held.copy(), labels, (stays | lost, lost & ~stays), np.random.default_rng(seed))
    total = sides.count(np.ones(len(labels), bool))
    least = np.minimum(left, total - 1)
    for number in np.flatnonzero((total > 1) & (sides.count(sides.held) == 0)).tolist():
        if sides.hold(sides.of(number) & sides.may_be_held(1)):
            sides.leave(sides.may_be_left(), of_the_fullest=True)
    for number in np.flatnonzero((total > 1) & (sides.count(~sides.held) < least)).tolist():
        while sides.count(~sides.held)[number] < least[number] and sides.leave(sides.of(number) & sides.may_be_left()):
            sides.hold(sides.may_be_held(least) & ~sides.of(number), of_the_emptiest=True)
    return sides.held


class _Sides:
    """Which rows are held, and which could change sides without taking the last row of another class away.

    Args:
        held: rows that are held, shape (n,); changed in place.
        labels: as `reach_every_class` takes them.
        bound: rows that may not move, and those of them that may be left out later.
        generator: of the choices.
    """

    def __init__(
        self, held: NDArray[np.bool_], labels: NDArray[np.int32], bound: tuple[NDArray[np.bool_], NDArray[np.bool_]],
        generator: np.random.Generator,
    ) -> None:
        self.held = held
        self._labels, self._generator = labels, generator
        self._fixed, self._lost = bound
        self._strata = strata_of(labels)
        self._sizes = np.bincount(self._strata)
        self._share = held.mean()

    def count(self, rows: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return how many of some rows each class has, shape (classes,)."""
        if self._labels.ndim == 2:
            return np.asarray(self._labels[rows].sum(axis=0), np.int64)
        return np.bincount(self._labels[rows], minlength=int(self._labels.max()) + 1)

    def of(self, number: int) -> NDArray[np.bool_]:
        """Mark the rows of a class, shape (n,)."""
        return np.asarray((self._labels[:, number] > 0) if self._labels.ndim == 2 else (self._labels == number))

    def may_be_held(self, least: int | NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mark the rows that are left and whose classes keep more than `least`, and one that may not be lost, without them."""
        kept = ~self.held & ~self._lost
        return ~self.held & ~self._fixed & self._all_of((self.count(~self.held) > least) & (self.count(kept) > 1))

    def may_be_left(self) -> NDArray[np.bool_]:
        """Mark the rows that are held and whose classes have another that is."""
        return self.held & ~self._fixed & self._all_of(self.count(self.held) > 1)

    def hold(self, rows: NDArray[np.bool_], *, of_the_emptiest: bool = False) -> bool:
        """Hold one of some rows; False where there is none. It may be of the class that is furthest below its share."""
        return self._move(rows, to=True, by_share=of_the_emptiest)

    def leave(self, rows: NDArray[np.bool_], *, of_the_fullest: bool = False) -> bool:
        """Leave one of some rows; False where there is none. It may be of the class that is furthest above its share."""
        return self._move(rows, to=False, by_share=of_the_fullest)

    def _move(self, rows: NDArray[np.bool_], *, to: bool, by_share: bool) -> bool:
        if not rows.any():
            return False
        if by_share:
            surplus = np.bincount(self._strata[self.held], minlength=len(self._sizes)) - self._share * self._sizes
            there = np.unique(self._strata[rows])
            rows = rows & (self._strata == there[np.argmax(-surplus[there] if to else surplus[there])])
        self.held[self._generator.choice(np.flatnonzero(rows))] = to
        return True

    def _all_of(self, holds: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Mark the rows all of whose classes are marked, shape (n,)."""
        if self._labels.ndim == 2:
            return np.asarray(~((self._labels > 0) & ~holds).any(axis=1))
        return holds[self._labels]
