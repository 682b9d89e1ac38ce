"""What the door of texts hands to its stages."""

from pathlib import Path

from edgedistill.plan import DataFacts
from edgedistill.recipe import Distillation, Recipe
from edgedistill.tasks.task import TrainingFolders
from edgedistill.tasks.text_classification.task import DOOR

RECIPE = Recipe.model_validate({
    "id": "r", "task": "text-classification", "data": {"train": "t.csv"}, "teacher": {"name": "t"},
})
FOLDERS = TrainingFolders(Path("data"), Path("teacher"), Path("taught"))


def _settings(**changes: object) -> tuple[str, str]:
    """What a student and its fine-tuning for int8 are known by."""
    recipe = RECIPE.model_copy(update={"distillation": Distillation.model_validate(changes)})
    student = DOOR.distil(recipe, DOOR.ladder()[0], FOLDERS)
    tuned = DOOR.tune_for_int8(recipe, FOLDERS, student=Path("student"), graph=Path("model.onnx"), scheme="dynamic_wi8_afp32")
    return student.settings.to_json(), tuned.settings.to_json()


def test_student_and_fine_tuning_when_only_the_baseline_is_another_then_the_same() -> None:
    assert _settings() == _settings(baseline=False, baseline_rows_seen=9)
    for one, other in zip(_settings(), _settings(rows_seen=9), strict=True):
        assert one != other


def test_facts_in_words_when_the_teacher_cannot_read_some_then_say_how_much() -> None:
    assert DOOR.facts_in_words(DataFacts(3, 10, 5, unread_share=0.02)).endswith("; the teacher cannot read 2.0% of them")
    assert DOOR.facts_in_words(DataFacts(3, 10, 5, unread_share=0.009)).endswith("5 in the median")


def test_student_when_the_recipe_has_its_defaults_then_known_by_all_of_them() -> None:
    student = DOOR.distil(RECIPE, DOOR.ladder()[0], FOLDERS).settings
    assert student.distillation.to_json() == RECIPE.distillation.to_json()
