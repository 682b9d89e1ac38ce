"""The form of a residual sum and its LayerNorm: one fused node or two, whichever the target's runtime is faster with.

onnxruntime fuses the two into SkipLayerNormalization. On x86-64 the fused kernel takes 1.3 to 1.6 times as long as sum and norm
apart from release 1.30 on; before, it is the faster one, and from 1.27 to 1.29 by a factor of 1.5 to 1.7
(benchmarks/results/norm_speed.json). Under emulated aarch64 the two forms count the same instructions within 4 %.
"""

from collections import Counter
from pathlib import Path
from typing import Literal

import onnx
from onnx import helper

from edgedistill.target import Target

NormForm = Literal["fused", "apart"]

APART_SINCE = (1, 30)
"""The release of onnxruntime from which on an x86-64 is faster with the two apart."""

_FUSED = "SkipLayerNormalization"
_NORM = "LayerNormalization"
_SUM_OUTPUT = 3
"""Of a fused node: norm, mean, inverse deviation, and the sum that another node may read."""


def norm_form(target: Target) -> NormForm:
    """Return the form for a target; its oldest runtime decides, so only a profile that says a new one gets them apart."""
    major, minor = (int(part) for part in target.runtime.oldest.split(".")[:2])
    return "apart" if target.cpu.architecture == "x86_64" and (major, minor) >= APART_SINCE else "fused"


def in_norm_form(source: Path, out: Path, form: NormForm) -> Path:
    """Return a graph whose norms are in a form; nothing is fused here.

    Args:
        source: an ONNX file with all weights in it.
        out: written only where something is taken apart; may be `source`.
        form: the one that is wanted.

    Returns:
        `source` itself where there is nothing to change, else `out`.
    """
    if form == "fused":
        return source
    model = onnx.load(source)
    if not take_norms_apart(model.graph):
        return source
    onnx.save(model, out)
    return out


def take_norms_apart(graph: onnx.GraphProto) -> int:
    """Write residual sums and their norms as Sum and LayerNormalization, in place: the same answers, to rounding.

    The runtime fuses Add and LayerNormalization when it loads a graph, a Sum it does not: so an Add of two computed values that
    a norm reads becomes a Sum as well. Not among convolutions, where an Add becomes int8 and a Sum does not.

    Returns:
        How many norms are apart now that were or would be fused.
    """
    constants = {item.name for item in graph.initializer}
    read_by_norms = {node.input[0] for node in graph.node if node.op_type == _NORM}
    nodes: list[onnx.NodeProto] = []
    has_int8_sums = Counter(node.op_type for node in graph.node)["Conv"] > 1
    changed = 0
    for node in graph.node:
        if node.op_type == _FUSED and not any(node.output[1:_SUM_OUTPUT]):
            nodes += _apart(node)
            changed += 1
            continue
        if node.op_type == "Add" and not has_int8_sums and node.output[0] in read_by_norms and not constants & set(node.input):
            node.op_type = "Sum"
            changed += 1
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return changed


def _apart(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    value, skip, gain, *rest = node.input
    offset, bias = (*rest, "", "")[:2]
    out = node.output[0]
    name = node.name or out
    total = node.output[_SUM_OUTPUT] if len(node.output) > _SUM_OUTPUT and node.output[_SUM_OUTPUT] else f"{out}_sum"
    epsilon = next((item.f for item in node.attribute if item.name == "epsilon"), 1e-12)
    made = []
    if bias:
        made.append(helper.make_node("Add", [value, bias], [f"{out}_biased"], f"{name}_bias"))
        value = f"{out}_biased"
    made += [
        helper.make_node("Sum", [value, skip], [total], f"{name}_sum"),
        helper.make_node(_NORM, [total, gain, offset] if offset else [total, gain], [out], name, axis=-1, epsilon=epsilon),
    ]
    return made
