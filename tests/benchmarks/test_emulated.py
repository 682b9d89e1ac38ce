"""int8 by instruction set: every scheme is quantized and compared with this host's answers. The replay is made up."""

import json
import shutil
from pathlib import Path
from typing import Any

import emulated as script
import numpy as np
import pytest

from edgedistill.emulation.environment import Environment, EnvironmentFacts
from edgedistill.emulation.replay import Replay
from edgedistill.errors import GoalMissedError
from edgedistill.evaluate.onnx_model import OnnxModel
from edgedistill.examples import read_examples

PER_CHANNEL = "dynamic_wi8_afp32_per_channel"
FACTS = EnvironmentFacts(emulator="7.2.22", onnxruntime="1.32.0", numpy="2.4.6", python="3.11.2", counts_instructions=False,
                         packages=(), vital_files=(), tree_sha256="a" * 64, size_bytes=1)


@pytest.fixture
def student(int8_subject: Any, tmp_path: Path) -> Path:
    """A student folder as a run publishes it, and texts beside it."""
    folder = tmp_path / "student"
    shutil.copytree(int8_subject.exported, folder)
    (folder / "onnx").mkdir()
    shutil.move(folder / "model.onnx", folder / "onnx" / "model.onnx")
    names = json.loads((folder / "config.json").read_text(encoding="utf-8"))["id2label"]
    for split in ("validation", "test"):
        examples = read_examples(int8_subject.data / f"{split}.arrow")
        lines = ["label\ttext", *(f"{names[str(label)]}\t{text}" for text, label in zip(examples.texts, examples.labels, strict=True))]
        (tmp_path / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_measure_then_each_scheme_that_is_not_done_is_replayed(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replay(model: Path, rows: list[dict[str, np.ndarray]], **means: object) -> Replay:
        here = OnnxModel(model)
        return Replay(np.concatenate([here.logits(row) for row in rows]), "", "onnxruntime 1.32.0", "b" * 64, not_counted_because="no")

    monkeypatch.setattr(script, "ensure", lambda: Environment(Path("/somewhere"), FACTS))
    monkeypatch.setattr(script, "replay", replay)
    schemes = [PER_CHANNEL, script.FLOAT]
    models = script.prepare_models(student, tmp_path / "validation.tsv", tmp_path / "work", schemes, "raspberry-pi")
    test = script.read_test(student, tmp_path / "test.tsv", 20)
    assert len(test.rows) == 20
    found = list(script.measure(models, test, schemes=schemes, cores=["cortex-a53"], done={("float", "cortex-a53")}))
    assert [(row["scheme"], row["core"]) for row in found] == [(PER_CHANNEL, "cortex-a53")]
    assert found[0]["parity"]["decisions_flipped"] == 0  # type: ignore[index]
    assert (models[PER_CHANNEL] / "model.onnx").stat().st_size < 0.5 * (models["float"] / "model.onnx").stat().st_size
    assert PER_CHANNEL in script.table(found)  # type: ignore[arg-type]


def test_prepare_models_when_the_court_ships_float_then_it_is_not_taken_for_int8(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgedistill.results.QuantizationVerdict.is_float", property(lambda self: True))
    with pytest.raises(GoalMissedError, match=PER_CHANNEL):
        script.prepare_models(student, tmp_path / "validation.tsv", tmp_path / "work", [PER_CHANNEL], "raspberry-pi")
