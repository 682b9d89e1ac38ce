"""Reading texts without labels, for the teacher to label: every format of labelled texts, and a text a line."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from edgedistill.errors import DataError
from edgedistill.examples import folded
from edgedistill.prepare import text_files
from edgedistill.prepare.read import detect_format, text_batches

_PLAIN = (".txt", ".txt.gz")


def require_unlabelled(path: Path) -> None:
    """Refuse a file that is missing or of an unknown format.

    Raises:
        DataError: names the file.
    """
    if not _is_plain(path):
        detect_format(path)


def read_unlabelled_texts(path: Path, column: str, *, without: Iterable[str]) -> list[str]:
    """Read the different texts of a source.

    Args:
        path: .txt with a text a line, CSV, TSV, JSONL (each also .gz), Parquet, or a saved `datasets` folder.
        column: the column with the texts; .txt has none.
        without: texts that are left out: labelled ones, above all those that stand in validation or test.

    Returns:
        the texts in their order, without blanks at their ends; empty ones and repeats are left out. Texts are compared
        as `check.number_texts` does: capitals and the width of blanks do not count.

    Raises:
        DataError: names file and line: no such column, bytes that are not UTF-8, a ragged row.
    """
    seen = {folded(text) for text in without}
    found: list[str] = []
    for text in _texts(path, column):
        stripped = text.strip()
        key = folded(stripped)
        if stripped and key not in seen:
            seen.add(key)
            found.append(stripped)
    return found


def _is_plain(path: Path) -> bool:
    return path.name.lower().endswith(_PLAIN) and path.is_file()


def _texts(path: Path, column: str) -> Iterator[str]:
    if _is_plain(path):
        yield from text_files.plain_lines(path)
        return
    form = detect_format(path)
    if form in ("csv", "tsv", "jsonl"):
        yield from text_files.texts_of_column(path, form, column)
        return
    for batch in text_batches(path, column, split="train"):
        if not holds_texts(batch.type):
            raise DataError(f"{path}: column {column!r} holds {batch.type}, texts are expected",
                            hint="name the column that holds the texts: data.text_column (or --text-column)")
        yield from (text for text in batch.to_pylist() if text is not None)


def holds_texts(kind: pa.DataType) -> bool:
    """Is it one of Arrow's types of strings, or a dictionary of such, as pandas writes categories?"""
    words = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(is_one(words) for is_one in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))
