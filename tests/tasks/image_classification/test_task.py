"""What the door of pictures hands to its stages."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgedistill.catalog import LocatedRecipe
from edgedistill.errors import ArtifactError, DataError, RecipeError
from edgedistill.plan import PictureSize
from edgedistill.recipe import FineTuning, LossTerm, Recipe, Teacher, TransferSet
from edgedistill.tasks.image_classification.families import EXPORTED, OF_OTHER_INPUTS
from edgedistill.tasks.image_classification.pictures import Rows, write_pictures
from edgedistill.tasks.image_classification.shape import ResNetShape
from edgedistill.tasks.image_classification.starting_point import amounts_for
from edgedistill.tasks.image_classification.task import DOOR
from edgedistill.tasks.image_classification.training_settings import enough_for_a_new_teacher
from edgedistill.tasks.task import TrainingFolders

from .conftest import MakeFolder

SHAPE = ResNetShape(id="s", family="resnet", stem=4, widths=(4, 8), depths=(1, 1))


def _recipe(**changes: float) -> Recipe:
    return Recipe.model_validate({
        "id": "r", "task": "image-classification", "data": {"train": "photos"}, "pictures": {"changes": changes},
        "teacher": {"name": "t", "configuration": {"model_type": "resnet"}, "fine_tuning": {"epochs": 3}},
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


def test_student_when_only_the_baseline_is_another_then_the_same() -> None:
    def settings(**changes: object) -> str:
        recipe = _recipe()
        recipe = recipe.model_copy(update={"distillation": recipe.distillation.model_copy(update=changes)})
        return DOOR.distil(recipe, SHAPE, TrainingFolders(Path("data"), Path("teacher"), Path("taught"))).settings.to_json()

    assert settings() == settings(baseline=False, baseline_rows_seen=9)
    assert settings() != settings(rows_seen=9)


def test_check_when_the_teacher_s_family_has_no_export_then_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "focalnet"}', encoding="utf-8")
    (tmp_path / "preprocessor_config.json").write_text('{"image_processor_type": "BitImageProcessor"}', encoding="utf-8")
    with pytest.raises(RecipeError, match="a teacher of the family focalnet cannot be exported to ONNX") as refused:
        DOOR.check(_recipe(), tmp_path)
    assert "choose another family" in refused.value.hint
    assert ", resnet, " in refused.value.hint


@pytest.mark.parametrize("family", ["metaclip_2", "imagegpt", "perceiver"])
def test_check_when_the_teacher_s_family_reads_more_than_pixels_then_refused_before_any_work(family: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}), encoding="utf-8")
    (tmp_path / "preprocessor_config.json").write_text('{"image_processor_type": "CLIPImageProcessor"}', encoding="utf-8")
    with pytest.raises(RecipeError, match=f"a teacher of the family {family} cannot be fed and exported"):
        DOOR.check(_recipe(), tmp_path)


def test_exported_families_when_compared_with_optimum_then_the_same() -> None:
    import optimum.exporters.onnx.model_configs  # noqa: F401 - registers what it exports
    from optimum.exporters.tasks import TasksManager

    known = TasksManager._SUPPORTED_MODEL_TYPE
    assert {kind for kind, found in known.items() if "image-classification" in found.get("onnx", {})} == EXPORTED | OF_OTHER_INPUTS


def test_find_teacher_when_a_configuration_is_called_like_a_folder_then_refused(tmp_path: Path) -> None:
    located = LocatedRecipe(_recipe(), tmp_path)
    assert DOOR.find_teacher(located) is None
    (tmp_path / "t").mkdir()
    with pytest.raises(RecipeError, match="t is a folder, and the run trains another teacher") as refused:
        DOOR.find_teacher(located)
    assert "remove teacher.configuration to take t" in refused.value.hint


def test_teach_when_epochs_are_left_open_then_by_the_pictures_and_when_given_then_as_given(tmp_path: Path) -> None:
    rows = Rows(*([f"{name}{row}" for row in range(65)] for name in "ab"), [row % 2 for row in range(65)])
    write_pictures(tmp_path / "train.arrow", rows, [np.zeros((65, 8, 8, 1), np.uint8)], size=PictureSize(8, 1))

    def epochs(**tuning: int) -> int | None:
        recipe = _recipe()
        teacher = recipe.teacher.model_copy(update={"fine_tuning": FineTuning(batch_size=64, **tuning)})
        return DOOR.teach(recipe.model_copy(update={"teacher": teacher}), tmp_path, None).settings.fine_tuning.epochs

    assert epochs() == 1000  # two steps a pass
    assert epochs(epochs=30) == 30


@pytest.mark.parametrize(("rows", "rows_seen", "epochs"), [
    (65, 100_000, 781),  # no more than the student sees: 781 passes of 2 x 64 pictures are 99,968
    (65, 250_000, 1000), (3_000, 250_000, 43), (10_000, 400_000, 30), (50_000, 2_000_000, 30), (200_000, 3_000_000, 15),
    (500, 100, 1),
])
def test_enough_for_a_new_teacher_is_2000_steps_or_30_passes_within_what_the_student_sees(
    rows: int, rows_seen: int, epochs: int
) -> None:
    assert enough_for_a_new_teacher(FineTuning(batch_size=64), rows, rows_seen=rows_seen).epochs == epochs


@pytest.mark.parametrize(("pictures", "classes", "expected"), [
    (65, 2, (100_000, 100_000, 40)), (3_211, 10, (130_000, 130_000, 40)), (50_000, 10, (2_000_000, 2_000_000, 40)),
    (100_000, 10, (3_000_000, 2_000_000, 20)), (100_000, 200, (3_000_000, 1_250_000, 12)), (5_000_000, 10, (3_000_000, 2_000_000, 1)),
])
def test_amounts_when_there_are_so_many_pictures_then_40_passes_within_bounds(
    pictures: int, classes: int, expected: tuple[int, int, int]
) -> None:
    found = amounts_for(pictures, classes=classes)
    assert (found.seen, found.rows, found.copies) == expected


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


@pytest.mark.parametrize(("rows", "data", "made"), [
    (2, {"train": "photos"}, "test and validation"), (1, {"train": "photos", "test": "test"}, "validation"),
    (2, {"train": "photos", "test": "test"}, ""), (1, {"train": "photos", "test": "test", "validation": "test"}, ""),
    (3, {"train": "photos"}, ""),
])
def test_facts_before_when_there_are_too_few_pictures_to_split_then_refused_before_prepare(
    make_folder: MakeFolder, tmp_path: Path, rows: int, data: dict[str, str], made: str
) -> None:
    make_folder(rows=rows)
    make_folder("test", rows=4)
    recipe = Recipe.model_validate(_recipe().model_dump() | {"data": data})
    if not made:
        assert DOOR.facts_before(LocatedRecipe(recipe, tmp_path)).train_rows == 2 * rows
        return
    with pytest.raises(DataError, match=f"are too few to split off .*{made.split()[-1]}.*; at least"):
        DOOR.facts_before(LocatedRecipe(recipe, tmp_path))


def test_facts_before_when_the_folder_holds_its_splits_then_none_is_made_of_few_pictures(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    for split in ("train", "validation", "test"):
        make_folder(f"photos/{split}", rows=1)
    assert DOOR.facts_before(LocatedRecipe(_recipe(), tmp_path)).train_rows == 2


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
