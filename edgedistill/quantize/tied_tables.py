"""A table that is looked up and multiplied, as a tied embedding: stored once in 8 bits, in the form that the product reads.

before the quantizer   a weight that is transposed on its way to a product is written transposed; where it is looked up too, the
                       look-up of a dynamic scheme reads columns of it, so that there is still one table
after it               a look-up of a dynamic scheme reads the integers that the product stores, and what it finds is restored
"""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgedistill.quantize.graph_forms import drop_unused, name_nodes, split_embeddings
from edgedistill.quantize.graph_reads import count_reads, reads_of
from edgedistill.quantize.scheme_names import Kind

_FUSED_EMBEDDING = "EmbedLayerNormalization"


def turn_tied_tables(model: onnx.ModelProto, kind: Kind) -> None:
    """Write float matrices that products read transposed as these read them, in place: the same answers.

    A Transpose between a matrix and a product hides the weight from the quantizers; the other schemes store the turned matrix
    beside the one that is looked up, both in 8 bits. Of a dynamic scheme a Gemm with transB is
    such a product too, since onnxruntime's quantizer stores a transposed copy of its weight. A matrix that something reads as it
    stands, other than a look-up, keeps a copy of its own; so does one whose look-ups have ids of an unknown number of axes.

    Args:
        model: a float graph; its nodes get names where there is something to turn.
        kind: of the scheme.
    """
    graph = model.graph
    turned = _turned_products(graph, kind)
    if not turned:
        return
    name_nodes(graph)
    split_embeddings(model, frozenset(node.name for node in graph.node
                                      if node.op_type == _FUSED_EMBEDDING and set(turned) & set(node.input[2:5])))
    ranks = _ranks(model)
    for name, products in _turned_products(graph, kind).items():  # anew: splitting replaces nodes
        _turn(graph, name, products, ranks if kind == "dynamic" else {})
    read = {name for node in graph.node for name in reads_of(node)} | {item.name for item in graph.output}
    for node in [node for node in graph.node if _is_turn(node) and node.output[0] not in read]:
        graph.node.remove(node)
    drop_unused(graph)


def _turned_products(graph: onnx.GraphProto, kind: Kind) -> dict[str, list[onnx.NodeProto]]:
    """Return the products that read a constant matrix transposed, by the name of the matrix."""
    tables = {item.name for item in graph.initializer if len(item.dims) == 2 and item.data_type == TensorProto.FLOAT}
    turns = {node.output[0]: node.input[0] for node in graph.node if _is_turn(node) and node.input[0] in tables}
    uses = count_reads(graph)
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        if node.op_type in ("MatMul", "Gemm") and node.input[1] in turns:
            found.setdefault(turns[node.input[1]], []).append(node)
        elif kind == "dynamic" and node.op_type == "Gemm" and node.input[1] in tables and _has_trans_b(node) and (
            uses[node.input[1]] > 1  # one on a matrix that nothing else reads is turned by the quantizer itself
        ):
            found.setdefault(node.input[1], []).append(node)
    return found


def _turn(graph: onnx.GraphProto, name: str, products: list[onnx.NodeProto], ranks: dict[str, int]) -> None:
    """Let products read a matrix as it is to be multiplied; look-ups read its columns where nothing else reads it."""
    item = next(item for item in graph.initializer if item.name == name)
    turned = f"{name}_turned"
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(numpy_helper.to_array(item).T), turned))
    for node in products:
        is_turned_twice = node.input[1] != name and _has_trans_b(node)
        node.input[1] = name if is_turned_twice else turned
        for attribute in (a for a in node.attribute if a.name == "transB"):
            attribute.i = 0
    others = [node for node in _readers(graph, name) if not _is_turn(node)]
    if not all(_looks_rows_up(node) and node.input[1] in ranks for node in others):
        return
    for node in others:
        _read_columns(graph, node, turned, ranks[node.input[1]])


def _read_columns(graph: onnx.GraphProto, node: onnx.NodeProto, turned: str, rank: int) -> None:
    """Let a look-up find columns of the turned table, and put a Transpose behind it."""
    out = node.output[0]
    node.input[0], node.output[0] = turned, f"{out}_columns"
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("axis", 1))
    back = helper.make_node("Transpose", [node.output[0]], [out], f"{node.name}/Transpose", perm=[*range(1, rank + 1), 0])
    graph.node.insert(list(graph.node).index(node) + 1, back)


def _is_turn(node: onnx.NodeProto) -> bool:
    perm = next((list(a.ints) for a in node.attribute if a.name == "perm"), [1, 0])
    return node.op_type == "Transpose" and perm == [1, 0]


def _has_trans_b(node: onnx.NodeProto) -> bool:
    return any(a.name == "transB" and a.i for a in node.attribute)


def _looks_rows_up(node: onnx.NodeProto) -> bool:
    return node.op_type == "Gather" and not any(a.name == "axis" and a.i for a in node.attribute)


def _readers(graph: onnx.GraphProto, name: str) -> Iterator[onnx.NodeProto]:
    return (node for node in graph.node if name in reads_of(node))


def _ranks(model: onnx.ModelProto) -> dict[str, int]:
    """Return the number of axes of values, as far as it is known."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    items = [*inferred.input, *inferred.value_info]
    found = {item.name: len(item.type.tensor_type.shape.dim) for item in items if item.type.tensor_type.HasField("shape")}
    return found | {item.name: len(item.dims) for item in model.graph.initializer}


def tied_look_ups(graph: onnx.GraphProto) -> list[str]:
    """Return the names of look-ups in a float matrix that a product multiplies as it stands."""
    multiplied = {node.input[1] for node in graph.node if node.op_type == "MatMul" or (
        node.op_type == "Gemm" and not _has_trans_b(node))} & {item.name for item in graph.initializer}
    return [node.name for node in graph.node if node.op_type == "Gather" and node.input[0] in multiplied]


def read_stored_rows(graph: onnx.GraphProto, look_ups: frozenset[str]) -> None:
    """Let look-ups read the integers that onnxruntime's dynamic quantizer stored for a product, in place; the float table goes.

    Args:
        graph: quantized; the parts of a matrix are called as it, with _quantized, _scale and _zero_point.
        look_ups: names of nodes; one whose table no product stores stays as it is.
    """
    constants = {item.name: item for item in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    waiting: dict[str, tuple[onnx.NodeProto, str]] = {}  # by the value that a Transpose turns
    for node in graph.node:
        nodes.append(node)
        if node.name in look_ups and f"{node.input[0]}_quantized" in constants:
            table = node.input[0]
            node.input[0] = f"{table}_quantized"
            if any(a.name == "axis" and a.i for a in node.attribute):
                waiting[node.output[0]] = (node, table)
            else:
                nodes += _restore(graph, node, table, by=None)
        elif node.op_type == "Transpose" and node.input[0] in waiting:
            look_up, table = waiting[node.input[0]]
            nodes += _restore(graph, node, table, by=look_up.input[1])
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
    drop_unused(graph)


def _restore(graph: onnx.GraphProto, node: onnx.NodeProto, table: str, *, by: str | None) -> list[onnx.NodeProto]:
    """Return what makes rows float: one scale, one a column (along the last axis), or, with `by`, one for each id."""
    out, rows = node.output[0], f"{node.output[0]}_rows"
    node.output[0] = rows
    scale, zero = (next(item for item in graph.initializer if item.name == f"{table}_{part}") for part in ("scale", "zero_point"))
    make = helper.make_node
    if by is None or scale.dims in ([], [1]):
        axis = {} if by is not None or scale.dims in ([], [1]) else {"axis": -1}
        return [make("DequantizeLinear", [rows, scale.name, zero.name], [out], f"{node.name}/DequantizeLinear", **axis)]
    axes = f"{table}_last_axis"
    if all(item.name != axes for item in graph.initializer):
        graph.initializer.append(numpy_helper.from_array(np.asarray([-1], np.int64), axes))
    made = [make("Cast", [rows], [f"{rows}_float"], f"{node.name}/Cast", to=TensorProto.FLOAT),
            make("Gather", [scale.name, by], [f"{rows}_scale"], f"{node.name}/scale"),
            make("Unsqueeze", [f"{rows}_scale", axes], [f"{rows}_scales"], f"{node.name}/Unsqueeze")]
    centred = f"{rows}_float"
    if numpy_helper.to_array(zero).any():
        centred = f"{rows}_centred"
        made += [make("Gather", [zero.name, by], [f"{rows}_zero"], f"{node.name}/zero"),
                 make("Unsqueeze", [f"{rows}_zero", axes], [f"{rows}_zeros"], f"{node.name}/Unsqueeze_1"),
                 make("Cast", [f"{rows}_zeros"], [f"{rows}_offset"], f"{node.name}/Cast_1", to=TensorProto.FLOAT),
                 make("Sub", [f"{rows}_float", f"{rows}_offset"], [centred], f"{node.name}/Sub")]
    return [*made, make("Mul", [centred, f"{rows}_scales"], [out], f"{node.name}/Mul")]


def merge_equal_matrices(graph: onnx.GraphProto) -> None:
    """Let nodes that read 8-bit matrices of the same integers read one of them, in place."""
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    same: dict[str, str] = {}
    for item in graph.initializer:
        if len(item.dims) == 2 and item.data_type in (TensorProto.INT8, TensorProto.UINT8):
            kept = first.setdefault((item.data_type, tuple(item.dims), numpy_helper.to_array(item).tobytes()), item.name)
            if kept != item.name:
                same[item.name] = kept
    for node in graph.node if same else ():
        node.input[:] = [same.get(name, name) for name in node.input]
    if same:
        drop_unused(graph)
