"""int8 coverage of graphs that can be counted by hand."""

import platform
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedistill.quantize.coverage import FLOAT_WEIGHT, NOT_FUSED, OPEN_OUTPUT, RESTORED, TURNED, measure_coverage, with_runtime


def save(path: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> Path:
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def matrix(kind: type, rows: int = 4) -> np.ndarray:
    return np.ones((rows, 4), kind)


def test_measure_coverage_of_a_float_graph_is_nothing(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "encoder.w"], ["h"], name="first"), helper.make_node("Add", ["h", "b"], ["y"])]
    found = measure_coverage(save(tmp_path / "m.onnx", nodes, {"encoder.w": matrix(np.float32), "b": np.ones(4, np.float32)}))
    assert (found.weight_bytes_share, found.nodes_share, found.float_nodes) == (0.0, 0.0, ("first",))
    assert found.bytes_by_part == {"embedding": 0, "encoder": 64, "head": 0, "other": 16}


def test_measure_coverage_counts_weight_bytes_and_nodes_on_weights(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["embeddings.word", "ids"], ["e"], name="table"),  # int8: 10 x 4 bytes
        helper.make_node("MatMulInteger", ["q", "classifier.w"], ["h"], name="integer"),  # int8: 16 bytes
        helper.make_node("MatMul", ["h", "layer.w"], ["k"], name="float"),  # float: 64 bytes
        helper.make_node("MatMul", ["k", "k"], ["y"], name="scores"),  # between activations: not counted
    ]
    constants = {
        "embeddings.word": matrix(np.uint8, 10), "classifier.w": matrix(np.int8), "layer.w": matrix(np.float32),
        "ids": np.zeros(3, np.int64),
    }
    found = measure_coverage(save(tmp_path / "m.onnx", nodes, constants))
    assert found.weight_bytes_share == pytest.approx(56 / 120)
    assert found.nodes_share == pytest.approx(2 / 3)
    assert found.float_nodes == ("float",)
    assert found.bytes_by_part == {"embedding": 40, "encoder": 64, "head": 16, "other": 24}


@pytest.mark.parametrize("kind", ["MatMul", "Gather"])
def test_measure_coverage_of_a_weight_restored_to_float_before_its_use_is_a_float_node(tmp_path: Path, kind: str) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale"], ["restored"], name="restore"),
        helper.make_node(kind, ["x", "restored"] if kind == "MatMul" else ["restored", "ids"], ["y"], name="product"),
    ]
    constants = {"w": matrix(np.int8), "scale": np.float32(0.1), "ids": np.zeros(3, np.int64)}
    found = measure_coverage(save(tmp_path / "m.onnx", nodes, constants))
    assert (found.weight_bytes_share, found.nodes_share, found.float_nodes) == (1.0, 0.0, ("product",))


def test_measure_coverage_of_a_graph_without_weights_is_nothing(tmp_path: Path) -> None:
    found = measure_coverage(save(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])], {}))
    assert (found.weight_bytes_share, found.nodes_share, found.float_nodes) == (0.0, 0.0, ())


def pair(source: str, out: str) -> list[onnx.NodeProto]:
    return [helper.make_node("QuantizeLinear", [source, "s", "z"], [f"{out}_q"]),
            helper.make_node("DequantizeLinear", [f"{out}_q", "s", "z"], [out])]


GRID = {"s": np.float32(0.1), "z": np.int8(0)}


def test_measure_coverage_of_a_product_between_pairs_is_int8_and_of_one_restored_alone_is_not(tmp_path: Path) -> None:
    nodes = [
        *pair("x", "xr"),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["wr"]), helper.make_node("MatMul", ["xr", "wr"], ["h"], name="pair"),
        helper.make_node("MatMul", ["h", "wr"], ["k"], name="alone"),
        helper.make_node("MatMul", ["k", "v"], ["y"], name="float"),
    ]
    constants = GRID | {"w": matrix(np.int8), "v": matrix(np.float32)}
    found = measure_coverage(save(tmp_path / "m.onnx", nodes, constants))
    assert found.nodes_share == pytest.approx(1 / 3)
    assert found.float_reasons == {"alone": RESTORED, "float": FLOAT_WEIGHT}
    assert found.float_nodes == ("alone", "float")


@pytest.mark.parametrize(("after", "expected"), [("pair", {}), ("relu", {}), ("nothing", {"conv": OPEN_OUTPUT})])
def test_measure_coverage_of_a_convolution_asks_for_a_rounded_output(tmp_path: Path, after: str, expected: dict[str, str]) -> None:
    nodes = [*pair("x", "xr"), helper.make_node("DequantizeLinear", ["w", "s", "z"], ["wr"]),
             helper.make_node("Conv", ["xr", "wr"], ["y" if after == "nothing" else "h"], name="conv")]
    if after == "relu":
        nodes.append(helper.make_node("Relu", ["h"], ["r"]))
    if after != "nothing":
        nodes += pair("r" if after == "relu" else "h", "y")
    found = measure_coverage(save(tmp_path / "m.onnx", nodes, GRID | {"w": np.ones((2, 2, 1, 1), np.int8)}))
    assert found.float_reasons == expected


def test_the_scales_of_rows_are_no_weights_and_tables_are_known_by_their_look_up(tmp_path: Path) -> None:
    nodes = [helper.make_node("Gather", ["t_quantized", "ids"], ["e"]), helper.make_node("Gather", ["t_scale", "ids"], ["f"]),
             helper.make_node("MatMul", ["f", "last"], ["y"], name="product")]
    constants = {"t_quantized": matrix(np.int8, 10), "t_scale": np.ones((10, 1), np.float32), "ids": np.zeros(3, np.int64),
                 "last": np.ones((1, 4), np.float32)}
    found = measure_coverage(save(tmp_path / "m.onnx", nodes, constants))
    assert found.weight_bytes_share == pytest.approx(40 / 56)
    assert found.bytes_by_part == {"embedding": 80, "encoder": 0, "head": 16, "other": 24}


def test_the_scale_and_the_bias_of_a_weight_count_to_its_part_whatever_their_names(tmp_path: Path) -> None:
    nodes = [*pair("x", "xr"), helper.make_node("DequantizeLinear", ["classifier.w", "v1"], ["wr"], axis=0),
             helper.make_node("DequantizeLinear", ["v2", "v3"], ["br"], axis=0),
             helper.make_node("Gemm", ["xr", "wr", "br"], ["y"], name="product")]
    constants = GRID | {"classifier.w": matrix(np.int8), "v1": np.ones(4, np.float32), "v2": np.ones(4, np.int32),
                        "v3": np.ones(4, np.float32)}
    parts = measure_coverage(save(tmp_path / "m.onnx", nodes, constants)).bytes_by_part
    assert parts["head"] == 16 + 3 * 4 * 4
    assert parts["encoder"] == 0


def test_with_runtime_counts_what_onnxruntime_fuses(tmp_path: Path) -> None:
    nodes = [*pair("x", "xr"), helper.make_node("DequantizeLinear", ["w", "s", "z"], ["wr"]),
             helper.make_node("MatMul", ["xr", "wr"], ["y"], name="pair")]
    path = save(tmp_path / "m.onnx", nodes, {"s": np.float32(0.1), "z": np.uint8(0), "w": matrix(np.uint8)})
    assert with_runtime(measure_coverage(path), path).runtime_nodes_share == 1.0
    nodes = [helper.make_node("DequantizeLinear", ["w", "s", "z"], ["wr"]), helper.make_node("MatMul", ["x", "wr"], ["y"], name="alone")]
    path = save(tmp_path / "alone.onnx", nodes, {"s": np.float32(0.1), "z": np.uint8(0), "w": matrix(np.uint8)})
    assert with_runtime(measure_coverage(path), path).runtime_nodes_share == 0.0


@pytest.mark.skipif(platform.machine() != "x86_64", reason="aarch64 multiplies int8 by int8")
def test_with_runtime_names_what_x86_does_not_fuse(tmp_path: Path) -> None:
    nodes = [*pair("x", "xr"), helper.make_node("DequantizeLinear", ["w", "s", "z"], ["wr"]),
             helper.make_node("MatMul", ["xr", "wr"], ["h"], name="pair"), helper.make_node("Add", ["h", "xr"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, GRID | {"w": matrix(np.int8)})
    found = with_runtime(measure_coverage(path), path)
    assert (found.nodes_share, found.runtime_nodes_share) == (1.0, 0.0)
    assert found.float_reasons == {"pair": NOT_FUSED}


def tied(kind: type, *, turn: str = "Transpose") -> list[onnx.NodeProto]:
    """A table that is looked up and, turned, multiplies what was found."""
    restore = [helper.make_node("DequantizeLinear", ["table", "s", "z"], ["restored"])] if kind is np.int8 else []
    turned = helper.make_node(turn, ["restored" if restore else "table"], ["turned"], name="turn")
    return [helper.make_node("Gather", ["table", "ids"], ["e"], name="look up"), *restore, turned]


@pytest.mark.parametrize(("kind", "share", "reason"), [(np.int8, 0.5, RESTORED), (np.float32, 0.0, FLOAT_WEIGHT)])
@pytest.mark.parametrize("turn", ["Transpose", "Identity"])
def test_measure_coverage_counts_a_product_on_a_turned_table(
    tmp_path: Path, kind: type, share: float, reason: str, turn: str
) -> None:
    nodes = [*tied(kind, turn=turn), helper.make_node("MatMul", ["x", "turned"], ["y"], name="lm")]
    found = measure_coverage(save(tmp_path / "m.onnx", nodes, GRID | {"table": matrix(kind), "ids": np.zeros(3, np.int64)}))
    assert found.nodes_share == share
    assert found.float_reasons["lm"] == reason


def test_measure_coverage_does_not_trust_the_runtime_to_turn_integers(tmp_path: Path) -> None:
    nodes = [*tied(np.int8), *pair("x", "xr"), helper.make_node("MatMul", ["xr", "turned"], ["y"], name="lm")]
    path = save(tmp_path / "m.onnx", nodes, GRID | {"table": matrix(np.int8), "ids": np.zeros(3, np.int64)})
    assert measure_coverage(path).float_reasons == {"lm": TURNED}


def test_measure_coverage_of_values_that_are_reshaped_is_not_changed(tmp_path: Path) -> None:
    nodes = [helper.make_node("Transpose", ["x"], ["t"]), helper.make_node("MatMul", ["t", "x"], ["y"], name="scores")]
    assert measure_coverage(save(tmp_path / "m.onnx", nodes, {})).float_nodes == ()
