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
