"""Finding the task: by name, by model folder, by examples; and the inputs of decorated models."""

import functools
from pathlib import Path

import numpy as np
import pytest

from edgedistill.errors import RecipeError, UsageError
from edgedistill.examples import read_examples, write_examples
from edgedistill.plan import PictureSize
from edgedistill.recipe import Recipe
from edgedistill.tasks.encoding import inputs_of
from edgedistill.tasks.image_classification.pictures import Rows, pixels_of, write_pictures
from edgedistill.tasks.registry import known_task, task_named, task_of_examples, task_of_model


def test_task_of_model_when_a_processor_lies_in_it_then_pictures_else_texts(tmp_path: Path) -> None:
    assert task_of_model(tmp_path).name == "text-classification"
    (tmp_path / "preprocessor_config.json").write_text("{}", encoding="utf-8")
    assert task_of_model(tmp_path).name == "image-classification"


@pytest.mark.parametrize(("architecture", "task"), [
    ("CLIPForImageClassification", "image-classification"), ("BertForSequenceClassification", "text-classification"),
])
def test_task_of_model_when_the_files_of_both_lie_in_it_then_by_its_class(architecture: str, task: str, tmp_path: Path) -> None:
    for name in ("tokenizer.json", "preprocessor_config.json"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    (tmp_path / "config.json").write_text(f'{{"architectures": ["{architecture}"]}}', encoding="utf-8")
    assert task_of_model(tmp_path).name == task


@pytest.mark.parametrize("config", ["{", "[]", "{}", '{"architectures": null}', '{"architectures": [7, "CLIPModel"]}'])
def test_task_of_model_when_config_json_names_no_classifier_then_by_its_files(config: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    assert task_of_model(tmp_path).name == "image-classification"


def test_task_of_examples_when_pictures_then_they_read_back(tmp_path: Path) -> None:
    write_examples(tmp_path / "t.arrow", ["a"], ["text"], [0])
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), dtype=np.uint8)
    write_pictures(tmp_path / "p.arrow", Rows("abc", "xyz", (0, 1, -1)), [pixels[:2], pixels[2:]], size=PictureSize(4, 1))
    examples = read_examples(tmp_path / "p.arrow")
    assert task_of_examples(read_examples(tmp_path / "t.arrow")).name == "text-classification"
    assert task_of_examples(examples).name == "image-classification"
    assert examples.shown == ["x", "y", "z"]
    np.testing.assert_array_equal(pixels_of(examples).take([2, 0]), pixels[[2, 0]])
    np.testing.assert_array_equal(pixels_of(examples.first(1)).take([0]), pixels[:1])


def test_known_task_when_unknown_then_the_known_ones_are_named() -> None:
    with pytest.raises(UsageError, match="not supported"):
        known_task("text-generation")


@pytest.mark.parametrize(("section", "message"), [
    ({"student": {"initialisation": "random"}}, "starts from random weights"),
    ({"distillation": {"losses": [{"name": "minilm-v2"}]}}, "minilm-v2 is for texts"),
])
def test_check_when_a_recipe_of_pictures_has_settings_of_texts_then_refused(section: dict[str, object], message: str) -> None:
    recipe = Recipe.model_validate({
        "id": "p", "task": "image-classification", "data": {"train": "p"}, "teacher": {"name": "t"}, **section})
    with pytest.raises(RecipeError, match=message):
        task_named(recipe.task).check(recipe, None)


def test_inputs_of_when_forward_is_decorated_then_found_all_the_same() -> None:
    def forward(self: object, pixel_values: object = None, labels: object = None) -> None: ...

    @functools.wraps(forward)
    def wrapped(*args: object, **kwargs: object) -> None: ...

    assert inputs_of(wrapped) == ["pixel_values"]
