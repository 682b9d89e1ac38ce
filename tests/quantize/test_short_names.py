"""Short value names: the same answers from a smaller file, and nothing that a person reads is renamed."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from edgedistill.quantize.short_names import shorten_value_names


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
