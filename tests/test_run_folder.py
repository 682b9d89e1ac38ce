"""The run folder: an id that moves with it, and a locked recipe whose paths are seen from it."""

import shutil
from pathlib import Path

import pytest

from edgedistill.catalog import LocatedRecipe
from edgedistill.errors import StorageError
from edgedistill.recipe import Recipe
from edgedistill.run_folder import left_by_earlier_runs, locked_recipe, require_outside_inputs, run_id


def test_run_id_when_asked_again_or_after_a_move_then_the_same(tmp_path: Path) -> None:
    first = run_id(tmp_path / "one")
    assert run_id(tmp_path / "one") == first
    shutil.move(tmp_path / "one", tmp_path / "two")
    assert run_id(tmp_path / "two") == first


def test_run_id_when_of_two_folders_then_different(tmp_path: Path) -> None:
    assert run_id(tmp_path / "one") != run_id(tmp_path / "two")


def test_locked_recipe_when_a_study_is_shared_then_its_path_is_seen_from_the_run_folder(tmp_path: Path) -> None:
    recipe = Recipe.model_validate({
        "id": "mine", "task": "text-classification", "data": {"train": "t.csv"}, "teacher": {"name": "t"},
        "search": {"study": "shared/study.journal"}, "student": {"ladder": "shapes.yaml"},
    })
    locked = locked_recipe(LocatedRecipe(recipe, tmp_path), tmp_path / "runs" / "mine")
    assert locked.search.study == "../../shared/study.journal"
    assert locked.data.train == "../../t.csv"
    assert locked.student.ladder == "../../shapes.yaml"


@pytest.mark.parametrize(("task", "place"), [
    ("image-classification", {"data": {"train": "."}, "teacher": {"name": "t"}}),
    ("text-classification", {"data": {"train": "t.csv"}, "teacher": {"name": "."}}),
])
def test_require_outside_inputs_when_the_run_folder_lies_in_one_then_names_one_that_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, place: dict[str, dict[str, str]]
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    monkeypatch.chdir(given)
    located = LocatedRecipe(Recipe.model_validate({"id": "mine", "task": task, **place}), given)
    key = "data.train" if place["data"]["train"] == "." else "teacher.name"
    with pytest.raises(StorageError, match=rf"runs/mine: lies in .*given, the folder of {key}") as refused:
        require_outside_inputs(located, Path("runs/mine"))
    assert refused.value.hint == "choose a folder outside, for example -o ../runs/mine"
    require_outside_inputs(located, Path("../runs/mine"))


def test_left_by_earlier_runs_when_a_folder_may_not_be_read_then_it_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "foreign" / "bundle").mkdir(parents=True)
    (tmp_path / "foreign" / "bundle.zip").write_bytes(b"")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    monkeypatch.setattr(Path, "is_file", lambda path: pytest.fail(f"{path} was looked at"))
    assert left_by_earlier_runs(tmp_path, ()) == ()


def test_left_by_earlier_runs_when_other_targets_lie_there_then_names_them_and_nothing_else(tmp_path: Path) -> None:
    for file in ("pi/bundle/bundle.json", "phone/bundle.zip", "failed/student/ort_config.json", ".stages/distill/k/model.onnx",
                 "notes/bundle/readme.txt"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "report.json").touch()
    (told,) = left_by_earlier_runs(tmp_path, ["pi"])
    assert told.what == "failed/, phone/: left as an earlier run wrote it; no figure of this report is of it"
    assert left_by_earlier_runs(tmp_path, ["pi", "phone", "failed"]) == ()
    assert (tmp_path / "phone/bundle.zip").is_file()
