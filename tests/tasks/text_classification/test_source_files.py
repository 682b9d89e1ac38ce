"""What a recipe of texts may not say: settings of pictures, and files that are not there."""

from pathlib import Path

import pytest

from edgedistill.cli.app import run_command_line


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"text {i},{i % 2}\n" for i in range(30)), encoding="utf-8")
    assert run_command_line(["init", "--train", str(tmp_path / "a.csv"), "-o", str(tmp_path / "recipe.yaml")]) == 0
    return tmp_path / "recipe.yaml"


@pytest.mark.parametrize(("setting", "message"), [
    ("pictures.side=32", "pictures: side: for pictures"), ("data.unlabelled=nope.txt", "nope.txt: no such file"),
])
def test_plan_of_texts_with_what_would_change_nothing_or_is_not_there_is_refused(
    recipe: Path, capsys: pytest.CaptureFixture[str], setting: str, message: str
) -> None:
    assert run_command_line(["plan", "--recipe", str(recipe), "--target", "raspberry-pi", "--set", setting]) == 2
    assert message in capsys.readouterr().err


def test_plan_of_several_labels_that_are_zero_and_one_is_refused(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"text {i},{i % 2} {1 - i % 2}\n" for i in range(30)), encoding="utf-8")
    settings = ["--set", "data.several_labels=true", "--set", "data.label_separator=' '"]
    assert run_command_line(["plan", "--recipe", str(recipe), "--target", "raspberry-pi", *settings]) == 2
    assert "a.csv: column 'label' holds 0 and 1 for each class" in capsys.readouterr().err


TRAIN = [(f"text {i}", str(i % 2)) for i in range(30)]


@pytest.mark.parametrize(("train", "files", "message"), [
    ([("hi", "a"), ("ho", "b")], {}, "a.csv: 2 different rows in 2 classes are too few to split off test and validation; at least 3 of"),
    ([("hi", "a"), ("Hi", "a"), ("ho", "b")] * 9, {}, "a.csv: 2 different rows in 2 classes are too few to split off"),
    ([(f"text {i}", f"id {i}") for i in range(40)], {}, "a.csv: nearly every row has a label of its own: 40 different rows"),
    (TRAIN, {"test": TRAIN}, "a.csv: every text of train stands in test too"),
    (TRAIN, {"test": TRAIN[:9], "validation": TRAIN[4:9]}, "validation.csv: every text of validation stands in test too"),
    ([*TRAIN, ("rare", "2")], {"test": [("rare", "2")]}, "a.csv: every training text of class '2' stands in validation or test too"),
    (TRAIN, {"test": [("new", "7")]}, "test.csv:2: label '7' is not in train"),
])
def test_plan_of_texts_that_prepare_would_refuse_is_refused_with_the_same_words(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], train: list[tuple[str, str]],
    files: dict[str, list[tuple[str, str]]], message: str,
) -> None:
    for name, rows in {"a": train, **files}.items():
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    settings = [part for name in files for part in ("--set", f"data.{name}={name}.csv")]
    told = []
    for command in (["plan", "--target", "raspberry-pi"], ["prepare", "-o", str(tmp_path / "out")]):
        assert run_command_line([*command, "--recipe", str(recipe), *settings]) == 2
        told.append(capsys.readouterr().err)
    assert message in told[0]
    assert told[0] == told[1]
