"""Adapter to onnx: what a model file says about itself."""

from dataclasses import dataclass
from pathlib import Path

import onnx

from edgedistill.errors import ArtifactError
from edgedistill.package.contents import ModelInput

_DTYPES = {onnx.TensorProto.INT64: "int64", onnx.TensorProto.INT32: "int32"}
_KNOWN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


@dataclass(frozen=True)
class OnnxFacts:
    """What the manifest tells about the graph.

    Attributes:
        inputs: names and dtypes, in the graph's order.
        opsets: version by domain; the default domain is called "ai.onnx".
        ir_version: version of the file format.
    """

    inputs: tuple[ModelInput, ...]
    opsets: dict[str, int]
    ir_version: int


def read_onnx_facts(path: Path) -> OnnxFacts:
    """Read the facts of a text classifier's .onnx file.

    Raises:
        ArtifactError: it is no ONNX file, keeps its weights in other files, or wants inputs that no tokenizer gives.
    """
    model = _load(path)
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer):
        raise ArtifactError(f"{path}: keeps its weights in other files",
                            hint="save it as one file: onnx.save(onnx.load(path), path)")
    return OnnxFacts(
        inputs=tuple(_input(node, path) for node in model.graph.input),
        opsets={item.domain or "ai.onnx": int(item.version) for item in model.opset_import},
        ir_version=int(model.ir_version),
    )


def _load(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(str(path), load_external_data=False)
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no such file", hint="edgedistill quantize --help") from None
    except Exception as bad:  # protobuf's DecodeError has no public home that all its versions share
        raise ArtifactError(f"{path}: is not an ONNX model ({bad})", hint="edgedistill quantize --help") from bad
    if not model.graph.output:
        raise ArtifactError(f"{path}: is not an ONNX model (no outputs)", hint="edgedistill quantize --help")
    return model


def _input(node: onnx.ValueInfoProto, path: Path) -> ModelInput:
    dtype = _DTYPES.get(node.type.tensor_type.elem_type)
    if dtype is None or node.name not in _KNOWN_INPUTS:
        raise ArtifactError(
            f"{path}: input {node.name!r} is none that a tokenizer gives",
            hint=f"a text classifier takes {', '.join(sorted(_KNOWN_INPUTS))} as int64",
        )
    return ModelInput(name=node.name, dtype=dtype)
