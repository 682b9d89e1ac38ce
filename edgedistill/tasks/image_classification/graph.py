"""Adapter to onnx and onnxruntime's optimizer: an exported picture model made small: folded, of fixed size, with short names.

Names of tensors are a fifth of the bytes of a model of 20,000 weights, and quantization repeats every one of them.
"""

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime

from edgedistill.plan import PictureSize

INPUT, OUTPUT = "pixel_values", "logits"


def tidy(exported: Path, out: Path, *, size: PictureSize) -> None:
    """Fold constants and BatchNorms, fix the picture's size, name everything shortly; the answers stay the same.

    Args:
        exported: an ONNX file as the exporter wrote it.
        out: the file to make; the batch stays dynamic.
        size: what the model takes.
    """
    model = onnx.load(exported)
    for value, dimension in zip(model.graph.input[0].type.tensor_type.shape.dim[1:],
                                (size.channels, size.side, size.side), strict=True):
        value.Clear()
        value.dim_value = dimension
    with tempfile.TemporaryDirectory() as scratch:
        folded = Path(scratch) / "folded.onnx"
        _fold(model, folded)
        model = onnx.load(folded)
    _drop_what_is_told_twice(model)
    _name_shortly(model.graph)
    model.producer_name, model.producer_version = "edgedistill", ""
    onnx.save(model, out)


def _fold(model: onnx.ModelProto, out: Path) -> None:
    """Let the runtime fold what is constant; its basic level makes no nodes of its own."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(out)
    options.log_severity_level = 3
    logging.getLogger("onnxruntime").setLevel(logging.ERROR)
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _drop_what_is_told_twice(model: onnx.ModelProto) -> None:
    """Shapes between nodes follow from the nodes, and domains without a node are of no use."""
    del model.graph.value_info[:]
    del model.metadata_props[:]
    used = {node.domain for node in model.graph.node} | {""}
    kept = [item for item in model.opset_import if item.domain in used or (item.domain == "ai.onnx" and "" in used)]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]


def _name_shortly(graph: onnx.GraphProto) -> None:
    """Number nodes and tensors; weights are `w<node>`, other constants `c<node>`, and the classifier's say so."""
    initializers = {item.name: item for item in graph.initializer}
    kept = {value.name for value in (*graph.input, *graph.output)}
    names: dict[str, str] = {}
    last_product = max((i for i, n in enumerate(graph.node) if n.op_type in ("Gemm", "MatMul", "Conv")), default=-1)
    for number, node in enumerate(graph.node):
        mark = f"classifier{number}" if number == last_product else str(number)
        for place, name in enumerate(node.input):
            if name in initializers and name not in names:
                names[name] = f"{'w' if len(initializers[name].dims) > 1 else 'c'}{mark}" + (f".{place}" if place > 2 else
                                                                                             "b" if place == 2 else "")
        for place, name in enumerate(node.output):
            if name and name not in kept:
                names[name] = f"a{number}" + (f".{place}" if place else "")
        node.name = f"n{number}"
    _rename(graph, _distinct(names))


def _distinct(names: dict[str, str]) -> dict[str, str]:
    """Number those that would be called alike."""
    seen: set[str] = set()
    found: dict[str, str] = {}
    for old, new in names.items():
        name, turn = new, 0
        while name in seen:
            turn += 1
            name = f"{new}_{turn}"
        seen.add(name)
        found[old] = name
    return found


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for node in graph.node:
        for values in (node.input, node.output):
            renamed = [names.get(name, name) for name in values]
            del values[:]
            values.extend(renamed)
    for item in graph.initializer:
        item.name = names.get(item.name, item.name)


@dataclass(frozen=True)
class Versions:
    """What a model file says it is: opset by domain (the default one is called "ai.onnx"), and the format's version."""

    opsets: Mapping[str, int]
    ir_version: int


def versions_of(model: bytes) -> Versions:
    """Return the versions of a model file."""
    found = onnx.load_from_string(model)
    return Versions({item.domain or "ai.onnx": int(item.version) for item in found.opset_import}, int(found.ir_version))
