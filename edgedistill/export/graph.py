"""Adapter to onnxruntime's transformer optimizer: attention, LayerNorm and GELU become one node each."""

import contextlib
import hashlib
import logging
import sys
from pathlib import Path

import onnx
from onnx import external_data_helper
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model

from edgedistill.export.families import FAMILIES

_MATRIX = 2


def fuse(source: Path, out: Path, *, model_type: str, heads: int, hidden: int) -> None:
    """Fuse a transformer's graph; the weights and the answers stay the same.

    The fusion packs the weights of every attention anew, also of layers that share theirs (ALBERT, Lan et al. 2020, section
    3.1): equal matrices are stored once.

    Args:
        source: an ONNX file as exported.
        out: the file to make.
        model_type: transformers' name of the architecture.
        heads: attention heads.
        hidden: residual width.
    """
    for name in ("fusion_base", "onnx_model", "onnx_model_bert", "fusion_utils", "onnxruntime.transformers.optimizer"):
        logging.getLogger(name).setLevel(logging.WARNING)  # it tells every fusion on these loggers
    with contextlib.redirect_stdout(sys.stderr):  # it prints what it cannot infer, and stdout is for the result
        model = optimize_model(
            str(source), model_type=FAMILIES.get(model_type, "bert"), num_heads=heads, hidden_size=hidden, opt_level=0,
            optimization_options=FusionOptions("bert"), only_onnxruntime=False,
        ).model
    del model.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
    external_data_helper.convert_model_from_external_data(model)
    store_equal_matrices_once(model.graph)
    domains = {item.domain for item in model.opset_import}
    if "com.microsoft" not in domains and any(node.domain == "com.microsoft" for node in model.graph.node):
        model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    model.producer_name, model.producer_version = "edgedistill", ""
    onnx.save(model, out)


def store_equal_matrices_once(graph: onnx.GraphProto) -> None:
    """Let all nodes that read equal constant matrices read the first of them, in place; the others are removed."""
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    same: dict[str, str] = {}
    for item in graph.initializer:
        if len(item.dims) >= _MATRIX:
            values = hashlib.sha256(onnx.numpy_helper.to_array(item).tobytes()).digest()
            name = first.setdefault((item.data_type, tuple(item.dims), values), item.name)
            if name != item.name:
                same[item.name] = name
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = same.get(name, name)
    for item in [item for item in graph.initializer if item.name in same]:
        graph.initializer.remove(item)
