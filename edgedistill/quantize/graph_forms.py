"""Float graphs in the form that a static scheme needs: attention with its product apart, batch norms folded into filters."""

from collections import Counter

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgedistill.quantize.constant_forms import settle_pad_values
from edgedistill.quantize.graph_reads import count_reads

_PLAIN_ATTENTION_INPUTS = 4
"""input, weight, bias, mask; what comes after (past keys, an additive bias) is left alone."""


def prepare_for_static(model: onnx.ModelProto) -> None:
    """Bring a float graph, in place, into the form that onnxruntime's static quantizer quantizes well."""
    fold_batch_norms(model.graph)
    split_attention(model)
    turn_gemms(model.graph)
    settle_pad_values(model.graph)
    name_nodes(model.graph)


def name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node a name of its own, after its first output: quantizers exclude nodes by name."""
    counts = Counter(node.name for node in graph.node)
    for node in graph.node:
        if not node.name or counts[node.name] > 1:
            node.name = f"{node.op_type}:{node.output[0]}"


def turn_gemms(graph: onnx.GraphProto) -> None:
    """Turn the constant weights of Gemm nodes, in place, so that none is transposed when the graph is loaded.

    onnxruntime 1.17.3 aborts while it loads a Gemm with transB on a weight with a scale for each output (seen; 1.32 does not).
    """
    weights = {item.name: item for item in graph.initializer}
    uses = count_reads(graph)
    for node in graph.node:
        turned = next((a for a in node.attribute if a.name == "transB" and a.i), None)
        if node.op_type == "Gemm" and turned is not None and node.input[1] in weights and uses[node.input[1]] == 1:
            item = weights[node.input[1]]
            _replace(item, np.ascontiguousarray(numpy_helper.to_array(item).T))
            turned.i = 0


def split_attention(model: onnx.ModelProto) -> None:
    """Replace every fused Attention by MatMul, Split and MultiHeadAttention: the same answers, and the product is a MatMul.

    The static quantizer knows no Attention: it would store the weight in 8 bits and restore it to float for each call.
    """
    graph = model.graph
    weights = {item.name: item for item in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        is_plain = not any(node.input[_PLAIN_ATTENTION_INPUTS:]) and not given.get("unidirectional") and len(node.output) == 1
        if node.op_type != "Attention" or not is_plain or node.input[1] not in weights or given.get("do_rotary"):
            nodes.append(node)
            continue
        width = weights[node.input[1]].dims[1] // 3
        sizes = list(given.get("qkv_hidden_sizes") or (width, width, width))
        nodes += _split_nodes(node, given, graph, sizes)
    del graph.node[:]
    graph.node.extend(nodes)


def _split_nodes(
    node: onnx.NodeProto, given: dict[str, object], graph: onnx.GraphProto, sizes: list[int]
) -> list[onnx.NodeProto]:
    name = node.name or node.output[0]
    sizes_name = "attention_sizes_" + "_".join(map(str, sizes))
    if all(item.name != sizes_name for item in graph.initializer):
        graph.initializer.append(numpy_helper.from_array(np.asarray(sizes, np.int64), sizes_name))
    product, parts = f"{name}_qkv", [f"{name}_{part}" for part in "qkv"]
    kept = {key: given[key] for key in ("num_heads", "mask_filter_value", "scale") if key in given}
    mask = node.input[3] if len(node.input) > 3 else ""
    bias = node.input[2] if len(node.input) > 2 else ""
    return [
        helper.make_node("MatMul", [node.input[0], node.input[1]], [product], f"{name}/MatMul"),
        helper.make_node("Split", [product, sizes_name], parts, f"{name}/Split", axis=2),
        helper.make_node("MultiHeadAttention", [*parts, bias, mask], [node.output[0]], f"{name}/MultiHeadAttention",
                         domain="com.microsoft", **kept),
    ]


def split_embeddings(model: onnx.ModelProto, names: frozenset[str]) -> None:
    """Replace fused EmbedLayerNormalizations by look-ups, sums and a SkipLayerNormalization, in place: the same answers.

    A fused one quantizes with one scale a table; of a look-up each row can have its own.

    Args:
        model: a float graph.
        names: of the nodes to take apart; look-ups that come out of a node are called as it, with /word, /position, /segment.
    """
    graph = model.graph
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        is_whole = node.op_type == "EmbedLayerNormalization" and node.name in names
        nodes += _embedding_nodes(node, graph) if is_whole and len(node.output) <= 2 else [node]
    del graph.node[:]
    graph.node.extend(nodes)


def _embedding_nodes(node: onnx.NodeProto, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    ids, segments, words, positions, kinds, gain, beta = node.input[:7]
    name = node.name
    for constant, value in (("zero", 0), ("one", 1)):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.int64), f"{name}_{constant}"))
    graph.initializer.append(numpy_helper.from_array(np.asarray([1], np.int64), f"{name}_axis"))
    make = helper.make_node
    made = [
        make("Shape", [ids], [f"{name}_shape"], f"{name}/Shape"),
        make("Gather", [f"{name}_shape", f"{name}_one"], [f"{name}_length"], f"{name}/length"),
        make("Range", [f"{name}_zero", f"{name}_length", f"{name}_one"], [f"{name}_places"], f"{name}/Range"),
        make("Gather", [words, ids], [f"{name}_word"], f"{name}/word"),
        make("Gather", [positions, f"{name}_places"], [f"{name}_position"], f"{name}/position"),
        make("Add", [f"{name}_word", f"{name}_position"], [f"{name}_sum"], f"{name}/Add"),
    ]
    total = f"{name}_sum"
    if kinds and segments:
        made += [make("Gather", [kinds, segments], [f"{name}_segment"], f"{name}/segment"),
                 make("Add", [total, f"{name}_segment"], [f"{name}_total"], f"{name}/Add_1")]
        total = f"{name}_total"
    epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-12)
    made.append(make("LayerNormalization", [total, gain, beta], [node.output[0]], f"{name}/LayerNormalization", axis=-1,
                     epsilon=epsilon))
    mask = node.input[7] if len(node.input) > 7 else ""
    if len(node.output) > 1 and node.output[1] and mask:
        made.append(make("ReduceSum", [mask, f"{name}_axis"], [node.output[1]], f"{name}/ReduceSum", keepdims=0))
    return made


def fold_batch_norms(graph: onnx.GraphProto) -> None:
    """Fold every BatchNormalization into the Conv before it, in place: W' = W g / s, b' = (b - m) g / s + beta, s^2 = v + e.

    Only where the convolution's output goes nowhere else, so that nobody else sees other values.

    Source: Jacob et al. 2018, "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
    eq. 14.
    """
    weights = {item.name: item for item in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    uses = count_reads(graph) + Counter(item.name for item in graph.output)
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        conv = makers.get(norm.input[0])
        if conv is None or conv.op_type != "Conv" or uses[conv.output[0]] != 1 or uses[conv.input[1]] != 1:
            continue
        if any(name not in weights for name in (*conv.input[1:], *norm.input[1:])):
            continue
        epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
        gain, beta, mean, variance = (numpy_helper.to_array(weights[name]) for name in norm.input[1:5])
        factor = gain / np.sqrt(variance + epsilon)
        matrix = numpy_helper.to_array(weights[conv.input[1]])
        bias = numpy_helper.to_array(weights[conv.input[2]]) if len(conv.input) > 2 else np.zeros_like(mean)
        shape = (-1,) + (1,) * (matrix.ndim - 1)
        _replace(weights[conv.input[1]], matrix * factor.reshape(shape))
        bias_name = f"{norm.output[0]}_bias"
        graph.initializer.append(numpy_helper.from_array(((bias - mean) * factor + beta).astype(matrix.dtype), bias_name))
        del conv.input[2:]
        conv.input.append(bias_name)
        conv.output[0] = norm.output[0]
        graph.node.remove(norm)
    drop_unused(graph)


def _replace(item: onnx.TensorProto, array: NDArray[np.generic]) -> None:
    item.CopyFrom(numpy_helper.from_array(array.astype(numpy_helper.to_array(item).dtype), item.name))


def drop_unused(graph: onnx.GraphProto) -> None:
    """Take initialisers out of a graph, in place, that no node reads, nor a graph inside one."""
    used = {*count_reads(graph), *(item.name for item in graph.output)}
    kept = [item for item in graph.initializer if item.name in used]
    if len(kept) < len(graph.initializer):
        del graph.initializer[:]
        graph.initializer.extend(kept)
