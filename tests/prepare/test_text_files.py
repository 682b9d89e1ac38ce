"""CSV, TSV and JSONL line by line: a header whose names are quoted and not separated by commas is told as such."""

import gzip
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from edgedistill.errors import DataError
from edgedistill.prepare.columns import Columns
from edgedistill.prepare.read import read_column_names, read_labelled_texts
from edgedistill.prepare.unlabelled import read_unlabelled_texts


def _refusal(path: Path, content: str) -> DataError:
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    with pytest.raises(DataError) as caught:
        read_labelled_texts(path, Columns("text", "label"))
    return caught.value


@pytest.mark.parametrize(("name", "separator", "word"), [
    ("a.csv", ";", "semicolons"), ("a.csv", "\t", "tabs"), ("a.csv", "|", "bars"), ("a.csv.gz", ";", "semicolons"), ("a.csv", " ; ", "semicolons"),
])
def test_read_when_a_quoted_header_has_no_commas_then_the_separator_is_named_and_how_to_write_commas(
    name: str, separator: str, word: str, tmp_path: Path
) -> None:
    found = _refusal(tmp_path / name, f'"text"{separator}"label"\r\n"good; film"{separator}"x"\r\n')
    assert found.message == f"{tmp_path / name}:1: the columns are separated by {word}, not by commas"
    command = shlex.split(found.hint.partition("with commas: ")[2])[2]
    assert "sep={!r}, dtype=str".format(separator.strip(" ")).replace("'", '"') in command
    for read in (lambda: read_column_names(tmp_path / name), lambda: read_unlabelled_texts(tmp_path / name, "text", without=())):
        with pytest.raises(DataError, match=f"separated by {word}"):
            read()


def test_command_that_writes_commas_when_typed_then_every_cell_is_kept(tmp_path: Path) -> None:
    found = _refusal(tmp_path / "a.csv", "sep=;\ntext;label\nNA;None\nseven, or so;007\n")
    subprocess.run([sys.executable, *shlex.split(found.hint.partition("with commas: ")[2])[1:]], check=True)
    rows = read_labelled_texts(tmp_path / "commas-a.csv", Columns("text", "label"))
    assert rows.texts.to_pylist() == ["NA", "seven, or so"]
    assert rows.labels.to_pylist() == ["None", "007"]


def test_read_when_semicolons_stand_in_a_file_that_is_no_utf_8_then_the_encoding_is_named_first(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("text;label\nschön;x\n".encode("cp1252"))
    with pytest.raises(DataError) as caught:
        read_labelled_texts(tmp_path / "a.csv", Columns("text", "label"))
    assert "iconv" in caught.value.hint


@pytest.mark.parametrize("content", ['"text"x,"label"\n', '"text,label\nhi,x\n', 'text,label\n"hi";"there"\n', '"te"xt;"label"\n'])
def test_read_when_quotes_are_wrong_otherwise_then_still_asks_to_close_them(content: str, tmp_path: Path) -> None:
    found = _refusal(tmp_path / "a.csv", content)
    assert "not CSV" in found.message
    assert "close every quote" in found.hint
