"""Constants of a float graph as the quantizers want them: read by the nodes themselves, with every factor in the weight."""

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgedistill.quantize.graph_reads import all_graphs, count_reads, reads_of

_WEIGHT, _BIAS = 1, 2
"""Places among the inputs of a Gemm."""
_PAD_VALUE = 2


def read_through_identities(graph: onnx.GraphProto) -> bool:
    """Let nodes read an initialiser where they read an Identity of it, in place; returns whether anything changed.

    torch's exporter writes an Identity for each further use of a weight that layers share, and behind it the quantizers see none.
    """
    constants = {item.name for item in graph.initializer}
    named = {item.name for part in all_graphs(graph) for item in part.output}
    same: dict[str, str] = {}
    for node in graph.node:
        source = same.get(node.input[0], node.input[0]) if node.op_type == "Identity" else ""
        if source in constants and node.output[0] not in named:
            same[node.output[0]] = source
    if not same:
        return False
    for part in all_graphs(graph):
        for node in part.node:
            node.input[:] = [same.get(name, name) for name in node.input]
    for node in [node for node in graph.node if node.op_type == "Identity" and node.output[0] in same]:
        graph.node.remove(node)
    return True


def fold_factors(graph: onnx.GraphProto) -> bool:
    """Multiply alpha of a Gemm into its constant weight and beta into its constant bias, in place; returns whether any was there.

    onnxruntime's static quantizer rounds a bias with beta as if it were multiplied already and forgets beta, and its dynamic one
    passes a Gemm with alpha over. A weight that something else reads too stays, with alpha; of such a bias a copy is multiplied.
    """
    constants = {item.name: item for item in graph.initializer if item.data_type == TensorProto.FLOAT}
    uses, outputs = count_reads(graph), {item.name for item in graph.output}
    is_changed = False
    for node in graph.node:
        for place, factor in ((_WEIGHT, "alpha"), (_BIAS, "beta")) if node.op_type == "Gemm" else ():
            given = next((a for a in node.attribute if a.name == factor and a.f != 1.0), None)
            item = constants.get(node.input[place]) if len(node.input) > place else None
            if given is None or item is None:
                continue
            is_shared = uses[item.name] > 1 or item.name in outputs
            if is_shared and place == _WEIGHT:
                continue
            product = (numpy_helper.to_array(item) * np.float32(given.f)).astype(np.float32)
            if is_shared:
                node.input[place] = f"{item.name}_of_{node.output[0]}"
                graph.initializer.append(numpy_helper.from_array(product, node.input[place]))
            else:
                item.CopyFrom(numpy_helper.from_array(product, item.name))
            given.f, is_changed = 1.0, True
    return is_changed


def settle_pad_values(graph: onnx.GraphProto) -> None:
    """Leave the value of a Pad out where it is 0, as ONNX assumes, and make any other constant one an initialiser, in place.

    onnxruntime's static quantizer rounds each input of a Pad, and knows no range of what a Constant node holds.
    """
    initialisers = {item.name: item for item in graph.initializer}
    nodes = {node.output[0]: node.attribute[0].t for node in graph.node
             if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value"}
    settled: set[str] = set()
    for node in graph.node:
        name = node.input[_PAD_VALUE] if node.op_type == "Pad" and len(node.input) > _PAD_VALUE else ""
        item = initialisers.get(name) or nodes.get(name)
        if item is None:
            continue
        settled.add(name)
        value = numpy_helper.to_array(item)
        if not value.any():
            node.input[_PAD_VALUE] = ""
            if len(node.input) == _PAD_VALUE + 1:
                del node.input[_PAD_VALUE:]
        elif name in nodes:
            node.input[_PAD_VALUE] = f"{name}_value"
            if node.input[_PAD_VALUE] not in initialisers:
                initialisers[node.input[_PAD_VALUE]] = numpy_helper.from_array(value, node.input[_PAD_VALUE])
                graph.initializer.append(initialisers[node.input[_PAD_VALUE]])
    read = {name for node in graph.node for name in reads_of(node)} | {item.name for item in graph.output}
    for part in (graph.node, graph.initializer):
        for gone in [item for item in part if _name_of(item) in settled - read]:
            part.remove(gone)


def _name_of(item: onnx.NodeProto | TensorProto) -> str:
    return item.name if isinstance(item, TensorProto) else str(item.output[0])
