"""Adapter to onnx: pre-processing as nodes of a graph, and a classifier that takes a decoded picture.

`image`, uint8, shape (height, width, 3), of any size, in. Resizing gives Pillow's pixels (`pillow_resize`). Only operators of
onnx itself: no extension is needed on the device.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from edgedistill.tasks.image_classification.encoding import Preprocessing
from edgedistill.tasks.image_classification.graph import INPUT, OUTPUT
from edgedistill.tasks.image_classification.pillow_resize import Constants, resize_nodes

IMAGE_INPUT = "image"
PROBABILITIES, LABEL = "probabilities", "label"
OPSET = 18
"""onnxruntime reads it since 1.14."""


def preprocessing_nodes(how: Preprocessing) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return nodes from `image` to `pixel_values`, with their constants."""
    side, channels = how.size.side, how.size.channels
    constants: Constants = {
        "pre_axis": np.array([0], np.int64),
        "pre_scale": (1.0 / (255.0 * np.asarray(how.std))).astype(np.float32).reshape(1, -1, 1, 1),
        "pre_shift": (np.asarray(how.mean) / np.asarray(how.std)).astype(np.float32).reshape(1, -1, 1, 1),
    }
    nodes = [
        *resize_nodes(IMAGE_INPUT, "pre_sized", side=side, channels=channels, constants=constants),
        helper.make_node("Cast", ["pre_sized"], ["pre_planar"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["pre_planar", "pre_axis"], ["pre_float"]),
        helper.make_node("Mul", ["pre_float", "pre_scale"], ["pre_scaled"]),
        helper.make_node("Sub", ["pre_scaled", "pre_shift"], [INPUT]),
    ]
    return nodes, [numpy_helper.from_array(value, name) for name, value in constants.items()]


def preprocessing_model(how: Preprocessing, *, ir_version: int) -> onnx.ModelProto:
    """Return a graph from `image` to `pixel_values`."""
    nodes, constants = preprocessing_nodes(how)
    shape = [1, how.size.channels, how.size.side, how.size.side]
    graph = helper.make_graph(
        nodes, "preprocessing", [helper.make_tensor_value_info(IMAGE_INPUT, TensorProto.UINT8, ["height", "width", 3])],
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)], constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=ir_version,
                             producer_name="edgedistill")


def classifier_of_picture(model: onnx.ModelProto, how: Preprocessing, labels: Sequence[str]) -> onnx.ModelProto:
    """Return a classifier with the pre-processing in front and `logits`, `probabilities` and `label` at its end.

    Args:
        model: the classifier of `pixel_values`; its opset is raised to 18 where it is lower.
        how: the pre-processing.
        labels: name of each class.
    """
    before = preprocessing_model(how, ir_version=model.ir_version)
    own = next(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    if own < OPSET:
        model = onnx.version_converter.convert_version(model, OPSET)
    elif own > OPSET:
        before.opset_import[0].version = own
    made = compose.merge_models(before, model, io_map=[(INPUT, model.graph.input[0].name)])
    graph, end = made.graph, made.graph.output[0].name
    graph.node.extend([
        helper.make_node("Softmax", [end], [PROBABILITIES], axis=-1),
        helper.make_node("ArgMax", [end], ["post_best"], axis=-1, keepdims=0),
        helper.make_node("Gather", ["post_labels", "post_best"], [LABEL]),
    ])
    graph.initializer.append(helper.make_tensor("post_labels", TensorProto.STRING, [len(labels)],
                                                [name.encode() for name in labels]))
    graph.output.extend([helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, [1, len(labels)]),
                         helper.make_tensor_value_info(LABEL, TensorProto.STRING, [1])])
    made.producer_name, made.producer_version = "edgedistill", ""
    return made


__all__ = ["IMAGE_INPUT", "INPUT", "LABEL", "OUTPUT", "PROBABILITIES", "classifier_of_picture", "preprocessing_model"]
