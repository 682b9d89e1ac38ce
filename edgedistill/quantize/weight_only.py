"""Weights in 8 bits, products in float: a quarter of the bytes, the speed of float at best, and hardly an answer changed."""

from collections.abc import Iterable
from pathlib import Path

import onnx
from onnx import helper, numpy_helper

from edgedistill.quantize.graph_forms import drop_unused, fold_batch_norms, name_nodes, split_embeddings, turn_gemms
from edgedistill.quantize.rounding import round_weights
from edgedistill.quantize.scheme_names import Scheme
from edgedistill.quantize.static_quantizer import quantize_tables, quiet_quantizer, save_clean
from edgedistill.quantize.tied_tables import merge_equal_matrices, turn_tied_tables

_OUTPUT_AXIS = {"MatMul": 1, "Attention": 1, "Conv": 0, "ConvTranspose": 1}
"""Axis of the weight that numbers the outputs; of Gemm it depends on transB."""


def quantize_weights_only(
    source: Path, out: Path, scheme: Scheme, *, excluded: Iterable[str] = (), by_row: Iterable[str] = ()
) -> None:
    """Store the weights of products in 8 bits, each restored by a DequantizeLinear before its use, and the tables likewise.

    Args:
        source: a float ONNX file.
        out: the file to make; opset 13 or newer, as the source has it.
        scheme: a weight-only one.
        excluded: names of nodes that stay float.
        by_row: names of nodes whose embedding tables get a scale a row.
    """
    model, left_out, rowwise = onnx.load(source), frozenset(excluded), frozenset(by_row)
    turn_tied_tables(model, scheme.kind)
    fold_batch_norms(model.graph)
    turn_gemms(model.graph)
    name_nodes(model.graph)
    split_embeddings(model, rowwise)
    weights = {item.name: item for item in model.graph.initializer
               if item.data_type == onnx.TensorProto.FLOAT and len(item.dims) > 1}
    restored: dict[str, list[onnx.NodeProto]] = {}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type in (*_OUTPUT_AXIS, "Gemm") and len(node.input) > 1 and node.name not in left_out:
            name = node.input[1]
            if name in weights and name not in restored:
                restored[name] = [_restore(model.graph, weights[name], axis=_axis(node), scheme=scheme)]
                nodes += restored[name]
            if name in restored:
                node.input[1] = restored[name][0].output[0]
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    drop_unused(model.graph)  # a weight that something else reads as well, or a graph inside a node, stays
    onnx.save(model, out)
    with quiet_quantizer():
        quantize_tables(out, scheme, excluded=left_out, by_row=rowwise)
    made = onnx.load(out)
    merge_equal_matrices(made.graph)
    save_clean(made, out, like=source)


def _axis(node: onnx.NodeProto) -> int:
    if node.op_type == "Gemm":
        return 0 if any(a.name == "transB" and a.i for a in node.attribute) else 1
    return _OUTPUT_AXIS[node.op_type]


def _restore(graph: onnx.GraphProto, item: onnx.TensorProto, *, axis: int, scheme: Scheme) -> onnx.NodeProto:
    """Put the integers and the scale of a float weight into the graph; return the node that restores it."""
    integers, scale, zero = round_weights(
        numpy_helper.to_array(item), axis=axis if scheme.is_per_channel else None, weights=scheme.weights
    )
    # not called as `tables` calls its own: a table that is a product's weight too can be there in both forms
    names = [f"{item.name}_product_{part}" for part in ("quantized", "scale", "zero_point")]
    graph.initializer.extend(numpy_helper.from_array(array, name)
                             for array, name in zip((integers, scale, zero), names, strict=True))
    return helper.make_node("DequantizeLinear", names, [f"{item.name}_restored"], f"{item.name}_DequantizeLinear",
                            **({"axis": axis} if scheme.is_per_channel else {}))
