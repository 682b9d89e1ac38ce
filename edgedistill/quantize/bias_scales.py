"""Scales of biases that are not stored: each is the product of two scales that are, one number a channel less.

A bias is rounded to steps of the product of its input's and its weight's scale. onnxruntime folds the product of two constants
when it loads a graph, before it fuses the pairs: the same operators run (looked at in 1.17.3, 1.20, 1.24 and
1.32), and the answers are the same to the bit. A net with many channels for its weights, as a MobileNet, saves most.

Source: Jacob et al. 2018, "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
eq. 11: S_bias = S_1 S_2.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgedistill.quantize.graph_reads import count_reads
from edgedistill.quantize.short_names import free_names

_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm"})
_BIAS_INPUT = 2
_SCALE_INPUT = 1


def derive_bias_scales(graph: onnx.GraphProto) -> None:
    """Replace stored scales of biases by the product that they are, in place, where that takes fewer bytes.

    One that is not the product to the last bit, or that another node reads, stays as it is.

    Args:
        graph: a static int8 graph in topological order; it stays in that order.
    """
    constants = {item.name: item for item in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    reads = count_reads(graph)
    free = free_names({*constants, *makers, *(item.name for item in graph.input)})
    before: dict[str, onnx.NodeProto] = {}
    for node in graph.node:
        restored = [makers.get(name) for name in node.input[: _BIAS_INPUT + 1]]
        if node.op_type not in _PRODUCTS or len(restored) <= _BIAS_INPUT:
            continue
        scales = [maker.input[_SCALE_INPUT] for maker in restored if maker is not None and maker.op_type == "DequantizeLinear"]
        if len(scales) <= _BIAS_INPUT or not all(name in constants for name in scales) or reads[scales[_BIAS_INPUT]] != 1:
            continue
        *factors, stored = (numpy_helper.to_array(constants[name]) for name in scales)
        product = helper.make_node("Mul", scales[:_BIAS_INPUT], [next(free)])
        if not _is_product(factors, stored) or constants[scales[_BIAS_INPUT]].ByteSize() <= product.ByteSize():
            continue
        bias = makers[node.input[_BIAS_INPUT]]
        graph.initializer.remove(constants[scales[_BIAS_INPUT]])
        bias.input[_SCALE_INPUT] = product.output[0]
        before[bias.output[0]] = product
    nodes = [item for node in graph.node for item in (before.get(node.output[0]), node) if item is not None]
    del graph.node[:]
    graph.node.extend(nodes)


def _is_product(factors: list[NDArray[np.float32]], stored: NDArray[np.float32]) -> bool:
    found = np.multiply(*factors)
    return bool(found.dtype == stored.dtype and found.shape == stored.shape and np.array_equal(found, stored))
