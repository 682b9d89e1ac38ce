"""Adapter to onnx: Pillow's bilinear resizing of 8-bit pictures as nodes of ONNX itself, equal to the bit.

Pillow (src/libImaging/Resample.c) resizes in two passes, first along the rows, then along the columns. Each multiplies by whole
numbers, weights of the triangle filter times 2^22, adds a half and drops 22 bits. The weights are made here for the picture's own
size, in double and in Pillow's order of adding, and each pass is a product in double: all sums are whole numbers below 2^31, so
none is rounded.

Since Pillow 13 (python-pillow/Pillow#9549) the columns of a tall picture come first: where the height shrinks, and by more than
twice as many pixels as the width. As each pass rounds, the order shows. The graph takes that of the installed Pillow, as the
processor does that it is compared with.

Between a transposition and a product there is a Reshape, and an addition between a product and a division: up to 1.17 onnxruntime
fuses these pairs to an operator that it has for float alone, and then does not load the model.

onnxruntime's Resize makes its weights in float32: some pixels are a level of 255 off, and a decision near a tie can flip.
"""

import functools

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image

Constants = dict[str, NDArray[np.generic]]

LINES_A_TURN = 16
"""Rows (of a tall picture columns) that are in double at one time: of 4,000 pixels 1.5 MB."""

_LUMA = (19595.0, 38470.0, 7471.0)
"""Pillow's convert("L"): these times red, green, blue, plus 32,768, by 65,536, rounded down; whole numbers in float32."""

_PRECISION = 2.0**22
"""Pillow's PRECISION_BITS for 8 bits a channel."""


@functools.cache
def takes_columns_of_tall_pictures_first() -> bool:
    """Ask the installed Pillow in which order it resizes a tall picture."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 16), dtype=np.uint8)
    rows_first = Image.fromarray(pixels).resize((8, 64), Image.Resampling.BILINEAR).resize((8, 8), Image.Resampling.BILINEAR)
    return Image.fromarray(pixels).resize((8, 8), Image.Resampling.BILINEAR).tobytes() != rows_first.tobytes()


def resize_nodes(
    source: str, result: str, *, side: int, channels: int, constants: Constants, columns_first: bool | None = None
) -> list[onnx.NodeProto]:
    """Return nodes that make a square of a picture as Pillow does, made grey at its full size where one channel is wanted.

    Args:
        source: uint8, shape (height, width, 3), any height and width.
        result: the value to make: double, whole numbers of 0 to 255, shape (channels, side, side).
        side: pixels.
        channels: 1 or 3.
        constants: what the nodes need is put in.
        columns_first: do the columns of a tall picture come first? None: as the installed Pillow has it.
    """
    _share_constants(constants, side=side, channels=channels)
    either = takes_columns_of_tall_pictures_first() if columns_first is None else columns_first
    return [
        helper.make_node("Shape", [source], ["pre_height"], start=0, end=1),
        helper.make_node("Shape", [source], ["pre_width"], start=1, end=2),
        *(_order_nodes() if either else (helper.make_node("Identity", ["pre_width"], ["pre_length"]),
                                         helper.make_node("Identity", ["pre_height"], ["pre_lines"]))),
        *_weight_nodes("pre_length", "pre_along"), *_weight_nodes("pre_lines", "pre_across"),
        *_line_nodes(source, "pre_short", channels=channels, either=either),
        # the other axis: (channels * side, lines) by (lines, side)
        helper.make_node("Slice", ["pre_short", "pre_zero_1", "pre_lines", "pre_zero_1"], ["pre_known_lines"]),
        helper.make_node("Transpose", ["pre_known_lines"], ["pre_turned"], perm=[1, 2, 0]),
        helper.make_node("Cast", ["pre_turned"], ["pre_turned_d"], to=TensorProto.DOUBLE),
        helper.make_node("Concat", ["pre_pairs", "pre_lines"], ["pre_flat"], axis=0),
        helper.make_node("Reshape", ["pre_turned_d", "pre_flat"], ["pre_turned_flat"]),
        helper.make_node("MatMul", ["pre_turned_flat", "pre_across"], ["pre_square_sum"]),
        *_rounding_nodes("pre_square_sum", "pre_square"),
        helper.make_node("Reshape", ["pre_square", "pre_square_shape"], ["pre_square_planes"]),
        *(_either("pre_square_planes", result, tall=[0, 1, 2], wide=[0, 2, 1]) if either else
          [helper.make_node("Transpose", ["pre_square_planes"], [result], perm=[0, 2, 1])]),
    ]


def _order_nodes() -> list[onnx.NodeProto]:
    """Return nodes that say whether the columns come first, and how long and how many the lines of the first pass are."""
    return [
        helper.make_node("Sub", ["pre_height", "pre_side_1"], ["pre_less_high"]),
        helper.make_node("Sub", ["pre_width", "pre_side_1"], ["pre_less_wide"]),
        helper.make_node("Mul", ["pre_less_wide", "pre_two_1"], ["pre_twice"]),
        helper.make_node("Greater", ["pre_less_high", "pre_twice"], ["pre_much"]),
        helper.make_node("Greater", ["pre_less_high", "pre_zero_1"], ["pre_shrinks"]),
        helper.make_node("And", ["pre_much", "pre_shrinks"], ["pre_tall_1"]),
        helper.make_node("Squeeze", ["pre_tall_1"], ["pre_tall"]),
        helper.make_node("Where", ["pre_tall_1", "pre_height", "pre_width"], ["pre_length"]),
        helper.make_node("Where", ["pre_tall_1", "pre_width", "pre_height"], ["pre_lines"]),
    ]


def _either(source: str, result: str, *, tall: list[int], wide: list[int]) -> list[onnx.NodeProto]:
    """Return a node that turns the axes of a tall picture otherwise."""
    def branch(order: list[int], name: str) -> onnx.GraphProto:
        turned = f"{result}_{name}"
        return helper.make_graph([helper.make_node("Transpose", [source], [turned], perm=order)], name, [],
                                 [helper.make_tensor_value_info(turned, TensorProto.DOUBLE, None)])

    return [helper.make_node("If", ["pre_tall"], [result], then_branch=branch(tall, "tall"), else_branch=branch(wide, "wide"))]


def _share_constants(constants: Constants, *, side: int, channels: int) -> None:
    constants |= {
        "pre_pairs": np.array([channels * side], np.int64), "pre_square_shape": np.array([channels, side, side], np.int64),
        "pre_turn_flat": np.array([LINES_A_TURN * channels, -1], np.int64),
        "pre_line_shape": np.array([-1, channels, side], np.int64),
        "pre_side_1": np.array([side], np.int64), "pre_two_1": np.array([2], np.int64),
        "pre_one_d": np.array(1.0), "pre_half_d": np.array(0.5), "pre_zero_d": np.array(0.0),
        "pre_precision": np.array(_PRECISION), "pre_rounding": np.array(_PRECISION / 2), "pre_side": np.array(float(side)),
        "pre_middles": np.arange(side, dtype=np.float64)[None] + 0.5,
        "pre_zero": np.array(0, np.int64), "pre_one": np.array(1, np.int64), "pre_last": np.array(-1, np.int64),
        "pre_zero_1": np.array([0], np.int64), "pre_one_1": np.array([1], np.int64),
        "pre_turn": np.array(LINES_A_TURN, np.int64), "pre_in_turn": np.arange(LINES_A_TURN, dtype=np.int64),
        "pre_yes": np.array(True),
    }
    if channels == 1:
        constants |= {"pre_luma": np.array(_LUMA, np.float32).reshape(3, 1), "pre_grey_half": np.array(32768.0, np.float32),
                      "pre_grey_whole": np.array(65536.0, np.float32)}


def _weight_nodes(size: str, result: str) -> list[onnx.NodeProto]:
    """Return nodes for the weights of one axis: whole numbers in double, shape (pixels of the axis, side).

    Line by line Pillow's precompute_coeffs and normalize_coeffs_8bpc, for all pairs of pixels at once.
    """
    def name(what: str) -> str:
        return f"{result}_{what}"

    def node(kind: str, inputs: list[str], what: str, **attributes: object) -> onnx.NodeProto:
        return helper.make_node(kind, inputs, [name(what)], **attributes)

    return [
        node("Squeeze", [size], "count"), node("Cast", [name("count")], "size", to=TensorProto.DOUBLE),
        node("Div", [name("size"), "pre_side"], "scale"),
        node("Max", [name("scale"), "pre_one_d"], "support"),  # the triangle's support is 1 on either side
        node("Div", ["pre_one_d", name("support")], "narrow"),
        node("Mul", ["pre_middles", name("scale")], "center"),
        node("Sub", [name("center"), name("support")], "from"), node("Add", [name("from"), "pre_half_d"], "from_half"),
        node("Floor", [name("from_half")], "first"),
        node("Add", [name("center"), name("support")], "to"), node("Add", [name("to"), "pre_half_d"], "to_half"),
        node("Floor", [name("to_half")], "end"),
        node("Range", ["pre_zero", name("count"), "pre_one"], "numbers"),
        node("Cast", [name("numbers")], "numbers_d", to=TensorProto.DOUBLE),
        node("Unsqueeze", [name("numbers_d"), "pre_one_1"], "x"),
        node("Sub", [name("x"), name("center")], "off"), node("Add", [name("off"), "pre_half_d"], "off_half"),
        node("Mul", [name("off_half"), name("narrow")], "part"), node("Abs", [name("part")], "distance"),
        node("Sub", ["pre_one_d", name("distance")], "slope"), node("Max", [name("slope"), "pre_zero_d"], "triangle"),
        node("Less", [name("x"), name("first")], "before"), node("Less", [name("x"), name("end")], "inside"),
        node("Not", [name("before")], "begun"), node("And", [name("begun"), name("inside")], "is_used"),
        node("Cast", [name("is_used")], "used", to=TensorProto.DOUBLE), node("Mul", [name("triangle"), name("used")], "raw"),
        node("CumSum", [name("raw"), "pre_zero"], "sums"),  # Pillow adds one by one, and so does this
        node("Gather", [name("sums"), "pre_last"], "sum", axis=0),
        node("Div", [name("raw"), name("sum")], "share"), node("Mul", [name("share"), "pre_precision"], "fixed"),
        node("Add", [name("fixed"), "pre_half_d"], "fixed_half"), helper.make_node("Floor", [name("fixed_half")], [result]),
    ]


def _line_nodes(source: str, result: str, *, channels: int, either: bool) -> list[onnx.NodeProto]:
    """Return nodes of the first pass, some lines at a time, so that no whole picture is in double.

    The result is uint8, shape (lines or up to 15 more, channels, side).
    """
    grey = "pre_level" if channels == 1 else "pre_part"
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["pre_number", "pre_turn"], ["pre_start"]),
            helper.make_node("Add", ["pre_start", "pre_in_turn"], ["pre_wanted"]),
            helper.make_node("Min", ["pre_wanted", "pre_last_line"], ["pre_known"]),  # what is too much repeats the last line
            _some_lines(source, "pre_part", either=either),
            *(_grey_nodes("pre_part", grey) if channels == 1 else ()),
            helper.make_node("Transpose", [grey], ["pre_planes"], perm=[0, 2, 1]),
            helper.make_node("Cast", ["pre_planes"], ["pre_planes_d"], to=TensorProto.DOUBLE),
            helper.make_node("Reshape", ["pre_planes_d", "pre_turn_flat"], ["pre_planes_flat"]),
            helper.make_node("MatMul", ["pre_planes_flat", "pre_along"], ["pre_line_sum"]),
            *_rounding_nodes("pre_line_sum", "pre_line"),
            helper.make_node("Cast", ["pre_line"], ["pre_line_out"], to=TensorProto.UINT8),
            helper.make_node("Identity", ["pre_go_on"], ["pre_going_on"]),
        ],
        "lines",
        [helper.make_tensor_value_info("pre_number", TensorProto.INT64, []),
         helper.make_tensor_value_info("pre_go_on", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("pre_going_on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("pre_line_out", TensorProto.UINT8, [LINES_A_TURN * channels, None])],
    )
    return [
        helper.make_node("Squeeze", ["pre_lines"], ["pre_line_count"]),
        helper.make_node("Sub", ["pre_line_count", "pre_one"], ["pre_last_line"]),
        helper.make_node("Div", ["pre_last_line", "pre_turn"], ["pre_whole_turns"]),
        helper.make_node("Add", ["pre_whole_turns", "pre_one"], ["pre_turns"]),
        helper.make_node("Loop", ["pre_turns", "pre_yes"], ["pre_stacked"], body=body),
        helper.make_node("Reshape", ["pre_stacked", "pre_line_shape"], [result]),
    ]


def _some_lines(source: str, result: str, *, either: bool) -> onnx.NodeProto:
    """Return a node that takes rows of a picture, of a tall one columns; result: shape (lines, length, 3)."""
    rows = helper.make_node("Gather", [source, "pre_known"], ["pre_some_rows"], axis=0)
    if not either:
        rows.output[0] = result
        return rows
    columns = [helper.make_node("Gather", [source, "pre_known"], ["pre_some_columns"], axis=1),
               helper.make_node("Transpose", ["pre_some_columns"], ["pre_upright"], perm=[1, 0, 2])]

    def branch(nodes: list[onnx.NodeProto], name: str) -> onnx.GraphProto:
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.UINT8, None)])

    return helper.make_node("If", ["pre_tall"], [result], then_branch=branch(columns, "columns"),
                            else_branch=branch([rows], "rows"))


def _grey_nodes(source: str, result: str) -> list[onnx.NodeProto]:
    """Return nodes that make colours grey as Pillow's convert("L") does."""
    return [
        helper.make_node("Cast", [source], ["pre_rgb"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["pre_rgb", "pre_luma"], ["pre_luma_sum"]),
        helper.make_node("Add", ["pre_luma_sum", "pre_grey_half"], ["pre_luma_more"]),
        helper.make_node("Div", ["pre_luma_more", "pre_grey_whole"], ["pre_luma_level"]),
        helper.make_node("Floor", ["pre_luma_level"], [result]),
    ]


def _rounding_nodes(source: str, result: str) -> list[onnx.NodeProto]:
    """Return nodes that divide sums by 2^22 and round halves up; no sum of a triangle's weights leaves 0 to 255."""
    return [
        helper.make_node("Add", [source, "pre_rounding"], [f"{result}_more"]),
        helper.make_node("Div", [f"{result}_more", "pre_precision"], [f"{result}_parts"]),
        helper.make_node("Floor", [f"{result}_parts"], [result]),
    ]
