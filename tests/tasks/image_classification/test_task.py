"""What the door of pictures hands to its stages."""

from pathlib import Path

from edgedistill.recipe import Recipe
from edgedistill.tasks.image_classification.shape import ResNetShape
from edgedistill.tasks.image_classification.task import DOOR

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
