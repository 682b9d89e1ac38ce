"""How much of each layer of a graph is int8."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from edgedistill.quantize.coverage import LAYOUT_NODES, behind_layout, weights_of
from edgedistill.results import LayerCoverage

_INT8 = {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}
_FUSED_ATTENTION = re.compile(r"Q?Attention_(\d+)")
_WORDS = (("embed", "embeddings"), ("pooler", "pooler"), ("classifier", "classifier"))
_NUMBERED = re.compile(r"[A-Za-z_]+\.\d+")


@dataclass
class _Sum:
    int8_bytes: int = 0
    float_bytes: int = 0
    int8_nodes: int = 0
    float_nodes: int = 0


def measure_layers(path: Path, *, float_nodes: Collection[str]) -> tuple[LayerCoverage, ...]:
    """Return weight bytes and nodes in int8 and in float, by layer, in the order of the graph.

    A weight belongs to the layer of the first node that uses it, directly or through nodes that restore it or turn it.

    Args:
        path: an ONNX file.
        float_nodes: names of the nodes on weights that run in float, as `measure_coverage` finds them.
    """
    graph = onnx.load(path, load_external_data=False).graph
    weights = weights_of(graph)
    restored = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] in weights}
    makers = {output: node for node in graph.node for output in node.output}
    found: dict[str, _Sum] = {}
    seen: set[str] = set()
    for node in graph.node:
        if node.op_type == "DequantizeLinear" or node.op_type in LAYOUT_NODES:
            continue
        origins = [behind_layout(name, makers) for name in node.input]
        used = [restored.get(name, name) for name in origins if name in weights or name in restored]
        if not used:
            continue
        layer = found.setdefault(layer_of(node.name or node.output[0], used[0]), _Sum())
        if (node.name or node.output[0]) in float_nodes:
            layer.float_nodes += 1
        else:
            layer.int8_nodes += 1
        for weight in used:
            if weight not in seen:
                seen.add(weight)
                _add_bytes(layer, weights[weight])
    return tuple(LayerCoverage(layer=name, **vars(total)) for name, total in found.items())


def _add_bytes(layer: _Sum, weight: onnx.TensorProto) -> None:
    size = int(np.prod(weight.dims, dtype=np.int64)) * int(onnx.helper.tensor_dtype_to_np_dtype(weight.data_type).itemsize)
    if weight.data_type in _INT8:
        layer.int8_bytes += size
    else:
        layer.float_bytes += size


def layer_of(node: str, weight: str) -> str:
    """Return the layer that a node belongs to, from its name, or else from that of its weight.

    `/bert/encoder/layer.3/output/dense/MatMul` is of `encoder.layer.3`; so is the fused `Attention_3`, since attentions
    are fused in the order of the layers.
    """
    fused = _FUSED_ATTENTION.match(node)
    if fused is not None:
        return f"encoder.layer.{fused[1]}"
    parts = [part for part in node.split("/") if part]
    numbered = [i for i, part in enumerate(parts) if _NUMBERED.fullmatch(part)]
    if numbered:
        first = last = numbered[0]
        while last + 1 in numbered:
            last += 1
        return ".".join(parts[max(0, first - 1) : last + 1])
    name = f"{node} {weight}".lower()
    return next((layer for word, layer in _WORDS if word in name), "other")
