"""Texts without labels: every format, no text twice, none that is labelled, and errors with file and line."""

import gzip
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgedistill.errors import DataError
from edgedistill.prepare.unlabelled import read_unlabelled_texts, require_unlabelled

Write = Callable[[str, str | bytes], Path]
TEXTS = ["turn it up", 'a "quoted" word', "naïve"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("texts.txt", "turn it up\n\na \"quoted\" word\n naïve \n"),
        ("texts.tsv", "id\ttext\n1\tturn it up\n2\ta \"quoted\" word\n3\tnaïve\n"),
        ("texts.csv", 'text,id\nturn it up,1\n"a ""quoted"" word",2\nnaïve,3\n'),
        ("texts.jsonl", '{"text": "turn it up"}\n{"text": "a \\"quoted\\" word", "x": 1}\n{"text": "naïve"}\n'),
    ],
)
@pytest.mark.parametrize("is_zipped", [False, True])
def test_read_unlabelled_texts_of_any_text_format_gives_the_texts(
    write: Write, name: str, content: str, is_zipped: bool
) -> None:
    path = write(name + ".gz", gzip.compress(content.encode())) if is_zipped else write(name, content)
    require_unlabelled(path)
    assert read_unlabelled_texts(path, "text", without=()) == TEXTS


def test_read_unlabelled_texts_of_parquet_and_of_a_saved_folder_gives_the_texts(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1, 2, 3], "text": TEXTS}), tmp_path / "texts.parquet")
    datasets.Dataset.from_dict({"text": TEXTS}).save_to_disk(str(tmp_path / "saved"))
    for path in (tmp_path / "texts.parquet", tmp_path / "saved"):
        require_unlabelled(path)
        assert read_unlabelled_texts(path, "text", without=()) == TEXTS


@pytest.mark.parametrize("kind", [
    pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()), pa.dictionary(pa.int8(), pa.string()),
])
def test_read_unlabelled_texts_when_parquet_has_another_type_of_strings_then_gives_the_texts(
    tmp_path: Path, kind: pa.DataType
) -> None:
    texts = pa.array([*TEXTS, None, TEXTS[0]])
    column = texts.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else texts.cast(kind)
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
    assert pq.read_schema(tmp_path / "a.parquet").field("text").type == kind
    assert read_unlabelled_texts(tmp_path / "a.parquet", "text", without=()) == TEXTS


def test_read_unlabelled_texts_when_jsonl_has_a_null_then_it_is_left_out_as_an_empty_text(write: Write) -> None:
    path = write("a.jsonl", '{"text": "x"}\n{"text": null}\n{"text": ""}\n{"text": "y"}\n')
    assert read_unlabelled_texts(path, "text", without=()) == ["x", "y"]


def test_read_unlabelled_texts_when_a_parquet_string_is_not_utf8_then_one_error(tmp_path: Path) -> None:
    damaged = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff"))
    pq.write_table(pa.table({"text": damaged}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet: after row 0: a string that is not UTF-8") as refused:
        read_unlabelled_texts(tmp_path / "a.parquet", "text", without=())
    assert "UTF-8" in (refused.value.hint or "")


def test_read_unlabelled_texts_when_a_column_is_there_twice_then_one_error(tmp_path: Path, write: Write) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], ["text", "text"]), tmp_path / "a.parquet")
    for path in (tmp_path / "a.parquet", write("a.csv", "text,text\nx,y\n")):
        with pytest.raises(DataError, match="two columns are called 'text'"):
            read_unlabelled_texts(path, "text", without=())


def test_read_unlabelled_texts_when_a_greek_or_turkish_text_is_labelled_in_capitals_then_it_is_left_out(write: Write) -> None:
    path = write("a.txt", "καλημέρα κόσμος\nistanbul\nnew\n")
    assert read_unlabelled_texts(path, "text", without=["ΚΑΛΗΜΈΡΑ ΚΌΣΜΟΣ", "İstanbul"]) == ["new"]


def test_read_unlabelled_texts_leaves_out_repeats_and_labelled_texts_whatever_their_capitals(write: Write) -> None:
    path = write("texts.txt", "one\nTwo  words\nONE\nthree\ntwo words\n")
    assert read_unlabelled_texts(path, "text", without=["Three"]) == ["one", "Two  words"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.tsv", "sentence\tlabel\nx\ty\n", r"a\.tsv:1: no column 'text'; did you mean 'sentence'\?"),
        ("a.jsonl", '{"text": "x"}\n{"text": 3}\n', r"a\.jsonl:2: column 'text' holds no text"),
        ("a.jsonl", '{"text": "x"}\n{"x": 3}\n', r"a\.jsonl:2: the row has no text: earlier ones have the key 'text'"),
        ("a.csv", "text,n\nx,1\ny\n", r"a\.csv:3: 1 fields, but the header has 2"),
        ("a.txt", b"fine\n\xff\n", r"a\.txt:2: byte 1 of the line is not UTF-8"),
    ],
)
def test_read_unlabelled_texts_of_a_wrong_file_names_file_and_line(
    write: Write, name: str, content: str | bytes, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        read_unlabelled_texts(write(name, content), "text", without=())


def test_read_unlabelled_texts_of_a_column_of_numbers_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="holds int64, texts are expected"):
        read_unlabelled_texts(tmp_path / "a.parquet", "text", without=())


def test_require_unlabelled_of_a_missing_file_or_an_unknown_format_is_refused(write: Write, tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", write("texts.docx", "x")):
        with pytest.raises(DataError):
            require_unlabelled(path)
