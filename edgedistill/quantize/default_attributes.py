"""Attributes that say what ONNX assumes anyway: half a per cent of the smallest picture students."""

from collections.abc import Sequence

import onnx
from onnx import helper

_ALL_ONES = frozenset({"strides", "dilations"})
_ALL_ZEROS = frozenset({"pads"})
_SLIDING = frozenset({"Conv", "ConvTranspose", "MaxPool", "AveragePool"})


def drop_default_attributes(model: onnx.ModelProto) -> None:
    """Take the attributes that equal their defaults from the nodes of a graph, in place; nodes of other domains keep theirs.

    Args:
        model: the graph. Its opset says which defaults count.

    Source: the operators' schemas of onnx; of a convolution and a pooling its text ("If not present, the stride defaults to 1
    along each spatial axis", and so for dilations and pads), which the schema does not repeat as a value.
    """
    version = next((opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")), None)
    if version is None:
        return
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx") or not onnx.defs.has(node.op_type, version, ""):
            continue
        schema = onnx.defs.get_schema(node.op_type, version, "")
        needed = [item for item in node.attribute if not _is_default(item, node.op_type, schema)]
        del node.attribute[:]
        node.attribute.extend(needed)


def _is_default(item: onnx.AttributeProto, op_type: str, schema: onnx.defs.OpSchema) -> bool:
    value = helper.get_attribute_value(item)
    if op_type in _SLIDING and item.name in _ALL_ONES | _ALL_ZEROS:
        return isinstance(value, Sequence) and all(number == (item.name in _ALL_ONES) for number in value)
    known = schema.attributes.get(item.name)
    if known is None or known.default_value.type == onnx.AttributeProto.UNDEFINED:
        return False
    return bool(helper.get_attribute_value(known.default_value) == value)
