"""Which node suffers most from int8."""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxruntime.quantization.qdq_loss_debug import compute_signal_to_quantization_noice_ratio

from edgedistill.quantize.qdq_matching import match_weights, stream_value_pairs
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.sensitivity import Noise, noise_by_node
from edgedistill.quantize.static_quantizer import Calibration, insert_pairs, prepared_graph

SPEC = importlib.util.spec_from_file_location("small_graphs", Path(__file__).with_name("small_graphs.py"))
graphs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(graphs)


DYNAMIC, STATIC = "dynamic_wi8_afp32_per_channel", "static_wi8_ai8_per_channel"


def noise(path: Path, rows, scheme: str) -> dict[str, Noise]:
    calibration = Calibration(lambda: iter(rows)) if scheme.startswith("static") else None
    return {item.node: item for item in noise_by_node(path, lambda: iter(rows), parse_scheme(scheme), calibration=calibration)}


@pytest.mark.parametrize("scheme", [DYNAMIC, STATIC])
def test_every_node_on_a_weight_is_ranked_by_its_name_in_the_file(tmp_path: Path, scheme: str) -> None:
    found = noise(graphs.save_attention(tmp_path / "m.onnx"), graphs.attention_rows(8), scheme)
    assert set(found) == {"embedding", "attention", "output", "head"}
    assert [name for name, item in found.items() if item.is_table] == ["embedding"]
    assert {name for name, item in found.items() if item.is_from_graph} == (
        {"attention", "output", "head"} if scheme == STATIC else set()
    )
    assert found["attention"].weights == 32 * 96
    ratios = [item.worst_db for item in found.values()]
    assert ratios == sorted(ratios)


@pytest.mark.parametrize("scheme", [DYNAMIC, STATIC])
def test_an_even_weight_keeps_about_forty_decibels(tmp_path: Path, scheme: str) -> None:
    """Gaussian, largest of n about 2.5 sigma: step 2.5/127, error step/sqrt(12): 20 log10(127 sqrt(12) / 2.5) = 45 dB."""
    found = noise(graphs.save_attention(tmp_path / "m.onnx"), graphs.attention_rows(8), scheme)
    assert found["output"].weight_db == pytest.approx(45, abs=3)


@pytest.mark.parametrize("scheme", [DYNAMIC, STATIC])
def test_the_convolutions_of_a_cnn_are_ranked(tmp_path: Path, scheme: str) -> None:
    assert set(noise(graphs.save_cnn(tmp_path / "m.onnx"), graphs.image_rows(4), scheme)) == {"stem", "depthwise", "pointwise", "head"}


@pytest.mark.parametrize("scheme", [DYNAMIC, STATIC])
def test_a_weight_with_a_huge_number_comes_first(tmp_path: Path, scheme: str) -> None:
    path = graphs.save_attention(tmp_path / "m.onnx")
    model = onnx.load(path)
    for item in model.graph.initializer:
        if item.name == "encoder.out":
            weight = onnx.numpy_helper.to_array(item).copy()
            weight[1] *= 5000  # a scale a column does not help against a huge row
            item.CopyFrom(onnx.numpy_helper.from_array(weight, item.name))
    onnx.save(model, path)
    found = noise(path, graphs.attention_rows(8), scheme)
    assert next(iter(found)) == "output"
    assert found["output"].weight_db < 10


@pytest.mark.parametrize("scheme", ["static_wi8_ai8", "static_wi8_ai8_per_channel", "static_wu8_au8", "static_wi8_au8_reduced_range"])
def test_weights_of_a_qdq_graph_are_matched_with_the_float_ones(tmp_path: Path, scheme: str) -> None:
    model, rows = prepared_graph(graphs.save_attention(tmp_path / "m.onnx")), graphs.attention_rows(8)
    found = match_weights(model, insert_pairs(model, parse_scheme(scheme), calibration=Calibration(lambda: iter(rows))))
    assert {"encoder.qkv", "encoder.out", "classifier.weight"} <= set(found)
    step = 1 / (64 if "reduced" in scheme else 127)
    for weight, restored in found.values():
        assert np.abs(weight - restored).max() <= 0.51 * np.abs(weight).max() * step


def one_product(path: Path, *, spread: float) -> Path:
    """A matrix behind a tanh of values of some spread, and a classifier."""
    random = np.random.default_rng(2)
    nodes = [helper.make_node("Tanh", ["x"], ["t"], "tanh"), helper.make_node("MatMul", ["t", "w"], ["h"], "first"),
             helper.make_node("Relu", ["h"], ["r"], "relu"), helper.make_node("MatMul", ["r", "v"], ["y"], "head")]
    constants = {"w": (spread * random.normal(size=(8, 8))).astype(np.float32), "v": random.normal(size=(8, 3)).astype(np.float32)}
    return graphs.save_graph(path, nodes, constants, inputs={"x": (TensorProto.FLOAT, ["n", 8])})


def test_values_of_a_qdq_graph_are_compared_with_themselves_over_all_rows_by_the_median_channel(tmp_path: Path) -> None:
    source = one_product(tmp_path / "m.onnx", spread=1.0)
    rows = [{"x": row[None]} for row in np.random.default_rng(4).normal(size=(6, 8)).astype(np.float32)]
    calibration, scheme = Calibration(lambda: iter(rows)), parse_scheme("static_wi8_au8")
    pairs = list(stream_value_pairs(insert_pairs(prepared_graph(source), scheme, calibration=calibration), lambda: iter(rows)))
    before, after = (np.stack([row["r"][side] for row in pairs]) for side in (0, 1))
    assert np.abs(before - after).max() <= 0.51 * before.max() / 255
    expected = [compute_signal_to_quantization_noice_ratio(*both) for both in zip(before.T, after.T, strict=True) if both[0].any()]
    found = {item.node: item for item in noise_by_node(source, lambda: iter(rows), scheme, calibration=calibration)}
    assert found["head"].input_db == pytest.approx(np.median(expected), rel=1e-4)


def test_a_range_of_the_calibration_that_is_too_narrow_is_seen_in_the_qdq_graph_alone(tmp_path: Path) -> None:
    source = one_product(tmp_path / "m.onnx", spread=1.0)
    narrow = [{"x": np.full((1, 8), 0.01, np.float32)}]
    rows = [{"x": row[None]} for row in np.random.default_rng(4).normal(size=(6, 8)).astype(np.float32)]
    by_scheme = {
        scheme: {item.node: item for item in noise_by_node(source, lambda: iter(rows), parse_scheme(scheme),
                                                           calibration=Calibration(lambda: iter(narrow)))}
        for scheme in (DYNAMIC, STATIC)
    }
    assert by_scheme[DYNAMIC]["first"].input_db > 40
    assert by_scheme[STATIC]["first"].input_db < 1


def test_a_static_scheme_without_calibration_has_no_qdq_graph(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs rows"):
        noise_by_node(one_product(tmp_path / "m.onnx", spread=1.0), lambda: iter([]), parse_scheme(STATIC))
