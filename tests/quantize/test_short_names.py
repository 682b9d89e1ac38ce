"""Short value names: the same answers from a smaller file, and nothing that a person reads is renamed."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedistill.evaluate.weights import count_weights
from edgedistill.quantize.short_names import shorten_pair_names, shorten_value_names


def two_products() -> onnx.ModelProto:
    weight = helper.make_tensor("v0", TensorProto.FLOAT, (2, 2), [1.0, 2.0, 3.0, 4.0])  # a name that could be taken
    nodes = [
        helper.make_node("MatMul", ["x", "v0"], ["/layer/first/MatMul_output_0"], name="/layer/first/MatMul"),
        helper.make_node("Relu", ["/layer/first/MatMul_output_0"], ["/layer/first/Relu_output_0"], name="/layer/first/Relu"),
        helper.make_node("MatMul", ["/layer/first/Relu_output_0", "v0"], ["logits"], name="/layer/second/MatMul"),
    ]
    rows = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 2)) for name in ("x", "logits")]
    graph = helper.make_graph(nodes, "g", rows[:1], rows[1:], [weight])
    graph.value_info.append(helper.make_tensor_value_info("/layer/first/Relu_output_0", TensorProto.FLOAT, (1, 2)))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def answer(model: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.array([[1.0, -2.0]], np.float32)})[0]


def test_shorten_value_names_when_done_then_smaller_and_the_same_answers() -> None:
    model = two_products()
    before, size = answer(model), model.ByteSize()
    shorten_value_names(model)
    onnx.checker.check_model(model, full_check=True)
    assert model.ByteSize() < size - 60
    np.testing.assert_array_equal(answer(model), before)


def test_shorten_value_names_when_done_then_nodes_weights_inputs_and_outputs_keep_theirs() -> None:
    model = two_products()
    shorten_value_names(model)
    assert [node.name for node in model.graph.node] == ["/layer/first/MatMul", "/layer/first/Relu", "/layer/second/MatMul"]
    assert [list(node.input) for node in model.graph.node] == [["x", "v0"], ["v1"], ["v2", "v0"]]
    assert model.graph.output[0].name == "logits"


def test_shorten_value_names_when_a_branch_reads_outer_values_then_nothing_changes() -> None:
    condition = helper.make_tensor("yes", TensorProto.BOOL, (), [True])
    outer = helper.make_node("Relu", ["x"], ["a_long_outer_name"])
    out = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node("Neg", ["a_long_outer_name"], ["inner"])], "branch", [], [out])
    choice = helper.make_node("If", ["yes"], ["logits"], then_branch=branch, else_branch=branch)
    rows = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 2)) for name in ("x", "logits")]
    graph = helper.make_graph([outer, choice], "g", rows[:1], rows[1:], [condition])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    shorten_value_names(model)
    assert model.graph.node[0].output[0] == "a_long_outer_name"


def between_pairs() -> onnx.ModelProto:
    """x -> Q -> DQ -> Conv(DQ(weight), DQ(bias)) -> Add(constant) -> logits, named as onnxruntime's quantizer names them."""
    constants = [
        numpy_helper.from_array(np.array(0.5, np.float32), "x_scale"), helper.make_tensor("x_zero_point", TensorProto.INT8, (), [-3]),
        numpy_helper.from_array(np.array([0.25, 0.5], np.float32), "weight_scale"),
        numpy_helper.from_array(np.arange(-4, 4, dtype=np.int8).reshape(2, 1, 2, 2), "weight_quantized"),
        numpy_helper.from_array(np.array([3, -5], np.int32), "bias_quantized"),
        numpy_helper.from_array(np.array([0.125, 0.25], np.float32), "bias_quantized_scale"),
        numpy_helper.from_array(np.array([1.0], np.float32), "offset"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero_point"], ["x_q"], name="x_QuantizeLinear"),
        helper.make_node("DequantizeLinear", ["x_q", "x_scale", "x_zero_point"], ["x_dq"], name="x_DequantizeLinear"),
        helper.make_node("DequantizeLinear", ["weight_quantized", "weight_scale"], ["w"], name="weight_DequantizeLinear", axis=0),
        helper.make_node("DequantizeLinear", ["bias_quantized", "bias_quantized_scale"], ["b"], name="bias_DequantizeLinear", axis=0),
        helper.make_node("Conv", ["x_dq", "w", "b"], ["c"], name="/stem/Conv"),
        helper.make_node("Add", ["c", "offset"], ["logits"], name="v0"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, n, None, None)) for name, n in (("x", 1), ("logits", 2))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def answer_of_picture(model: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4) - 7})[0]


def test_shorten_pair_names_when_done_then_smaller_and_the_same_answers_and_weights() -> None:
    model = between_pairs()
    before, size, weights = answer_of_picture(model), model.ByteSize(), count_weights(model.graph)
    shorten_pair_names(model)
    onnx.checker.check_model(model, full_check=True)
    assert model.ByteSize() < size - 150
    assert count_weights(model.graph) == weights == 8 + 2 + 1
    np.testing.assert_array_equal(answer_of_picture(model), before)


def test_shorten_pair_names_when_done_then_weights_other_constants_and_other_nodes_keep_theirs() -> None:
    model = between_pairs()
    shorten_pair_names(model)
    names = {item.name for item in model.graph.initializer}
    assert {"weight_quantized", "offset"} < names
    assert not names & {"x_scale", "x_zero_point", "bias_quantized", "bias_quantized_scale", "weight_scale"}
    assert {"/stem/Conv", "v0"} < {node.name for node in model.graph.node}
    assert len({node.name for node in model.graph.node}) == len(model.graph.node)


def test_shorten_pair_names_when_a_zero_point_is_negative_then_it_is_stored_in_its_one_byte() -> None:
    model = between_pairs()
    shorten_pair_names(model)
    (zero,) = (item for item in model.graph.initializer if item.data_type == TensorProto.INT8 and not item.dims)
    assert zero.raw_data == b"\xfd"
    assert not zero.int32_data


@pytest.mark.parametrize("end", ["input", "output"])
def test_shorten_pair_names_when_a_scale_is_an_end_of_the_graph_too_then_it_keeps_its_name(end: str) -> None:
    model = between_pairs()
    getattr(model.graph, end).append(helper.make_tensor_value_info("weight_scale", TensorProto.FLOAT, (2,)))
    shorten_pair_names(model)
    onnx.checker.check_model(model, full_check=True)
    assert "weight_scale" in {item.name for item in model.graph.initializer}
