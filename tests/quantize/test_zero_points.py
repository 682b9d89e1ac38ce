"""Zero points that are all 0: gone from convolutions, and everything answers and is fused as before."""

import importlib.util
import platform
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgedistill.quantize import static_quantizer
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.static_quantizer import Calibration, quantize_statically

SPEC = importlib.util.spec_from_file_location("small_graphs", Path(__file__).with_name("small_graphs.py"))
graphs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(graphs)

ROWS = graphs.image_rows(20)


def quantized(folder: Path, scheme: str, name: str = "int8.onnx") -> Path:
    source, out = folder / "float.onnx", folder / name
    graphs.save_cnn(source)
    quantize_statically(source, out, parse_scheme(scheme), calibration=Calibration(lambda: iter(ROWS)))
    return out


def both(folder: Path, scheme: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Return the file, and the file that keeps all zero points."""
    without = quantized(folder, scheme)
    monkeypatch.setattr(static_quantizer, "drop_needless_zero_points", lambda graph: None)
    return without, quantized(folder, scheme, "whole.onnx")


def zero_points(path: Path) -> dict[str, list[bool]]:
    """By the kind of node that reads it: has a restored constant a zero point?"""
    graph = onnx.load(path).graph
    constants = {item.name for item in graph.initializer}
    readers = {name: node.op_type for node in graph.node for name in node.input}
    found: dict[str, list[bool]] = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            found.setdefault(readers[node.output[0]], []).append(len(node.input) == 3)
    return found


@pytest.mark.parametrize("scheme", ["static_wi8_ai8", "static_wi8_ai8_per_channel", "static_wi8_au8_per_channel_reduced_range"])
def test_weights_around_zero_when_of_convolutions_then_without_zero_points_and_the_same_answers(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without, whole = both(tmp_path, scheme, monkeypatch)
    found = zero_points(without)
    assert found["Conv"]
    assert not any(found["Conv"])
    assert all(found["Gemm"])
    assert all(zero_points(whole)["Conv"])
    np.testing.assert_array_equal(graphs.run(without, ROWS), graphs.run(whole, ROWS))
    assert without.stat().st_size < whole.stat().st_size
    kept = {name for node in onnx.load(without).graph.node for name in node.input}
    assert all(item.name in kept for item in onnx.load(without).graph.initializer)
    onnx.checker.check_model(onnx.load(without))


def test_weights_with_a_zero_point_then_it_stays(tmp_path: Path) -> None:
    path = quantized(tmp_path, "static_wu8_au8")
    graph = onnx.load(path).graph
    assert any(zero_points(path)["Conv"])
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    points = [constants[node.input[2]] for node in graph.node if node.op_type == "DequantizeLinear" and len(node.input) > 2]
    assert any(point.any() for point in points)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="onnxruntime fuses u8 x s8 products on x86-64")
@pytest.mark.parametrize("scheme", ["static_wi8_au8_per_channel", "static_wi8_ai8_per_channel"])
def test_onnxruntime_when_without_zero_points_then_the_same_integer_nodes(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operators = [sorted(graphs.runtime_operators(path, tmp_path)) for path in both(tmp_path, scheme, monkeypatch)]
    assert operators[0] == operators[1]
    assert "QLinearConv" in operators[0]
