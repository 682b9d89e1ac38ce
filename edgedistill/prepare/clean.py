"""Three clean splits of any examples: repeats dropped, missing splits made, no example in two splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import DataError
from edgedistill.prepare.check import count_conflicts, find_repeats
from edgedistill.prepare.data_report import SplitName
from edgedistill.prepare.exchange import reach_every_class
from edgedistill.prepare.split import hold_out, require_enough, too_few


@dataclass(frozen=True)
class SplitPlan:
    """How missing splits are made: shares of the different examples of train, and the seed of the choice."""

    validation_share: float
    test_share: float
    seed: int
    label_order: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Words:
    """How a task calls its examples in messages.

    Attributes:
        one: an example.
        several: training examples.
        source: what a split may have of its own.
    """

    one: str
    several: str
    source: str


@dataclass(frozen=True)
class Split:
    """One split, as rows of a source.

    Attributes:
        name: which one.
        source: what its rows came from, as a person would write it.
        rows: which rows of what was read, shape (n,).
        labels: their class numbers, shape (n,), values 0 .. classes - 1; of several a row 0 and 1, shape (n, classes).
        contents: numbers of what they hold, shape (n,); equal examples have equal ones, in all splits.
        is_made_here: was it split off train?
        duplicates: rows that repeated an earlier one's content and label.
        dropped_duplicates: of these, how many were left out.
        dropped_in_other_splits: rows left out because their content stands in another split.
    """

    name: SplitName
    source: str
    rows: NDArray[np.int64]
    labels: NDArray[np.int32]
    contents: NDArray[np.int64]
    is_made_here: bool = False
    duplicates: int = 0
    dropped_duplicates: int = 0
    dropped_in_other_splits: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, is_kept: NDArray[np.bool_]) -> "Split":
        """Return the marked rows as a split."""
        kept = np.flatnonzero(is_kept)
        return replace(self, rows=self.rows[kept], labels=self.labels[kept], contents=self.contents[kept])

    def rows_by_class(self, classes: tuple[str, ...]) -> dict[str, int]:
        """Return how many rows each class has; a row of several counts for each."""
        counts = self.labels.sum(axis=0) if self.labels.ndim == 2 else np.bincount(self.labels, minlength=len(classes))
        return {name: int(count) for name, count in zip(classes, counts, strict=True)}


@dataclass(frozen=True)
class CleanSplits:
    """The three splits. `conflicting`: different contents that have two labels or more, over all splits."""

    train: Split
    validation: Split
    test: Split
    conflicting: int


def as_read(name: SplitName, source: str, labels: NDArray[np.int32], contents: NDArray[np.int64]) -> Split:
    """Return a split of all rows that were read, and count its repeats; arguments as the attributes of `Split`."""
    repeats = int(find_repeats(contents, labels).sum())
    return Split(name, source, np.arange(len(labels)), labels, contents, duplicates=repeats)


def clean(given: Mapping[SplitName, Split], plan: SplitPlan, words: Words, *, classes: Sequence[str]) -> CleanSplits:
    """Split and clean.

    Train loses the rows that repeat an earlier row. Then the missing splits are made from it. Then train loses the
    contents that stand in validation or test, and validation those that stand in test; test is never touched. The only row of a
    class stays in train, and so do the rows of other classes that hold the same.

    Args:
        given: what was read, train among it.
        plan: how missing splits are made.
        words: for messages.
        classes: the names of the class numbers, for messages.

    Raises:
        DataError: there are too few rows to split; nothing is left.
    """
    require_cleanable(given, plan, words, classes=classes)
    conflicting = count_conflicts(
        np.concatenate([s.contents for s in given.values()]), np.concatenate([s.labels for s in given.values()])
    )
    train = _without_repeats(given["train"])
    wanted = _rows_wanted(train, given, plan)
    refusal = too_few(train.labels, source=train.source, wanted=wanted, classes=classes)
    others = np.concatenate([np.empty(0, np.int64), *(split.contents for name, split in given.items() if name != "train")])
    found = dict(given)
    for name in wanted:
        train, found[name] = _split_off(train, name, wanted=wanted, seed=plan.seed, refusal=refusal, given=others)
    test, validation = found["test"], _without(found["validation"], [found["test"]], words)
    train = _without(train, [validation, test], words)
    return CleanSplits(train, validation, test, conflicting)


def _rows_wanted(train: Split, given: Mapping[SplitName, Split], plan: SplitPlan) -> dict[SplitName, int]:
    """Return how many rows each split that is not given is to have, in the order in which they are made."""
    shares: dict[SplitName, float] = {"test": plan.test_share, "validation": plan.validation_share}
    return {name: round(share * len(train)) for name, share in shares.items() if name not in given}


def require_cleanable(given: Mapping[SplitName, Split], plan: SplitPlan, words: Words, *, classes: Sequence[str]) -> Split:
    """Refuse by counting what `clean` would refuse, without splitting; arguments as there.

    What passes may still be refused: how many rows of a class the first split leaves for the second is not known before.

    Returns:
        train without its repeats and what stands in the given splits.

    Raises:
        DataError: there are too few rows to split; nothing is left of a split that was given.
    """
    train = _without_repeats(given["train"])
    require_enough(train.labels, source=train.source, wanted=_rows_wanted(train, given, plan), classes=classes)
    others = [split for name, split in given.items() if name != "train"]
    if "test" in given and "validation" in given:
        _without(given["validation"], [given["test"]], words)
    return _without(train, others, words) if others else train


def require_all_classes(train: Split, classes: tuple[str, ...], words: Words) -> None:
    """Refuse a class of which nothing is left in train.

    Raises:
        DataError: names the class.
    """
    lost = [name for name, rows in train.rows_by_class(classes).items() if not rows]
    if lost:
        raise DataError(f"{train.source}: every training {words.one} of class {lost[0]!r} stands in validation or test too",
                        hint=f"add training {words.several} of that class, or remove it from all splits")


def _without_repeats(split: Split) -> Split:
    kept = split.where(~find_repeats(split.contents, split.labels))
    return replace(kept, dropped_duplicates=len(split) - len(kept))


def _without(split: Split, others: Sequence[Split], words: Words) -> Split:
    """Leave out what stands in other splits; where nothing remains, name those that the user gave."""
    kept = split.where(~np.isin(split.contents, np.concatenate([other.contents for other in others])))
    if not len(kept):
        names = " or ".join(other.name for other in [o for o in others if not o.is_made_here] or others)
        what = f"split off train for {split.name}" if split.is_made_here else f"of {split.name}"
        raise DataError(f"{split.source}: every {words.one} {what} stands in {names} too",
                        hint=f"give {names} {words.source} of its own, or null to split it off train")
    return replace(kept, dropped_in_other_splits=len(split) - len(kept))


def _split_off(
    train: Split, name: SplitName, *, wanted: Mapping[SplitName, int], seed: int, refusal: DataError, given: NDArray[np.int64]
) -> tuple[Split, Split]:
    """Return what is left of train, and the new split.

    Args:
        train: what is split.
        name: of the new split.
        wanted: the rows of all splits that are made, in their order.
        seed: of the choice.
        refusal: the error where train has too few rows.
        given: contents of the splits that the user gave.
    """
    # a content that is held out is left out of train: it must not be that of the only row of a class
    stays = np.isin(train.contents, train.contents[_is_only_row(train.labels)])
    made = list(wanted)
    least_classes = 2 if name == made[0] else 1  # of two classes one may have given its second row to the first split
    is_held = hold_out(train.labels, rows=wanted[name], seed=seed, refusal=refusal, stays=stays, least_classes=least_classes)
    lost = _is_shared(train.contents) | np.isin(train.contents, given)  # such a row would be left out of a split again
    is_held = reach_every_class(is_held, train.labels, stays=stays, lost=lost, left=1 if name == made[-1] else 2, seed=seed)
    held = train.where(is_held)
    return train.where(~is_held), Split(name, held.source, held.rows, held.labels, held.contents, is_made_here=True)


def _is_shared(contents: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the rows whose content another row has too, shape (n,)."""
    _, numbers, counts = np.unique(contents, return_inverse=True, return_counts=True)
    return np.asarray(counts[numbers] > 1)


def _is_only_row(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Mark the rows that have a class to themselves, shape (n,)."""
    if labels.ndim == 2:
        return np.asarray(labels[:, labels.sum(axis=0) == 1].any(axis=1), bool)
    return np.asarray(np.bincount(labels)[labels] == 1, bool)
