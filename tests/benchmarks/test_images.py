"""The benchmark over picture data sets: its suite makes recipes that read."""

from pathlib import Path

import images as script
import pytest
from suite_files import read_suite_file

from edgedistill.errors import DataError
from edgedistill.recipe import Recipe
from edgedistill.tasks.registry import task_named


def test_suite_when_read_then_every_recipe_suits_its_task() -> None:
    suite = read_suite_file(script.ImagesSuite, "images")
    for name, task in suite.tasks.items():
        recipe = Recipe.model_validate(script.recipe_of(name, task, Path("data"), 13))
        task_named(recipe.task).check(recipe, None)
        rungs = {rung.id for rung in task_named(recipe.task).ladder()}
        assert recipe.student.rung in rungs


def test_require_data_when_a_file_is_another_then_refused(tmp_path: Path) -> None:
    task = read_suite_file(script.ImagesSuite, "images").tasks["cifar10_jpg"]
    (tmp_path / "cifar10_jpg").mkdir()
    with pytest.raises(DataError, match="no such file"):
        script.require_data(task, tmp_path)
    (tmp_path / "cifar10_jpg" / "train.parquet").write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match="sha256 differs"):
        script.require_data(task, tmp_path)
