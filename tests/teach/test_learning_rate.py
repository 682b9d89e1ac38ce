"""The learning rate of a teacher's fine-tuning: by width where the recipe gives none, and said where it is used."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgedistill.catalog import LocatedRecipe
from edgedistill.recipe import FineTuning, Recipe
from edgedistill.run_folder import locked_recipe
from edgedistill.tasks.text_classification.task import DOOR
from edgedistill.teach.learning_rate import rate_decisions, settled_tuning


def teacher(folder: Path, **config: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["BertModel"], **config}))
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "vocab.txt").write_text("a")
    return folder


def located(root: Path, **tuning: Any) -> LocatedRecipe:
    (root / "t.csv").write_text("text,label\na,b\n", encoding="utf-8")
    return LocatedRecipe(Recipe.model_validate({
        "id": "mine", "task": "text-classification", "data": {"train": "t.csv"}, "teacher": {"name": "t", "fine_tuning": tuning},
    }), root)


@pytest.mark.parametrize(("config", "rates"), [
    ({"hidden_size": 384}, (1.5e-4, 5e-5)), ({"hidden_size": 256, "embedding_size": 128}, (1.5e-4, 5e-5)), ({}, (1.5e-4, 5e-5)),
    ({"hidden_size": 768}, (3.75e-5, 1.25e-5)), ({"dim": 768}, (3.75e-5, 1.25e-5)), ({"hidden_size": 1024}, (2.11e-5, 7.03e-6)),
])
def test_settled_tuning_when_the_recipe_gives_no_rate_then_those_of_the_width(
    config: dict[str, Any], rates: tuple[float, float], tmp_path: Path
) -> None:
    tuning = settled_tuning(FineTuning(epochs=5), teacher(tmp_path, **config))
    assert (tuning.epochs, tuning.learning_rate, tuning.learning_rates) == (5, rates[0], rates)


@pytest.mark.parametrize(("given", "config"), [
    (FineTuning(learning_rate=1.5e-4), {"hidden_size": 384}), (FineTuning(learning_rate=0.01), {"hidden_size": 1024}),
    (FineTuning(learning_rates=(1e-4,)), {"hidden_size": 384}),
    (FineTuning(), {"hidden_size": 768, "architectures": ["BertForSequenceClassification"]}),
])
def test_settled_tuning_when_the_recipe_gives_a_rate_or_nothing_is_tuned_then_as_it_is(
    given: FineTuning, config: dict[str, Any], tmp_path: Path
) -> None:
    assert settled_tuning(given, teacher(tmp_path, **config)) is given


def test_settle_when_the_recipe_gives_no_rate_then_the_locked_recipe_and_the_step_have_those_of_the_width(tmp_path: Path) -> None:
    folder = teacher(tmp_path / "t", hidden_size=768)
    settled = DOOR.settle(located(tmp_path, epochs=2), ()).located
    locked = locked_recipe(settled, tmp_path / "run")
    assert locked.teacher.fine_tuning == FineTuning(epochs=2, learning_rate=3.75e-5, learning_rates=(3.75e-5, 1.25e-5))
    steps = [DOOR.teach(item.recipe, tmp_path, folder).settings for item in (settled, located(tmp_path, epochs=2))]
    assert steps[0] == steps[1]


def test_settle_when_the_recipe_gives_a_rate_then_it_stays(tmp_path: Path) -> None:
    teacher(tmp_path / "t", hidden_size=384)
    given = located(tmp_path, learning_rate=1.5e-4)
    assert DOOR.settle(given, ()).located is given


def test_rate_decisions_when_the_rates_are_those_of_a_wide_encoder_then_said(tmp_path: Path) -> None:
    wide, narrow = teacher(tmp_path / "wide", hidden_size=768), teacher(tmp_path / "narrow", hidden_size=384)
    told = rate_decisions(settled_tuning(FineTuning(), wide), wide)
    assert [d.what for d in told] == ["learning rates 3.75e-05 and 1.25e-05: the encoder is 768 wide"]
    assert not rate_decisions(FineTuning(learning_rate=5e-5), wide)
    assert not rate_decisions(settled_tuning(FineTuning(), narrow), narrow)
