"""What nodes read: their own inputs, and what the graphs inside them (the branches of an If, the body of a Loop) read."""

from collections import Counter
from collections.abc import Iterator

import onnx


def inner_graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs that are attributes of a node."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            yield from attribute.graphs


def all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph and every graph inside it."""
    yield graph
    for node in graph.node:
        for inner in inner_graphs(node):
            yield from all_graphs(inner)


def reads_of(node: onnx.NodeProto) -> Iterator[str]:
    """Yield the names that a node reads; a name that a graph inside it makes itself counts too, as no outer one is it."""
    yield from node.input
    for inner in inner_graphs(node):
        yield from (name for below in inner.node for name in reads_of(below))
        yield from (item.name for item in inner.output)


def count_reads(graph: onnx.GraphProto) -> Counter[str]:
    """Return how often each name is read, by nodes at any depth; an output of the graph is not counted."""
    return Counter(name for node in graph.node for name in reads_of(node))
