"""`edgedistill quantize` on a model that edgedistill did not make."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgedistill.cli.app import run_command_line

SPEC = importlib.util.spec_from_file_location("small_graphs", Path(__file__).parents[1] / "quantize" / "small_graphs.py")
graphs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(graphs)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A CNN and arrays for it, labelled as it answers."""
    model = graphs.save_cnn(tmp_path / "mine.onnx")
    pixels = np.concatenate([row["x"] for row in graphs.image_rows(120)])
    labels = graphs.run(model, [{"x": image[None]} for image in pixels]).argmax(1)
    np.savez(tmp_path / "rows.npz", x=pixels, labels=labels)
    return model


def quantize(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run_command_line(["quantize", *arguments])
    found = capsys.readouterr()
    return code, found.out, found.err


def test_quantize_any_onnx_file_with_arrays(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = quantize(capsys, str(mine), "--data", str(tmp_path / "rows.npz"), "-t", "raspberry-pi", "-o", str(tmp_path / "int8"), "--json")
    verdict = json.loads(out)
    assert code == 0
    assert verdict["scheme"].startswith("static_wi8_ai8")
    assert verdict["coverage"]["weight_bytes_share"] == verdict["coverage"]["nodes_share"] == 1.0
    assert verdict["judged_rows"] == 60
    assert {row["scheme"] for row in verdict["table"] if row["outcome"] == "not tried"} >= {"dynamic_wi8_afp32"}
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(tmp_path / "int8" / "model.onnx").graph.node}


def test_quantize_when_an_input_is_missing_then_names_it_and_the_file(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "other.npz", z=np.zeros((4, 3)))
    code, _, err = quantize(capsys, str(mine), "--data", str(tmp_path / "other.npz"), "-o", str(tmp_path / "int8"))
    assert code == 2
    assert "other.npz: the model wants x; there is z" in err
    assert not (tmp_path / "int8").exists()


def test_quantize_of_a_file_that_is_not_there_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = quantize(capsys, str(tmp_path / "no.onnx"), "--data", str(tmp_path / "rows.npz"), "-o", str(tmp_path / "int8"))
    assert (code, "no.onnx: no such file" in err) == (2, True)
