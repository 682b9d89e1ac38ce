"""Data files on the command line: labels matched by the model's class names, one a text or several."""

from pathlib import Path

import pytest

from edgedistill.errors import DataError
from edgedistill.examples import read_examples
from edgedistill.problem_type import SEVERAL_LABELS
from edgedistill.tasks.task import DataFile
from edgedistill.tasks.text_classification.data_file import write_text_examples

NAMES = ("up", "down")


def written(tmp_path: Path, name: str, content: str, **how: object) -> list[object]:
    (tmp_path / name).write_text(content, encoding="utf-8")
    write_text_examples(DataFile(tmp_path / name, "test", **how), tmp_path / "out.arrow")  # type: ignore[arg-type]
    return read_examples(tmp_path / "out.arrow").labels.tolist()


def test_write_text_examples_when_the_model_gives_one_label_then_its_number(tmp_path: Path) -> None:
    assert written(tmp_path, "a.csv", "text,label\nx,down\ny,up\n", names=NAMES) == [1, 0]


def test_write_text_examples_when_labels_are_not_needed_then_none(tmp_path: Path) -> None:
    assert written(tmp_path, "a.csv", "text,label\nx,sideways\n", names=None) == [-1]


@pytest.mark.parametrize(("content", "expected"), [("text,label\nx,down\ny,up\n", [1, 0]), ("text\nx\ny\n", [-1, -1])])
def test_write_text_examples_when_labels_may_lack_then_those_that_are_there_are_read(
    tmp_path: Path, content: str, expected: list[int]
) -> None:
    assert written(tmp_path, "a.csv", content, names=NAMES, may_lack_labels=True) == expected


def test_write_text_examples_when_labels_may_lack_and_each_class_has_a_column_then_they_are_read(tmp_path: Path) -> None:
    how = {"names": NAMES, "problem": SEVERAL_LABELS, "may_lack_labels": True}
    assert written(tmp_path, "a.csv", "text,down,up\nx,1,0\n", **how) == [[0, 1]]


@pytest.mark.parametrize(("name", "content"), [
    ("a.tsv", "text\tlabel\nx\tdown,up\ny\t\nz\tdown\n"),
    ("a.jsonl", '{"text": "x", "label": ["down", "up"]}\n{"text": "y", "label": []}\n{"text": "z", "label": "down"}\n'),
])
def test_write_text_examples_when_the_model_gives_several_then_a_zero_or_one_a_class(
    tmp_path: Path, name: str, content: str
) -> None:
    assert written(tmp_path, name, content, names=NAMES, problem=SEVERAL_LABELS) == [[1, 1], [0, 0], [0, 1]]


def test_write_text_examples_when_the_model_does_not_know_one_of_several_then_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.tsv:3: the model does not know the label 'sideways'; it knows up, down"):
        written(tmp_path, "a.tsv", "text\tlabel\nx\tup\ny\tup,sideways\n", names=NAMES, problem=SEVERAL_LABELS)


def test_write_text_examples_when_no_comma_stands_between_labels_then_says_how_to_read_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv:2: 'up;down' is several labels, and no comma stands between them") as caught:
        written(tmp_path, "a.csv", "text,label\nx,up;down\n", names=NAMES, problem=SEVERAL_LABELS)
    assert "edgedistill prepare" in caught.value.hint


def test_write_text_examples_when_each_class_has_a_column_then_a_zero_or_one_a_class(tmp_path: Path) -> None:
    assert written(tmp_path, "a.csv", "text,down,up\nx,1,1\ny,0,0\nz,1,0\n", names=NAMES, problem=SEVERAL_LABELS) == [[1, 1], [0, 0], [0, 1]]


def test_write_text_examples_when_a_class_has_no_column_then_says_what_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no columns called text and label, or text and a column of 0 and 1 for each class"):
        written(tmp_path, "a.csv", "text,down\nx,1\n", names=NAMES, problem=SEVERAL_LABELS)


def test_write_text_examples_when_there_is_a_label_column_too_then_the_columns_of_the_classes_are_read(tmp_path: Path) -> None:
    content = "text,label,up,down\nx,up,0,1\ny,up,0,0\n"
    assert written(tmp_path, "a.csv", content, names=NAMES, problem=SEVERAL_LABELS) == [[0, 1], [0, 0]]


@pytest.mark.parametrize("problem", ["single_label_classification", SEVERAL_LABELS])
def test_write_text_examples_when_labels_are_not_needed_then_texts_are_enough(tmp_path: Path, problem: str) -> None:
    assert written(tmp_path, "a.csv", "text,up,down\nx,0,1\ny,1,1\n", names=None, problem=problem) == [-1, -1]


def test_write_text_examples_when_labels_are_spelled_otherwise_than_classes_then_the_same_class(tmp_path: Path) -> None:
    assert written(tmp_path, "a.csv", "text,label\nx,2.0\ny,1.0\n", names=("1", "2")) == [1, 0]
    assert written(tmp_path, "b.csv", "text,label\nx,false\ny,True\n", names=("True", "False")) == [1, 0]
