"""Default attributes: what ONNX assumes anyway is left out, and nothing else."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgedistill.quantize.default_attributes import drop_default_attributes


def model_of(*nodes: onnx.NodeProto, opset: int = 17) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    weight = numpy_helper.from_array(np.ones((2, 1, 3, 3), np.float32), "w")
    graph = helper.make_graph(list(nodes), "g", ends[:1], ends[1:], [weight])
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=9)


def left(*nodes: onnx.NodeProto) -> list[set[str]]:
    model = model_of(*nodes)
    drop_default_attributes(model)
    return [{item.name for item in node.attribute} for node in model.graph.node]


def test_drop_default_attributes_when_a_convolution_says_all_then_what_differs_is_left() -> None:
    plain = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 3], strides=[1, 1], dilations=[1, 1], pads=[0, 0, 0, 0],
                             group=1, auto_pad="NOTSET")
    other = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 3], strides=[2, 1], dilations=[1, 2], pads=[1, 0, 0, 0],
                             group=2, auto_pad="SAME_UPPER")
    assert left(plain) == [{"kernel_shape"}]
    assert left(other) == [{"kernel_shape", "strides", "dilations", "pads", "group", "auto_pad"}]


def test_drop_default_attributes_when_a_default_is_a_number_then_it_counts_by_value() -> None:
    assert left(helper.make_node("Gemm", ["x", "w"], ["y"], alpha=1.0, beta=1.0, transB=1)) == [{"transB"}]
    assert left(helper.make_node("Gemm", ["x", "w"], ["y"], alpha=0.5, transB=0)) == [{"alpha"}]
    assert left(helper.make_node("DequantizeLinear", ["x", "s"], ["y"], axis=0)) == [{"axis"}]
    assert left(helper.make_node("DequantizeLinear", ["x", "s"], ["y"], axis=1)) == [set()]


def test_drop_default_attributes_when_it_has_no_default_or_another_domain_then_it_stays() -> None:
    assert left(helper.make_node("Concat", ["x", "x"], ["y"], axis=1)) == [{"axis"}]  # no default: it must be said
    assert left(helper.make_node("FusedConv", ["x", "w"], ["y"], domain="com.microsoft", strides=[1, 1])) == [{"strides"}]


def test_drop_default_attributes_when_a_default_depends_on_the_opset_then_that_of_the_model_counts() -> None:
    softmax = helper.make_node("Softmax", ["x"], ["y"], axis=1)
    older, newer = model_of(softmax, opset=12), model_of(softmax, opset=17)
    drop_default_attributes(older)
    drop_default_attributes(newer)
    assert not older.graph.node[0].attribute
    assert newer.graph.node[0].attribute[0].i == 1


def test_drop_default_attributes_when_done_then_the_runtime_answers_the_same() -> None:
    conv = helper.make_node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3], strides=[1, 1], dilations=[1, 1], group=1, pads=[1] * 4)
    pool = helper.make_node("MaxPool", ["c"], ["y"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=0, dilations=[1, 1])
    model = model_of(conv, pool)
    picture = {"x": np.random.default_rng(0).normal(size=(1, 1, 6, 6)).astype(np.float32)}
    before = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, picture)[0]
    drop_default_attributes(model)
    after = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, picture)[0]
    np.testing.assert_array_equal(after, before)
