"""From decoded pictures to three clean splits, as texts are split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from edgedistill.prepare import clean
from edgedistill.prepare.check import class_names, encode_labels
from edgedistill.prepare.clean import SplitPlan, Words
from edgedistill.prepare.data_report import SplitName
from edgedistill.prepare.rows import SCHEMA, LabelledTexts
from edgedistill.prepare.split import require_enough
from edgedistill.tasks.image_classification.data_report import PictureSplit
from edgedistill.tasks.image_classification.read import Decoded
from edgedistill.teach.labels import kept_order

_WORDS = Words(one="picture", several="pictures", source="pictures")


@dataclass(frozen=True)
class Split:
    """One split with its pictures.

    Attributes:
        kept: which of the decoded pictures, and their class numbers.
        decoded: where they come from.
    """

    kept: clean.Split
    decoded: Decoded

    @property
    def ids(self) -> list[str]:
        """The example ids: the split and the picture's number in the source."""
        return [f"{self.kept.name}-{number:06d}" for number in self.decoded.numbers[self.kept.rows]]

    def describe(self, names: tuple[str, ...]) -> PictureSplit:
        """Return the split as the data report shows it."""
        kept = self.kept
        return PictureSplit(
            source=kept.source, is_made_here=kept.is_made_here, rows=len(kept), rows_by_class=kept.rows_by_class(names),
            dropped_duplicates=kept.dropped_duplicates, dropped_in_other_splits=kept.dropped_in_other_splits,
        )


@dataclass(frozen=True)
class CleanPictures:
    """The three splits, and the classes in the order of their numbers. `conflicting`: pictures with two labels or more."""

    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    conflicting: int


def split_pictures(decoded: Mapping[SplitName, Decoded], plan: SplitPlan) -> CleanPictures:
    """Check, split and clean; as for texts, test is never touched and train gives way.

    The classes stand in the teacher's order where it knows all of them; where it does not, it will be fine-tuned.

    Raises:
        DataError: train has one class; a label is unknown; there are too few pictures to split; nothing is left.
    """
    rows = {name: _as_rows(item) for name, item in decoded.items()}
    order = kept_order(plan.label_order, pc.unique(rows["train"].labels).to_pylist())
    classes = class_names(rows["train"], order=order)
    found = clean.clean(
        {name: clean.as_read(name, item.place, encode_labels(rows[name], classes), item.hashes)
         for name, item in decoded.items()},
        plan, _WORDS, classes=classes,
    )
    if order is None:  # a trained teacher may know classes of which there is no picture
        clean.require_all_classes(found.train, classes, _WORDS)
    train, validation, test = (
        Split(split, decoded["train" if split.is_made_here else split.name])
        for split in (found.train, found.validation, found.test)
    )
    return CleanPictures(classes, train, validation, test, found.conflicting)


def require_enough_labels(labels: Sequence[str], shares: Mapping[SplitName, float], *, place: str) -> None:
    """Refuse before any picture is decoded what surely cannot be split; repeats are not known yet, and count.

    Args:
        labels: the class of each training picture.
        shares: of train, by the splits that are to be made of it, in their order.
        place: named in messages.

    Raises:
        DataError: the classes have too few pictures.
    """
    classes, numbers = np.unique(np.array(labels), return_inverse=True)
    wanted = {name: round(share * len(labels)) for name, share in shares.items()}
    require_enough(numbers.astype(np.int32), source=place, wanted=wanted, classes=classes.tolist())


def _as_rows(decoded: Decoded) -> LabelledTexts:
    """Return names and labels in the form that the checks of labels take."""
    numbers = decoded.numbers + 1
    columns = [decoded.names, decoded.labels, decoded.numbers.tolist(), numbers.tolist()]
    arrays = [pa.array(column, item.type) for column, item in zip(columns, SCHEMA, strict=True)]
    return LabelledTexts(pa.table(arrays, schema=SCHEMA), decoded.place, has_lines=False)
