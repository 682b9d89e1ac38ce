"""Weights in 8 bits, products in float."""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.weight_only import quantize_weights_only, round_weights

SPEC = importlib.util.spec_from_file_location("small_graphs", Path(__file__).with_name("small_graphs.py"))
graphs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(graphs)

SCHEMES = ("weight_only_wi8_afp32", "weight_only_wi8_afp32_per_channel", "weight_only_wu8_afp32_per_channel")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("save", ["save_attention", "save_cnn"])
def test_every_weight_is_8_bits_wide_and_the_answers_stay(tmp_path: Path, scheme: str, save: str) -> None:
    source, out = getattr(graphs, save)(tmp_path / "m.onnx"), tmp_path / "q.onnx"
    quantize_weights_only(source, out, parse_scheme(scheme))
    kinds = {i.data_type for i in onnx.load(out).graph.initializer if len(i.dims) >= 2}
    assert kinds <= {TensorProto.INT8, TensorProto.UINT8}
    rows = graphs.attention_rows(20) if save == "save_attention" else graphs.image_rows(10)
    before, after = graphs.run(source, rows), graphs.run(out, rows)
    assert np.abs(after - before).mean() < 0.03 * np.abs(before - before.mean(axis=0)).mean()


def test_an_excluded_node_keeps_its_float_weight(tmp_path: Path) -> None:
    source, out = graphs.save_attention(tmp_path / "m.onnx"), tmp_path / "q.onnx"
    quantize_weights_only(source, out, parse_scheme(SCHEMES[0]), excluded=["head", "embedding"])
    kinds = {i.name: i.data_type for i in onnx.load(out).graph.initializer}
    assert kinds["classifier.weight"] == kinds["embedding.table"] == TensorProto.FLOAT


def test_round_weights_by_hand() -> None:
    weights = np.array([[1.0, -0.5], [0.25, 4.0]], np.float32)
    integers, scale, zero = round_weights(weights, axis=1, scheme=parse_scheme("weight_only_wi8_afp32_per_channel"))
    assert scale == pytest.approx([1 / 127, 4 / 127])
    assert integers.tolist() == [[127, -16], [32, 127]]
    assert zero.tolist() == [0, 0]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_round_weights_is_off_by_half_a_scale_at_most(scheme: str) -> None:
    weights = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    integers, scale, zero = round_weights(weights, axis=0, scheme=parse_scheme(scheme))
    shape = (-1, 1) if "per_channel" in scheme else ()
    restored = (integers.astype(float) - zero.reshape(shape).astype(float)) * scale.reshape(shape)
    assert np.all(np.abs(restored - weights) <= 0.5001 * np.broadcast_to(scale.reshape(shape), weights.shape))


def test_round_weights_of_nothing_but_zeros_has_a_scale() -> None:
    integers, scale, _ = round_weights(np.zeros((2, 2), np.float32), axis=0, scheme=parse_scheme(SCHEMES[0]))
    assert float(scale) == 1.0
    assert not integers.any()
