"""Products that can saturate in 16 bits."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgedistill.emulation.cores import core_named
from edgedistill.emulation.environment import Environment
from edgedistill.emulation.replay import replay
from edgedistill.quantize.onnx_quantizer import quantize_dynamically
from edgedistill.quantize.saturation import saturating_nodes, share_of_pairs
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.static_quantizer import Calibration, quantize_statically

SPEC = importlib.util.spec_from_file_location("small_graphs", Path(__file__).with_name("small_graphs.py"))
graphs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(graphs)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [((127, 127), 1.0), ((64, 64), 0.0), ((64, 65), 1.0), ((-64, -64), 0.0), ((-64, -65), 1.0), ((127, -127), 0.0), ((127, 0), 0.0)],
)
def test_share_of_pairs_by_hand(pair: tuple[int, int], expected: float) -> None:
    assert share_of_pairs(np.array([[pair[0]], [pair[1]]], np.int8)) == expected


def test_share_of_pairs_counts_a_single_last_row_as_paired_with_nothing() -> None:
    assert share_of_pairs(np.array([[100, 1], [100, 1], [127, 127]], np.int8)) == 0.25


@pytest.mark.parametrize(
    ("scheme", "saturates"),
    [("dynamic_wi8_afp32", True), ("dynamic_wi8_afp32_reduced_range", False), ("dynamic_wu8_afp32", False),
     ("static_wi8_au8_per_channel", True), ("static_wi8_au8_reduced_range", False), ("static_wi8_ai8", True),
     ("static_wi8_ai8_reduced_range", False), ("static_wu8_au8", False)],
)
def test_saturating_nodes_of_each_scheme(tmp_path: Path, scheme: str, saturates: bool) -> None:
    source, out, wanted = graphs.save_attention(tmp_path / "m.onnx"), tmp_path / "q.onnx", parse_scheme(scheme)
    if wanted.needs_calibration:
        quantize_statically(source, out, wanted, calibration=Calibration(lambda: iter(graphs.attention_rows(5))))
    else:
        quantize_dynamically(source, out, wanted)
    found = saturating_nodes(out)
    assert bool(found) is saturates
    assert all(0 < share < 0.2 for share in found.values())


def save_convolution(path: Path, weight: np.ndarray, *, activations: type = np.uint8, group: int = 1) -> Path:
    """One convolution between pairs and a mean over the image; all activations of 1 are the largest integer."""
    constants = {"w": weight, "scale": np.float32(1 / 127 if activations is np.int8 else 1 / 255), "zero": activations(0),
                 "w_scale": np.float32(1 / 127), "w_zero": np.int8(0), "out_scale": np.float32(0.5), "out_zero": activations(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["x_int8"]),
        helper.make_node("DequantizeLinear", ["x_int8", "scale", "zero"], ["x_restored"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_restored"]),
        helper.make_node("Conv", ["x_restored", "w_restored"], ["c"], "conv", group=group),
        helper.make_node("QuantizeLinear", ["c", "out_scale", "out_zero"], ["c_int8"]),
        helper.make_node("DequantizeLinear", ["c_int8", "out_scale", "out_zero"], ["c_restored"]),
        helper.make_node("GlobalAveragePool", ["c_restored"], ["mean"]), helper.make_node("Flatten", ["mean"], ["y"]),
    ]
    return graphs.save_graph(path, nodes, constants, inputs={"x": (TensorProto.FLOAT, ["n", weight.shape[1] * group, 5, 5])})


def one_place(outputs: int, channels: int) -> np.ndarray:
    """Large weights at all channels of one place in the filter."""
    weight = np.zeros((outputs, channels, 3, 3), np.int8)
    weight[:, :, 1, 1] = 127
    return weight


def one_channel(outputs: int, channels: int) -> np.ndarray:
    """Large weights at all places of one channel."""
    weight = np.zeros((outputs, channels, 3, 3), np.int8)
    weight[:, 0] = 127
    return weight


CONVOLUTIONS = [
    (one_place(4, 8), 1, 0.111), (one_channel(4, 8), 1, 0), (one_place(4, 2), 2, 0.111),
    (one_channel(8, 1), 8, 0), (one_channel(16, 1), 8, 0.8),  # depthwise; two filters a channel
    (one_channel(4, 3), 1, 0),  # 27 neighbours: 0 1 | 2 0 | 1 2, so that the channel meets itself nowhere
]


@pytest.mark.parametrize(("weight", "group", "share"), CONVOLUTIONS)
def test_neighbours_in_a_filter_are_the_channels_of_a_place(tmp_path: Path, weight: np.ndarray, group: int, share: float) -> None:
    found = saturating_nodes(save_convolution(tmp_path / "m.onnx", weight, group=group))
    assert found == ({"conv": pytest.approx(share, abs=0.001)} if share else {})


def test_an_int8_activation_before_a_convolution_saturates_as_a_uint8_one(tmp_path: Path) -> None:
    assert saturating_nodes(save_convolution(tmp_path / "m.onnx", one_place(4, 8), activations=np.int8))


def test_a_batched_matrix_is_summed_over_its_last_axis_but_one(tmp_path: Path) -> None:
    matrix = np.zeros((4, 2, 3), np.int8)
    matrix[0, :, 0] = 127  # one pair of the twelve
    nodes = [helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
             helper.make_node("MatMulInteger", ["q", "w", "z"], ["i"], "product_quant"),
             helper.make_node("Cast", ["i"], ["y"], to=TensorProto.FLOAT)]
    path = graphs.save_graph(tmp_path / "m.onnx", nodes, {"w": matrix}, inputs={"x": (TensorProto.FLOAT, [4, 5, 2])})
    assert saturating_nodes(path) == {"product": pytest.approx(1 / 12)}


@pytest.mark.arm
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("weight", "group", "activations"), [
    (one_place(4, 8), 1, np.uint8), (one_place(4, 8), 1, np.int8), (one_channel(4, 8), 1, np.uint8), (one_channel(8, 1), 8, np.uint8),
    (one_channel(16, 1), 8, np.uint8),
])
def test_x86_without_vnni_answers_otherwise_where_a_product_is_named_and_only_there(
    tmp_path: Path, emulated_environment: Environment, weight: np.ndarray, group: int, activations: type
) -> None:
    path = save_convolution(tmp_path / "m.onnx", weight, activations=activations, group=group)
    rows = [{"x": np.ones((1, weight.shape[1] * group, 5, 5), np.float32)}]
    found = replay(path, rows, core=core_named("haswell"), environment=emulated_environment, is_counted=False)
    assert found.logits is not None, found.failure
    exact = weight.reshape(len(weight), -1).astype(np.float32).sum(axis=1) / 127
    assert bool(np.abs(found.logits - exact).max() > 0.5) is bool(saturating_nodes(path))
