"""Which products of an int8 file can saturate where u8 x s8 pairs are added in 16 bits (VPMADDUBSW: x86 without VNNI)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

_INTEGER_PRODUCTS = ("MatMulInteger", "QAttention", "DynamicQuantizeMatMul")
_FLOAT_PRODUCTS = ("MatMul", "Gemm", "Conv")
_LARGEST_U8 = 255
_LARGEST_SUM, _SMALLEST_SUM = 2**15 - 1, -(2**15)


def saturating_nodes(path: Path) -> dict[str, float]:
    """Return, by the name of each node whose product can saturate, the share of its weight pairs that can.

    Two neighbours along the summed axis, w and v, are multiplied by two activations of 0 to 255 and added in 16 bits: if
    255 (w+ + v+) > 32767 or 255 (w- + v-) < -32768, there are activations for which the sum is cut off. 7-bit weights never
    reach it: 255 (64 + 64) = 32640.

    An int8 activation is no way out: on x86 onnxruntime makes it uint8 first, since there is no s8 x s8 instruction. A product
    that it leaves in float, as behind an int8 activation with two readers, is named all the same: which it leaves differs between
    its versions.

    Args:
        path: an int8 ONNX file; products with a uint8 weight are not made in this way, nor are depthwise convolutions (one
            channel in and out a group), which are summed in 32 bits.

    Source: onnxruntime, "Quantize ONNX models", "When and why do I need to try U8U8?"; its QDQS8ToU8Transformer
    (core/optimizer/qdq_transformer/qdq_s8_to_u8.cc). Depthwise: seen in its answers on an emulated Haswell.
    """
    graph = onnx.load(path).graph
    weights = {item.name: item for item in graph.initializer if item.data_type == onnx.TensorProto.INT8 and len(item.dims) >= 2}
    makers = {output: node for node in graph.node for output in node.output}
    found = {}
    for node in graph.node:
        weight = _weight_of(node, weights, makers)
        if weight is not None and _has_rounded_input(node, makers) and not _is_depthwise(node, weight):
            share = share_of_pairs(_summed_first(numpy_helper.to_array(weight), node))
            if share:
                found[node.name.removesuffix("_quant")] = share
    return found


def share_of_pairs(matrix: NDArray[np.int8]) -> float:
    """Return the share of pairs of neighbouring rows that can saturate, column by column; int8, shape (summed, outputs)."""
    wide = matrix.astype(np.int32)
    if len(wide) % 2:
        wide = np.concatenate([wide, np.zeros_like(wide[:1])])
    first, second = wide[0::2], wide[1::2]
    high = _LARGEST_U8 * (np.maximum(first, 0) + np.maximum(second, 0)) > _LARGEST_SUM
    low = _LARGEST_U8 * (np.minimum(first, 0) + np.minimum(second, 0)) < _SMALLEST_SUM
    return float(np.mean(high | low))


def _weight_of(
    node: onnx.NodeProto, weights: Mapping[str, onnx.TensorProto], makers: Mapping[str, onnx.NodeProto]
) -> onnx.TensorProto | None:
    if node.op_type in _INTEGER_PRODUCTS:
        return weights.get(node.input[1])
    restore = makers.get(node.input[1]) if node.op_type in _FLOAT_PRODUCTS else None
    return weights.get(restore.input[0]) if restore is not None and restore.op_type == "DequantizeLinear" else None


def _has_rounded_input(node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto]) -> bool:
    """Is the activation integers? Dynamic quantization makes nothing else; of a QDQ graph a pair on the input says it."""
    if node.op_type in _INTEGER_PRODUCTS:
        return True
    restore = makers.get(node.input[0])
    return restore is not None and restore.op_type == "DequantizeLinear" and restore.input[0] in makers


def _is_depthwise(node: onnx.NodeProto, weight: onnx.TensorProto) -> bool:
    """Has each filter a channel of its own? A filter's shape is (outputs, inputs a group, ...)."""
    groups = next((a.i for a in node.attribute if a.name == "group"), 1)
    return bool(node.op_type == "Conv" and weight.dims[1] == 1 and weight.dims[0] == groups)


def _summed_first(weight: NDArray[np.int8], node: onnx.NodeProto) -> NDArray[np.int8]:
    """Return a weight with the summed axis first, in the order in which it is summed; shape (summed, outputs).

    onnxruntime's QLinearConv turns a filter so that the channels of a place in it are neighbours: (outputs, channels, places)
    becomes (places, channels, outputs). Channels are those of a group, since each group is a product of its own.
    """
    if node.op_type == "Conv":
        return np.moveaxis(weight, 1, -1).reshape(len(weight), -1).T
    is_transposed = node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute)
    summed = weight.T if is_transposed else np.moveaxis(weight, -2, 0)
    return summed.reshape(len(summed), -1)
