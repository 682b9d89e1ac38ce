"""The order of a graph's nodes: each behind those whose values it reads, as ONNX demands and some tools rely on."""

import onnx

from edgedistill.quantize.graph_reads import reads_of


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Put the nodes of a graph in an order in which each finds its inputs made, in place; else they stay as they stand.

    Args:
        graph: without cycles; names that no node makes (inputs, initialisers, an optional input left out) count as there.

    Raises:
        ValueError: the nodes read each other in a circle.
    """
    made = {name for node in graph.node for name in node.output if name}
    waiting, ordered = list(graph.node), list[onnx.NodeProto]()
    there: set[str] = set()
    while waiting:
        later = []
        for node in waiting:
            if all(name in there for name in reads_of(node) if name in made):
                ordered.append(node)
                there.update(node.output)
            else:
                later.append(node)
        if len(later) == len(waiting):
            raise ValueError(f"the nodes of the graph read each other in a circle: {waiting[0].name}")
        waiting = later
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(kept)
