"""Labelled texts: the rows of one data source as Arrow columns, each with the place it came from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from edgedistill.errors import DataError
from edgedistill.prepare.columns import Columns
from edgedistill.prepare.label_names import shortened

SCHEMA = pa.schema([("text", pa.string()), ("label", pa.string()), ("row", pa.int64()), ("line", pa.int64())])
_SEVERAL = SCHEMA.set(1, pa.field("label", pa.list_(pa.string())))
_ROWS_A_BATCH = 10_000
_LIST_AS_STRING = re.compile(r"""\[(\s*('[^']*'|"[^"]*")\s*(,\s*('[^']*'|"[^"]*")\s*)*)?\]""")
_FLAGS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}


@dataclass(frozen=True)
class LabelledTexts:
    """Rows of text and label.

    Attributes:
        table: columns text and label (non-empty strings without blanks at their ends; or lists of such labels, none twice), row
            (from 0, in the order of the source) and line (from 1; of a file that has lines).
        source: the file, folder or hub data set they came from, as a person would write it.
        has_lines: does the source have lines? Otherwise a place is a row.
    """

    table: pa.Table
    source: str
    has_lines: bool

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def texts(self) -> pa.ChunkedArray:
        """The texts."""
        return self.table.column("text")

    @property
    def labels(self) -> pa.ChunkedArray:
        """The labels, as words, whole numbers as `label_names.shortened` has them. Of texts that may have several a list each."""
        return self.table.column("label")

    @property
    def has_several_labels(self) -> bool:
        """May a text have several labels, or none?"""
        return bool(pa.types.is_list(self.labels.type))

    @property
    def label_words(self) -> pa.ChunkedArray:
        """All labels, text by text; several of a text one after the other."""
        return pc.list_flatten(self.labels) if self.has_several_labels else self.labels

    @property
    def rows(self) -> NDArray[np.int64]:
        """Where each row stood in the source, from 0; shape (n,)."""
        found: NDArray[np.int64] = self.table.column("row").to_numpy()
        return found

    def place(self, index: int) -> str:
        """Return where the row at an index came from: "train.csv:12", or "train.parquet: row 12" (from 1)."""
        line = self.table.column("line")[index].as_py()
        return place_name(self.source, line, has_lines=self.has_lines)

    def renamed(self, names: Mapping[str, str]) -> "LabelledTexts":
        """Return the rows with other names for some labels."""
        if not names:
            return self
        chunks = [_renamed_sets(part, names) if self.has_several_labels else _renamed_words(part, names)
                  for part in self.labels.chunks]
        labels = pa.chunked_array(chunks, self.labels.type)
        return replace(self, table=self.table.set_column(1, self.table.schema.field(1), labels))

    def take(self, indices: NDArray[np.int64]) -> "LabelledTexts":
        """Return some of the rows, in the given order."""
        return LabelledTexts(self.table.take(pa.array(indices, pa.int64())), self.source, self.has_lines)


def _renamed_words(labels: pa.Array, names: Mapping[str, str]) -> pa.Array:
    encoded = labels.dictionary_encode()
    return pa.array([names.get(word, word) for word in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)


def _renamed_sets(labels: pa.Array, names: Mapping[str, str]) -> pa.Array:
    return pa.array([list(dict.fromkeys(names.get(word, word) for word in words)) for words in labels.to_pylist()], labels.type)


def place_name(source: str, line: int, *, has_lines: bool) -> str:
    """Return how a message names a place in a source; `line` counts from 1."""
    return f"{source}:{line}" if has_lines else f"{source}: row {line}"


def has_half_pair(text: str) -> bool:
    """Does a text hold half a surrogate pair, which no file can store? JSON can spell one."""
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def flags_in_one_column(place: str, column: str) -> DataError:
    """Return the error for a column that holds 0 and 1 where names of classes are expected; `place`: where it was seen."""
    return DataError(f"{place}: column {column!r} holds 0 and 1 for each class",
                     hint="write the names of the classes that apply (for classes numbered 0 and 1, too), or give each class a "
                          "column: data.label_columns (with init: --label-columns)")


class RowCollector:
    """Gathers rows into Arrow batches, so that Python objects of only one batch live at a time.

    Args:
        source: named in messages.
        columns: named in messages.
        has_lines: see `LabelledTexts`.
    """

    def __init__(self, source: str, columns: Columns, *, has_lines: bool) -> None:
        self.source, self.has_lines = source, has_lines
        self._columns = columns
        self._schema = SCHEMA if columns.separator is None else _SEVERAL
        self._batches: list[pa.RecordBatch] = []
        self._texts: list[str] = []
        self._labels: list[str | list[str]] = []
        self._lines: list[int] = []
        self._count = 0

    def add(self, text: object, label: object, line: int) -> None:
        """Add a row.

        Args:
            text: a string.
            label: a string, a number or a truth value. Where a text may have several: a list of such, or a string of some between
                separators, of which one may end it; empty where no class applies. Of columns of 0 and 1 the cell of each.
            line: line of the file, or row of the table, from 1.

        Raises:
            DataError: the text or the label is missing, empty or of another type.
        """
        self._texts.append(self._text(text, line))
        separator = self._columns.separator
        if isinstance(label, tuple) and self._columns.flags:
            self._labels.append(self._flagged(label, line))
        else:
            self._labels.append(self._label(label, line) if separator is None else self._several(label, line, separator))
        self._lines.append(line)
        if len(self._texts) >= _ROWS_A_BATCH:
            self._flush()

    def finish(self) -> LabelledTexts:
        """Return all rows.

        Raises:
            DataError: there are none.
        """
        self._flush()
        if not self._count:
            raise DataError(f"{self.source}: has no rows", hint=f"name a file that holds labelled {self._columns.words.example}s")
        found = LabelledTexts(pa.Table.from_batches(self._batches, self._schema), self.source, self.has_lines)
        return found if self._columns.flags else found.renamed(shortened(pc.unique(found.label_words).to_pylist()))

    def _text(self, text: object, line: int) -> str:
        words = self._columns.words
        if text is not None and not isinstance(text, str):
            raise self._error(line, f"column {self._columns.text!r} holds {_kind(text)}, a {words.cell} is expected",
                              f"name the column that holds the {words.example}s: {words.key} (or --text-column)")
        stripped = (text or "").strip()
        if not stripped:
            raise self._error(line, f"column {self._columns.text!r}: the {words.cell} is empty",
                              f"remove the row, or give it a {words.cell}")
        if has_half_pair(stripped):
            raise self._error(line, f"column {self._columns.text!r}: the {words.cell} holds half a surrogate pair",
                              "write the character whole, or remove the row")
        return stripped

    def _flagged(self, cells: tuple[object, ...], line: int) -> list[str]:
        """Return the names of the columns whose cell says 1."""
        found = []
        for name, cell in zip(self._columns.flags, cells, strict=True):
            told = _FLAGS.get(cell.strip().lower()) if isinstance(cell, str) else cell
            if told not in (0, 1):  # None and NaN are neither
                said = "is empty" if cell is None or cell != cell or not str(cell).strip() else f"holds {cell!r:.40}"
                raise self._error(line, f"column {name!r} {said}, 0 or 1 is expected",
                                  "write 1 where the class applies and 0 where not, or remove the row")
            if told:
                found.append(name)
        return found

    def _several(self, labels: object, line: int, separator: str) -> list[str]:
        """Return the labels of a text, each once, in the order of the source; an empty cell says that no class applies."""
        if isinstance(labels, str):
            stripped = labels.strip()
            if stripped.startswith("[") and stripped.endswith("]"):
                raise self._error(line, f"column {self._columns.label!r} holds a list as a string",
                                  f"write the labels with {separator!r} between them, or lists in JSONL or Parquet")
            labels = stripped.split(separator) if stripped else []
            if len(labels) > 1 and not labels[-1].strip():  # "a;b;"
                labels = labels[:-1]
        if labels is None or labels != labels:  # NaN differs from itself
            raise self._error(line, f"column {self._columns.label!r}: the labels are missing",
                              "write an empty list, or an empty cell, where no class applies; or remove the row")
        parts = list(labels) if isinstance(labels, list | tuple | set) else [labels]
        if len(set(map(str, parts))) < len(parts) and all(part in (0, 1) for part in parts):
            raise flags_in_one_column(place_name(self.source, line, has_lines=self.has_lines), self._columns.label)
        return list(dict.fromkeys(self._label(part, line) for part in parts))

    def _label(self, label: object, line: int) -> str:
        if isinstance(label, bool):
            return "true" if label else "false"
        if isinstance(label, float) and label.is_integer():
            return f"{int(label)}.0"  # 1e20 in digits
        if isinstance(label, list | tuple | set):
            raise self._error(line, f"column {self._columns.label!r} holds {_kind(label)}, one label is expected",
                              self._columns.words.one_label)
        if label is not None and not isinstance(label, str | int | float):
            raise self._error(line, f"column {self._columns.label!r} holds {_kind(label)}, one label is expected",
                              "name the column that holds the labels: data.label_column (or --label-column)")
        stripped = "" if label is None or label != label else str(label).strip()  # NaN differs from itself
        if not stripped:
            raise self._error(line, f"column {self._columns.label!r}: the label is empty",
                              "remove the row, or give it a label")
        if isinstance(label, str) and _LIST_AS_STRING.fullmatch(stripped):
            raise self._error(line, f"column {self._columns.label!r} holds a list as a string",
                              "with several labels a text: lists in JSONL or Parquet, or labels with a separator between them "
                              "(data.several_labels, or --label-separator)")
        if has_half_pair(stripped):
            raise self._error(line, f"column {self._columns.label!r}: the label holds half a surrogate pair",
                              "write the character whole, or remove the row")
        return stripped

    def _error(self, line: int, problem: str, hint: str) -> DataError:
        return DataError(f"{place_name(self.source, line, has_lines=self.has_lines)}: {problem}", hint=hint)

    def _flush(self) -> None:
        rows = range(self._count, self._count + len(self._texts))
        columns = [self._texts, self._labels, rows, self._lines]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        self._batches.append(pa.record_batch(arrays, schema=self._schema))
        self._count += len(self._texts)
        self._texts, self._labels, self._lines = [], [], []


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, bytes):
        return "bytes"
    return "an object" if isinstance(value, dict) else f"a {type(value).__name__}"
