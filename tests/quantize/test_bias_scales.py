"""Scales of biases: the product of two stored ones, folded at load, with the same answers and the same fused operators."""

import importlib.util
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from edgedistill.quantize import static_quantizer
from edgedistill.quantize.bias_scales import derive_bias_scales
from edgedistill.quantize.coverage import measure_coverage
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


def whole(folder: Path, scheme: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that stores all scales."""
    monkeypatch.setattr(static_quantizer, "derive_bias_scales", lambda graph: None)
    return quantized(folder, scheme, "whole.onnx")


def operators(path: Path, scratch: Path | None = None) -> Counter[str]:
    """Count the operators of a file, or with a folder for scratch those that the runtime makes of it."""
    if scratch is not None:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(scratch / "as_run.onnx")
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        path = scratch / "as_run.onnx"
    return Counter(node.op_type for node in onnx.load(path).graph.node)


@pytest.mark.parametrize("scheme", ["static_wi8_ai8_per_channel", "static_wi8_au8_per_channel_reduced_range", "static_wu8_au8_per_channel"])
def test_biases_when_per_channel_then_their_scales_are_products_and_nothing_else_changes(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    derived = quantized(tmp_path, scheme)
    stored = whole(tmp_path, scheme, monkeypatch)
    assert operators(derived)["Mul"] > operators(stored)["Mul"]
    assert operators(derived, tmp_path) == operators(stored, tmp_path)
    np.testing.assert_array_equal(graphs.run(derived, ROWS), graphs.run(stored, ROWS))
    assert derived.stat().st_size < stored.stat().st_size
    onnx.checker.check_model(onnx.load(derived), full_check=True)
    one, other = measure_coverage(derived), measure_coverage(stored)
    assert (one.weight_bytes_share, one.nodes_share, one.float_nodes) == (other.weight_bytes_share, other.nodes_share, other.float_nodes)
    assert sum(one.bytes_by_part.values()) < sum(other.bytes_by_part.values())


def test_a_scale_when_it_is_not_the_product_or_read_twice_or_one_number_then_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = onnx.load(whole(tmp_path, "static_wi8_ai8_per_channel", monkeypatch))
    scales = {node.input[1] for node in stored.graph.node if node.op_type == "DequantizeLinear"}
    moved = onnx.ModelProto()
    moved.CopyFrom(stored)
    for item in moved.graph.initializer:
        if item.name in scales and item.dims:
            item.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(item) * np.float32(1.01), item.name))
    shared = onnx.ModelProto()
    shared.CopyFrom(stored)
    shared.graph.node.extend(onnx.helper.make_node("Identity", [name], [f"{name}_again"]) for name in sorted(scales))
    by_tensor = onnx.load(whole(tmp_path, "static_wi8_ai8", monkeypatch))
    for model in (moved, shared, by_tensor):
        before = model.SerializeToString()
        derive_bias_scales(model.graph)
        assert model.SerializeToString() == before
