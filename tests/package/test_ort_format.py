import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedistill.errors import ArtifactError
from edgedistill.package.ort_converter import keep_restored_weights_apart
from edgedistill.package.ort_format import convert_to_ort


def test_ort_model_when_run_answers_like_the_onnx_model(inputs, packed):
    ids = np.array([[2, 4, 3]])
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}

    answers = [
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, feeds)[0]
        for path in (inputs.model / "model.onnx", packed / "bundle" / "model.ort")
    ]

    np.testing.assert_allclose(answers[0], [[8 / 3, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-6)


def test_kernel_types_when_written_anew_are_all_there_in_sorted_order(packed):
    from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs import InferenceSession

    content = (packed / "bundle" / "model.ort").read_bytes()
    resolver = InferenceSession.InferenceSession.GetRootAs(content, 0).KernelTypeStrResolver()
    names = [resolver.OpKernelTypeStrArgs(i).OpId() for i in range(resolver.OpKernelTypeStrArgsLength())]

    assert content[4:8] == b"ORTM"
    assert names == sorted(names)
    assert {b":Gather:13", b":Cast:13", b":ReduceSum:13"} <= set(names)


def test_convert_when_it_is_no_model_says_so_in_one_line():
    with pytest.raises(ArtifactError, match="does not convert it to ORT format") as caught:
        convert_to_ort(b"no model", "aarch64", oldest="1.17")
    assert "\n" not in caught.value.message


def test_nodes_that_are_folded_before_a_provider_is_asked_do_not_count():
    nodes = [helper.make_node("Mul", ["a", "b"], ["scale"]), helper.make_node("Mul", ["x", "scale"], ["h"]),
             helper.make_node("Relu", ["h"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
                              [numpy_helper.from_array(np.full(8, 2, np.float32), name) for name in "ab"])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    found = convert_to_ort(model.SerializeToString(), "aarch64", oldest="1.17")
    assert found.nodes == {"Mul": 1, "Relu": 1}
    assert {support.nodes for support in found.support.values()} == {2}


def _static_graph(*, axis: int | None) -> onnx.ModelProto:
    """One stored weight that an int8 product and a float one read."""
    scale = np.float32(0.01) if axis is None else np.linspace(0.01, 0.02, 8, dtype=np.float32)
    grid = {"axis": axis} if axis is not None else {}
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wr"], "weight", **grid),
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "round"), helper.make_node("DequantizeLinear", ["q", "s", "z"], ["xr"], "back"),
        helper.make_node("MatMul", ["xr", "wr"], ["h"], "int8"), helper.make_node("Tanh", ["h"], ["t"], "tanh"),
        helper.make_node("MatMul", ["t", "wr"], ["y"], "float"),
    ]
    random = np.random.default_rng(0)
    constants = {"w": random.integers(-127, 128, (8, 8)).astype(np.int8), "ws": scale, "wz": np.zeros(scale.shape, np.int8),
                 "s": np.float32(0.02), "z": np.uint8(128)}
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8])],
                              [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


@pytest.mark.parametrize("axis", [None, 1])
def test_a_float_product_on_a_shared_weight_stays_apart_and_the_int8_one_is_fused(axis, tmp_path):
    model = _static_graph(axis=axis)
    ort = tmp_path / "m.ort"
    made = convert_to_ort(model.SerializeToString(), "x86_64", oldest="1.17")
    ort.write_bytes(made.model)
    feeds = {"x": np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32)}
    answers = [onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, feeds)[0]
               for file in (model.SerializeToString(), str(ort))]
    np.testing.assert_allclose(*answers, atol=1e-4)
    assert "MatMulNBits" not in made.operators
    assert "MatMulIntegerToFloat" in made.operators


def test_a_graph_without_a_float_product_on_a_stored_weight_is_left_as_it_is():
    model = _static_graph(axis=None)
    del model.graph.node[-1]
    model.graph.output[0].name = "t"
    before = model.SerializeToString()
    assert keep_restored_weights_apart(model) == 0
    assert model.SerializeToString() == before
