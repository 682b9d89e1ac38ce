"""The rows on which a model is judged and calibrated: examples by the model's own encoder, or numpy arrays by input name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import DataError
from edgedistill.evaluate.onnx_model import ModelInput
from edgedistill.examples import NO_LABEL, Examples, map_examples, read_examples, spread_rows
from edgedistill.quantize.array_file import StoredArray, open_arrays
from edgedistill.quantize.calibration import Arrays
from edgedistill.tasks.encoding import Encoded, Encoder
from edgedistill.tasks.registry import open_encoder

_READS_A_MAPPING = 256

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
        """Classes, shape (rows,), or of several a row (rows, classes), `NO_LABEL` for none; None where nobody labelled any."""


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


@dataclass
class StoredRows:
    """Examples of a file, each read and encoded when it is asked for: what is in memory does not grow with the rows.

    Pages of a mapped file count as memory of the process for as long as it is mapped, so the file is mapped anew now and then.

    Attributes:
        file: an Arrow file of examples, looked at before.
        encoder: of the model.
        indices: which examples, shape (rows,).
        labels: classes of these, shape (rows,); None where nobody labelled anything.
    """

    file: Path
    encoder: Encoder
    indices: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    _mapped: Examples | None = field(default=None, init=False, repr=False)
    _reads_left: int = field(default=0, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.indices)

    def row(self, index: int) -> Arrays:
        """Return the model inputs of an example, each of batch 1."""
        if self._mapped is None or self._reads_left == 0:
            self._mapped, self._reads_left = map_examples(self.file), _READS_A_MAPPING
        self._reads_left -= 1
        return self.encoder.encode_examples(self._mapped.at(int(self.indices[index]))).batch([0])


@dataclass(frozen=True)
class ArrayRows:
    """Arrays by the names of the model's inputs, in memory or in a file; the first axis of each numbers the rows."""

    arrays: Mapping[str, NDArray[Any] | StoredArray]
    labels: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def row(self, index: int) -> Arrays:
        """Return the slice of every array that belongs to a row."""
        return {name: np.ascontiguousarray(array[index : index + 1]) for name, array in self.arrays.items()}


@dataclass(frozen=True)
class CastRows:
    """Other rows with some inputs in another type: float64 as float32, int64 as int32."""

    rows: Rows
    types: Mapping[str, np.dtype[Any]]
    file: Path

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> Arrays:
        """Return the model inputs of a row.

        Raises:
            DataError: an integer does not fit into the type.
        """
        return {name: self._cast(name, array, index) for name, array in self.rows.row(index).items()}

    def _cast(self, name: str, array: NDArray[Any], index: int) -> NDArray[Any]:
        wanted = self.types.get(name)
        if wanted is None or array.dtype == wanted:
            return array
        found = array.astype(wanted)
        if wanted.kind in "iu" and bool((found != array).any()):
            raise DataError(f"{self.file}: row {index}: a value of {name} does not fit into the model's {wanted}",
                            hint=f"check the array {name}")
        return found

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """Classes of these rows."""
        return self.rows.labels


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


def some_rows(rows: Rows, limit: int) -> Rows:
    """Return at most `limit` rows, evenly spread over all; all of them where there are no more."""
    return rows if len(rows) <= limit else SomeRows(rows, spread_rows(len(rows), limit))


def each(rows: Rows) -> Iterator[Arrays]:
    """Yield the inputs of every row."""
    for index in range(len(rows)):
        yield rows.row(index)


def read_rows(file: Path, model: Path, *, limit: int | None = None) -> Rows:
    """Read rows.

    Args:
        file: an .npz of arrays, or an Arrow file of examples.
        model: the folder whose encoder makes model inputs of examples.
        limit: how many at most, evenly spread: of a file that is sorted by class they hold every class.

    Raises:
        DataError: the arrays cannot be rows.
    """
    if file.suffix == ".npz":
        rows = _read_arrays(file)
        return rows if limit is None else some_rows(rows, limit)
    found = read_examples(file)
    examples = found if limit is None else found.spread(limit)
    encoded, labels = open_encoder(model).encode_examples(examples), np.asarray(examples.labels, np.int64)
    return EncodedRows(encoded, labels if bool((labels != NO_LABEL).any()) else None)


def sample_rows(file: Path, model: Path, choose: Callable[[int, NDArray[np.int64] | None], NDArray[np.int64]]) -> Rows:
    """Read some rows of a file; of examples only these are encoded, each when it is asked for.

    Args:
        file: an .npz of arrays, or an Arrow file of examples.
        model: the folder whose encoder makes model inputs of examples.
        choose: gets the number of rows and their classes, and returns indices.

    Raises:
        DataError: the arrays cannot be rows.
    """
    if file.suffix == ".npz":
        rows = _read_arrays(file)
        return SomeRows(rows, choose(len(rows), rows.labels))
    examples = read_examples(file)
    labels = np.asarray(examples.labels, np.int64)
    indices = choose(len(examples), labels)
    return StoredRows(file, open_encoder(model), indices, labels[indices])


def has_labels(file: Path) -> bool:
    """Do rows have classes to be told apart by? Examples always: those without a label are a class too.

    Raises:
        DataError: the arrays cannot be rows.
    """
    return file.suffix != ".npz" or _read_arrays(file).labels is not None


def _read_arrays(file: Path) -> ArrayRows:
    hint = "np.savez('rows.npz', input_ids=..., labels=...): an array for each input, the first axis numbers the rows"
    try:
        arrays = open_arrays(file)
        stored = arrays.pop(LABELS, None)
        labels = None if stored is None else stored[:] if stored.ndim else np.zeros((0, 0))
    except (OSError, ValueError) as bad:
        raise DataError(f"{file}: is not an .npz of arrays ({bad})", hint=hint) from None
    lengths = {len(array) if array.ndim else 0 for array in arrays.values()}
    if not arrays or len(lengths) != 1 or 0 in lengths:
        raise DataError(f"{file}: its arrays hold {', '.join(map(str, sorted(lengths))) or 'no'} rows", hint=hint)
    if labels is not None and (labels.ndim not in (1, 2) or len(labels) not in lengths or labels.dtype.kind not in "iu"):
        raise DataError(f"{file}: labels must be one integer a row, or 0 and 1 for each class where a row may have several",
                        hint=hint)
    is_labelled = labels is not None and bool((labels != NO_LABEL).any())
    return ArrayRows(arrays, labels.astype(np.int64) if labels is not None and is_labelled else None)


def fit_rows(rows: Rows, wanted: Sequence[ModelInput], file: Path) -> Rows:
    """Return rows of the types that a model takes.

    Args:
        rows: at least one; all have the types and, but for free axes, the shapes of the first.
        wanted: the inputs of the model.
        file: where the rows come from, for messages.

    Raises:
        DataError: an input is missing, or is of a type or shape that the model does not take.
    """
    require_inputs(rows, [item.name for item in wanted], file)
    first, types = rows.row(0), dict[str, np.dtype[Any]]()
    for item in wanted:
        array = first[item.name]
        if not _is_shape(array.shape, item.shape):
            raise DataError(f"{file}: a row of {item.name} has the shape {_words(array.shape)}, the model takes "
                            f"{_words(item.shape)}", hint=_shape_hint(array.shape, item.shape))
        if item.dtype is not None and array.dtype != item.dtype:
            if item.dtype.kind not in _CASTS.get(array.dtype.kind, ""):
                raise DataError(f"{file}: {item.name} is {array.dtype}, the model takes {item.dtype}",
                                hint=f"store it as {item.dtype}")
            types[item.name] = item.dtype
    return CastRows(rows, types, file) if types else rows


_CASTS = {"f": "f", "i": "iuf", "u": "iuf", "b": "biuf"}
"""Kinds of numpy types by the kinds that they may become."""


def _is_shape(found: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return not wanted or (len(found) == len(wanted) and all(size in (None, there) for there, size in
                                                            zip(found, wanted, strict=True)))


def _words(shape: Sequence[int | None]) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape) or "none"


def _shape_hint(found: Sequence[int], wanted: Sequence[int | None]) -> str:
    """Say what to do: rows go into the model one a call, so that a batch of fixed size is the model's fault."""
    if len(found) == len(wanted) and wanted[0] not in (None, 1) and _is_shape(found[1:], wanted[1:]):
        return "export the model with a batch of 1 or of any size (dynamic_axes): rows are judged one a call"
    return "give the array the shape that the model takes; its first axis numbers the rows"


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
