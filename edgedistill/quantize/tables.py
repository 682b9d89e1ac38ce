"""Embedding tables in 8 bits: stored and looked up as integers, restored after the look-up.

one scale a table   the row is restored by one DequantizeLinear
one scale a row     for tables in which a few rows are far larger than the rest; scale and row are looked up and multiplied
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgedistill.quantize.graph_reads import reads_of
from edgedistill.quantize.rounding import round_weights
from edgedistill.quantize.scheme_names import Weights


def quantize_gathered_tables(
    graph: onnx.GraphProto, *, weights: Weights, excluded: frozenset[str] = frozenset(), by_row: frozenset[str] = frozenset()
) -> None:
    """Store the float tables that a Gather reads in 8 bits, in place.

    Args:
        graph: its Gather nodes on axis 0 over a constant matrix are changed; the table must have no other reader.
        weights: int8 around zero, or uint8 with a zero point.
        excluded: names of nodes that are left alone.
        by_row: names of nodes, or of fused ones that they were cut out of, whose table gets a scale a row.
    """
    tables = {item.name: item for item in graph.initializer if len(item.dims) == 2 and item.data_type == TensorProto.FLOAT}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in reads_of(node):
            if name in tables:
                readers.setdefault(name, []).append(node)
    added: dict[int, list[onnx.NodeProto]] = {}
    for name, nodes in readers.items():
        if all(is_look_up(node) and node.name not in excluded for node in nodes):
            is_by_row = any(node.name in by_row or node.name.rpartition("/")[0] in by_row for node in nodes)
            _store(graph, tables[name], weights=weights, is_by_row=is_by_row)
            for node in nodes:
                added[id(node)] = _restore(node, name, is_by_row=is_by_row)
    nodes = [follower for node in graph.node for follower in (node, *added.get(id(node), ()))]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)


def is_look_up(node: onnx.NodeProto) -> bool:
    """Does a node look rows of its first input up?"""
    return node.op_type == "Gather" and not any(a.name == "axis" and a.i for a in node.attribute)


def _store(graph: onnx.GraphProto, item: onnx.TensorProto, *, weights: Weights, is_by_row: bool) -> None:
    kind: Weights = "wi8" if is_by_row else weights
    integers, scale, zero = round_weights(numpy_helper.to_array(item), axis=0 if is_by_row else None, weights=kind)
    graph.initializer.remove(item)
    graph.initializer.extend([
        numpy_helper.from_array(integers, f"{item.name}_quantized"),
        numpy_helper.from_array(scale.reshape(-1, 1) if is_by_row else scale, f"{item.name}_scale"),
    ])
    if not is_by_row:
        graph.initializer.append(numpy_helper.from_array(zero, f"{item.name}_zero_point"))


def _restore(node: onnx.NodeProto, table: str, *, is_by_row: bool) -> list[onnx.NodeProto]:
    """Let a look-up read the integers; return the nodes that restore what it finds."""
    out, rows = node.output[0], f"{node.output[0]}_quantized"
    node.input[0], node.output[0] = f"{table}_quantized", rows
    if not is_by_row:
        return [helper.make_node("DequantizeLinear", [rows, f"{table}_scale", f"{table}_zero_point"], [out],
                                 f"{node.name}/DequantizeLinear")]
    return [
        helper.make_node("Cast", [rows], [f"{rows}_float"], f"{node.name}/Cast", to=TensorProto.FLOAT),
        helper.make_node("Gather", [f"{table}_scale", node.input[1]], [f"{rows}_scale"], f"{node.name}/Gather", axis=0),
        helper.make_node("Mul", [f"{rows}_float", f"{rows}_scale"], [out], f"{node.name}/Mul"),
    ]


def row_ratio(table: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> float:
    """Return how much larger the largest row of a table is than the median one, by magnitude; 1 for even rows."""
    largest = np.abs(table).max(axis=1)
    return float(largest.max() / max(float(np.median(largest)), float(np.finfo(np.float32).tiny)))
