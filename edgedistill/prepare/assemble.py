"""From what was read to three clean splits: repeats dropped, missing splits made, no text in two splits."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import DataError
from edgedistill.prepare.check import class_names, count_conflicts, encode_labels, find_repeats, number_texts
from edgedistill.prepare.data_report import DataReport, SplitName, SplitReport, text_lengths
from edgedistill.prepare.rows import LabelledTexts
from edgedistill.prepare.split import hold_out


@dataclass(frozen=True)
class Sources:
    """What the user gave; a missing split is None."""

    train: LabelledTexts
    validation: LabelledTexts | None
    test: LabelledTexts | None


@dataclass(frozen=True)
class SplitPlan:
    """How missing splits are made: shares of the different rows of train, and the seed of the choice."""

    validation_share: float
    test_share: float
    seed: int
    label_order: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Split:
    """One split.

    Attributes:
        name: which one.
        rows: its texts and where they came from; n of them.
        labels: class numbers, shape (n,), values 0 .. classes - 1.
        texts: text numbers, shape (n,); equal texts have equal numbers, in all splits.
        is_made_here: was it split off train?
        duplicates: rows that repeated an earlier one's text and label.
        dropped_duplicates: of these, how many were left out.
        dropped_in_other_splits: rows left out because their text stands in another split.
    """

    name: SplitName
    rows: LabelledTexts
    labels: NDArray[np.int32]
    texts: NDArray[np.int32]
    is_made_here: bool = False
    duplicates: int = 0
    dropped_duplicates: int = 0
    dropped_in_other_splits: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def ids(self) -> list[str]:
        """The example ids: the split and the row's number in the source, which dropping others does not change."""
        return [f"{self.name}-{row:06d}" for row in self.rows.rows]

    def where(self, is_kept: NDArray[np.bool_]) -> "Split":
        """Return the marked rows as a split."""
        kept = np.flatnonzero(is_kept)
        return replace(self, rows=self.rows.take(kept), labels=self.labels[kept], texts=self.texts[kept])


@dataclass(frozen=True)
class CleanData:
    """The three splits, the classes in the order of their numbers, and what was found on the way."""

    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    report: DataReport


def assemble(sources: Sources, plan: SplitPlan) -> CleanData:
    """Check, split and clean the data.

    Train loses the rows that repeat an earlier row. Then the missing splits are made from it. Then train loses the
    texts that stand in validation or test, and validation those that stand in test; test is never touched.

    Args:
        sources: what was read.
        plan: how missing splits are made.

    Raises:
        DataError: train has one class; a label is unknown; there are too few rows to split; nothing is left.
    """
    classes = class_names(sources.train, order=plan.label_order)
    given = _number(sources, classes)
    conflicts = count_conflicts(
        np.concatenate([s.texts for s in given.values()]), np.concatenate([s.labels for s in given.values()])
    )
    train = _without_repeats(given["train"])
    rows = len(train)
    test, validation = given.get("test"), given.get("validation")
    if test is None:
        train, test = _split_off(train, "test", rows=round(plan.test_share * rows), seed=plan.seed)
    if validation is None:
        train, validation = _split_off(train, "validation", rows=round(plan.validation_share * rows), seed=plan.seed)
    validation = _without(validation, test.texts)
    train = _without(train, np.concatenate([validation.texts, test.texts]))
    _require_all_classes(train, classes)
    report = DataReport(
        classes=classes,
        train=_describe(train, classes),
        validation=_describe(validation, classes),
        test=_describe(test, classes),
        conflicting_texts=conflicts,
    )
    return CleanData(classes, train, validation, test, report)


def _number(sources: Sources, classes: tuple[str, ...]) -> dict[SplitName, Split]:
    """Replace labels and texts by numbers, and count the repeats."""
    read: dict[SplitName, LabelledTexts] = {"train": sources.train}
    if sources.validation is not None:
        read["validation"] = sources.validation
    if sources.test is not None:
        read["test"] = sources.test
    given: dict[SplitName, Split] = {}
    for (name, rows), texts in zip(read.items(), number_texts(list(read.values())), strict=True):
        labels = encode_labels(rows, classes)
        given[name] = Split(name, rows, labels, texts, duplicates=int(find_repeats(texts, labels).sum()))
    return given


def _without_repeats(split: Split) -> Split:
    kept = split.where(~find_repeats(split.texts, split.labels))
    return replace(kept, dropped_duplicates=len(split) - len(kept))


def _without(split: Split, other_texts: NDArray[np.int32]) -> Split:
    kept = split.where(~np.isin(split.texts, other_texts))
    if not len(kept):
        raise DataError(f"{split.rows.source}: every text of {split.name} stands in another split too",
                        hint="give each split a file of its own, or null to split it off train")
    return replace(kept, dropped_in_other_splits=len(split) - len(kept))


def _split_off(train: Split, name: SplitName, *, rows: int, seed: int) -> tuple[Split, Split]:
    """Return what is left of train, and the new split."""
    is_held = hold_out(train.labels, rows=rows, seed=seed, source=train.rows.source)
    held = train.where(is_held)
    return train.where(~is_held), Split(name, held.rows, held.labels, held.texts, is_made_here=True)


def _require_all_classes(train: Split, classes: tuple[str, ...]) -> None:
    lost = np.flatnonzero(np.bincount(train.labels, minlength=len(classes)) == 0)
    if len(lost):
        raise DataError(f"{train.rows.source}: every training text of class {classes[lost[0]]!r} stands in validation "
                        "or test too", hint="add training rows of that class, or remove it from all splits")


def _describe(split: Split, classes: tuple[str, ...]) -> SplitReport:
    counts = np.bincount(split.labels, minlength=len(classes))
    return SplitReport(
        source=split.rows.source,
        is_made_here=split.is_made_here,
        rows=len(split),
        rows_by_class={name: int(count) for name, count in zip(classes, counts, strict=True)},
        duplicates=split.duplicates,
        dropped_duplicates=split.dropped_duplicates,
        dropped_in_other_splits=split.dropped_in_other_splits,
        words=text_lengths(split.rows.texts),
    )
