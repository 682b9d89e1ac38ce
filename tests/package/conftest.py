"""A tiny model, its data, and one bundle made of them."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edgedistill.examples import write_examples
from edgedistill.package.card import CardFigures
from edgedistill.package.stage import STAGE, Inputs, Settings
from edgedistill.results import Interval
from edgedistill.stage import Workspace


def _load_tiny_model() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tiny_model", Path(__file__).with_name("tiny_model.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny_model"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    return _load_tiny_model()


@pytest.fixture(scope="session")
def inputs(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    folder = tmp_path_factory.mktemp("inputs")
    texts, classes = tiny.rows()
    write_examples(folder / "test.arrow", [f"t{i}" for i in range(len(texts))], texts, classes)
    (folder / "labels.json").write_text(json.dumps({"labels": list(tiny.LABELS)}))
    return Inputs(tiny.write_model_folder(folder / "model"), folder / "test.arrow", folder / "labels.json")


@pytest.fixture(scope="session")
def settings() -> Settings:
    card = CardFigures(
        test_rows=60, accuracy=Interval(value=0.95, low=0.9, high=0.98), teacher_licence="Apache-2.0",
        data_licence="CC0-1.0",
    )
    return Settings(
        recipe_id="tiny-intents", task="text-classification", target_id="raspberry-pi", base_model="someone/teacher",
        runtime_oldest="1.17", card=card, tolerance=0.05, seed=7,
    )


@pytest.fixture(scope="session")
def packed(settings: Settings, inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the finished stage: bundle/ and bundle.zip. Not to be changed."""
    return Workspace(tmp_path_factory.mktemp("stages")).perform("package", STAGE, settings, inputs).folder


@pytest.fixture
def bundle(packed: Path, tmp_path: Path) -> Path:
    """A copy of the bundle's folder, to be damaged at will."""
    return Path(shutil.copytree(packed / "bundle", tmp_path / "bundle"))
