"""Adapter to onnx: pre-processing as nodes of a graph, and a classifier that takes a decoded picture.

`image`, uint8, shape (height, width, 3), of any size, in. Resizing happens on uint8 with antialiasing and without what lies
outside of the picture: so onnxruntime's Resize gives Pillow's pixels, all but one in hundreds, and that one off by one level.
Only operators of onnx itself: no extension is needed on the device.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from edgedistill.tasks.image_classification.encoding import Preprocessing
from edgedistill.tasks.image_classification.graph import INPUT, OUTPUT

IMAGE_INPUT = "image"
PROBABILITIES, LABEL = "probabilities", "label"
OPSET = 18
"""Resize can antialias since then; onnxruntime reads it since 1.14."""

_LUMA = (19595.0, 38470.0, 7471.0)
"""Pillow's convert("L"): these times red, green, blue, plus 32,768, by 65,536, rounded down; whole numbers in float32."""


def preprocessing_nodes(how: Preprocessing) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return nodes from `image` to `pixel_values`, with their constants."""
    side, channels = how.size.side, how.size.channels
    constants = {
        "pre_axis": np.array([0], np.int64), "pre_size": np.array([1, channels, side, side], np.int64),
        "pre_scale": (1.0 / (255.0 * np.asarray(how.std))).astype(np.float32).reshape(1, -1, 1, 1),
        "pre_shift": (np.asarray(how.mean) / np.asarray(how.std)).astype(np.float32).reshape(1, -1, 1, 1),
    }
    nodes = _grey_nodes(constants) if channels == 1 else [
        helper.make_node("Transpose", [IMAGE_INPUT], ["pre_chw"], perm=[2, 0, 1])]
    nodes += [
        helper.make_node("Unsqueeze", ["pre_chw", "pre_axis"], ["pre_batch"]),
        helper.make_node("Resize", ["pre_batch", "", "", "pre_size"], ["pre_sized"], mode="linear", antialias=1,
                         exclude_outside=1, coordinate_transformation_mode="half_pixel"),
        helper.make_node("Cast", ["pre_sized"], ["pre_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pre_float", "pre_scale"], ["pre_scaled"]),
        helper.make_node("Sub", ["pre_scaled", "pre_shift"], [INPUT]),
    ]
    return nodes, [numpy_helper.from_array(value, name) for name, value in constants.items()]


def _grey_nodes(constants: dict[str, np.ndarray]) -> list[onnx.NodeProto]:
    """Make it grey at its full size, as Pillow does: made grey after it is shrunk, a pixel may be two levels off.

    Row by row: of a whole picture the numbers in float would take four bytes a pixel and colour, several times over.
    """
    constants |= {"pre_luma": np.array(_LUMA, np.float32).reshape(3, 1), "pre_half": np.array(32768.0, np.float32),
                  "pre_whole": np.array(65536.0, np.float32)}
    row = helper.make_graph([
        helper.make_node("Cast", ["pre_row"], ["pre_rgb"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["pre_rgb", "pre_luma"], ["pre_sum"]),
        helper.make_node("Add", ["pre_sum", "pre_half"], ["pre_more"]),
        helper.make_node("Div", ["pre_more", "pre_whole"], ["pre_level"]),
        helper.make_node("Floor", ["pre_level"], ["pre_floor"]),
        helper.make_node("Cast", ["pre_floor"], ["pre_grey_row"], to=TensorProto.UINT8),
    ], "grey_row", [helper.make_tensor_value_info("pre_row", TensorProto.UINT8, ["width", 3])],
        [helper.make_tensor_value_info("pre_grey_row", TensorProto.UINT8, ["width", 1])])
    return [
        helper.make_node("Scan", [IMAGE_INPUT], ["pre_grey"], body=row, num_scan_inputs=1),
        helper.make_node("Transpose", ["pre_grey"], ["pre_chw"], perm=[2, 0, 1]),
    ]


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
