"""What the door of pictures hands to its stages."""

import json
from pathlib import Path

import pytest

from edgedistill.catalog import LocatedRecipe
from edgedistill.errors import ArtifactError, DataError
from edgedistill.recipe import LossTerm, Recipe, Teacher, TransferSet
from edgedistill.tasks.image_classification.shape import ResNetShape
from edgedistill.tasks.image_classification.task import DOOR

from .conftest import MakeFolder

SHAPE = ResNetShape(id="s", family="resnet", stem=4, widths=(4, 8), depths=(1, 1))


def _recipe(**changes: float) -> Recipe:
    return Recipe.model_validate({
        "id": "r", "task": "image-classification", "data": {"train": "photos"}, "pictures": {"changes": changes},
        "teacher": {"name": "t", "configuration": {"model_type": "resnet"}},
    })


def test_mixing_when_another_then_only_what_mixes_is_made_anew() -> None:
    def settings(recipe: Recipe) -> list[str]:
        data = Path("data")
        works = (DOOR.teach(recipe, data, None), DOOR.train_baseline(recipe, SHAPE, student=Path("student"), data=data),
                 DOOR.label(recipe, data, Path("teacher")))
        return [work.settings.to_json() for work in works]

    plain, mixed, moved = (settings(_recipe(**changes)) for changes in ({}, {"mixup": 0.1, "cutmix": 0.6}, {"shift": 0.2}))
    assert [a == b for a, b in zip(plain, mixed, strict=True)] == [True, True, False]
    assert [a == b for a, b in zip(plain, moved, strict=True)] == [False, False, False]


def test_baseline_when_only_the_teaching_is_another_then_the_same_and_when_its_training_is_then_another() -> None:
    def settings(**changes: object) -> str:
        recipe = _recipe()
        recipe = recipe.model_copy(update={"distillation": recipe.distillation.model_copy(update=changes)})
        return DOOR.train_baseline(recipe, SHAPE, student=Path("student"), data=Path("data")).settings.to_json()

    assert settings() == settings(temperature=7.0, alpha=0.2, losses=(LossTerm(name="decoupled-kd"),),
                                  transfer_set=TransferSet(rows=9, copies=2))
    for change in ({"learning_rate": 0.5}, {"batch_size": 7}, {"rows_seen": 9}, {"baseline_rows_seen": 9}, {"weight_decay": 0.5}):
        assert settings() != settings(**change)


def test_check_when_the_teacher_s_processor_is_not_known_then_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text('{"image_processor_type": "PerceiverImageProcessor"}', encoding="utf-8")
    with pytest.raises(ArtifactError, match="image processor Perceiver is not known here") as refused:
        DOOR.check(_recipe(), tmp_path)
    assert "ViTImageProcessor(size={'height': N, 'width': N}, ...).save_pretrained(DIR)" in refused.value.hint


def test_facts_before_when_a_split_inside_has_no_classes_then_refused_before_prepare(make_folder: MakeFolder, tmp_path: Path) -> None:
    make_folder("photos/train", rows=1)
    (tmp_path / "photos" / "Test").mkdir()
    with pytest.raises(DataError, match="Test: has no folders, one for each class is expected in the test split"):
        DOOR.facts_before(LocatedRecipe(_recipe(), tmp_path))


@pytest.mark.parametrize(("names", "classes"), [(("light", "mid", "dark"), 3), (("tench", "shark", "ray"), 2)])
def test_facts_before_when_the_teacher_is_trained_then_its_classes_count_where_it_is_taken(
    names: tuple[str, ...], classes: int, make_folder: MakeFolder, tmp_path: Path
) -> None:
    make_folder()
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    config = {"architectures": ["ResNetForImageClassification"], "id2label": {str(i): name for i, name in enumerate(names)}}
    (teacher / "config.json").write_text(json.dumps(config))
    (teacher / "model.safetensors").write_bytes(b"")
    (teacher / "preprocessor_config.json").write_text("{}")
    recipe = _recipe().model_copy(update={"teacher": Teacher(name="teacher")})
    assert DOOR.facts_before(LocatedRecipe(recipe, tmp_path)).classes == classes
