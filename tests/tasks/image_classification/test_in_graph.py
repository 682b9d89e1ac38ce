"""Pre-processing in the graph: Pillow's and transformers' values, whatever the picture's size."""

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification import pillow_resize
from edgedistill.tasks.image_classification.encoding import Preprocessing, as_inputs
from edgedistill.tasks.image_classification.in_graph import preprocessing_model

BILINEAR = Image.Resampling.BILINEAR


def session(how: Preprocessing) -> onnxruntime.InferenceSession:
    model = preprocessing_model(how, ir_version=8)
    onnx.checker.check_model(model)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


SIZES = [
    (32, 32), (20, 27), (61, 40), (200, 90), (33, 100), (1, 1), (1, 77), (300, 1), (2, 3), (31, 33), (33, 31), (64, 64), (96, 16),
    (17, 16), (15, 400), (400, 15), (357, 241), (640, 480), (480, 640), (129, 127), (8, 8), (32, 999), (999, 32), (101, 50),
]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [32, 7])
def test_graph_when_a_picture_of_any_size_then_pillow_s_pixels(side: int, channels: int) -> None:
    how = Preprocessing(PictureSize(side, channels), (0.5,) * channels, (0.25,) * channels)
    graph = session(how)
    for number, size in enumerate(SIZES):
        pixels = picture(number, size)
        image = Image.fromarray(pixels).convert("L" if channels == 1 else "RGB").resize((side, side), Image.Resampling.BILINEAR)
        expected = as_inputs(np.asarray(image).reshape(1, side, side, channels), how)
        (found,) = graph.run(None, {"image": pixels})
        np.testing.assert_array_equal(levels(found), levels(expected), err_msg=str(size))
        assert np.abs(found - expected).max() < 1e-6


def picture(number: int, size: tuple[int, int]) -> np.ndarray:
    """Noise, and of every third picture black and white alone, whose edges come out at the ends of the scale."""
    pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
    return np.where(pixels > 127, 255, 0).astype(np.uint8) if number % 3 == 0 else pixels


def levels(inputs: np.ndarray) -> np.ndarray:
    return np.rint((inputs * 0.25 + 0.5) * 255)


@pytest.mark.parametrize("columns_first", [False, True])
def test_graph_when_pillow_takes_the_other_order_then_so_does_it(columns_first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pass by itself is the same in every Pillow, so both orders are made of two resizings of one axis."""
    monkeypatch.setattr(pillow_resize, "takes_columns_of_tall_pictures_first", lambda: columns_first)
    how = Preprocessing(PictureSize(16, 3), (0.5,) * 3, (0.25,) * 3)
    graph, differ = session(how), False
    for number, (height, width) in enumerate(SIZES):
        pixels = picture(number + 1, (height, width))
        is_tall = columns_first and height > 16 and height - 16 > 2 * (width - 16)
        first = (width, 16) if is_tall else (16, height)
        other = (16, height) if is_tall else (width, 16)
        (found,) = graph.run(None, {"image": pixels})
        expected, otherwise = (
            np.asarray(Image.fromarray(pixels).resize(size, BILINEAR).resize((16, 16), BILINEAR)) for size in (first, other))
        np.testing.assert_array_equal(levels(found)[0].transpose(1, 2, 0), expected, err_msg=str((height, width)))
        differ |= not np.array_equal(expected, otherwise)
    assert differ  # else the test could not tell the orders apart


@pytest.mark.parametrize("channels", [1, 3])
def test_graph_then_the_whole_picture_goes_into_the_loop_alone(channels: int) -> None:
    """There some lines of it are taken at a time; elsewhere a whole picture would be in double."""
    how = Preprocessing(PictureSize(32, channels), (0.5,) * channels, (0.25,) * channels)
    takers = [node.op_type for node in preprocessing_model(how, ir_version=8).graph.node if "image" in node.input]
    assert set(takers) == {"Shape"}


def test_graph_then_holds_no_pair_that_old_runtimes_fuse_to_an_operator_for_float_alone() -> None:
    """onnxruntime 1.17, the oldest of the targets, makes FusedMatMul of these and has it for float alone: the model did not load."""
    graph = preprocessing_model(Preprocessing(PictureSize(32, 3), (0.5,) * 3, (0.25,) * 3), ir_version=8).graph
    loop = next(node for node in graph.node if node.op_type == "Loop").attribute[0].g
    for nodes in (graph.node, loop.node):
        makers = {name: node for node in nodes for name in node.output}
        products = [node for node in nodes if node.op_type == "MatMul"]
        assert products
        for product in products:
            before = [makers[name] for name in product.input if name in makers]
            before += [makers[name] for node in before if node.op_type == "Cast" for name in node.input if name in makers]
            after = {node.op_type for node in nodes if product.output[0] in node.input}
            assert "Transpose" not in {node.op_type for node in before}
            assert after == {"Add"}
