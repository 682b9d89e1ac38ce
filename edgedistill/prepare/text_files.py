"""Records of CSV, TSV and JSONL files, plain or gzipped, read line by line so that every problem has its line."""

import csv
import gzip
import itertools
import json
import re
import shlex
import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgedistill.errors import DataError
from edgedistill.prepare.columns import TEXTS, Columns, Wording, check_columns, check_text_column, require_keys, require_text_key
from edgedistill.prepare.rows import RowCollector, has_half_pair
from edgedistill.typed_paths import quoted

TextFormat = Literal["csv", "tsv", "jsonl"]
_LONGEST_FIELD = 10_000_000
"""Characters of a field of a CSV file: more than any text, and a quote that is never closed is still found before memory ends."""

_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_QUOTED_AND_SEPARATED = re.compile(r'\s*"[^"]*"\s*([;\t|])\s*"')
"""The beginning of a header of quoted names between which no commas stand."""


@dataclass(frozen=True)
class _Record:
    """One row of a CSV or TSV file: its fields, and the line that it begins on."""

    fields: Sequence[str]
    line: int


@dataclass(frozen=True)
class _JsonRecord:
    """One line of a JSONL file."""

    fields: Mapping[str, Any]
    line: int


@dataclass(frozen=True)
class _Line:
    """One decoded line with its end; numbers start at 1."""

    text: str
    number: int


def column_names(path: Path, form: TextFormat, words: Wording = TEXTS) -> tuple[str, ...]:
    """Return the names in a file's header, or the keys of its first JSON object; reads no further.

    Raises:
        DataError: the beginning of the file cannot be read.
    """
    if form == "jsonl":
        first = next(_json_records(path, words), None)
        return tuple(first.fields) if first else ()
    return _header_of(path, form, _records(path, form), words)


def holds_lists(path: Path, form: TextFormat, column: str) -> bool:
    """Does the first row hold a list in a column? Only JSONL can.

    Raises:
        DataError: the beginning of the file cannot be read.
    """
    first = next(_json_records(path, TEXTS), None) if form == "jsonl" else None
    return first is not None and isinstance(first.fields.get(column), list)


def collect(path: Path, form: TextFormat, columns: Columns, collector: RowCollector) -> None:
    """Read a whole file into a collector.

    Raises:
        DataError: names file and line.
    """
    if form == "jsonl":
        wanted = {columns.text, *columns.label_columns}
        for number, entry in enumerate(_json_records(path, columns.words)):
            if not number:
                check_columns(tuple(entry.fields), columns, place=f"{path}:{entry.line}")
            elif not wanted <= entry.fields.keys():
                require_keys(tuple(entry.fields), columns, place=f"{path}:{entry.line}")
            label = columns.label_of([entry.fields[name] for name in columns.label_columns])
            collector.add(entry.fields[columns.text], label, entry.line)
        return
    records = _records(path, form)
    header = _header_of(path, form, records, columns.words)
    check_columns(header, columns, place=f"{path}:1")
    text_at, labels_at = header.index(columns.text), [header.index(name) for name in columns.label_columns]
    for record in records:
        if len(record.fields) != len(header):
            raise _ragged(path, record, header, form, columns.words)
        collector.add(record.fields[text_at], columns.label_of([record.fields[at] for at in labels_at]), record.line)


def texts_of_column(path: Path, form: TextFormat, column: str, words: Wording = TEXTS) -> Iterator[str]:
    """Yield the texts of one column, `words` says what they are; the other columns may hold anything.

    A null of JSONL is left out; empty cells are not.

    Raises:
        DataError: names file and line: no such column, a value that is no text, a ragged row.
    """
    if form == "jsonl":
        for number, entry in enumerate(_json_records(path, words)):
            check = require_text_key if number else check_text_column
            check(tuple(entry.fields), column, place=f"{path}:{entry.line}", words=words)
            value = entry.fields[column]
            if value is None:  # no text, as an empty cell of CSV
                continue
            if not isinstance(value, str):
                raise DataError(f"{path}:{entry.line}: column {column!r} holds no {words.cell}",
                                hint=f"name the column that holds the {words.example}s: {words.key} (or --text-column)")
            if has_half_pair(value):
                raise DataError(f"{path}:{entry.line}: column {column!r} holds half a surrogate pair",
                                hint="write the character whole, or remove the row")
            yield value
        return
    records = _records(path, form)
    header = _header_of(path, form, records, words)
    check_text_column(header, column, place=f"{path}:1", words=words)
    at = header.index(column)
    for record in records:
        if len(record.fields) != len(header):
            raise _ragged(path, record, header, form, words)
        yield record.fields[at]


def plain_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text file, plain or gzipped.

    Raises:
        DataError: names file and line of bytes that are not UTF-8.
    """
    for line in _lines(path):
        yield line.text


def _ragged(path: Path, record: _Record, header: Sequence[str], form: TextFormat, words: Wording) -> DataError:
    return DataError(f"{path}:{record.line}: {len(record.fields)} fields, but the header has {len(header)}",
                     hint=_ragged_hint(form, words))


def _ragged_hint(form: TextFormat, words: Wording) -> str:
    if form == "csv":
        return f'quote a {words.cell} that holds a comma: "yes, please"'
    return f"replace a tab inside a {words.cell} by a blank: quotes have no meaning in TSV"


def _json_records(path: Path, words: Wording) -> Iterator[_JsonRecord]:
    for line in _lines(path):
        if not line.text.strip():
            continue
        if line.text.lstrip().startswith("["):
            raise DataError(f"{path}:{line.number}: a JSON array; one object a line is expected",
                            hint=f"jq -c '.[]' {quoted(path)} > {quoted(path.with_name('lines-' + path.name))}")
        try:
            value = json.loads(line.text.rstrip("\r\n"))
        except json.JSONDecodeError as bad:
            raise DataError(f"{path}:{line.number}: not JSON at column {bad.colno}: {bad.msg}",
                            hint="write one JSON object a line") from None
        except (ValueError, RecursionError) as bad:  # a number of thousands of digits, or lists in lists in lists
            raise DataError(f"{path}:{line.number}: JSON that cannot be read ({bad})",
                            hint="write one JSON object a line, with the text and its label") from None
        if not isinstance(value, dict):
            raise DataError(f"{path}:{line.number}: a JSON object is expected, with a key for each column",
                            hint=f"for example {json.dumps(dict(zip((words.column, 'label'), words.sample, strict=True)))}")
        yield _JsonRecord(value, line.number)


def _header_of(path: Path, form: TextFormat, records: Iterator[_Record], words: Wording) -> tuple[str, ...]:
    first = next(records, None)
    if first is None:
        raise DataError(f"{path}: is empty", hint=f"the first line names the columns, for example label and {words.column}")
    header = tuple(name.strip() for name in first.fields)
    used = "," if form == "csv" else "\t"
    if form == "tsv" and len(header) > 1 and all(len(name) > 1 and name[0] == name[-1] == '"' for name in header):
        raise DataError(f"{path}:1: the cells are quoted, and quotes have no meaning in TSV", hint=_as_commas(path, "\t"))
    other = next((s for s in _SEPARATORS if s != used and len(header) == 1 and s in header[0]), None)
    if other:
        hint = "commas belong in a .csv file and tabs in a .tsv file: rename it, or write it again"
        if other not in ",\t":
            hint = _as_commas(path, other)
        raise _separated_by(other, path, used, hint=hint)
    return header


def _separated_by(other: str, path: Path, used: str, *, hint: str) -> DataError:
    return DataError(f"{path}:1: the columns are separated by {_SEPARATORS[other]}, not by {_SEPARATORS[used]}", hint=hint)


def _as_commas(path: Path, separator: str) -> str:
    """Return the command that writes a file again with commas, each cell as it stands.

    Raises:
        DataError: the file is not UTF-8, which comes first.
    """
    lines = plain_lines(path)
    skipped = ", skiprows=1" if next(lines, "").startswith("sep=") else ""  # Excel's own line
    deque(lines, maxlen=0)  # reads them all
    there = path.with_name(f"commas-{path.name.split('.')[0]}.csv")
    names = [json.dumps(str(name), ensure_ascii=False) for name in (path, separator, there)]
    read = "pd.read_csv({}, sep={}, dtype=str, keep_default_na=False{})".format(*names[:2], skipped)
    again = f"{read}.to_csv({names[2]}, index=False)"
    return f"write it again with commas: python -c {shlex.quote(f'import pandas as pd; {again}')}"


def _records(path: Path, form: TextFormat) -> Iterator[_Record]:
    return _csv_records(path) if form == "csv" else _tsv_records(path)


def _tsv_records(path: Path) -> Iterator[_Record]:
    """Plain tab-separated lines: a quote is a character like any other, as in GLUE's files."""
    for line in _lines(path):
        bare = line.text.rstrip("\r\n")
        if bare:
            yield _Record(bare.split("\t"), line.number)


def _csv_records(path: Path) -> Iterator[_Record]:
    """RFC 4180: a quoted field may hold commas, line breaks and doubled quotes."""
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))  # of the whole process; csv itself stops at 131,072
    lines = (line.text for line in _lines(path))
    header = next(lines, "")
    is_spaced = "," in header and all(name.startswith(" ") for name in header.split(",")[1:])  # quotes stand behind blanks then
    reader = csv.reader(itertools.chain([header], lines), strict=True, skipinitialspace=is_spaced)
    begins = 1
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as bad:
            between = _QUOTED_AND_SEPARATED.match(header) if begins == 1 else None
            if between:
                raise _separated_by(between[1], path, ",", hint=_as_commas(path, between[1])) from None
            raise DataError(f"{path}:{begins}: not CSV: {bad}", hint=_csv_hint(path, bad)) from None
        if fields:
            yield _Record(fields, begins)
        begins = reader.line_num + 1


def _csv_hint(path: Path, bad: csv.Error) -> str:
    """Return what mends a file that `csv` refuses."""
    if str(bad).startswith("new-line character"):  # its lines end otherwise: `_lines` has refused those that end so
        return ("put quotes around a text that holds a line break, or take it out: "
                f"{_cat(path)} | tr -d '\\r' > {_beside(path, 'lines-')}")
    return 'close every quote, and double one inside a quoted text: "a ""good"" film"'


def _line_end_hint(path: Path) -> str:
    return f"{_cat(path)} | tr '\\r' '\\n' > {_beside(path, 'lines-')}"


def _beside(path: Path, prefix: str) -> str:
    return quoted(path.with_name(prefix + path.name.removesuffix(".gz")))


def _cat(path: Path) -> str:
    """Return the command that prints a file, compressed or not."""
    return f"{'zcat' if path.name.lower().endswith('.gz') else 'cat'} {quoted(path)}"


def _lines(path: Path) -> Iterator[_Line]:
    """Yield decoded lines; the file is never in memory as a whole."""
    number = 0
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as stream:
            for raw in stream:
                number += 1
                if number == 1 and b"\r" in raw.rstrip(b"\r\n") and not raw.endswith(b"\n"):
                    raise DataError(f"{path}: its lines end in CR alone, as old Macs wrote them", hint=_line_end_hint(path))
                yield _Line(_decode(raw, path, number), number)
    except (gzip.BadGzipFile, zlib.error, EOFError) as bad:
        raise DataError(f"{path}:{number + 1}: not a whole gzip file ({bad})", hint="copy the file again") from None
    except PermissionError:
        raise DataError(f"{path}: may not be read", hint=f"chmod +r {quoted(path)}") from None


def _decode(raw: bytes, path: Path, number: int) -> str:
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")  # spreadsheets write a byte order mark
    except UnicodeDecodeError as bad:
        is_wide = number == 1 and raw[:2] in (b"\xff\xfe", b"\xfe\xff")
        raise DataError(
            f"{path}:{number}: byte {bad.start + 1} of the line is not UTF-8",
            hint=f"{_cat(path)} | iconv -f {'UTF-16' if is_wide else 'WINDOWS-1252'} -t UTF-8 > "
            f"{quoted(path.with_name('utf8-' + path.name.removesuffix('.gz')))}",
        ) from None
