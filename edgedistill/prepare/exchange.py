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
    no class lacks a row, nothing moves. The time of a move does not grow with the rows of other classes.

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
    sides, generator = _Sides(is_held.copy(), labels, (stays | lost, lost & ~stays)), np.random.default_rng(seed)
    total = sides.held_of + sides.left_of
    lacking, one = np.flatnonzero((total > 1) & (sides.held_of == 0)).tolist(), np.ones_like(total)
    others = _Candidates(sides, one, to=False) if lacking else None
    for number in lacking:
        if others is not None and others.move_one(sides.that_may_move(sides.rows.of(number), one, to=True), generator):
            others.move_one(others.furthest_from_share(), generator)
    least = np.minimum(left, total - 1)
    lacking = np.flatnonzero((total > 1) & (sides.left_of < least)).tolist()
    others = _Candidates(sides, least, to=True) if lacking else None
    for number in lacking:
        while others is not None and sides.left_of[number] < least[number] and others.move_one(
            sides.that_may_move(sides.rows.of(number), least, to=False), generator
        ):
            others.move_one(others.furthest_from_share(), generator)
    return sides.held


class _Groups:
    """Values grouped by a number, each group in the order in which they were given.

    Args:
        numbers: of the group of each value, shape (n,).
        values: shape (n,).
        count: how many groups there are.
    """

    def __init__(self, numbers: NDArray[np.int64], values: NDArray[np.int64], count: int) -> None:
        self._values = values[np.argsort(numbers, kind="stable")]
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=count))])

    def of(self, number: int) -> NDArray[np.int64]:
        """Return the values of a group."""
        return self._values[self._starts[number] : self._starts[number + 1]]

    def of_each(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the values of some groups one after the other, and for each the place of its group in `numbers`."""
        starts = self._starts[numbers]
        lengths = self._starts[numbers + 1] - starts
        places = np.repeat(np.arange(len(numbers)), lengths)
        before = np.cumsum(lengths) - lengths
        return self._values[np.arange(len(places)) + (starts - before)[places]], places


class _Sides:
    """Which rows are held and how many each class has on each side, kept up as rows move.

    Args:
        held: rows that are held, shape (n,); changed in place.
        labels: as `reach_every_class` takes them.
        bound: rows that may not move, and those of them that may be left out later.

    Attributes:
        rows: of each class.
        held_of: rows that are held, by class.
        left_of: rows that are left, by class.
        strata: of each row, shape (n,).
        surplus: rows that are held of a stratum above its share, by stratum.
    """

    def __init__(
        self, held: NDArray[np.bool_], labels: NDArray[np.int32], bound: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    ) -> None:
        self.held = held
        self._fixed, self._lost = bound
        rows, numbers = np.nonzero(labels) if labels.ndim == 2 else (np.arange(len(labels)), labels.astype(np.int64))
        classes = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
        self.rows, self._classes = _Groups(numbers, rows, classes), _Groups(rows, numbers, len(labels))
        is_left = ~held[rows]
        self.held_of, self.left_of, self._kept_of = (
            np.bincount(numbers[marked], minlength=classes) for marked in (~is_left, is_left, is_left & ~self._lost[rows])
        )
        self.strata = strata_of(labels)
        sizes = np.bincount(self.strata)
        self._held_in, self._shares = np.bincount(self.strata[held], minlength=len(sizes)), held.mean() * sizes
        self.surplus = self._held_in - self._shares

    def can_give(self, classes: NDArray[np.int64], least: NDArray[np.int64], *, to: bool) -> NDArray[np.bool_]:
        """Mark those of some classes that can give a row to be held, or else to be left; shape of `classes`.

        One can whose side keeps another row; more than `least`, and one that may not be lost, where the row is to be held.
        """
        if not to:
            return self.held_of[classes] > 1
        return (self.left_of[classes] > least[classes]) & (self._kept_of[classes] > 1)

    def may_move(self, rows: NDArray[np.int64], least: NDArray[np.int64], *, to: bool) -> NDArray[np.bool_]:
        """Mark those of some rows that can change to a side: all of their classes can give one; shape of `rows`."""
        classes, places = self._classes.of_each(rows)
        against = np.bincount(places[~self.can_give(classes, least, to=to)], minlength=len(rows))
        return np.asarray((self.held[rows] != to) & ~self._fixed[rows] & (against == 0))

    def that_may_move(self, rows: NDArray[np.int64], least: NDArray[np.int64], *, to: bool) -> NDArray[np.int64]:
        """Return those of some rows that can change to a side."""
        return rows[self.may_move(rows, least, to=to)]

    def classes_of(self, row: int) -> NDArray[np.int64]:
        """Return the classes of a row."""
        return self._classes.of(row)

    def move(self, row: int) -> None:
        """Let a row change sides."""
        step = -1 if self.held[row] else 1
        self.held[row] = step > 0
        classes = self.classes_of(row)
        self.held_of[classes] += step
        self.left_of[classes] -= step
        if not self._lost[row]:
            self._kept_of[classes] -= step
        stratum = self.strata[row]
        self._held_in[stratum] += step
        self.surplus[stratum] = self._held_in[stratum] - self._shares[stratum]


class _Candidates:
    """The rows that can change to a side, counted by stratum, kept up as rows move.

    Args:
        sides: the rows; while these are the candidates, they are moved here alone.
        least: see `_Sides.can_give`.
        to: the side: are they to be held?
    """

    def __init__(self, sides: _Sides, least: NDArray[np.int64], *, to: bool) -> None:
        self._sides, self._least, self._to = sides, least, to
        every = np.arange(len(sides.held))
        self._is_one = sides.may_move(every, least, to=to)
        self._count = np.bincount(sides.strata[self._is_one], minlength=len(sides.surplus))
        self._of_stratum = _Groups(sides.strata.astype(np.int64), every, len(sides.surplus))

    def furthest_from_share(self) -> NDArray[np.int64]:
        """Return the candidates, in their order, of the stratum that is furthest above its share; to be held, below it."""
        surplus = -self._sides.surplus if self._to else self._sides.surplus
        rows = self._of_stratum.of(int(np.argmax(np.where(self._count > 0, surplus, -np.inf))))
        return rows[self._is_one[rows]]

    def move_one(self, rows: NDArray[np.int64], generator: np.random.Generator) -> bool:
        """Let one of some rows, drawn at random, change sides; False where there is none."""
        if not len(rows):
            return False
        row = int(generator.choice(rows))
        classes = self._sides.classes_of(row)
        before = self._sides.can_give(classes, self._least, to=self._to)
        self._sides.move(row)
        turned = classes[before != self._sides.can_give(classes, self._least, to=self._to)].tolist()
        for concerned in (np.array([row]), *map(self._sides.rows.of, turned)):
            self._look_at(concerned)
        return True

    def _look_at(self, rows: NDArray[np.int64]) -> None:
        now = self._sides.may_move(rows, self._least, to=self._to)
        np.add.at(self._count, self._sides.strata[rows], now.astype(np.int64) - self._is_one[rows])
        self._is_one[rows] = now
