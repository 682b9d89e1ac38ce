"""Teachers of a configuration: families whose classes take size and number of classes otherwise, and what is refused before any work."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from edgedistill.catalog import LocatedRecipe
from edgedistill.errors import RecipeError
from edgedistill.host import this_host
from edgedistill.plan import PictureSize
from edgedistill.recipe import Recipe
from edgedistill.tasks.image_classification import teacher_model, trial
from edgedistill.tasks.image_classification.encoding import PREPROCESSOR_FILE, Preprocessing
from edgedistill.tasks.image_classification.task import DOOR
from edgedistill.tasks.image_classification.teach_stage import TeacherSettings

from .conftest import MakeFolder

_VIT = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8, "patch_size": 8}
_THREE = {"num_attention_heads": [1] * 3, "depths": [1] * 3, "key_dim": [4] * 3}
FAMILIES: dict[str, dict[str, Any]] = {
    "clip": {"vision_config": _VIT}, "deit": _VIT, "levit": {"hidden_sizes": [8] * 3, **_THREE},
    "hiera": {"embed_dim": 4, "depths": [1] * 4, "num_heads": [1, 1, 2, 2]},
    "swin": {"embed_dim": 4, "depths": [1, 1], "num_heads": [1, 1], "window_size": 4},
}
SWIN = {"model_type": "swin", "embed_dim": 4, "depths": [1] * 4, "num_heads": [1, 1, 1, 2]}
"""Its windows of 7 are larger than what 32 pixels leave."""


@pytest.mark.parametrize("family", FAMILIES)
def test_make_when_of_a_family_then_it_answers_pictures_of_the_size(family: str) -> None:
    model = teacher_model.make_image_classifier({"model_type": family, **FAMILIES[family]}, ("a", "b", "c"), PictureSize(32, 1))
    assert model.training
    assert model(pixel_values=torch.zeros(2, 1, 32, 32)).logits.shape == (2, 3)
    assert model.config.id2label == {0: "a", 1: "b", 2: "c"}


def test_make_when_windows_do_not_fit_the_pictures_then_refused_with_the_keys() -> None:
    with pytest.raises(RecipeError, match="teacher.configuration: a swin of these values takes no pictures of 32 x 32") as refused:
        teacher_model.make_image_classifier(SWIN, ("a", "b"), PictureSize(32, 3))
    assert "--set pictures.side=" in refused.value.hint


def _located(folder: Path, configuration: dict[str, Any]) -> LocatedRecipe:
    recipe = Recipe.model_validate({
        "id": "r", "task": "image-classification", "data": {"train": folder.name}, "pictures": {"side": 32},
        "teacher": {"name": "t", "configuration": configuration},
    })
    return LocatedRecipe(recipe, folder.parent)


def test_before_work_when_the_teacher_takes_no_such_pictures_then_refused(make_folder: MakeFolder, tmp_path: Path) -> None:
    settled = DOOR.settle(_located(make_folder(rows=1), SWIN), [])
    with pytest.raises(RecipeError, match="takes no pictures of 32 x 32 pixels and 3 channels"):
        settled.before_work(tmp_path / "stages")


@pytest.mark.parametrize(("configuration", "side", "is_tried"), [(SWIN, 32, False), (SWIN, 64, True), ({}, 32, True)])
def test_before_work_when_such_a_teacher_was_trained_here_then_not_tried_again(
    configuration: dict[str, Any], side: int, is_tried: bool, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    located = _located(make_folder(rows=1), SWIN)
    folder = tmp_path / "stages" / "teach" / "key"
    folder.mkdir(parents=True)
    (folder / PREPROCESSOR_FILE).write_text(Preprocessing(PictureSize(side, 3), (0.5,) * 3, (0.5,) * 3).to_json())
    settings = TeacherSettings(fine_tuning=located.recipe.teacher.fine_tuning, configuration=configuration, copies=1,
                               changes=located.recipe.pictures.changes, seed=1)
    (folder / "manifest.json").write_text(json.dumps({
        "step": "teach", "stage": "teach", "stage_version": 1, "key": "k", "settings_json": settings.to_json(), "inputs": {},
        "outputs": [], "tools": {}, "host": this_host().model_dump(mode="json"), "started": "2026-01-01T00:00:00Z", "duration_s": 1}))
    tried: list[object] = []
    monkeypatch.setattr(teacher_model, "make_image_classifier", lambda *given: tried.append(given))
    trial.try_configuration(located, tmp_path / "stages")
    assert (tried != []) == is_tried


def test_before_work_when_the_configuration_is_init_s_then_nothing_is_opened(tmp_path: Path) -> None:
    trial.try_configuration(_located(tmp_path / "absent", trial.OWN_TEACHER.configuration or {}), tmp_path)
