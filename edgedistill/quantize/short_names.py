"""Shorter names for what no person and no tool looks up in a graph: in a small student names are three per cent of the file."""

from collections.abc import Iterator

import onnx
from onnx import numpy_helper

_PAIRS = frozenset({"QuantizeLinear", "DequantizeLinear"})
_FIRST_GRID_INPUT = 1


def shorten_value_names(model: onnx.ModelProto) -> None:
    """Give the values between the nodes of a graph short names, in place.

    Nodes keep their names (verdicts name nodes), and so do the initialisers, the inputs and the outputs of the graph. A
    graph with a subgraph is left as it is, as inner nodes may read outer values.

    Args:
        model: the graph; its value_info, whose names would no longer be right, is dropped.
    """
    graph = model.graph
    if _has_subgraph(graph):
        return
    kept = {item.name for items in (graph.input, graph.output, graph.initializer) for item in items}
    free = free_names(kept)
    short = {name: next(free) for node in graph.node for name in node.output if name and name not in kept}
    _rename_values(graph, short)
    del graph.value_info[:]


def shorten_pair_names(model: onnx.ModelProto) -> None:
    """Give QuantizeLinear, DequantizeLinear and their constants short names, in place; weights and other nodes keep theirs.

    The constants are scales, zero points and biases, that is all of fewer than two dimensions that nothing else reads. Verdicts,
    the coverage and the count of the weights know them by where they are read, and not by name. A zero point is stored as
    bytes: as a protobuf integer a negative one takes ten.

    Args:
        model: a static int8 graph. One with a subgraph is left as it is.
    """
    graph = model.graph
    if _has_subgraph(graph):
        return
    read_elsewhere = {name for node in graph.node if node.op_type not in _PAIRS for name in node.input}
    ends = {item.name for items in (graph.input, graph.output) for item in items}  # older graphs name constants as inputs too
    constants = [item for item in graph.initializer if len(item.dims) <= 1 and item.name not in read_elsewhere | ends]
    free = free_names(ends | {item.name for item in graph.initializer} | {name for node in graph.node for name in node.output})
    short = {item.name: next(free) for item in constants}
    grids = {name for node in graph.node if node.op_type in _PAIRS for name in node.input[_FIRST_GRID_INPUT:]}
    for item in constants:
        if item.name in grids:
            item.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(item), item.name))
        item.name = short[item.name]
    _rename_values(graph, short)
    pairs = [node for node in graph.node if node.op_type in _PAIRS]
    free = free_names({node.name for node in graph.node if node.op_type not in _PAIRS})
    for node in pairs:
        node.name = next(free)


def _has_subgraph(graph: onnx.GraphProto) -> bool:
    return any(attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
               for node in graph.node for attribute in node.attribute)


def _rename_values(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def free_names(taken: set[str]) -> Iterator[str]:
    """Yield short names that are not taken, without end."""
    number = 0
    while True:
        name = _short_name(number)
        number += 1
        if name not in taken:
            yield name


def _short_name(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while True:
        number, digit = divmod(number, len(digits))
        text = digits[digit] + text
        if number == 0:
            return f"v{text}"
