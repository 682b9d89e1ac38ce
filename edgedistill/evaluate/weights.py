"""What a weights file holds, without running it: its trained numbers and its bytes."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import onnx
from safetensors import SafetensorError, safe_open

from edgedistill.errors import ArtifactError

_HINT = "make the model folder again"

_FLOAT_TYPES = frozenset(
    {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE}
)
_SMALL_INTEGER_TYPES = frozenset(
    {onnx.TensorProto.INT8, onnx.TensorProto.UINT8, onnx.TensorProto.INT4, onnx.TensorProto.UINT4}
)
_GRIDS = {
    "QuantizeLinear": (1, 2), "DequantizeLinear": (1, 2), "MatMulInteger": (2, 3), "ConvInteger": (2, 3),
    "DynamicQuantizeMatMul": (2, 3), "MatMulIntegerToFloat": (2, 3, 4, 5), "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QLinearConv": (1, 2, 4, 5, 6, 7), "QAttention": (3, 4, 6, 7),
}
"""Inputs, by operator, that hold a scale or a zero point: they place a grid and were not trained."""

_BIASES = {"DequantizeLinear": (0,), "QLinearConv": (8,)}
"""Inputs, by operator, that hold a trained number even as int32; other int32 and int64 tensors are shapes and ids."""


_STATISTICS = (".running_mean", ".running_var")
"""What a BatchNorm counts while it trains: float buffers, not trained numbers."""


@dataclass(frozen=True)
class Weights:
    """What a weights file holds.

    Attributes:
        parameters: trained numbers, whatever their precision; buffers, shapes, scales and zero points do not count.
        size_bytes: bytes of the file, and of the external data that belongs to it.
    """

    parameters: int
    size_bytes: int


def read_weights(path: Path) -> Weights:
    """Describe a .safetensors or an .onnx file. No tensor of a .safetensors file is loaded.

    Raises:
        ArtifactError: the file is missing or damaged, or lacks its external data.
    """
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file", hint=_HINT)
    return _read_onnx(path) if path.suffix == ".onnx" else _read_safetensors(path)


def _read_safetensors(path: Path) -> Weights:
    """Count the floating-point tensors but BatchNorm's statistics; integer ones are buffers (older `position_ids`)."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            names = [name for name in file.keys() if not name.endswith(_STATISTICS)]  # noqa: SIM118 - it is no mapping
            slices = [file.get_slice(name) for name in names]
            parameters = sum(math.prod(s.get_shape()) for s in slices if s.get_dtype().startswith(("F", "BF")))
    except (SafetensorError, OSError) as bad:
        raise ArtifactError(f"{path}: is not a safetensors file ({bad})", hint=_HINT) from None
    return Weights(parameters, path.stat().st_size)


def _read_onnx(path: Path) -> Weights:
    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except Exception as bad:  # protobuf's DecodeError has no public home that all its versions share
        raise ArtifactError(f"{path}: is not an ONNX model ({bad})", hint=_HINT) from bad
    return Weights(count_weights(graph), path.stat().st_size + _external_bytes(path, graph.initializer))


def count_weights(graph: onnx.GraphProto) -> int:
    """Return the elements of the initialisers that are weights.

    A weight is a floating-point or small-integer tensor of rank 1 or more, or an int32 bias, unless an operator or its
    name (`x_scale` beside `x_quantized`) says that it is a scale or a zero point.
    """
    names = {tensor.name for tensor in graph.initializer}
    grids = {node.input[i] for node in graph.node for i in _GRIDS.get(node.op_type, ()) if i < len(node.input)}
    for name in names:
        if name.endswith("_quantized"):
            stem = name.removesuffix("_quantized")
            grids |= {f"{stem}_scale", f"{stem}_zero_point"}
    biases = {node.input[i] for node in graph.node for i in _BIASES.get(node.op_type, ()) if i < len(node.input)}
    return sum(
        math.prod(tensor.dims)
        for tensor in graph.initializer
        if tensor.dims
        and tensor.name not in grids
        and (tensor.data_type in _FLOAT_TYPES | _SMALL_INTEGER_TYPES or tensor.name in biases)
    )


def _external_bytes(path: Path, tensors: Iterable[onnx.TensorProto]) -> int:
    """Return the bytes of the files that hold tensors of this one; each file counts once."""
    locations = {
        entry.value
        for tensor in tensors
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    files = [path.parent / name for name in sorted(locations)]
    for file in files:
        if not file.resolve().is_relative_to(path.parent.resolve()):
            raise ArtifactError(f"{path}: its external data {file} lies outside the model folder", hint=_HINT)
        if not file.is_file():
            raise ArtifactError(f"{path}: its external data {file} is missing", hint=_HINT)
    return sum(file.stat().st_size for file in files)
