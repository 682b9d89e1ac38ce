"""Tables that a quantized file holds twice: once to be looked up, once to be multiplied."""

from collections.abc import Iterator, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

_PRODUCTS = frozenset({"MatMul", "Gemm", "MatMulInteger"})
_FUSED_EMBEDDINGS: Mapping[str, slice] = {"EmbedLayerNormalization": slice(2, 5), "QEmbedLayerNormalization": slice(2, 5)}
_EIGHT_BITS = frozenset({onnx.TensorProto.INT8, onnx.TensorProto.UINT8})
_ALIKE = 0.99
"""Median correlation of a row, or of a column, with its copy: rounding to 8 bits leaves more."""
_ROWS = 512
"""So many rows are compared at most."""
_SHORTEST = 8
"""Fewer numbers than these can be alike by chance."""


def stored_twice(graph: onnx.GraphProto) -> tuple[str, ...]:
    """Return a line for each table that is there both for look-ups and for products, and why the two are not one.

    They are known by their numbers, as names are shortened and scales may lie along other axes: two matrices of one shape, or
    of turned shapes, whose rows or columns correlate.

    Args:
        graph: of a quantized file, with its weights.
    """
    matrices = {item.name: item for item in graph.initializer
                if len(item.dims) == 2 and min(item.dims) >= _SHORTEST and item.data_location != onnx.TensorProto.EXTERNAL}
    restored = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    looked_up = dict(_looked_up(graph))
    multiplied = dict.fromkeys(restored.get(node.input[1], node.input[1]) for node in graph.node if node.op_type in _PRODUCTS)
    found = []
    for table, is_fused in looked_up.items():
        for weight in multiplied:
            table = restored.get(table, table)
            if table == weight or table not in matrices or weight not in matrices:
                continue
            is_turned = _is_copy(matrices[table], matrices[weight])
            if is_turned is not None:
                why = _why(matrices[table], matrices[weight], is_fused=is_fused, is_turned=is_turned)
                found.append(f"stored twice: {table} is looked up, {weight} is multiplied ({why})")
    return tuple(found)


def _looked_up(graph: onnx.GraphProto) -> Iterator[tuple[str, bool]]:
    """Yield what is looked up, and whether by a fused node."""
    for node in graph.node:
        if node.op_type == "Gather":
            yield node.input[0], False
        elif node.op_type in _FUSED_EMBEDDINGS:
            yield from ((name, True) for name in node.input[_FUSED_EMBEDDINGS[node.op_type]] if name)


def _is_copy(table: onnx.TensorProto, weight: onnx.TensorProto) -> bool | None:
    """Does one hold the numbers of the other? False: as they stand, True: turned; None: no."""
    for is_turned in (False, True):
        if list(table.dims) == (list(weight.dims)[::-1] if is_turned else list(weight.dims)):
            one, other = numpy_helper.to_array(table), numpy_helper.to_array(weight)
            if _are_alike(one, other.T if is_turned else other):
                return is_turned
    return None


def _are_alike(one: NDArray[np.generic], other: NDArray[np.generic]) -> bool:
    rows = np.unique(np.linspace(0, len(one) - 1, _ROWS).astype(np.int64))
    a, b = one[rows].astype(np.float64), other[rows].astype(np.float64)
    return any(_median_correlation(a, b, axis) > _ALIKE for axis in (1, 0))


def _median_correlation(a: NDArray[np.float64], b: NDArray[np.float64], axis: int) -> float:
    a, b = a - a.mean(axis=axis, keepdims=True), b - b.mean(axis=axis, keepdims=True)
    size = np.sqrt((a**2).sum(axis=axis) * (b**2).sum(axis=axis))
    return float(np.median((a * b).sum(axis=axis) / np.maximum(size, np.finfo(np.float64).tiny)))


def _why(table: onnx.TensorProto, weight: onnx.TensorProto, *, is_fused: bool, is_turned: bool) -> str:
    if (table.data_type in _EIGHT_BITS) != (weight.data_type in _EIGHT_BITS):
        return "one of the two stays float"
    if is_fused:
        return "a fused embedding looks up rows of a table of its own"
    return "the product reads it transposed" if is_turned else "their scales are not the same"
