"""A column of 0 and 1 for each class: read from every format, as lists of the classes that apply."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgedistill.errors import DataError
from edgedistill.examples import read_examples
from edgedistill.prepare.columns import Columns
from edgedistill.prepare.read import read_labelled_texts
from edgedistill.prepare.stage import STAGE, Inputs, Settings
from edgedistill.results import Labels
from edgedistill.stage import Workspace

FLAGS = Columns("text", "label", separator=",", flags=("insult", "1.0", "threat"))
TABLE = {"text": ["a", "b", "c"], "threat": [1, 0, 0], "id": [7, 8, 9], "insult": [1, 0, 1], "1.0": [0, 0, 1]}
WANTED = [["insult", "threat"], [], ["insult", "1.0"]]

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(name: str, content: str) -> Path:
        (tmp_path / name).write_text(content, encoding="utf-8")
        return tmp_path / name

    return put


@pytest.mark.parametrize(("name", "content"), [
    ("a.csv", "text,threat,id,insult,1.0\na,1,7,1,0\nb,0,8,0,0\nc,0.0,9, True ,1.0\n"),
    ("a.tsv", "text\tthreat\tid\tinsult\t1.0\na\t1\t7\t1\t0\nb\tfalse\t8\t0\t0\nc\t0\t9\t1\t1\n"),
    ("a.jsonl", '{"text": "a", "threat": 1, "insult": true, "1.0": 0}\n{"text": "b", "threat": 0, "insult": 0, "1.0": false}\n'
                '{"1.0": 1.0, "insult": "1", "threat": "0", "text": "c"}\n'),
])
def test_read_columns_of_zero_and_one_in_text_files(write: Write, name: str, content: str) -> None:
    found = read_labelled_texts(write(name, content), FLAGS)
    assert found.has_several_labels
    assert found.labels.to_pylist() == WANTED


def test_read_columns_of_zero_and_one_in_parquet_and_saved_folders(tmp_path: Path) -> None:
    import datasets

    table = TABLE | {"insult": [True, False, True], "threat": [1.0, 0.0, 0.0]}
    data = datasets.Dataset.from_dict(table)
    data.save_to_disk(tmp_path / "saved")
    data.to_parquet(tmp_path / "a.parquet")
    for path in (tmp_path / "saved", tmp_path / "a.parquet"):
        assert read_labelled_texts(path, FLAGS).labels.to_pylist() == WANTED


@pytest.mark.parametrize(("name", "content", "message", "hint"), [
    ("a.csv", "text,threat,insult,1.0\na,1,0,0\nb,0,-1,0\n", "a.csv:3: column 'insult' holds '-1', 0 or 1 is expected", "remove the row"),
    ("a.csv", "text,threat,insult,1.0\na,1,,0\n", "a.csv:2: column 'insult' is empty, 0 or 1 is expected", "write 1 where"),
    ("a.jsonl", '{"text": "a", "threat": null, "insult": 0, "1.0": 0}\n', "a.jsonl:1: column 'threat' is empty", "write 1 where"),
    ("a.jsonl", '{"text": "a", "threat": 0.5, "insult": 0, "1.0": 0}\n', "a.jsonl:1: column 'threat' holds 0.5", "write 1 where"),
    ("a.jsonl", '{"text": "a", "threat": [1], "insult": 0, "1.0": 0}\n', "a.jsonl:1: column 'threat' holds [1]", "write 1 where"),
    ("a.csv", "text,threats,insult,1.0\na,1,0,0\n", "a.csv:1: no column 'threat'; did you mean 'threats'?", "--label-columns"),
    ("a.jsonl", '{"text": "a", "insult": 0, "1.0": 0}\n', "a.jsonl:1: no column 'threat'", "the columns are: text, insult, 1.0"),
    ("a.csv", "text,threat,insult,1.0,threat\na,1,0,0,1\n", "a.csv:1: two columns are called 'threat'", "a name of its own"),
])
def test_read_columns_of_zero_and_one_when_a_cell_or_column_is_wrong_then_named(
    write: Write, name: str, content: str, message: str, hint: str
) -> None:
    with pytest.raises(DataError) as failure:
        read_labelled_texts(write(name, content), FLAGS)
    assert message in failure.value.message
    assert hint in (failure.value.hint or "")


def prepared(write: Write, tmp_path: Path, content: str) -> Path:
    settings = Settings(label_separator=",", label_columns=("threat", "insult"), validation_share=0.2, test_share=0.2)
    return Workspace(tmp_path / "stages").perform("prepare", STAGE, settings, Inputs(write("train.csv", content))).folder


def test_prepare_of_columns_of_zero_and_one_gives_a_zero_or_one_a_class(write: Write, tmp_path: Path) -> None:
    rows = "".join(f"text number {i},{i % 2},{int(i % 3 == 0)}\n" for i in range(60))
    folder = prepared(write, tmp_path, "text,threat,insult\n" + rows)
    labels = Labels.read_json(folder / "labels.json")
    assert labels.labels == ("insult", "threat")
    assert labels.problem_type == "multi_label_classification"
    total = 0
    for split in ("train", "validation", "test"):
        examples = read_examples(folder / f"{split}.arrow")
        numbers = [int(text.split()[-1]) for text in examples.texts]
        np.testing.assert_array_equal(examples.labels, [[int(i % 3 == 0), i % 2] for i in numbers])
        total += len(numbers)
    assert total == 60


def test_prepare_of_a_column_that_is_always_zero_is_refused(write: Write, tmp_path: Path) -> None:
    rows = "".join(f"text number {i},{i % 2},0\n" for i in range(60))
    with pytest.raises(DataError, match=r"train\.csv: column 'insult' is 0 in all 60 rows"):
        prepared(write, tmp_path, "text,threat,insult\n" + rows)


def test_settings_without_such_columns_are_written_as_before() -> None:
    assert "label_columns" not in Settings().to_json()
    assert "label_columns" in Settings(label_separator=",", label_columns=("a", "b")).to_json()


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_read_when_text_and_label_are_one_column_then_refused(write: Write, name: str) -> None:
    content = '{"text": "a", "label": "b"}\n' if name.endswith("jsonl") else "text,label\na,b\n"
    with pytest.raises(DataError, match="text and label are both taken from column 'label'"):
        read_labelled_texts(write(name, content), Columns("label", "label"))


def test_read_labels_of_thousands_of_digits(write: Write, tmp_path: Path) -> None:
    digits = "1" * 5000
    rows = [f'{{"text": "t {i}", "label": "{label}"}}\n' for i, label in enumerate((digits + ".0", f"LABEL_{digits}") * 10)]
    folder = Workspace(tmp_path / "stages").perform("prepare", STAGE, Settings(), Inputs(write("a.jsonl", "".join(rows)))).folder
    assert len(Labels.read_json(folder / "labels.json").labels) == 2
