"""Weights in 8 bits, products in float."""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.weight_only import quantize_weights_only

SPEC = importlib.util.spec_from_file_location("small_graphs", Path(__file__).with_name("small_graphs.py"))
graphs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(graphs)

SCHEMES = ("weight_only_wi8_afp32", "weight_only_wi8_afp32_per_channel")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("save", ["save_attention", "save_cnn"])
def test_every_weight_is_8_bits_wide_and_the_answers_stay(tmp_path: Path, scheme: str, save: str) -> None:
    source, out = getattr(graphs, save)(tmp_path / "m.onnx"), tmp_path / "q.onnx"
    quantize_weights_only(source, out, parse_scheme(scheme))
    kinds = {i.data_type for i in onnx.load(out).graph.initializer if len(i.dims) >= 2}
    assert kinds <= {TensorProto.INT8, TensorProto.UINT8}
    rows = graphs.attention_rows(20) if save == "save_attention" else graphs.image_rows(10)
    before, after = graphs.run(source, rows), graphs.run(out, rows)
    assert np.abs(after - before).mean() < 0.05 * np.abs(before - before.mean(axis=0)).mean()


def test_an_excluded_node_keeps_its_float_weight(tmp_path: Path) -> None:
    source, out = graphs.save_attention(tmp_path / "m.onnx"), tmp_path / "q.onnx"
    quantize_weights_only(source, out, parse_scheme(SCHEMES[0]), excluded=["head", "embedding"])
    kinds = {i.name: i.data_type for i in onnx.load(out).graph.initializer}
    assert kinds["classifier.weight"] == kinds["embedding.table"] == TensorProto.FLOAT


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_table_that_is_the_weight_of_a_product_too_loads_and_answers(tmp_path: Path, scheme: str) -> None:
    rng = np.random.default_rng(0)
    table = onnx.numpy_helper.from_array(rng.normal(size=(30, 16)).astype(np.float32), "table")
    nodes = [onnx.helper.make_node("Gather", ["table", "x"], ["rows"], "look_up"),
             onnx.helper.make_node("Gemm", ["rows", "table"], ["y"], "head", transB=1)]
    graph = onnx.helper.make_graph(nodes, "tied", [onnx.helper.make_tensor_value_info("x", TensorProto.INT64, ["n"])],
                                   [onnx.helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 30])], [table])
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    quantize_weights_only(tmp_path / "m.onnx", tmp_path / "q.onnx", parse_scheme(scheme))
    names = [item.name for item in onnx.load(tmp_path / "q.onnx").graph.initializer]
    assert len(names) == len(set(names))
    rows = [{"x": rng.integers(0, 30, 4)} for _ in range(5)]
    before, after = graphs.run(tmp_path / "m.onnx", rows), graphs.run(tmp_path / "q.onnx", rows)
    assert np.abs(after - before).max() < 0.03 * np.abs(before).max()
