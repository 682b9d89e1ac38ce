"""init and plan with a column of 0 and 1 for each class."""

from pathlib import Path

import pytest

from edgedistill.cli.app import run_command_line
from edgedistill.data_settings import Data
from edgedistill.errors import RecipeError
from edgedistill.recipe import read_recipe

FLAGS = ("toxic", "insult", "threat")


@pytest.fixture
def comments(tmp_path: Path) -> Path:
    path = tmp_path / "comments.csv"
    rows = (f"{i},comment number {i},{i % 2},{int(i % 3 == 0)},{int(i % 5 == 0)}\n" for i in range(60))
    path.write_text("id,text,toxic,insult,threat\n" + "".join(rows), encoding="utf-8")
    return path


def test_init_with_label_columns_then_plan_counts_their_classes(comments: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    assert run_command_line(["init", "--train", str(comments), "--label-columns", ",".join(FLAGS), "-o", str(recipe)]) == 0
    found = read_recipe(recipe).data
    assert (found.label_columns, found.several_labels, found.problem_type) == (FLAGS, True, "multi_label_classification")
    capsys.readouterr()
    assert run_command_line(["plan", "--recipe", str(recipe), "--target", "raspberry-pi"]) == 0
    assert "3 classes" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "message"), [
    (["--label-columns", "toxic"], "the names of two columns or more"),
    (["--label-columns", "toxic,,insult"], "the names of two columns or more"),
    (["--label-columns", "toxic,toxic"], "the names of two columns or more"),
    (["--label-columns", "toxic,insult", "--label-separator", ";"], "both say how several labels are written"),
    (["--label-columns", "toxic,insult", "--label-column", "threat"], "both name the labels"),
    (["--label-columns", "toxic,insults"], "no column 'insults'; did you mean 'insult'?"),
    (["--label-columns", "toxic,text"], "text and label are both taken from column 'text'"),
])
def test_init_with_label_columns_that_cannot_be_is_refused(
    comments: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run_command_line(["init", "--train", str(comments), *arguments, "-o", str(tmp_path / "recipe.yaml")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "recipe.yaml").exists()


def test_init_images_with_label_columns_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    assert run_command_line(["init", "--images", str(tmp_path / "photos"), "--label-columns", "a,b"]) == 2
    assert "--label-columns: a picture has one label" in capsys.readouterr().err


@pytest.mark.parametrize(("names", "message"), [
    ("[toxic]", "name it as label_column"), ("[a, a]", "each once"), ("[a, '']", "none of them empty"),
])
def test_recipe_with_label_columns_that_cannot_be_is_refused(tmp_path: Path, names: str, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"schema_version: 1\nid: x\ntask: text-classification\ndata: {{train: a.csv, label_columns: {names}}}\n")
    with pytest.raises(RecipeError, match=message):
        read_recipe(path)


def test_recipe_with_label_columns_has_several_labels_without_more() -> None:
    data = Data(train="a.csv", label_columns=("a", "b"))
    assert data.problem_type == "multi_label_classification"
    assert data.separator is not None
