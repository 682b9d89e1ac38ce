"""Nodes in an order in which each finds its inputs made."""

import numpy as np
import onnx
import onnx.reference
import pytest
from onnx import TensorProto, helper

from edgedistill.quantize.node_order import sort_nodes


def graph_of(*nodes: onnx.NodeProto) -> onnx.GraphProto:
    rows = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (2,)) for name in ("x", "y")]
    return helper.make_graph(list(nodes), "g", rows[:1], rows[1:])


def test_sort_nodes_when_a_maker_stands_behind_its_reader_then_before_and_the_answers_stand() -> None:
    last = helper.make_node("Add", ["a", "b"], ["y"], name="last")
    clip = helper.make_node("Clip", ["x", "", ""], ["a"], name="clip")  # optional inputs left out
    neg = helper.make_node("Neg", ["a"], ["b"], name="neg")
    graph = graph_of(last, neg, clip)
    sort_nodes(graph)
    assert [node.name for node in graph.node] == ["clip", "neg", "last"]
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_array_equal(onnx.reference.ReferenceEvaluator(model).run(None, {"x": np.float32([3, -4])})[0], [0, 0])


def test_sort_nodes_when_in_order_then_as_they_stand() -> None:
    nodes = [helper.make_node("Neg", ["x"], ["a"], name="n"), helper.make_node("Abs", ["x"], ["b"], name="m"),
             helper.make_node("Add", ["a", "b"], ["y"], name="o")]
    graph = graph_of(*nodes)
    sort_nodes(graph)
    assert [node.name for node in graph.node] == ["n", "m", "o"]


def test_sort_nodes_when_they_read_each_other_in_a_circle_then_refused() -> None:
    graph = graph_of(helper.make_node("Neg", ["b"], ["a"], name="n"), helper.make_node("Neg", ["a"], ["b"], name="m"))
    with pytest.raises(ValueError, match="in a circle: n"):
        sort_nodes(graph)
