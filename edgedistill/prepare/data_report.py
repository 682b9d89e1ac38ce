"""What prepare found in the data, as documents: the labels and the data report."""

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from edgedistill.document import Document

SplitName = Literal["train", "validation", "test"]


class TextLengths(Document):
    """Lengths of the texts of a split, in words between blanks."""

    minimum: int
    median: float
    mean: float
    p95: float
    maximum: int


class WrittenSplit(Document):
    """One split, as it was written."""

    source: str = Field(description="the file, folder or hub data set its rows came from")
    is_made_here: bool = Field(description="was it split off train, stratified and seeded?")
    rows: int
    rows_by_class: dict[str, int]


class SplitReport(WrittenSplit):
    """One split of texts, and what was dropped before."""

    duplicates: int = Field(description="rows whose text and label stood in an earlier row of the split")
    dropped_duplicates: int = Field(description="of these, rows left out; only train loses them")
    dropped_in_other_splits: int = Field(description="rows left out because their text stands in validation or test")
    words: TextLengths


class DataReport(Document):
    """What was read, checked, dropped and split."""

    classes: tuple[str, ...]
    train: SplitReport
    validation: SplitReport
    test: SplitReport
    conflicting_texts: int = Field(description="different texts that have two or more labels, over all splits")


def text_lengths(texts: pa.ChunkedArray) -> TextLengths:
    """Return the lengths of texts in words."""
    words = pc.count_substring_regex(texts, r"\S+").to_numpy()
    return TextLengths(
        minimum=int(words.min()),
        median=float(np.median(words)),
        mean=round(float(words.mean()), 3),
        p95=float(np.percentile(words, 95)),
        maximum=int(words.max()),
    )
