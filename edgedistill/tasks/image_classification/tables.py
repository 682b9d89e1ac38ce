"""Tables that hold pictures or their paths: Parquet files, data sets that `datasets` saved, data sets of the hub."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edgedistill.data_settings import HubData
from edgedistill.errors import DataError
from edgedistill.prepare.columns import Columns, Wording, check_columns, check_text_column
from edgedistill.prepare.hub import load_hub_split, place_on_hub
from edgedistill.prepare.read import load_folder
from edgedistill.prepare.unlabelled import holds_texts

SPLIT_NAMES: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"), "validation": ("validation", "val", "valid", "dev"), "test": ("test", "testing"),
}
"""What the splits are called inside a folder."""

PICTURES = Wording(example="picture", cell="path", key="pictures.column", column="image", sample=("photos/1.jpg", "cat"),
                   one_label="give each picture one label, for example a class for each combination that you need")
"""What the reader of tables calls a picture."""

_BATCH_ROWS = 1_000
_PICTURES_A_BATCH = 50
"""Rows that are read at a time where they hold pictures: of a camera's, at some megabytes each, a few hundred MB."""

_READ_BYTES = 1 << 20
"""What is read of a Parquet file at a time, a column; without a bound whole row groups are."""


@dataclass(frozen=True)
class PictureTable:
    """A Parquet file, a folder that `datasets` saved, or a split of a data set of the hub.

    Attributes:
        path: where it is; of the hub, the folder that paths in it start from.
        columns: the pictures and the labels.
        split: which split of a folder that holds several.
        is_labelled: are the labels read?
        hub: the data set of the hub; None for a file or folder.
    """

    path: Path
    columns: Columns
    split: str
    is_labelled: bool
    hub: HubData | None = None

    @property
    def place(self) -> str:
        """The table, for messages."""
        return str(self.path) if self.hub is None else place_on_hub(self.hub, self.split)

    @property
    def folder(self) -> Path:
        """Where paths in it start from."""
        return self.path.parent if self.hub is None else self.path

    def count(self) -> int | None:
        """Return the number of rows; None for a damaged Parquet file: reading it says what is wrong.

        Raises:
            DataError: the folder, or the data set of the hub, cannot be read, or lacks the split.
        """
        if self._is_data_set:
            return len(self._saved())
        try:
            return int(pq.read_metadata(self.path).num_rows)
        except (pa.ArrowInvalid, OSError):
            return None

    def parts(self, rows: Sequence[int] | None) -> Iterator[pa.Table]:
        """Yield the columns, some rows at a time.

        Args:
            rows: the wanted ones, ascending; None for all.

        Raises:
            DataError: a column is missing, or the file is damaged.
        """
        return self._parts(rows, self._wanted)

    def label_parts(self) -> Iterator[pa.Table]:
        """Yield the column of the labels alone, so that no picture is read; errors as `parts`."""
        return self._parts(None, [self.columns.label])

    def files(self) -> Iterator[Path]:
        """Yield the files whose paths stand in the cells; none where the first rows hold the bytes of the pictures."""
        if self.hub is not None:
            return
        for part in self._parts(None, [self.columns.text]):
            column = part.column(self.columns.text)
            if pa.types.is_struct(column.type):
                names = [field.name for field in column.type]
                if "path" not in names or ("bytes" in names and pc.struct_field(column, "bytes").null_count < len(column)):
                    return
                column = pc.struct_field(column, "path")
            if not holds_texts(column.type):
                return
            yield from filter(_is_file, (self.folder / name for name in column.to_pylist() if name))

    def _parts(self, rows: Sequence[int] | None, names: list[str]) -> Iterator[pa.Table]:
        return self._saved_parts(rows, names) if self._is_data_set else self._parquet_parts(rows, names)

    def check(self, names: Sequence[str]) -> None:
        """Refuse a table that lacks a column; raises DataError."""
        check_picture_columns(names, self.columns, place=self.place, is_labelled=self.is_labelled)

    @property
    def _is_data_set(self) -> bool:
        return self.hub is not None or self.path.is_dir()

    @property
    def _wanted(self) -> list[str]:
        return [self.columns.text, *([self.columns.label] if self.is_labelled else ())]

    def _saved(self) -> Any:
        if self.hub is not None:
            return load_hub_split(self.hub, self.split)
        return load_folder(self.path, saved_split(self.path, self.split) or self.split)

    def _saved_parts(self, rows: Sequence[int] | None, names: list[str]) -> Iterator[pa.Table]:
        data = self._saved()
        self.check(data.column_names)
        chosen = data if rows is None else data.select(rows)
        for batch in chosen.select_columns(names).with_format("arrow").iter(batch_size=self._rows_at_once(names)):
            yield batch.replace_schema_metadata(data.features.arrow_schema.metadata)

    def _parquet_parts(self, rows: Sequence[int] | None, names: list[str]) -> Iterator[pa.Table]:
        try:
            file = pq.ParquetFile(self.path, buffer_size=_READ_BYTES, pre_buffer=False)
            self.check(file.schema_arrow.names)
            groups, start = [], 0
            for number in range(file.num_row_groups):
                end = start + file.metadata.row_group(number).num_rows
                groups.append((number, start, end))
                start = end
            for number, start, end in groups:
                here = None if rows is None else np.asarray([row - start for row in rows if start <= row < end], np.int64)
                if here is None or len(here):
                    yield from self._group_parts(file, number, here, names)
        except (pa.ArrowInvalid, OSError) as bad:
            raise DataError(f"{self.path}: cannot be read as Parquet ({str(bad).splitlines()[0]})",
                            hint="write the file again") from None

    def _rows_at_once(self, names: list[str]) -> int:
        return _PICTURES_A_BATCH if self.columns.text in names else _BATCH_ROWS

    def _group_parts(
        self, file: pq.ParquetFile, number: int, rows: NDArray[np.int64] | None, names: list[str]
    ) -> Iterator[pa.Table]:
        start = 0
        for part in file.iter_batches(self._rows_at_once(names), row_groups=[number], columns=names):
            table = pa.Table.from_batches([part]).replace_schema_metadata(file.schema_arrow.metadata)
            end = start + len(table)
            yield table if rows is None else table.take(pa.array(rows[(rows >= start) & (rows < end)] - start))
            start = end


def check_picture_columns(names: Sequence[str], columns: Columns, *, place: str, is_labelled: bool) -> None:
    """Refuse a table that lacks the column of the pictures, or of the labels where they are read; raises DataError."""
    if is_labelled:
        check_columns(names, columns, place=place)
    else:
        check_text_column(names, columns.text, place=place, words=columns.words)


def saved_split(folder: Path, split: str) -> str | None:
    """Return what a saved folder of several splits calls one of them; None where it has none, or is no such folder."""
    try:
        names = json.loads((folder / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
        return next((name for name in SPLIT_NAMES[split] if name in names), None)
    except (OSError, ValueError, KeyError, TypeError):  # loading the folder says what is wrong
        return None


def class_names(schema: pa.Schema, label: str) -> Sequence[str] | None:
    """Return the names that stand for class numbers, where `datasets` or the file's metadata gives them."""
    metadata = schema.metadata or {}
    if b"huggingface" in metadata:
        feature = json.loads(metadata[b"huggingface"]).get("info", {}).get("features", {}).get(label, {})
        return feature.get("names") if isinstance(feature, dict) else None
    names = json.loads(metadata[b"label_names"]) if b"label_names" in metadata else None
    return names if isinstance(names, list) else None


def label_text(value: Any, names: Sequence[str] | None, place: str) -> str:
    """Return a label as a word: the name of a class number, a whole number in its shortest form.

    Raises:
        DataError: there is none, or several; -1 is none where numbers stand for names.
    """
    if isinstance(value, list | tuple | set | dict):
        other_column = "name the column with the labels: data.label_column; or " if isinstance(value, dict) else ""
        raise DataError(f"{place}: its label is {_kind_of(value)}, one word or number is expected",
                        hint=other_column + PICTURES.one_label)
    if isinstance(value, int) and not isinstance(value, bool) and names is not None:
        value = names[value] if 0 <= value < len(names) else None
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if isinstance(value, bool):
        value = "true" if value else "false"
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None if value != value else value  # NaN differs from itself
    text = "" if value is None else str(value).strip()
    if not text:
        raise DataError(f"{place}: has no label", hint="remove the row, or give it a label")
    return text


def _kind_of(value: Collection[Any]) -> str:
    return "a struct" if isinstance(value, dict) else f"a list of {len(value)}"


def _is_file(path: Path) -> bool:
    """Is there such a file? Not where the name is none, as of bytes in letters: reading the row says what is wrong."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def cell_source(value: Any, folder: Path, place: str) -> Path | bytes:
    """Return what a cell holds: the bytes of a picture, or its path from a folder; a struct may hold either.

    Raises:
        DataError: it holds neither.
    """
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value
    if isinstance(value, str) and value:
        return folder / value
    raise DataError(f"{place}: holds neither the bytes of a picture nor its path",
                    hint="name the column with the pictures: pictures.column")
