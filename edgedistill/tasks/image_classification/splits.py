"""From decoded pictures to three clean splits: repeats dropped, missing splits made, no picture in two splits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from edgedistill.errors import DataError
from edgedistill.prepare.check import class_names, encode_labels
from edgedistill.prepare.data_report import SplitName
from edgedistill.prepare.rows import SCHEMA, LabelledTexts
from edgedistill.prepare.split import hold_out
from edgedistill.tasks.image_classification.data_report import PictureSplit
from edgedistill.tasks.image_classification.read import Decoded


@dataclass(frozen=True)
class Split:
    """One split.

    Attributes:
        name: which one.
        decoded: where its pictures come from.
        rows: which of them, shape (n,).
        labels: class numbers of all decoded pictures.
        is_made_here: was it split off train?
        dropped_duplicates: pictures left out as repeats.
        dropped_in_other_splits: pictures left out because they stand in another split.
    """

    name: SplitName
    decoded: Decoded
    rows: NDArray[np.int64]
    labels: NDArray[np.int32]
    is_made_here: bool = False
    dropped_duplicates: int = 0
    dropped_in_other_splits: int = 0

    @property
    def hashes(self) -> NDArray[np.int64]:
        """Of the pictures of the split."""
        return self.decoded.hashes[self.rows]

    @property
    def classes(self) -> NDArray[np.int32]:
        """Class numbers of the pictures of the split."""
        return self.labels[self.rows]

    @property
    def ids(self) -> list[str]:
        """The example ids: the split and the picture's number in the source."""
        return [f"{self.name}-{number:06d}" for number in self.decoded.numbers[self.rows]]

    def describe(self, names: tuple[str, ...]) -> PictureSplit:
        """Return the split as the data report shows it."""
        counts = np.bincount(self.classes, minlength=len(names))
        return PictureSplit(
            source=self.decoded.place, is_made_here=self.is_made_here, rows=len(self.rows),
            rows_by_class={name: int(count) for name, count in zip(names, counts, strict=True)},
            dropped_duplicates=self.dropped_duplicates, dropped_in_other_splits=self.dropped_in_other_splits,
        )


@dataclass(frozen=True)
class Shares:
    """How missing splits are made: shares of the different pictures of train, the seed, and the teacher's classes."""

    validation: float
    test: float
    seed: int
    label_order: tuple[str, ...] | None = None


@dataclass(frozen=True)
class CleanPictures:
    """The three splits, and the classes in the order of their numbers. `conflicting`: pictures with two labels or more."""

    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    conflicting: int


def split_pictures(decoded: Mapping[SplitName, Decoded], shares: Shares) -> CleanPictures:
    """Check, split and clean; as for texts, test is never touched and train gives way.

    Raises:
        DataError: train has one class; a label is unknown; there are too few pictures to split; nothing is left.
    """
    rows = {name: _as_rows(item) for name, item in decoded.items()}
    classes = class_names(rows["train"], order=shares.label_order)
    given = {
        name: Split(name, item, np.arange(len(item)), encode_labels(rows[name], classes)) for name, item in decoded.items()
    }
    conflicting = _conflicts(list(given.values()))
    train = _without_repeats(given["train"])
    count = len(train.rows)
    test, validation = given.get("test"), given.get("validation")
    if test is None:
        train, test = _split_off(train, "test", rows=round(shares.test * count), seed=shares.seed)
    if validation is None:
        train, validation = _split_off(train, "validation", rows=round(shares.validation * count), seed=shares.seed)
    validation = _without(validation, test.hashes)
    train = _without(train, np.concatenate([validation.hashes, test.hashes]))
    lost = np.flatnonzero(np.bincount(train.classes, minlength=len(classes)) == 0)
    if len(lost) and shares.label_order is None:
        raise DataError(f"{train.decoded.place}: every training picture of class {classes[lost[0]]!r} stands in validation or "
                        "test too", hint="add training pictures of that class, or remove it from all splits")
    return CleanPictures(classes, train, validation, test, conflicting)


def _as_rows(decoded: Decoded) -> LabelledTexts:
    """Return names and labels in the form that the checks of labels take."""
    numbers = decoded.numbers + 1
    columns = [decoded.names, decoded.labels, decoded.numbers.tolist(), numbers.tolist()]
    arrays = [pa.array(column, item.type) for column, item in zip(columns, SCHEMA, strict=True)]
    return LabelledTexts(pa.table(arrays, schema=SCHEMA), decoded.place, has_lines=False)


def _conflicts(splits: list[Split]) -> int:
    hashes = np.concatenate([split.hashes for split in splits])
    labels = np.concatenate([split.classes for split in splits]).astype(np.int64)
    pairs = np.unique(np.stack([hashes, labels]), axis=1)
    return int((np.unique(pairs[0], return_counts=True)[1] > 1).sum())


def _without_repeats(split: Split) -> Split:
    pairs = np.stack([split.hashes, split.classes.astype(np.int64)])
    first = np.sort(np.unique(pairs, axis=1, return_index=True)[1])
    return replace(split, rows=split.rows[first], dropped_duplicates=len(split.rows) - len(first))


def _without(split: Split, other: NDArray[np.int64]) -> Split:
    is_kept = ~np.isin(split.hashes, other)
    if not is_kept.any():
        raise DataError(f"{split.decoded.place}: every picture of {split.name} stands in another split too",
                        hint="give each split pictures of its own, or null to split it off train")
    return replace(split, rows=split.rows[is_kept], dropped_in_other_splits=int((~is_kept).sum()))


def _split_off(train: Split, name: SplitName, *, rows: int, seed: int) -> tuple[Split, Split]:
    """Return what is left of train, and the new split."""
    is_held = hold_out(train.classes, rows=rows, seed=seed, source=train.decoded.place)
    return (replace(train, rows=train.rows[~is_held]),
            Split(name, train.decoded, train.rows[is_held], train.labels, is_made_here=True))
