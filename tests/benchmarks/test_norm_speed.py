"""Norms apart: the same answers, nothing that the runtime fuses again, and rows of both forms."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from norm_speed import make_models

WORKER = Path(__file__).parents[2] / "benchmarks" / "norm_speed_worker.py"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    return make_models(tmp_path_factory.mktemp("norms"))


def operators_at_run_time(path: Path, scratch: Path) -> set[str]:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(scratch / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return {node.op_type for node in onnx.load(scratch / "optimized.onnx").graph.node}


@pytest.mark.parametrize("precision", ["float", "int8"])
def test_models_when_loaded_then_the_runtime_does_not_fuse_it_again(
    precision: str, models: dict[str, dict[str, Path]], tmp_path: Path
) -> None:
    assert "SkipLayerNormalization" in operators_at_run_time(models[precision]["fused"], tmp_path)
    assert "SkipLayerNormalization" not in operators_at_run_time(models[precision]["apart"], tmp_path)


def test_worker_when_both_forms_are_timed_then_rows_hold_all_turns_and_the_answers_agree(models: dict[str, dict[str, Path]]) -> None:
    job = {"models": {"float": {form: str(path) for form, path in models["float"].items()}}, "lengths": [4], "ids": 100}
    done = subprocess.run([sys.executable, str(WORKER), json.dumps(job)], check=True, capture_output=True, text=True)
    (row,) = json.loads(done.stdout.splitlines()[-1])
    assert (row["runtime"], row["precision"], row["tokens"]) == (onnxruntime.__version__, "float", 4)
    assert {form: len(seconds) for form, seconds in row["seconds"].items()} == {"fused": 9, "apart": 9}
    assert np.min([seconds for seconds in row["seconds"].values()]) > 0
    assert row["largest_difference"] < 1e-4
