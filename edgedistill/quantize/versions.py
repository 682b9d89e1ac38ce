"""The opset and IR version of a model that edgedistill did not make, brought within what the target's runtime reads."""

from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto, version_converter

from edgedistill.errors import ArtifactError
from edgedistill.quantize.graph_reads import all_graphs

OLDEST_OPSET = 13
"""QuantizeLinear and DequantizeLinear have an axis since then."""

_PLAIN_IR_VERSION = 8
"""What edgedistill's own exports have: all that a float or int8 graph of these opsets needs."""

_NEWER_TYPES = {
    TensorProto.FLOAT8E4M3FN: 9, TensorProto.FLOAT8E4M3FNUZ: 9, TensorProto.FLOAT8E5M2: 9, TensorProto.FLOAT8E5M2FNUZ: 9,
    TensorProto.UINT4: 10, TensorProto.INT4: 10, TensorProto.FLOAT4E2M1: 11,
}
"""Types of tensors by the IR version that brought them; a type of higher number is newer still."""


@dataclass(frozen=True)
class Limits:
    """The newest versions that a runtime reads.

    Attributes:
        ir_version: of the file.
        opset: of the default domain.
    """

    ir_version: int
    opset: int


def opset_of(model: onnx.ModelProto) -> int | None:
    """Return the opset of the default domain; None where the model imports none."""
    return next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), None)


def is_within(model: onnx.ModelProto, limits: Limits | None) -> bool:
    """Are the versions of a model those that the quantizers take and the target's runtime reads?"""
    opset = opset_of(model)
    if opset is not None and (opset < OLDEST_OPSET or (limits is not None and opset > limits.opset)):
        return False
    return limits is None or model.ir_version <= limits.ir_version


def within(model: onnx.ModelProto, limits: Limits | None, source: Path) -> onnx.ModelProto:
    """Return a model of versions that the quantizers take and the target's runtime reads.

    Args:
        model: its weights are in it, not in files beside it.
        limits: what the runtime reads; None: there is no target.
        source: the file it was read from, for messages.

    Raises:
        ArtifactError: it cannot be converted.
    """
    opset = opset_of(model)
    wanted = opset if opset is None else max(opset, OLDEST_OPSET) if limits is None else min(
        max(opset, OLDEST_OPSET), limits.opset)
    if opset is not None and wanted is not None and opset != wanted:
        ir_version = model.ir_version
        try:
            model = version_converter.convert_version(model, wanted)
        except Exception as bad:  # onnx raises what its C++ side happens to throw
            needed = f"{OLDEST_OPSET} or newer is needed" if opset < wanted else f"the target's runtime reads {wanted} at most"
            first = next(iter(str(bad).strip().splitlines()), type(bad).__name__)
            raise ArtifactError(f"{source}: opset {opset}, {needed}, and onnx does not convert it ({first})",
                                hint=f"export the model with opset {wanted}") from bad
        model.ir_version = ir_version
    _lower_ir_version(model, limits, source)
    return model


def _lower_ir_version(model: onnx.ModelProto, limits: Limits | None, source: Path) -> None:
    if limits is None or model.ir_version <= limits.ir_version:
        return
    tensors = {item.data_type for graph in all_graphs(model.graph) for item in graph.initializer}
    tensors |= {attribute.t.data_type for graph in all_graphs(model.graph) for node in graph.node for attribute in node.attribute
                if attribute.type == onnx.AttributeProto.TENSOR}
    newest = max(TensorProto.FLOAT4E2M1, *_NEWER_TYPES)
    strange = [kind for kind in tensors if kind > newest or _NEWER_TYPES.get(kind, 0) > limits.ir_version]
    if strange:
        raise ArtifactError(
            f"{source}: IR version {model.ir_version}, the target's runtime reads {limits.ir_version} at most, and tensors of "
            f"type {', '.join(TensorProto.DataType.Name(kind) for kind in strange)} need the newer one",
            hint="export the model with float32 weights",
        )
    model.ir_version = min(_PLAIN_IR_VERSION, limits.ir_version)
