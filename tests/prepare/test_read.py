"""Reading: every format gives the same rows, and every kind of bad input gives one error with place and hint."""

import gzip
import json
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgedistill.errors import DataError
from edgedistill.prepare.columns import Columns
from edgedistill.prepare.read import detect_format, holds_lists, read_column_names, read_labelled_texts

COLUMNS = Columns("text", "label")
ROWS = [("turn it up", "volume"), ('say "hush", now', "volume"), ("größer", "light")]
TSV = "label\ttext\n" + "".join(f"{label}\t{text}\n" for text, label in ROWS)
CSV = 'text,label\nturn it up,volume\n"say ""hush"", now",volume\ngrößer,light\n'
JSONL = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in ROWS)


def rows_of(path: Path, **more: str) -> list[tuple[str, str]]:
    read = read_labelled_texts(path, COLUMNS, **more)
    return list(zip(read.texts.to_pylist(), read.labels.to_pylist(), strict=True))


def failure(path: Path, columns: Columns = COLUMNS) -> DataError:
    with pytest.raises(DataError) as caught:
        read_labelled_texts(path, columns)
    assert caught.value.exit_code == 2
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.TSV"])
@pytest.mark.parametrize("is_zipped", [False, True])
def test_read_when_text_file_then_rows_in_order(write, name: str, is_zipped: bool) -> None:
    content = {"tsv": TSV, "csv": CSV, "jsonl": JSONL}[name.lower().split(".")[1]].encode()
    path = write(name + (".gz" if is_zipped else ""), gzip.compress(content) if is_zipped else content)
    assert rows_of(path) == ROWS


def test_read_when_parquet_then_rows_in_order(tmp_path: Path) -> None:
    table = pa.table({"text": [t for t, _ in ROWS], "other": [0.5] * 3, "label": [label for _, label in ROWS]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert rows_of(tmp_path / "a.parquet") == ROWS


def test_read_when_a_parquet_string_is_not_utf8_then_one_error(tmp_path: Path) -> None:
    damaged = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff"))
    pq.write_table(pa.table({"text": damaged, "label": ["x", "y"]}), tmp_path / "a.parquet")
    assert "a string that is not UTF-8" in failure(tmp_path / "a.parquet").message


def test_read_when_saved_folder_then_class_names_stand_for_numbers(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["volume", "light"]))
    data = datasets.Dataset.from_dict({"text": [t for t, _ in ROWS], "label": [0, 0, 1]}, features=features)
    data.save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=data, test=data.select([2, 0])).save_to_disk(tmp_path / "several")
    data.to_parquet(tmp_path / "a.parquet")
    assert rows_of(tmp_path / "one") == ROWS
    assert rows_of(tmp_path / "a.parquet") == ROWS
    assert rows_of(tmp_path / "several", split="test") == [ROWS[2], ROWS[0]]
    with pytest.raises(DataError, match="has no split 'validation'; it holds: train, test") as caught:
        read_labelled_texts(tmp_path / "several", COLUMNS, split="validation")
    assert str(tmp_path / "several" / "train") in caught.value.hint


def test_read_when_tsv_holds_lone_quotes_then_they_are_characters(write) -> None:
    path = write("a.tsv", 'label\ttext\nneg\t" a film\nneg\tthe "worst\npos\t"good"\n')
    assert [text for text, _ in rows_of(path)] == ['" a film', 'the "worst', '"good"']


def test_read_when_blanks_stand_behind_the_commas_then_quotes_are_quotes(write) -> None:
    spaced = write("a.csv", 'text, label\nplain, pos\n"Great, really", "pos"\n"so ""so""\nso", neg\n')
    assert rows_of(spaced) == [("plain", "pos"), ("Great, really", "pos"), ('so "so"\nso', "neg")]
    own = write("b.csv", 'label,text\npos, "Great" they said\n')  # the header has none: the quotes are the text's own
    assert rows_of(own) == [('"Great" they said', "pos")]
    assert "double one inside a quoted text" in failure(write("c.csv", 'label, text\npos, "Great" they said\n')).hint


def test_read_when_third_column_and_blank_lines_and_crlf_then_ignored(write) -> None:
    path = write("a.tsv", "label\ttext\tfine\r\nNUM\thow far ?\tNUM:dist\r\n\r\nLOC\twhere ?\tLOC:x\r\n")
    assert rows_of(path) == [("how far ?", "NUM"), ("where ?", "LOC")]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("content", ["text,label,,\nhello,x,,\n", ",n,text,label,n\n1,2,hello,x,3\n"])
def test_read_when_other_columns_have_no_name_or_the_same_then_ignored(write, name: str, content: str) -> None:
    path = write(name, content if name == "a.csv" else content.replace(",", "\t"))
    assert rows_of(path) == [("hello", "x")]
    assert {"text", "label"} <= set(read_column_names(path))


def test_read_when_parquet_has_a_wanted_column_twice_then_one_error_and_another_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    values = [pa.array(["hello"]), pa.array(["hi"]), pa.array(["x"])]
    for twice in ("text", "label"):
        pq.write_table(pa.Table.from_arrays(values, [twice, twice, "label" if twice == "text" else "text"]), path)
        error = failure(path)
        assert error.message == f"{path}: two columns are called {twice!r}"
        assert "a name of its own" in error.hint
        assert not holds_lists(path, twice)
    pq.write_table(pa.Table.from_arrays([*values, pa.array([1])], ["text", "n", "label", "n"]), path)
    assert rows_of(path) == [("hello", "x")]


def test_read_when_byte_order_mark_then_header_is_clean(write) -> None:
    assert rows_of(write("a.csv", b"\xef\xbb\xbftext,label\nhello,x\n")) == [("hello", "x")]


def test_read_when_quoted_field_spans_lines_then_place_is_its_first_line(write) -> None:
    path = write("a.csv", 'text,label\n"two\nlines",a\n"three",\n')
    assert failure(path).message == f"{path}:4: column 'label': the label is empty"


@pytest.mark.parametrize(("value", "label"), [(3, "3"), (3.0, "3"), (2.5, "2.5"), (True, "true"), (" x ", "x")])
def test_read_when_label_is_a_number_or_truth_value_then_shortest_word(write, value: object, label: str) -> None:
    assert rows_of(write("a.jsonl", json.dumps({"text": "hi", "label": value}))) == [("hi", label)]


def test_place_when_rows_are_taken_then_still_of_the_source(write) -> None:
    read = read_labelled_texts(write("a.tsv", TSV), COLUMNS)
    taken = read.take(read.rows[[2]])
    assert taken.place(0).endswith("a.tsv:4")
    assert taken.rows.tolist() == [2]


@pytest.mark.parametrize(
    ("name", "content", "message", "hint"),
    [
        (
            "a.tsv",
            "label\tsentence\nx\thi\n",
            ":1: no column 'text'; did you mean 'sentence'?",
            "--set data.text_column=sentence (with init: --text-column sentence); the columns are: label, sentence",
        ),
        ("a.tsv", "lable\ttext\nx\thi\n", ":1: no column 'label'; did you mean 'lable'?", "--label-column lable"),
        ("a.tsv", "label\tzzz\nx\thi\n", ":1: no column 'text'; the columns are: label, zzz", "--text-column NAME"),
        (
            "a.jsonl",
            '{"text": "a", "label": "x"}\n{"text": "b", "labels": "x"}\n',
            ":2: the row has no label: earlier ones have the key 'label', this one has 'labels'",
            'write "label" in the place of "labels" in this row, or remove the row',
        ),
        (
            "a.jsonl",
            '{"text": "a", "label": "x"}\n{"text": "b"}\n',
            ":2: the row has no label: earlier ones have the key 'label'",
            'write "label": ... into this row, or remove the row',
        ),
        (
            "a.jsonl",
            '{"text": "a", "label": "x"}\n\n{"label": "x", "id": 7}\n',
            ":3: the row has no text: earlier ones have the key 'text'",
            'write "text": ... into this row, or remove the row',
        ),
        ("a.jsonl", '{"text": "a"}\n{"text": "b", "label": "x"}\n', ":1: no column 'label'; the columns are: text", "--label-column NAME"),
        (
            "a.tsv",
            b"label\ttext\nx\tcaf\xe9\n",
            ":2: byte 6 of the line is not UTF-8",
            "iconv -f WINDOWS-1252 -t UTF-8",
        ),
        ("a.csv", "text,label\n".encode("utf-16"), ":1: byte 1 of the line is not UTF-8", "iconv -f UTF-16"),
        ("a.csv", "text,label\rhi,x\rho,y\r", "a.csv: its lines end in CR alone", "a.csv | tr '\\r' '\\n' > "),
        ("a.tsv", "text\tlabel\rhi\tx\rho\ty", "a.tsv: its lines end in CR alone", "lines-a.tsv"),
        ("a.csv", "text,label\nhi\rho,x\n", ":2: not CSV: new-line character", "take it out: cat "),
        ("a.tsv", '"text","label"\n"hi","x"\n', ":1: the columns are separated by commas, not by tabs", "rename it"),
        ("a.tsv", "label\ttext\nx\thi\nx\tone\ttwo\n", ":3: 3 fields, but the header has 2", "replace a tab"),
        (
            "a.csv",
            "text,label\nyes, please,x\n",
            ":2: 3 fields, but the header has 2",
            "quote a text that holds a comma",
        ),
        ("a.csv", "text,label\nhi,x\nhi\n", ":3: 1 fields, but the header has 2", "quote"),
        (
            "a.csv",
            'text,label\nhi,x\n"never closed,x\nmore,y\n',
            ":3: not CSV: unexpected end of data",
            "close every quote",
        ),
        ("a.tsv", "label\ttext\nx\t   \n", ":2: column 'text': the text is empty", "remove the row"),
        ("a.tsv", "label\ttext\n\thi\n", ":2: column 'label': the label is empty", "remove the row"),
        ("a.jsonl", '{"text": null, "label": "x"}', ":1: column 'text': the text is empty", "remove the row"),
        ("a.jsonl", '{"text": "a", "label": NaN}', ":1: column 'label': the label is empty", "remove the row"),
        (
            "a.jsonl",
            '{"text": 5, "label": "x"}',
            ":1: column 'text' holds a number, a text is expected",
            "--text-column",
        ),
        ("a.jsonl", '{"text": "a", "label": ["x"]}', ":1: column 'label' holds a list, one label is expected", "data.several_labels=true"),
        ("a.jsonl", '{"text": "a", "label": {"x": 1}}', ":1: column 'label' holds an object, one label", "--label-column"),
        ("a.jsonl", '{"text": "\\ud800", "label": "x"}', ":1: column 'text': the text holds half a surrogate", "whole"),
        ("a.jsonl", '{"text": "a", "label": "\\ud800"}', ":1: column 'label': the label holds half a surrogate", "whole"),
        ("a.jsonl", '{"text": "a", "label": ' + "1" * 5000 + "}", ":1: JSON that cannot be read", "one JSON object a line"),
        ("a.jsonl", '{"text": "a", "label": ' + "[" * 100_000 + "}", ":1: JSON that cannot be read", "one JSON object a line"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": \n', ":2: not JSON at column 10", "one JSON object a line"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n"b"\n', ":2: a JSON object is expected", '{"text":'),
        ("a.json", '[{"text": "a"}]', ":1: a JSON array; one object a line is expected", "jq -c '.[]'"),
        ("a.csv", "text;label\nhi;x\n", ":1: the columns are separated by semicolons, not by commas", 'sep=";", dtype=str, keep_default_na=False).to_csv("'),
        ("a.csv", "text|label\nhi|x\n", ":1: the columns are separated by bars, not by commas", 'sep="|", dtype=str, keep_default_na=False).to_csv("'),
        ("a.csv", 'text,label\nhi,"[\'a\', \'b\']"\n', "a.csv:2: column 'label' holds a list as a string", "data.several_labels"),
        ("a.csv", "text,label\nhi,[]\n", "a.csv:2: column 'label' holds a list as a string", "data.several_labels"),
        ("a.tsv", "text,label\nhi,x\n", ":1: the columns are separated by commas, not by tabs", ".tsv file"),
        ("a.tsv", "text\ttext\tlabel\nhi\tho\tx\n", ":1: two columns are called 'text'", "a name of its own"),
        ("a.csv", "label,text,label\nx,hi,y\n", ":1: two columns are called 'label'", "a name of its own"),
        ("a.csv", "label,sentence,,\nx,hi,,\n", ":1: no column 'text'; did you mean", "the columns are: label, sentence"),
        ("a.csv", ",zzz,,label\n,hi,,x\n", ":1: no column 'text'; the columns are: zzz, label", "--text-column NAME"),
        ("a.tsv", "", ": is empty", "the first line names the columns"),
        ("a.tsv", "label\ttext\n", ": has no rows", "labelled texts"),
        ("a.tsv.gz", b"label\ttext\n", ":1: not a whole gzip file", "copy the file again"),
        ("a.tsv.gz", gzip.compress(TSV.encode(), mtime=0)[:-12], "not a whole gzip file", "copy the file again"),
        ("a.csv", "full text,label\nhi,x\n", ":1: no column 'text'; did you mean 'full text'?", "--set 'data.text_column=full text'"),
        ("a.csv", "full text,label\nhi,x\n", ":1: no column 'text'", "--text-column 'full text'"),
        ("a.tsv", '"text"\t"label"\n"hi"\t"x"\n', ":1: the cells are quoted", 'sep="\\t", dtype=str, keep_default_na=False).to_csv("'),
        ("a.parquet", b"PAR1 not really", ": not a whole Parquet file", "copy the file again"),
        ("a.parquet.gz", b"x", ": Parquet is compressed inside", "gunzip"),
        ("a.txt", "hi", ": its name does not end in a known format", ".csv .tsv .jsonl"),
    ],
)
def test_read_when_input_is_bad_then_one_error_with_place_and_hint(
    write, name: str, content: str | bytes, message: str, hint: str
) -> None:
    error = failure(write(name, content))
    assert message in error.message
    assert hint in error.hint


def test_read_when_gzip_body_is_damaged_then_error(write) -> None:
    whole = bytearray(gzip.compress(TSV.encode() * 500))
    whole[40] ^= 0xFF
    with pytest.raises(zlib.error):
        gzip.decompress(bytes(whole))
    assert "not a whole gzip file" in failure(write("a.tsv.gz", bytes(whole))).message


def test_read_when_file_is_missing_then_the_like_named_one_is_suggested(write) -> None:
    path = write("train.tsv", TSV)
    error = failure(path.with_name("trian.tsv"))
    assert "no such file; did you mean 'train.tsv'?" in error.message
    assert error.hint == f"ls {path.parent}"


def test_read_when_plain_folder_then_error(tmp_path: Path) -> None:
    error = failure(tmp_path)
    assert "not one that `datasets` saved" in error.message
    assert "save_to_disk()" in error.hint


def test_read_when_saved_folder_is_broken_then_error(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / "state.json").write_text("{}")
    assert "cannot be read as a saved data set" in failure(tmp_path).message


def test_read_when_text_and_label_are_one_column_then_error(write) -> None:
    error = failure(write("a.tsv", TSV), Columns("text", "text"))
    assert "both taken from column 'text'" in error.message


def test_read_when_parquet_label_is_null_then_row_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b"], "label": ["x", None]}), tmp_path / "a.parquet")
    assert "a.parquet: row 2: column 'label': the label is empty" in failure(tmp_path / "a.parquet").message


@pytest.mark.parametrize(("name", "content"), [("a.tsv", TSV), ("a.csv", CSV), ("a.jsonl", JSONL)])
def test_read_column_names_when_later_lines_are_broken_then_only_header_is_read(write, name: str, content: str) -> None:
    path = write(name, content.encode() + b"\xff" * 10)
    assert sorted(read_column_names(path)) == ["label", "text"]


@pytest.mark.parametrize(("name", "form"), [("a.tab", "tsv"), ("a.ndjson.gz", "jsonl"), ("b.pq", "parquet")])
def test_detect_format_when_other_usual_suffix_then_known(write, name: str, form: str) -> None:
    assert detect_format(write(name, b"")) == form


def test_read_when_a_csv_field_is_longer_than_csv_reads_by_itself_then_it_is_read_whole(write) -> None:
    text = "a long, long review " * 10_000
    path = write("a.csv", f'text,label\n"{text}",good\n')
    assert rows_of(path) == [(text.strip(), "good")]


def test_read_when_a_quote_is_never_closed_in_a_large_file_then_its_line(write) -> None:
    path = write("a.csv", 'text,label\nshort,good\n"never closed,good\n' + "another row,good\n" * 20_000)
    problem = failure(path)
    assert ":3: not CSV" in problem.message
    assert "close every quote" in problem.hint


SEVERAL = Columns("text", "label", separator=";")


def test_read_when_texts_may_have_several_labels_then_lists_and_strings_are_the_same(write) -> None:
    lists = read_labelled_texts(write("a.jsonl", '{"text": "x", "label": ["b", "a", "b"]}\n{"text": "y", "label": []}\n'
                                                 '{"text": "z", "label": 3}\n'), SEVERAL)
    strings = read_labelled_texts(write("a.csv", "text,label\nx,b; a ;b\ny,\nz,3\n"), SEVERAL)
    for found in (lists, strings):
        assert found.has_several_labels
        assert found.labels.to_pylist() == [["b", "a"], [], ["3"]]
        assert found.label_words.to_pylist() == ["b", "a", "3"]


def test_read_when_a_part_between_separators_is_empty_then_names_the_line(write) -> None:
    with pytest.raises(DataError, match=r"a\.tsv:3: column 'label': the label is empty"):
        read_labelled_texts(write("a.tsv", "text\tlabel\nx\tb\ny\ta;;b\n"), SEVERAL)


def test_read_when_datasets_has_class_names_of_lists_then_they_stand_for_their_numbers(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features({"text": datasets.Value("string"),
                                  "label": datasets.Sequence(datasets.ClassLabel(names=["no", "yes", "may be"]))})
    data = datasets.Dataset.from_dict({"text": ["x", "y"], "label": [[2, 0], []]}, features=features)
    data.save_to_disk(tmp_path / "saved")
    data.to_parquet(tmp_path / "a.parquet")
    for path in (tmp_path / "saved", tmp_path / "a.parquet"):
        assert read_labelled_texts(path, SEVERAL).labels.to_pylist() == [["may be", "no"], []]
        assert holds_lists(path, "label")
        assert not holds_lists(path, "text")


def test_holds_lists_when_the_first_row_of_jsonl_has_one_then_true(write) -> None:
    assert holds_lists(write("a.jsonl", '{"text": "x", "label": ["b"]}\n'), "label")
    assert not holds_lists(write("b.jsonl", '{"text": "x", "label": "b"}\n'), "label")
    assert not holds_lists(write("c.csv", "text,label\nx,b\n"), "label")


@pytest.mark.parametrize(("name", "content", "message", "hint"), [
    ("a.jsonl", '{"text": "x", "label": null}\n', "a.jsonl:1: column 'label': the labels are missing", "an empty list"),
    ("a.jsonl", '{"text": "x", "label": [1.0, 0.0, 0.0]}\n', "holds 0 and 1 for each class", "the names of the classes"),
    ("a.csv", 'text,label\nx,"[\'joy\', \'anger\']"\n', "a.csv:2: column 'label' holds a list as a string", "';' between them"),
])
def test_read_when_several_labels_are_written_in_another_way_then_one_error(
    write, name: str, content: str, message: str, hint: str
) -> None:
    with pytest.raises(DataError) as caught:
        read_labelled_texts(write(name, content), SEVERAL)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_read_when_a_cell_of_several_labels_holds_blanks_then_no_class_applies(write) -> None:
    assert read_labelled_texts(write("a.tsv", "text\tlabel\nx\t  \ny\ta\n"), SEVERAL).labels.to_pylist() == [[], ["a"]]


@pytest.mark.parametrize(("written", "labels"), [
    (["1.0", "0.00", "-2.0", "1"], ["1", "0", "-2", "1"]), (["1.0", "1.1", "2.0"], ["1.0", "1.1", "2.0"]),
])
def test_read_when_whole_numbers_are_written_with_a_point_then_the_labels_are_as_in_any_other_format(
    tmp_path: Path, written: list[str], labels: list[str]
) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"t{i},{label}\n" for i, label in enumerate(written)))
    assert [label for _, label in rows_of(tmp_path / "a.csv")] == labels
    numbers = pa.table({"text": [f"t{i}" for i in range(len(written))], "label": [float(label) for label in written]})
    pq.write_table(numbers, tmp_path / "a.parquet")
    assert [label for _, label in rows_of(tmp_path / "a.parquet")] == labels


def test_read_when_one_number_is_spelled_in_two_ways_then_it_is_one_label(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,1.0\nb,0.00\nc,-2.0\nd,1\ne,1.5\nf,v1.0\ng,[x]\n")
    assert [label for _, label in rows_of(tmp_path / "a.csv")] == ["1", "0.00", "-2.0", "1", "1.5", "v1.0", "[x]"]


def test_read_when_several_labels_are_whole_numbers_with_a_point_then_each_stands_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,label\na,"1.0;1;2.0"\nb,\nc,3;\n')
    found = read_labelled_texts(tmp_path / "a.csv", Columns("text", "label", separator=";"))
    assert found.labels.to_pylist() == [["1", "2"], [], ["3"]]


def test_read_when_a_cell_is_nothing_but_separators_then_the_label_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,a;b;\nb,;\n")
    with pytest.raises(DataError, match=r"a\.csv:3: column 'label': the label is empty"):
        read_labelled_texts(tmp_path / "a.csv", Columns("text", "label", separator=";"))


@pytest.mark.parametrize(("name", "content", "is_asked"), [
    ("a.csv", "fine old town,b\nmy friend,a\n", True), ("a.tsv", "fine old town\tb\n", True),
    ("a.csv", "sentence,label\nfine old town,b\n", False), ("a.jsonl", '{"fine": "old", "town": "b"}\n', False),
])
def test_read_when_the_first_line_names_no_columns_then_the_hint_asks_for_it(
    tmp_path: Path, name: str, content: str, is_asked: bool
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as caught:
        read_labelled_texts(tmp_path / name, Columns("text", "label"))
    assert ("does the first line name the columns?" in caught.value.hint) == is_asked


def test_read_when_a_path_holds_blanks_then_the_command_in_the_hint_has_it_in_quotes(tmp_path: Path) -> None:
    folder = tmp_path / "meine Daten"
    folder.mkdir()
    (folder / "a.parquet.gz").touch()
    assert failure(folder / "x.csv").hint == f"ls '{folder}'"
    assert failure(folder / "a.parquet.gz").hint == f"gunzip '{folder}/a.parquet.gz'"
