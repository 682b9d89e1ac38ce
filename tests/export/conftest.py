"""Exported tiny models, one of each family of teachers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgedistill.export.exporter import export_classifier
from edgedistill.export.stage import STAGE, Inputs, Settings
from edgedistill.stage import Workspace

FAMILIES = ("bert", "distilbert", "roberta")


@dataclass(frozen=True)
class Exported:
    """A torch model folder, what the exporter made of it, and the finished stage's folder. Not to be changed."""

    model: Path
    raw: Path
    folder: Path


@pytest.fixture(scope="session")
def export_settings() -> Settings:
    return Settings(max_ir_version=9, max_opset=20)


@pytest.fixture(scope="session", params=FAMILIES)
def exported(
    request: pytest.FixtureRequest, model_folder: Callable[[str], Path], export_settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Exported:
    model, scratch = model_folder(request.param), tmp_path_factory.mktemp(request.param)
    export_classifier(model, scratch / "raw.onnx")
    done = Workspace(scratch / "stages").perform("export", STAGE, export_settings, Inputs(model))
    return Exported(model, scratch / "raw.onnx", done.folder)
