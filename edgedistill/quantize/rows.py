"""The rows on which a model is judged and calibrated: examples by the model's own encoder, or numpy arrays by input name."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import DataError
from edgedistill.examples import NO_LABEL, read_examples
from edgedistill.quantize.calibration import Arrays
from edgedistill.tasks.encoding import Encoded
from edgedistill.tasks.registry import open_encoder

LABELS = "labels"
"""Name of the array in an .npz that holds the classes; every other array is an input of the model."""


class Rows(Protocol):
    """Inputs of a model, one example a row."""

    def __len__(self) -> int:
        """Return how many rows there are."""

    def row(self, index: int) -> Arrays:
        """Return the model inputs of a row, batch of 1."""

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """Classes, shape (rows,), `NO_LABEL` where there is none; None where nobody labelled anything."""


@dataclass(frozen=True)
class EncodedRows:
    """Examples as their encoder gives them; no text is padded, as a row is a batch of its own."""

    encoded: Encoded
    labels: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.encoded)

    def row(self, index: int) -> Arrays:
        """Return the model inputs of an example, each of batch 1."""
        return self.encoded.batch([index])


@dataclass(frozen=True)
class ArrayRows:
    """Arrays by the names of the model's inputs; the first axis of each numbers the rows."""

    arrays: Arrays
    labels: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def row(self, index: int) -> Arrays:
        """Return the slice of every array that belongs to a row."""
        return {name: np.ascontiguousarray(array[index : index + 1]) for name, array in self.arrays.items()}


@dataclass(frozen=True)
class SomeRows:
    """Some of other rows."""

    rows: Rows
    indices: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.indices)

    def row(self, index: int) -> Arrays:
        """Return the model inputs of a row."""
        return self.rows.row(int(self.indices[index]))

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """Classes of these rows."""
        found = self.rows.labels
        return None if found is None else found[self.indices]


def each(rows: Rows) -> Iterator[Arrays]:
    """Yield the inputs of every row."""
    for index in range(len(rows)):
        yield rows.row(index)


def read_rows(file: Path, model: Path, *, limit: int | None = None) -> Rows:
    """Read rows.

    Args:
        file: an .npz of arrays, or an Arrow file of examples.
        model: the folder whose encoder makes model inputs of examples.
        limit: how many at most, from the start.

    Raises:
        DataError: the arrays cannot be rows.
    """
    if file.suffix == ".npz":
        return _read_arrays(file, limit)
    examples = read_examples(file)
    count = len(examples) if limit is None else min(limit, len(examples))
    encoded = open_encoder(model).encode_examples(examples.first(count))
    labels = np.asarray(examples.labels[:count], np.int64)
    return EncodedRows(encoded, labels if bool((labels != NO_LABEL).any()) else None)


def sample_rows(file: Path, model: Path, choose: Callable[[int, NDArray[np.int64] | None], NDArray[np.int64]]) -> Rows:
    """Read some rows of a file; of examples only these are encoded.

    Args:
        file: an .npz of arrays, or an Arrow file of examples.
        model: the folder whose encoder makes model inputs of examples.
        choose: gets the number of rows and their classes, and returns indices.

    Raises:
        DataError: the arrays cannot be rows.
    """
    if file.suffix == ".npz":
        rows = _read_arrays(file, None)
        return SomeRows(rows, choose(len(rows), rows.labels))
    examples = read_examples(file)
    labels = np.asarray(examples.labels, np.int64)
    indices = choose(len(examples), labels)
    return EncodedRows(open_encoder(model).encode_examples(examples.take(indices)), labels[indices])


def _read_arrays(file: Path, limit: int | None) -> ArrayRows:
    hint = "np.savez('rows.npz', input_ids=..., labels=...): an array for each input, the first axis numbers the rows"
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name][:limit] for name in stored.files}
    except (OSError, ValueError) as bad:
        raise DataError(f"{file}: is not an .npz of arrays ({bad})", hint=hint) from None
    labels = arrays.pop(LABELS, None)
    lengths = {len(array) if array.ndim else 0 for array in arrays.values()}
    if not arrays or len(lengths) != 1 or 0 in lengths:
        raise DataError(f"{file}: its arrays hold {', '.join(map(str, sorted(lengths))) or 'no'} rows", hint=hint)
    if labels is not None and (labels.ndim != 1 or len(labels) not in lengths or labels.dtype.kind not in "iu"):
        raise DataError(f"{file}: labels must be one integer a row", hint=hint)
    return ArrayRows(arrays, None if labels is None else labels.astype(np.int64))


def require_inputs(rows: Rows, wanted: Sequence[str], file: Path) -> None:
    """Refuse rows that lack an input of the model.

    Raises:
        DataError: names the inputs that are missing, and those there are.
    """
    there = set(rows.row(0))
    missing = [name for name in wanted if name not in there]
    if missing:
        raise DataError(f"{file}: the model wants {', '.join(missing)}; there is {', '.join(sorted(there))}",
                        hint="name the arrays like the model's inputs")
