"""int8 by layer, of graphs that can be counted by hand."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedistill.quantize.layers import layer_of, measure_layers


@pytest.mark.parametrize(
    ("node", "weight", "layer"),
    [
        ("/bert/encoder/layer.3/output/dense/MatMul_quant", "onnx::MatMul_9", "encoder.layer.3"),
        ("/resnet/encoder/stages.0/layers.1/layer/layer.0/convolution/Conv", "w", "encoder.stages.0.layers.1"),
        ("Attention_4_quant", "Attention_4_qkv_weight", "encoder.layer.4"),
        ("EmbedLayerNormalization_0_quant", "bert.embeddings.word_embeddings.weight", "embeddings"),
        ("/bert/pooler/dense/Gemm", "bert.pooler.dense.weight", "pooler"),
        ("/classifier/Gemm_MatMul_quant", "w", "classifier"),
        ("Conv_17", "w", "other"),
    ],
)
def test_layer_of_when_asked_reads_the_name(node: str, weight: str, layer: str) -> None:
    assert layer_of(node, weight) == layer


def test_measure_layers_when_a_weight_is_shared_or_restored_counts_its_bytes_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["embeddings.w", "ids"], ["e"], name="/embeddings/Gather"),
        helper.make_node("MatMulInteger", ["e", "a"], ["h"], name="/encoder/layer.0/MatMul"),
        helper.make_node("DequantizeLinear", ["b", "scale"], ["b_float"], name="restore"),
        helper.make_node("MatMul", ["h", "b_float"], ["k"], name="/encoder/layer.0/out/MatMul"),
        helper.make_node("MatMul", ["k", "c"], ["l"], name="/encoder/layer.1/MatMul"),
        helper.make_node("MatMul", ["l", "c"], ["y"], name="/encoder/layer.1/again/MatMul"),
    ]
    weights = {"embeddings.w": np.ones((10, 4), np.int8), "a": np.ones((4, 4), np.int8), "b": np.ones((4, 4), np.int8),
               "c": np.ones((4, 4), np.float32), "scale": np.array(1.0, np.float32)}
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(value, name) for name, value in weights.items()])
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    floats = ("/encoder/layer.0/out/MatMul", "/encoder/layer.1/MatMul", "/encoder/layer.1/again/MatMul")
    found = measure_layers(tmp_path / "m.onnx", float_nodes=floats)
    assert [tuple(layer.model_dump().values()) for layer in found] == [
        ("embeddings", 40, 0, 1, 0), ("encoder.layer.0", 32, 0, 1, 1), ("encoder.layer.1", 0, 64, 0, 2)]


def test_measure_layers_when_a_table_is_turned_for_a_product_counts_the_product_and_not_the_turn(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["table", "scale"], ["restored"]),
        helper.make_node("Transpose", ["restored"], ["turned"], name="turn"),
        helper.make_node("MatMul", ["x", "turned"], ["y"], name="/classifier/MatMul"),
    ]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(np.ones((10, 4), np.int8), "table"),
                               numpy_helper.from_array(np.float32(1.0), "scale")])
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    found = measure_layers(tmp_path / "m.onnx", float_nodes=("/classifier/MatMul",))
    assert [tuple(layer.model_dump().values()) for layer in found] == [("classifier", 40, 0, 0, 1)]
