"""The form that a static scheme needs: attention split, batch norms folded, and the same answers."""

import importlib.util
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from edgedistill.quantize.graph_forms import prepare_for_static

SPEC = importlib.util.spec_from_file_location("small_graphs", Path(__file__).with_name("small_graphs.py"))
graphs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(graphs)


def prepared(path: Path) -> Path:
    model = onnx.load(path)
    prepare_for_static(model)
    out = path.with_name("prepared.onnx")
    onnx.save(model, out)
    return out


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def test_a_fused_attention_becomes_a_product_and_attention_with_the_same_answers(tmp_path: Path) -> None:
    source = graphs.save_attention(tmp_path / "m.onnx")
    out, rows = prepared(source), graphs.attention_rows(20)
    assert operators(out) == Counter({"Gather": 2, "MatMul": 2, "Split": 1, "MultiHeadAttention": 1, "Add": 1, "Gemm": 1})
    assert graphs.run(out, rows) == pytest.approx(graphs.run(source, rows), abs=1e-5)


def test_an_attention_with_a_triangular_mask_is_left_alone(tmp_path: Path) -> None:
    path = graphs.save_attention(tmp_path / "m.onnx")
    model = onnx.load(path)
    next(n for n in model.graph.node if n.op_type == "Attention").attribute.append(helper.make_attribute("unidirectional", 1))
    onnx.save(model, path)
    assert operators(prepared(path))["Attention"] == 1


def test_batch_norms_are_folded_into_their_convolutions_with_the_same_answers(tmp_path: Path) -> None:
    source = graphs.save_cnn(tmp_path / "m.onnx")
    out, rows = prepared(source), graphs.image_rows(5)
    assert operators(source)["BatchNormalization"] == 3
    assert operators(out)["BatchNormalization"] == 0
    assert graphs.run(out, rows) == pytest.approx(graphs.run(source, rows), abs=1e-4)
    assert not [i.name for i in onnx.load(out).graph.initializer if i.name.endswith((".mean", ".variance"))]


def test_a_batch_norm_whose_convolution_is_read_elsewhere_stays(tmp_path: Path) -> None:
    path = graphs.save_cnn(tmp_path / "m.onnx")
    model = onnx.load(path)
    next(n for n in model.graph.node if n.name == "sum").input[0] = "stem_raw"
    onnx.save(model, path)
    assert operators(prepared(path))["BatchNormalization"] == 1


def test_nodes_without_a_name_of_their_own_get_one(tmp_path: Path) -> None:
    path = graphs.save_cnn(tmp_path / "m.onnx")
    model = onnx.load(path)
    for node in model.graph.node:
        node.name = "" if node.op_type == "Relu" else "same"
    onnx.save(model, path)
    names = [node.name for node in onnx.load(prepared(path)).graph.node]
    assert len(set(names)) == len(names)
    assert "Relu:sr" in names
    assert np.all([name for name in names])
