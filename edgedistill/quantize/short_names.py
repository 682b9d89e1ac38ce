"""Shorter names for the values between a graph's nodes: in a small student the names are three per cent of the file."""

import onnx


def shorten_value_names(model: onnx.ModelProto) -> None:
    """Give the values between the nodes of a graph short names, in place.

    Nodes keep their names (verdicts name nodes), and so do the initialisers, the inputs and the outputs of the graph. A
    graph with a subgraph is left as it is, as inner nodes may read outer values.

    Args:
        model: the graph; its value_info, whose names would no longer be right, is dropped.
    """
    graph = model.graph
    if any(attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
           for node in graph.node for attribute in node.attribute):
        return
    kept = {item.name for items in (graph.input, graph.output, graph.initializer) for item in items}
    values = (name for node in graph.node for name in node.output if name and name not in kept)
    free = (name for name in map(_short_name, range(10 * len(graph.node) + 10 * len(kept) + 10)) if name not in kept)
    short = dict(zip(values, free, strict=False))
    for node in graph.node:
        node.input[:] = [short.get(name, name) for name in node.input]
        node.output[:] = [short.get(name, name) for name in node.output]
    del graph.value_info[:]


def _short_name(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while True:
        number, digit = divmod(number, len(digits))
        text = digits[digit] + text
        if number == 0:
            return f"v{text}"
