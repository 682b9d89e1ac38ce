"""Examples: rows of id, text (or picture) and label in an Arrow file, mapped, so that memory does not grow with the data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from edgedistill.errors import ArtifactError
from edgedistill.sealed import map_table, open_sealed, seal

NO_LABEL = -1
"""Label of an example that nobody labelled: it contributes only the soft term."""

SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("label", pa.int32())])
"""Of texts with one label each. Of texts that may have several, `label` is a fixed-size list of int8: 0 or 1 for each class."""
BATCH_ROWS = 10_000
"""Rows that are read at once, and that a file holds together."""

PICTURE_COLUMNS = ("id", "name", "image", "label")
"""Of examples that are pictures: `name` is what the reader knows it by, `image` a fixed-size list of uint8, row by row of
pixels, channels last. The schema's metadata says height, width and channels."""

_HINT = "edgedistill prepare --recipe RECIPE -o DIR"


def folded(text: str) -> str:
    """Return a text without what does not count where texts are compared: capitals and the width of blanks.

    Letter by letter, as Arrow does it in `edgedistill.prepare.check.number_texts`: Python's `lower` ends words with a sigma of
    their own, and makes an i and a dot above (U+0307) of the Turkish capital I with a dot (U+0130), which is an i here.
    """
    return " ".join(text.split()).replace("\u0130", "i").lower().replace("\u03c2", "\u03c3")


@dataclass(frozen=True)
class Examples:
    """A memory-mapped table of examples, in the order of the file.

    Attributes:
        table: columns id (string, unique in a run), text (string), label (int32, `NO_LABEL` for none; or a list as long as there
            are classes, see `SCHEMA`); of pictures those of `PICTURE_COLUMNS`.
    """

    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def ids(self) -> list[str]:
        """The example ids."""
        return list(self.table.column("id").to_pylist())

    @property
    def texts(self) -> list[str]:
        """The texts; for big tables use `text_batches`."""
        return list(self.table.column("text").to_pylist())

    @property
    def shown(self) -> list[str]:
        """What the reader knows the examples by: the texts, or the names of the pictures."""
        return list(self.table.column("text" if "text" in self.table.column_names else "name").to_pylist())

    def first(self, rows: int) -> "Examples":
        """Return the first rows, all of them where there are no more."""
        return Examples(self.table.slice(0, rows))

    def at(self, row: int) -> "Examples":
        """Return one example, without copying it."""
        return Examples(self.table.slice(row, 1))

    def take(self, indices: NDArray[np.int64]) -> "Examples":
        """Return the examples at these places, in this order."""
        return Examples(self.table.take(indices))

    def spread(self, limit: int) -> "Examples":
        """Return at most `limit` of the examples, evenly spread, in their order; all of them where there are no more."""
        return self if len(self) <= limit else self.take(spread_rows(len(self), limit))

    @property
    def labels(self) -> NDArray[np.int32]:
        """The labels, shape (n,), `NO_LABEL` or 0 .. classes - 1; of several a text 0, 1 or `NO_LABEL`, shape (n, classes)."""
        column = self.table.column("label")
        if not pa.types.is_fixed_size_list(column.type):
            return np.asarray(column.to_numpy(), dtype=np.int32)
        parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]  # of a slice only its own rows
        flat = np.concatenate(parts) if parts else np.zeros(0)
        return np.asarray(flat, np.int32).reshape(-1, column.type.list_size)

    def parts(self, rows: int = BATCH_ROWS) -> Iterator["Examples"]:
        """Yield the examples in tables of at most `rows`; at least one, which may be empty."""
        for start in range(0, max(1, len(self)), rows):
            yield Examples(self.table.slice(start, rows))

    def text_batches(self, rows: int = BATCH_ROWS) -> Iterator[list[str]]:
        """Yield the texts in lists of at most `rows`."""
        for batch in self.table.select(["text"]).to_batches(max_chunksize=rows):
            yield batch.column(0).to_pylist()


def spread_rows(n: int, limit: int) -> NDArray[np.int64]:
    """Return the indices of at most `limit` of n rows, evenly spread, in order: of data sorted by class they hold every class."""
    if n <= limit:
        return np.arange(n)
    return np.linspace(0, n - 1, limit).round().astype(np.int64)


def write_examples(
    path: Path, ids: Sequence[str], texts: Sequence[str], labels: Sequence[int] | NDArray[np.integer]
) -> None:
    """Write examples as a sealed Arrow file; the same rows give the same bytes.

    Args:
        path: the file.
        ids: n of them, unique in a run.
        texts: n of them.
        labels: class numbers, or `NO_LABEL`; of several a text 0 or 1 for each class, shape (n, classes).
    """
    column = _label_column(np.asarray(labels))
    schema = SCHEMA.set(SCHEMA.get_field_index("label"), pa.field("label", column.type))
    write_table(path, pa.table([pa.array(ids, pa.string()), pa.array(texts, pa.string()), column], schema=schema))


def _label_column(labels: NDArray[np.integer]) -> pa.Array:
    if labels.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(labels.astype(np.int8).reshape(-1)), labels.shape[1])
    return pa.array(labels.astype(np.int32), pa.int32())


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table of examples as a sealed Arrow file."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=BATCH_ROWS)
    seal(path)


def map_examples(path: Path) -> Examples:
    """Map a file of examples that `read_examples` has looked at; its seal is not compared again.

    Raises:
        ArtifactError: it has gone, or is no Arrow file any more.
    """
    return Examples(map_table(path, hint=_HINT))


def read_examples(path: Path) -> Examples:
    """Map a file of examples.

    Raises:
        ArtifactError: the file is missing, damaged, or is not an Arrow file of examples.
    """
    table = open_sealed(path, hint=_HINT, is_seal_required=False)
    if not _is_of_texts(table.schema) and tuple(table.column_names) != PICTURE_COLUMNS:
        found = ", ".join(f"{field.name} ({field.type})" for field in table.schema)
        raise ArtifactError(f"{path}: columns {found}; expected id (string), text (string), label (int32, or a fixed-size list "
                            "of int8)", hint=_HINT)
    return Examples(table)


def _is_of_texts(schema: pa.Schema) -> bool:
    if schema.equals(SCHEMA):
        return True
    label = schema.field("label").type if schema.names == SCHEMA.names else None
    is_list = label is not None and pa.types.is_fixed_size_list(label) and label.value_type == pa.int8()
    return is_list and all(schema.field(name).type == SCHEMA.field(name).type for name in ("id", "text"))
