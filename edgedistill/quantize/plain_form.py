"""A float model that edgedistill did not make, in the form that quantizers, runtime and court take: one plain file."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, external_data_helper, inliner, numpy_helper

from edgedistill.errors import ArtifactError
from edgedistill.quantize.constant_forms import fold_factors, read_through_identities
from edgedistill.quantize.coverage import behind_layout
from edgedistill.quantize.graph_reads import all_graphs
from edgedistill.quantize.versions import Limits, is_within, within

_QUANTIZED = frozenset({
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QLinearMatMul", "QLinearConv",
    "QGemm", "QAttention", "QEmbedLayerNormalization", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "MatMulIntegerToFloat",
    "MatMulNBits", "MatMulBnb4", "GatherBlockQuantized", "QMoE",
})
_PRODUCTS = frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose", "Attention"})
_DYNAMIC = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "QAttention"})
_EIGHT_BITS = frozenset({TensorProto.INT8, TensorProto.UINT8, TensorProto.INT4, TensorProto.UINT4})
_HALF = frozenset({TensorProto.FLOAT16, TensorProto.BFLOAT16})
_MOST_BYTES = 2**31 - 1
"""What one protobuf file may hold."""
_FLOAT_HINT = "give the float32 model that it was made from: export it anew without quantization"
_OLDEST_IR_VERSION = 4
"""Up to IR version 3 every initialiser is an input too."""


def read_proto(path: Path) -> onnx.ModelProto:
    """Read a model without the weights that lie in files beside it.

    Raises:
        ArtifactError: the file is no ONNX model.
    """
    hint = "edgedistill export MODEL -o DIR, or name an .onnx file"
    try:
        model: onnx.ModelProto = onnx.load(path, load_external_data=False)
    except Exception as bad:  # protobuf's DecodeError has no public home that all its versions share
        raise ArtifactError(f"{path}: is not an ONNX model ({bad})", hint=hint) from bad
    if not model.graph.node:
        raise ArtifactError(f"{path}: is not an ONNX model: it holds no nodes", hint=hint)
    return model


def is_dynamic(path: Path) -> bool:
    """Does a model find the scales of its activations in each call, so that an answer depends on the others in its batch?

    Raises:
        ArtifactError: the file is no ONNX model.
    """
    return any(node.op_type in _DYNAMIC for graph in all_graphs(read_proto(path).graph) for node in graph.node)


def data_files(path: Path) -> tuple[str, ...]:
    """Return the files with weights of a model, relative to its folder, as the graph names them.

    Raises:
        ArtifactError: the file is no ONNX model, or a file that it names is not there.
    """
    return _locations(read_proto(path), path)


def plain_form(source: Path, out: Path, limits: Limits | None) -> Path:
    """Return a model with all weights in one file and as initialisers, of versions that the target's runtime reads.

    Its nodes read the weights themselves, without an Identity between, and the factors of a Gemm are in its weight and bias.

    Args:
        source: an .onnx file.
        out: written only where `source` is not of this form.
        limits: what the target's runtime reads; None: there is no target.

    Returns:
        `source` itself, where nothing has to be changed, else `out`.

    Raises:
        ArtifactError: it is no float32 model with weights, it is larger than 2 GiB, or its versions cannot be converted.
    """
    model = read_proto(source)
    _refuse_quantized(model, source)
    outside = _locations(model, source)
    size = source.stat().st_size + sum((source.parent / name).stat().st_size for name in outside)
    if size > _MOST_BYTES:
        raise ArtifactError(f"{source}: {size} bytes with its weights, an ONNX file that an app loads holds 2 GiB at most",
                            hint="choose a smaller model; distill makes one: edgedistill run --help")
    if outside:
        model = onnx.load(source)
    changed = [bool(outside), _inline_functions(model), _constants_to_initialisers(model.graph), _close_inputs(model),
               read_through_identities(model.graph), fold_factors(model.graph)]
    _require_float_weights(model, source)
    if not is_within(model, limits):
        model = within(model, limits, source)
        changed.append(True)
    if not any(changed):
        return source
    onnx.save(model, out)
    return out


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    for graph in all_graphs(model.graph):
        yield from graph.initializer
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.TENSOR:
                    yield attribute.t


def _locations(model: onnx.ModelProto, path: Path) -> tuple[str, ...]:
    names = dict.fromkeys(
        entry.value for item in _tensors(model) if external_data_helper.uses_external_data(item)
        for entry in item.external_data if entry.key == "location"
    )
    for name in names:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ArtifactError(f"{path}: its weights are in {name}, outside its folder", hint="save the model in one folder")
        if not (path.parent / name).is_file():
            raise ArtifactError(f"{path}: its weights are in {name}, which is not there", hint=f"put {name} beside {path.name}")
    return tuple(names)


def _refuse_quantized(model: onnx.ModelProto, source: Path) -> None:
    kinds = {node.op_type for graph in all_graphs(model.graph) for node in graph.node} & _QUANTIZED
    if kinds:
        raise ArtifactError(f"{source}: is quantized already: it has {', '.join(sorted(kinds))} nodes", hint=_FLOAT_HINT)
    stored = next((found for graph in all_graphs(model.graph) for found in _multiplied_integers(graph)), None)
    if stored is not None:
        name, kind = stored
        raise ArtifactError(f"{source}: is quantized already: its weight {name} is {TensorProto.DataType.Name(kind)}",
                            hint=_FLOAT_HINT)


def _multiplied_integers(graph: onnx.GraphProto) -> Iterator[tuple[str, int]]:
    """Yield the name and type of each 8-bit array that a product reads, as it is or cast; a mask is read by no product."""
    stored = {item.name: item.data_type for item in graph.initializer if item.data_type in _EIGHT_BITS and len(item.dims) > 1}
    stored |= {node.output[0]: attribute.t.data_type for node in graph.node if node.op_type == "Constant"
               for attribute in node.attribute if attribute.t.data_type in _EIGHT_BITS and len(attribute.t.dims) > 1}
    makers = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        for name in (behind_layout(name, makers) for name in (node.input if node.op_type in _PRODUCTS else ())):
            if name in stored:
                yield name, stored[name]


def _require_float_weights(model: onnx.ModelProto, source: Path) -> None:
    weights = [item for item in model.graph.initializer if len(item.dims) > 1]
    half = next((item for item in _tensors(model) if item.data_type in _HALF and len(item.dims) > 1), None)
    if half is not None:
        raise ArtifactError(f"{source}: its weight {half.name} is {TensorProto.DataType.Name(half.data_type)}; int8 is made of "
                            "float32", hint="export the model in float32, for example model.float() before torch.onnx.export")
    if any(item.data_type == TensorProto.FLOAT for item in weights):
        return
    found = sorted({TensorProto.DataType.Name(item.data_type) for item in weights})
    there = f"those there are {', '.join(found)}" if found else "there is none"
    raise ArtifactError(f"{source}: no constant float32 weight of two or more dimensions is in its graph, {there}; nothing can "
                        "become int8", hint="export the model with its weights, in float32")


def _inline_functions(model: onnx.ModelProto) -> bool:
    """Put the bodies of functions that a model brings where they are called, in place; the quantizers look at nodes alone."""
    if not model.functions:
        return False
    model.CopyFrom(inliner.inline_local_functions(model))
    return True


def _constants_to_initialisers(graph: onnx.GraphProto) -> bool:
    """Turn the float arrays of Constant nodes into initialisers, in place: there the quantizers look for weights."""
    turned = []
    for node in graph.node:
        tensor = _float_constant(node)
        if tensor is not None:
            tensor.name = node.output[0]
            graph.initializer.append(tensor)
            turned.append(node)
    for node in turned:
        graph.node.remove(node)
    return bool(turned)


def _float_constant(node: onnx.NodeProto) -> TensorProto | None:
    """Return the float array of one or more dimensions that a Constant node holds; None for anything else."""
    if node.op_type != "Constant" or not node.attribute:
        return None
    (attribute, *_) = node.attribute
    if attribute.name == "value_floats":
        return numpy_helper.from_array(np.asarray(attribute.floats, np.float32))
    is_array = attribute.name == "value" and attribute.t.data_type == TensorProto.FLOAT and len(attribute.t.dims) > 0
    if not is_array:
        return None
    found = TensorProto()
    found.CopyFrom(attribute.t)
    return found


def _close_inputs(model: onnx.ModelProto) -> bool:
    """Take initialisers out of the inputs, in place: a weight that a caller may replace is no constant."""
    graph = model.graph
    constants = {item.name for item in graph.initializer}
    kept = [item for item in graph.input if item.name not in constants]
    if len(kept) == len(graph.input):
        return False
    del graph.input[:]
    graph.input.extend(kept)
    model.ir_version = max(model.ir_version, _OLDEST_IR_VERSION)
    return True
