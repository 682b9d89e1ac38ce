"""Which inputs are timed: real rows of the data's median length, one example a run."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistill.examples import Examples
from edgedistill.tasks.text_classification.encoding import TextEncoder

MAX_ROWS = 32
"""Rows that are cycled through; more would not change a latency that depends on the length alone."""


@dataclass(frozen=True)
class TimedInputs:
    """Model inputs of some examples of one length.

    Attributes:
        arrays: input_ids, attention_mask, token_type_ids; each shape (rows, sequence_tokens), int64, no padding.
        sequence_tokens: their length, special tokens counted.
    """

    arrays: Mapping[str, NDArray[np.int64]]
    sequence_tokens: int


def choose_inputs(examples: Examples, encoder: TextEncoder, *, max_rows: int = MAX_ROWS) -> TimedInputs:
    """Return the inputs of rows whose length is the data's median length.

    Args:
        examples: at least one row; texts are encoded in batches, so memory does not grow with their number.
        encoder: the variant's own tokenizer.
        max_rows: how many rows at most.
    """
    lengths = np.concatenate([encoder.encode(texts).lengths for texts in examples.text_batches()])
    rows = rows_of_median_length(lengths, max_rows=max_rows)
    encoded = encoder.encode(examples.table.column("text").take(rows).to_pylist())
    return TimedInputs(encoded.batch(range(len(encoded))), int(lengths[rows[0]]))


def rows_of_median_length(lengths: NDArray[np.int64], *, max_rows: int) -> NDArray[np.int64]:
    """Return the indices of rows that all have the length nearest to the median.

    Args:
        lengths: tokens of every row, shape (n,), n >= 1.
        max_rows: how many at most; more are thinned out evenly, so that sorted data does not give one class only.

    Returns:
        Ascending indices, shape (<= max_rows,). Where no row has the median length, the nearest length is taken, of two
        equally near the longer, so that the figure does not flatter.
    """
    present = np.unique(lengths)[::-1]
    chosen = present[np.argmin(np.abs(present - np.median(lengths)))]
    rows = np.flatnonzero(lengths == chosen)
    if len(rows) <= max_rows:
        return rows
    return rows[np.linspace(0, len(rows) - 1, max_rows).round().astype(np.int64)]
