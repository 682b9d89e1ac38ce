"""Adapter to onnxruntime's dynamic quantizer: int8 matrices and embeddings, activations quantized while the model runs."""

from collections.abc import Iterable
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from edgedistill.quantize.graph_forms import name_nodes, split_embeddings
from edgedistill.quantize.scheme_names import Scheme
from edgedistill.quantize.short_names import shorten_value_names
from edgedistill.quantize.static_quantizer import quiet_quantizer
from edgedistill.quantize.tables import quantize_gathered_tables
from edgedistill.quantize.tied_tables import read_stored_rows, tied_look_ups, turn_tied_tables

_OPERATORS = ("MatMul", "Gemm", "Attention", "Gather", "EmbedLayerNormalization")
_MATRIX_AXES = 2
_WEIGHT_TYPES = {"wi8": QuantType.QInt8, "wu8": QuantType.QUInt8}


def quantize_weights(source: Path, out: Path, *, reduced_range: bool, per_channel: bool) -> None:
    """Quantize the constant matrices of a graph to int8, embeddings too; see `quantize_dynamically`."""
    quantize_dynamically(source, out, Scheme("dynamic", "wi8", "afp32", per_channel, reduced_range))


def quantize_dynamically(
    source: Path, out: Path, scheme: Scheme, *, excluded: Iterable[str] = (), by_row: Iterable[str] = ()
) -> None:
    """Quantize the constant matrices of a graph to int8, embeddings too.

    Args:
        source: a float ONNX file, fused or not.
        out: the int8 file to make.
        scheme: a dynamic one. Per channel: a scale for each column of a matrix; embedding tables keep one for all, and stacked
            matrices (three axes) stay float.
        excluded: names of nodes that stay float.
        by_row: names of nodes whose embedding tables get a scale a row; a fused embedding is taken apart for it.
    """
    model = onnx.load(source)
    turn_tied_tables(model, scheme.kind)
    left_out, rowwise = list(excluded), frozenset(by_row)
    operators, without = list(_OPERATORS), _products_without_kernel(model.graph, is_per_channel=scheme.is_per_channel)
    if left_out or rowwise:
        operators.remove("Gather")  # done here; the quantizer would round the scales of the rows too
        name_nodes(model.graph)
        split_embeddings(model, rowwise)
        quantize_gathered_tables(model.graph, weights=scheme.weights, excluded=frozenset(left_out), by_row=rowwise)
    if tied_look_ups(model.graph):
        name_nodes(model.graph)
    tied = tied_look_ups(model.graph)
    with quiet_quantizer():
        quantize_dynamic(
            model, str(out), weight_type=_WEIGHT_TYPES[scheme.weights], per_channel=scheme.is_per_channel,
            reduce_range=scheme.is_reduced_range, op_types_to_quantize=operators,
            # what a Gemm is called when it is split
            nodes_to_exclude=[*left_out, *without, *tied, *(f"{name}_MatMul" for name in left_out)],
            extra_options={"MatMulConstBOnly": True, "WeightSymmetric": scheme.weights == "wi8",
                           "DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    made = onnx.load(out)
    read_stored_rows(made.graph, frozenset(tied) - frozenset(left_out))
    shorten_value_names(made)
    made.producer_name, made.producer_version = "edgedistill", ""
    onnx.save(made, out)


def _products_without_kernel(graph: onnx.GraphProto, *, is_per_channel: bool) -> list[str]:
    """Return the names of products that stay float, as onnxruntime has no kernel in int8 for them.

    These are products with a constant vector; and, with a scale for each column, those with stacked matrices (three axes).
    """
    odd = {item.name for item in graph.initializer
           if len(item.dims) == 1 or (is_per_channel and len(item.dims) > _MATRIX_AXES)}
    found = [node for node in graph.node if node.op_type == "MatMul" and node.input[1] in odd]
    if found:
        name_nodes(graph)
    return [node.name for node in found]
