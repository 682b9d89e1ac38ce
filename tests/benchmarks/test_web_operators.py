"""What is said of operators in a browser: only of those whose inputs were equal, and where a rounding step was crossed."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from web_operators import compared_operators, feeds_of, other_steps, tapped


@pytest.fixture
def model():
    """Tanh, rounded to steps, and taken apart again."""
    nodes = [
        helper.make_node("Tanh", ["x"], ["t"]),
        helper.make_node("DynamicQuantizeLinear", ["t"], ["q", "scale", "zero"], name="rounding"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["logits"]),
    ]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def row(t, q, logits):
    return {"t": np.array(t), "q": np.array(q), "scale": np.array([0.1]), "zero": np.array([0.0]), "logits": np.array(logits)}


def test_model_when_tapped_then_runs_and_every_result_is_an_output(model):
    session = onnxruntime.InferenceSession(tapped(model).SerializeToString(), providers=["CPUExecutionProvider"])
    assert {output.name for output in session.get_outputs()} == {"t", "q", "scale", "zero", "logits"}


def test_operators_when_one_differs_then_those_after_it_are_not_blamed(model):
    ours, theirs = row([0.05, 0.5], [0, 5], [0.0, 0.5]), row([0.0500001, 0.5], [1, 5], [0.1, 0.5])
    found = compared_operators(tapped(model), [ours, ours], [theirs, ours])
    assert found["Tanh"] == {"with_equal_inputs": 2, "differing": 1, "largest_relative_difference": pytest.approx(2e-7)}
    assert found["DynamicQuantizeLinear"] == {"with_equal_inputs": 1, "differing": 0, "largest_relative_difference": 0.0}
    assert found["DequantizeLinear"]["with_equal_inputs"] == 1


def test_steps_when_a_rounding_edge_was_crossed_then_say_where_and_how_near_it(model):
    ours, theirs = row([0.04999, 0.5], [0, 5], [0.0, 0.5]), row([0.05001, 0.5], [1, 5], [0.1, 0.5])
    (found,) = other_steps(tapped(model), ours, theirs)
    assert found == {"node": "rounding", "other_steps": 1, "of": 2, "first_in_steps_here": pytest.approx(0.4999),
                     "first_in_steps_there": pytest.approx(0.5001)}
    assert list(other_steps(tapped(model), ours, ours)) == []


def test_feeds_when_made_have_the_types_of_the_inputs():
    inputs = [helper.make_tensor_value_info(name, kind, [1, None]) for name, kind in (
        ("input_ids", TensorProto.INT64), ("attention_mask", TensorProto.INT32))]
    model = helper.make_model(helper.make_graph([], "g", inputs, []))
    assert feeds_of(model, [{"ids": [2, 7, 3]}]) == [
        {"input_ids": {"type": "int64", "values": [2, 7, 3]}, "attention_mask": {"type": "int32", "values": [1, 1, 1]}}]
