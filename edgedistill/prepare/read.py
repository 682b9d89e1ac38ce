"""Reading labelled texts from CSV, TSV, JSONL and Parquet files and from saved `datasets` folders.

Every problem is one `DataError` that names the file and the line (or the row, where a format has no lines).
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from edgedistill.errors import DataError
from edgedistill.prepare import text_files
from edgedistill.prepare.columns import TEXTS, Columns, Wording, check_columns, check_text_column
from edgedistill.prepare.rows import LabelledTexts, RowCollector
from edgedistill.typed_paths import look_there, not_there, quoted

Format = Literal["csv", "tsv", "jsonl", "parquet", "datasets"]

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_KNOWN = ".csv .tsv .jsonl (each also .gz), .parquet, or a folder that `datasets` saved"
_BATCH_ROWS = 10_000


def detect_format(path: Path) -> Format:
    """Return the format of a data file by its name, or "datasets" for a saved folder.

    Raises:
        DataError: it does not exist, or its name does not say a known format.
    """
    if path.is_dir():
        if (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file():
            return "datasets"
        raise DataError(f"{path}: a folder, but not one that `datasets` saved (it has no dataset_info.json)",
                        hint="name a file in it, or write the folder with save_to_disk(); a folder of pictures: edgedistill init "
                             "--images DIR")
    if not path.exists():
        raise DataError(not_there(path), hint=look_there(path))
    name = path.name.lower()
    found = _SUFFIXES.get(Path(name.removesuffix(".gz")).suffix)
    if found is None:
        raise DataError(f"{path}: its name does not end in a known format", hint=f"known: {_KNOWN}")
    if found == "parquet" and name.endswith(".gz"):
        raise DataError(f"{path}: Parquet is compressed inside and is not read out of a .gz", hint=f"gunzip {quoted(path)}")
    return found


def read_column_names(path: Path, *, split: str = "train", words: Wording = TEXTS) -> tuple[str, ...]:
    """Return the names of a source's columns; reads only its beginning.

    Args:
        path: a data file or a saved `datasets` folder.
        split: which split of the folder, where it holds several.
        words: what messages call its examples.

    Raises:
        DataError: it cannot be read.
    """
    form = detect_format(path)
    if form == "datasets":
        return tuple(load_folder(path, split).column_names)
    if form == "parquet":
        return tuple(_open_parquet(path).schema_arrow.names)
    return text_files.column_names(path, form, words)


def holds_lists(path: Path, column: str, *, split: str = "train") -> bool:
    """Do the cells of a column hold lists, as labels of texts do that may have several? Reads no further than the first row.

    Raises:
        DataError: the beginning of the source cannot be read.
    """
    form = detect_format(path)
    if form == "datasets":
        schema = load_folder(path, split).features.arrow_schema
    elif form == "parquet":
        schema = _open_parquet(path).schema_arrow
    else:
        return text_files.holds_lists(path, form, column)
    at = schema.get_field_index(column)  # -1 where two columns are called so: reading them says so
    kind = schema.field(at).type if at >= 0 else pa.null()
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def read_labelled_texts(path: Path, columns: Columns, *, split: str = "train") -> LabelledTexts:
    """Read all labelled texts of a source.

    Args:
        path: CSV, TSV or JSONL (each also .gz), Parquet, or a saved `datasets` folder.
        columns: where the texts and the labels are. Where `datasets` wrote class names, they stand for their numbers.
        split: which split of a saved folder, where it holds several.

    Returns:
        the rows in the order of the source.

    Raises:
        DataError: names file and line: a missing column, bytes that are not UTF-8, a ragged row, an empty text or
            label.
    """
    form = detect_format(path)
    if form == "datasets":
        return read_dataset(load_folder(path, split), columns, source=str(path))
    collector = RowCollector(str(path), columns, has_lines=form != "parquet")
    if form == "parquet":
        _collect_parquet(path, columns, collector)
    else:
        text_files.collect(path, form, columns, collector)
    return collector.finish()


def text_batches(path: Path, column: str, *, split: str) -> Iterator[Any]:
    """Yield the values of one column of a Parquet file or a saved folder, as Arrow arrays.

    Raises:
        DataError: there is no such column, or two; a string is not UTF-8; or the file is damaged.
    """
    row = 0
    for values in _column_batches(path, column, split=split):
        try:
            values.validate(full=True)
        except pa.ArrowInvalid as bad:
            raise _not_utf8(str(path), row, first_line(bad)) from None
        yield values
        row += len(values)


def _column_batches(path: Path, column: str, *, split: str) -> Iterator[Any]:
    if path.is_dir():
        data = load_folder(path, split)
        check_text_column(data.column_names, column, place=str(path))
        for part in data.select_columns([column]).with_format("arrow").iter(batch_size=_BATCH_ROWS):
            yield part.column(column)
        return
    file = _open_parquet(path)
    check_text_column(file.schema_arrow.names, column, place=str(path))
    try:
        for batch in file.iter_batches(_BATCH_ROWS, columns=[column]):
            yield batch.column(column)
    except (pa.ArrowInvalid, OSError) as bad:
        raise _broken_parquet(path, bad) from None


def read_dataset(data: Any, columns: Columns, *, source: str) -> LabelledTexts:
    """Read the labelled texts of one split of a data set.

    Args:
        data: a `datasets.Dataset`.
        columns: where the texts and the labels are.
        source: how messages name the data set.

    Raises:
        DataError: names the row.
    """
    check_columns(data.column_names, columns, place=source)
    feature = None if columns.flags else data.features[columns.label]
    class_names = getattr(getattr(feature, "feature", feature), "names", None)  # of a list, what its items are called
    wanted = data.select_columns([columns.text, *columns.label_columns]).with_format("arrow")
    collector = RowCollector(source, columns, has_lines=False)
    _collect_batches(wanted.iter(batch_size=_BATCH_ROWS), columns, collector, class_names=class_names)
    return collector.finish()


def load_folder(path: Path, split: str) -> Any:
    """Return the `datasets.Dataset` of a folder that save_to_disk() wrote, and of a split where it holds several.

    Raises:
        DataError: it cannot be read, or has no such split.
    """
    import datasets  # takes a second; only saved folders and hub data sets need it

    try:
        data = datasets.load_from_disk(str(path))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowInvalid) as bad:
        raise DataError(f"{path}: cannot be read as a saved data set ({first_line(bad)})",
                        hint="write it again with save_to_disk()") from None
    if not isinstance(data, datasets.DatasetDict):
        return data
    if split not in data:
        raise DataError(f"{path}: has no split {split!r}; it holds: {', '.join(data)}",
                        hint=f"name a split's own folder, for example {path / next(iter(data), '')}")
    return data[split]


def splits_of_folder(path: Path) -> tuple[str, ...]:
    """Return the names of the splits of a saved `datasets.DatasetDict`; of anything else none."""
    try:
        told = json.loads((path / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return tuple(map(str, told)) if isinstance(told, list) else ()


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, memory_map=True)
    except (pa.ArrowInvalid, OSError) as bad:
        raise _broken_parquet(path, bad) from None


def _collect_parquet(path: Path, columns: Columns, collector: RowCollector) -> None:
    file = _open_parquet(path)
    check_columns(file.schema_arrow.names, columns, place=str(path))
    class_names = None if columns.flags else _class_names(file.schema_arrow, columns.label)
    try:
        batches = file.iter_batches(_BATCH_ROWS, columns=[columns.text, *columns.label_columns])
        _collect_batches(batches, columns, collector, class_names=class_names)
    except (pa.ArrowInvalid, OSError) as bad:
        raise _broken_parquet(path, bad) from None


def _broken_parquet(path: Path, bad: Exception) -> DataError:
    return DataError(f"{path}: not a whole Parquet file ({first_line(bad)})", hint="copy the file again")


def _not_utf8(source: str, row: int, reason: str) -> DataError:
    return DataError(f"{source}: after row {row}: a string that is not UTF-8 ({reason})",
                     hint="write the file again with strings in UTF-8")


def _class_names(schema: pa.Schema, label_column: str) -> list[str] | None:
    """The class names that `datasets` keeps in a Parquet file's metadata, where the labels are such."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        feature = features[label_column]
        names = (feature.get("feature") or feature)["names"]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return list(names) if isinstance(names, list) else None


def _collect_batches(
    batches: Iterable[Any], columns: Columns, collector: RowCollector, *, class_names: Sequence[str] | None
) -> None:
    row = itertools.count(1)
    for batch in batches:
        try:
            texts = batch.column(columns.text).to_pylist()
            cells = zip(*(batch.column(name).to_pylist() for name in columns.label_columns), strict=True)
        except UnicodeDecodeError as bad:
            raise _not_utf8(collector.source, next(row) - 1, bad.reason) from None
        for text, label in zip(texts, map(columns.label_of, cells), strict=True):
            collector.add(text, label if class_names is None else _named(label, class_names), next(row))


def _named(label: object, names: Sequence[str]) -> object:
    """Return the name of a class number, or those of a list; `datasets` writes -1 where a split has no labels."""
    if isinstance(label, list):
        return [_named(item, names) for item in label]
    if isinstance(label, int):
        return names[label] if 0 <= label < len(names) else None
    return label


def first_line(problem: Exception) -> str:
    """Return the first line of what another library says, or the name of its error."""
    return (str(problem).splitlines() or [type(problem).__name__])[0]
