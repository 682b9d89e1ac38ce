"""How much of a graph is int8: by weight bytes, by nodes, and what each part weighs."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx

from edgedistill.results import Coverage

_WEIGHTED = {"MatMul", "Gemm", "Conv", "Gather", "Attention", "EmbedLayerNormalization"}
_QUANTIZED = {"MatMulInteger", "QLinearMatMul", "QGemm", "QLinearConv", "ConvInteger", "QAttention", "QEmbedLayerNormalization",
              "DynamicQuantizeMatMul", "MatMulIntegerToFloat"}
_INT8 = {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}


def measure_coverage(path: Path) -> Coverage:
    """Measure how much of a quantized graph runs in int8.

    Weights are float or 8-bit initialisers with at least two dimensions; nodes counted are those that use one.
    Computation nodes whose weight is stored in int8 but restored to float before use (a DequantizeLinear on the weight)
    count as float nodes.

    Args:
        path: an ONNX file.
    """
    graph = onnx.load(path).graph
    weights = {w.name: w for w in graph.initializer if len(w.dims) >= 2}
    sizes = {name: _bytes_of(weight) for name, weight in weights.items()}
    int8_bytes = sum(sizes[name] for name, weight in weights.items() if weight.data_type in _INT8)
    restored = {
        node.output[0] for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in weights
    }
    quantized, floating = [], []
    for node in graph.node:
        used = [name for name in node.input if name in weights or name in restored]
        if not used:
            continue
        in_int8 = all(name not in restored and weights[name].data_type in _INT8 for name in used)
        if node.op_type in _QUANTIZED or (node.op_type == "Gather" and in_int8):
            quantized.append(node.name)
        elif node.op_type in _WEIGHTED:
            floating.append(node.name or node.output[0])
    total = len(quantized) + len(floating)
    return Coverage(
        weight_bytes_share=int8_bytes / max(1, sum(sizes.values())),
        nodes_share=len(quantized) / total if total else 0.0,
        float_nodes=tuple(floating),
        bytes_by_part=_by_part(graph.initializer),
    )


def _by_part(initializers: Iterable[onnx.TensorProto]) -> dict[str, int]:
    parts = {"embedding": 0, "encoder": 0, "head": 0, "other": 0}
    for item in initializers:
        name = item.name.lower()
        part = ("embedding" if "embedding" in name else "head" if "classifier" in name or "pre_classifier" in name
                else "encoder" if any(word in name for word in ("encoder", "layer", "attention", "pooler", "matmul", "qkv"))
                else "other")
        parts[part] += _bytes_of(item)
    return parts


def _bytes_of(item: onnx.TensorProto) -> int:
    width = int(onnx.helper.tensor_dtype_to_np_dtype(item.data_type).itemsize)
    return int(np.prod(item.dims, dtype=np.int64)) * width
