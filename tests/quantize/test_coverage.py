"""int8 coverage of graphs that can be counted by hand."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedistill.quantize.coverage import measure_coverage


def save(path: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> Path:
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph), path)
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
