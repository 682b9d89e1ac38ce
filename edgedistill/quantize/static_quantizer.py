"""Adapter to onnxruntime's static quantizer: a float graph and calibration rows in, a QDQ graph out.

What becomes int8:
    embedding  the tables of Gather and EmbedLayerNormalization are stored and looked up in 8 bits, one scale a table
    products   MatMul, Gemm and Conv on a constant weight: input and weight are quantized
    head       its product as every other; the logits stay float, so that no answer hangs on their rounding: so does what lies
               behind the last convolution of a net without a matrix at its end
    the rest   in a convolutional net the sums, activations and poolings between convolutions too; in others LayerNorm, GELU
               and softmax stay float, and so does the output of a product, which they read
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.calibrate import TensorData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import save_and_reload_model_with_shape_infer

from edgedistill.errors import ArtifactError
from edgedistill.quantize.activation_values import stream_activations
from edgedistill.quantize.bias_scales import derive_bias_scales
from edgedistill.quantize.calibration import CalibrationMethod, Range, Stream, find_ranges
from edgedistill.quantize.default_attributes import drop_default_attributes
from edgedistill.quantize.graph_forms import prepare_for_static, split_embeddings
from edgedistill.quantize.graph_reads import reads_of
from edgedistill.quantize.node_order import sort_nodes
from edgedistill.quantize.scheme_names import Scheme
from edgedistill.quantize.short_names import shorten_pair_names, shorten_value_names
from edgedistill.quantize.tables import quantize_gathered_tables
from edgedistill.quantize.tied_tables import turn_tied_tables
from edgedistill.quantize.versions import within
from edgedistill.quantize.zero_points import drop_needless_zero_points

_FUSED_EMBEDDING = "EmbedLayerNormalization"
_PRODUCTS = ("MatMul", "Gemm", "Conv", "ConvTranspose")
_BETWEEN_CONVOLUTIONS = ("Add", "Mul", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Reshape", "Flatten",
                         "Squeeze", "Unsqueeze", "Transpose", "Concat", "Pad", "Resize")
_ACTIVATIONS = ("Relu", "Clip")
"""What onnxruntime makes part of the convolution before it."""
_FLOAT_OUTPUTS = ("MatMul", "Gemm")
_MATRIX_AXES = 2
_WEIGHT_TYPES = {"wi8": QuantType.QInt8, "wu8": QuantType.QUInt8}
_ACTIVATION_TYPES = {"ai8": QuantType.QInt8, "au8": QuantType.QUInt8}

@dataclass(frozen=True)
class Calibration:
    """From what the ranges of the activations are learned.

    Attributes:
        rows: model inputs, one mapping a row; called again, it gives the same rows again.
        method: how a range is chosen.
    """

    rows: Stream
    method: CalibrationMethod = "min-max"


def quantize_statically(
    source: Path, out: Path, scheme: Scheme, *, calibration: Calibration, excluded: Iterable[str] = (),
    by_row: Iterable[str] = (),
) -> None:
    """Quantize a graph to QDQ int8 with fixed scales.

    Args:
        source: a float ONNX file, fused or not.
        out: the int8 file to make.
        scheme: a static one.
        calibration: rows from the training split, and the method.
        excluded: names of nodes that stay float, as they are called in `source` (nodes without a name: see
            `graph_forms.name_nodes`).
        by_row: names of nodes whose embedding tables get a scale a row.

    Raises:
        ArtifactError: a value that is to be rounded is no finite number in any row.
    """
    left_out, rowwise = frozenset(excluded), frozenset(by_row)
    paired = insert_pairs(prepared_graph(source), scheme, calibration=calibration, excluded=left_out)
    drop_needless_zero_points(paired.graph)
    onnx.save(paired, out)
    with quiet_quantizer():
        quantize_tables(out, scheme, excluded=left_out, by_row=rowwise)
    save_clean(onnx.load(out), out, like=source)


def prepared_graph(source: Path) -> onnx.ModelProto:
    """Return the float graph of a file in the form that a static scheme quantizes: the same answers."""
    model = onnx.load(source)
    turn_tied_tables(model, "static")
    prepare_for_static(model)
    # all of them: the quantizer takes vectors that a fused one shares with other nodes away from these
    split_embeddings(model, frozenset(node.name for node in model.graph.node if node.op_type == _FUSED_EMBEDDING))
    return within(model, None, source)


def insert_pairs(
    model: onnx.ModelProto, scheme: Scheme, *, calibration: Calibration, excluded: frozenset[str] = frozenset()
) -> onnx.ModelProto:
    """Return the QDQ graph of a prepared float graph, its tables still float, with the names that onnxruntime gives.

    Args:
        model: what `prepared_graph` returns; it is not changed.
        scheme: a static one.
        calibration: rows, and the method.
        excluded: names of nodes that stay float.

    Raises:
        ArtifactError: a value that is to be rounded is no finite number in any row.
    """
    chosen = [node for node in nodes_to_quantize(model.graph) if not _is_left_out(node, excluded)]
    tensors = _activations_of(model.graph, chosen)
    ranges = find_ranges(stream_activations(model, tensors, calibration.rows), calibration.method) if tensors else {}
    unknown = next((name for name in tensors if name not in ranges), None)
    if unknown is not None:
        raise ArtifactError(f"the value {unknown} of the model is no finite number in any row that is calibrated on",
                            hint="check the model and the rows; --scheme dynamic_wi8_afp32 needs no calibration")
    with quiet_quantizer():
        return _quantize_products(_with_types(model, tensors), chosen, ranges, scheme)


def nodes_to_quantize(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes that a static scheme quantizes: products on constant weights, and what lies between convolutions.

    What lies behind the last product makes logits of its output, as a pooling does, and stays float.
    """
    products = products_on_weights(graph)
    if not is_convolutional(graph):
        return products
    names, between = {node.name for node in products}, _before_products(graph)
    return [node for node in graph.node if node.name in names or (node.op_type in _BETWEEN_CONVOLUTIONS and node.name in between)]


def products_on_weights(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the products of a value and a constant float weight of two or more axes."""
    constants = {item.name for item in graph.initializer}
    weights = {item.name for item in graph.initializer
               if len(item.dims) > 1 and item.data_type == TensorProto.FLOAT}  # a vector has no kernel in int8
    return [node for node in graph.node if node.op_type in _PRODUCTS and len(node.input) > 1 and node.input[1] in weights
            and node.input[0] not in constants]


def _before_products(graph: onnx.GraphProto) -> frozenset[str]:
    """Return the names of nodes whose output flows into a product, and of activations that directly follow one."""
    convolved = {output for node in graph.node if node.op_type in ("Conv", "ConvTranspose") for output in node.output}
    flowing: set[str] = set()
    found = set()
    for node in reversed(graph.node):
        if flowing.intersection(node.output) or (node.op_type in _ACTIVATIONS and node.input[0] in convolved):
            found.add(node.name)
        if node.op_type in _PRODUCTS or flowing.intersection(node.output):
            flowing.update(reads_of(node))
    return frozenset(found)


def is_convolutional(graph: onnx.GraphProto) -> bool:
    """Are most products of a graph convolutions? Vision transformers have one and count as transformers."""
    kinds = [node.op_type for node in graph.node]
    return kinds.count("Conv") > kinds.count("MatMul") + kinds.count("Attention")


def quantize_tables(
    path: Path, scheme: Scheme, *, excluded: frozenset[str] = frozenset(), by_row: frozenset[str] = frozenset()
) -> None:
    """Store the embedding tables of a graph in 8 bits, in place; rows are restored after they are looked up."""
    model = onnx.load(path)
    quantize_gathered_tables(model.graph, weights=scheme.weights, excluded=excluded, by_row=by_row)
    onnx.save(model, path)
    fused = [node.name for node in model.graph.node if node.op_type == _FUSED_EMBEDDING and node.name not in excluded]
    if fused:
        quantize_dynamic(
            model, str(path), op_types_to_quantize=[_FUSED_EMBEDDING], nodes_to_quantize=fused,
            extra_options={"DefaultTensorType": TensorProto.FLOAT},
        )


def save_clean(model: onnx.ModelProto, out: Path, *, like: Path) -> None:
    """Save a quantized graph without what the tools left in it, and with the IR version of the float file."""
    del model.graph.value_info[:]
    del model.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
    sort_nodes(model.graph)  # the quantizer appends; tools that read a graph in order refuse that
    shorten_value_names(model)
    shorten_pair_names(model)
    derive_bias_scales(model.graph)
    drop_default_attributes(model)
    model.ir_version = onnx.load(like, load_external_data=False).ir_version
    model.producer_name, model.producer_version = "edgedistill", ""
    onnx.save(model, out)


@contextmanager
def quiet_quantizer() -> Iterator[None]:
    """Keep the quantizer's advice, which it gives to the root logger, off the terminal."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _is_left_out(node: onnx.NodeProto, excluded: frozenset[str]) -> bool:
    """Is the node excluded, itself or the fused node that its product was cut out of?"""
    return node.name in excluded or node.name.removesuffix("/MatMul") in excluded


def _activations_of(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> list[str]:
    constants = {item.name for item in graph.initializer}
    integers = {item.name for item in graph.input if item.type.tensor_type.elem_type != TensorProto.FLOAT}
    names = [name for node in nodes for name in (*_float_inputs(node), *node.output)]
    return [name for name in dict.fromkeys(names) if name and name not in constants | integers]


def _float_inputs(node: onnx.NodeProto) -> list[str]:
    """Return the inputs that hold values; shapes, pads and axes are integers."""
    if node.op_type == "Pad":
        return [*node.input[:1], *node.input[2:3]]
    return list(node.input) if node.op_type in ("Add", "Mul", "Concat") else list(node.input[:1])


def _with_types(model: onnx.ModelProto, tensors: Iterable[str]) -> onnx.ModelProto:
    """Return the model with the shapes and types that the quantizer looks up; those of fused nodes cannot be inferred."""
    inferred = save_and_reload_model_with_shape_infer(model)
    known = {item.name for part in (inferred.graph.value_info, inferred.graph.output, inferred.graph.input) for item in part}
    inferred.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors if name not in known
    )
    return inferred


def _quantize_products(
    model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto], ranges: dict[str, Range], scheme: Scheme
) -> onnx.ModelProto:
    limits = {name: TensorData(lowest=np.float32(r.low), highest=np.float32(r.high)) for name, r in ranges.items()}
    chosen = [node.name for node in nodes]
    if not chosen:
        return model
    quantizer = QDQQuantizer(
        model, scheme.is_per_channel, scheme.is_reduced_range, _WEIGHT_TYPES[scheme.weights],
        _ACTIVATION_TYPES[scheme.activations], limits, chosen, [], [*_PRODUCTS, *_BETWEEN_CONVOLUTIONS],
        {"OpTypesToExcludeOutputQuantization": list(_FLOAT_OUTPUTS), "WeightSymmetric": scheme.weights == "wi8",
         "TensorQuantOverrides": {name: [{}] for name in _with_one_scale(model.graph)}},
    )
    quantizer.quantize_model()
    quantized: onnx.ModelProto = quantizer.model.model
    if not is_convolutional(model.graph):
        _read_float_again(quantized.graph, frozenset(chosen))
    return quantized


def _with_one_scale(graph: onnx.GraphProto) -> list[str]:
    """Return the weights that have one scale per channel too, since their outputs are numbered by no single axis.

    These are the stacked matrices of a MatMul, and a ConvTranspose in groups, whose bias has more channels than the axis.
    """
    dims = {item.name: len(item.dims) for item in graph.initializer}
    stacked = [node.input[1] for node in graph.node if node.op_type == "MatMul" and dims.get(node.input[1], 0) > _MATRIX_AXES]
    grouped = [node.input[1] for node in graph.node if node.op_type == "ConvTranspose" and node.input[1] in dims
               and any(a.name == "group" and a.i > 1 for a in node.attribute)]
    return [*stacked, *grouped]


def _read_float_again(graph: onnx.GraphProto, quantized: frozenset[str]) -> None:
    """Let nodes that stay float read what was there before it was rounded; the quantizer gives everyone the restored values.

    Between convolutions it is right, as there nothing else than the integers exists. In a transformer it would round the
    residual, and a rounded tensor with two readers is not fused into an int8 product on x86 when it is int8.
    """
    makers = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if node.name in quantized or node.op_type == "DequantizeLinear":
            continue
        for place, name in enumerate(node.input):
            restore = makers.get(name)
            if restore is not None and restore.op_type == "DequantizeLinear":
                rounding = makers.get(restore.input[0])
                if rounding is not None and rounding.op_type == "QuantizeLinear":
                    node.input[place] = rounding.input[0]
