"""Which inputs are timed: real rows of the data's median length, one example a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.examples import Examples
from edgedistill.tasks.encoding import Encoder

MAX_ROWS = 32
"""Rows that are cycled through; more would not change a latency that depends on the length alone."""


@dataclass(frozen=True)
class TimedInputs:
    """Model inputs of some examples of one length.

    Attributes:
        arrays: model inputs by name, the rows first; of texts each shape (rows, sequence_tokens), int64, no padding.
        sequence_tokens: their length, special tokens counted; of pictures the pixels.
    """

    arrays: Mapping[str, NDArray[Any]]
    sequence_tokens: int


@dataclass(frozen=True)
class TimedRows:
    """Some examples of one length, which is that of `TimedInputs`."""

    examples: Examples
    sequence_tokens: int


def choose_rows(examples: Examples, encoder: Encoder, *, max_rows: int = MAX_ROWS) -> TimedRows:
    """Return rows whose length is the data's median length; arguments as `choose_inputs`."""
    lengths = np.concatenate([encoder.encode_examples(part).lengths for part in examples.parts()])
    rows = rows_of_median_length(lengths, max_rows=max_rows)
    return TimedRows(examples.take(rows), int(lengths[rows[0]]))


def choose_inputs(examples: Examples, encoder: Encoder, *, max_rows: int = MAX_ROWS) -> TimedInputs:
    """Return the inputs of rows whose length is the data's median length.

    Args:
        examples: at least one row; they are encoded in parts, so memory does not grow with their number.
        encoder: the variant's own.
        max_rows: how many rows at most.
    """
    chosen = choose_rows(examples, encoder, max_rows=max_rows)
    encoded = encoder.encode_examples(chosen.examples)
    return TimedInputs(encoded.batch(range(len(encoded))), chosen.sequence_tokens)


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
