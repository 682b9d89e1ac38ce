"""The model that takes pictures against transformers' processor and model.onnx: what is compared, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from edgedistill.errors import ParityError
from edgedistill.examples import read_examples
from edgedistill.plan import PictureSize
from edgedistill.prepare.columns import Columns
from edgedistill.tasks.image_classification.card import MEMORY_OF_12_MEGAPIXELS
from edgedistill.tasks.image_classification.encoding import PREPROCESSOR_FILE, Preprocessing
from edgedistill.tasks.image_classification.picture_model import Processor, Sample, make_picture_model
from edgedistill.tasks.image_classification.pictures import Rows, write_pictures
from edgedistill.tasks.image_classification.whole_pictures import WholePicture, open_originals, whole_pictures

SIDE = 32


def how_of(channels):
    return Preprocessing(PictureSize(SIDE, channels), (0.5,) * channels, (0.25,) * channels)


def two_classes(channels, factor=1.0):
    """A classifier whose logits are the mean of the upper left corner, times a factor, and nothing."""
    weight = np.zeros((channels * SIDE * SIDE, 2), np.float32)
    weight[0, 0] = factor
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["pixel_values"], ["flat"]), helper.make_node("MatMul", ["flat", "weight"], ["logits"])],
        "corner", [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", channels, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])], [numpy_helper.from_array(weight, "weight")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


def processor_of(how, folder):
    (folder / PREPROCESSOR_FILE).write_text(how.to_json())
    return Processor.load(folder)


def noise(height, width, channels):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_compare_when_pictures_are_whole_then_processor_and_graph_agree_to_the_pixel(channels, tmp_path):
    whole = [WholePicture("a", noise(61, 45, 3), True), WholePicture("b", noise(33, 90, 1), False)]
    sample = Sample(noise(SIDE, SIDE, channels)[None], whole)
    how = how_of(channels)

    told = make_picture_model(two_classes(channels), how, processor_of(how, tmp_path), labels=("x", "y"), sample=sample).told

    assert (told.compared, told.compared_resized, told.compared_originals) == (1, 2, 1)
    assert told.largest_difference < 1e-5
    assert told.largest_difference_resized < 1e-5
    assert told.largest_logit_difference < 1e-5
    assert told.decisions_flipped == 0


class Brighter:
    """A processor whose first value is a little brighter: what a graph that resizes otherwise looks like from there."""

    def __init__(self, true, by):
        self.true, self.by = true, by

    def inputs(self, pictures):
        values = self.true.inputs(pictures)
        if values.shape[0] == 1:
            values[0, 0, 0, 0] = self.by
        return values


def grey_and(by, tmp_path):
    """A processor that makes the first value of a grey picture `by`, where the graph makes -0.0078 of it, and the picture."""
    sample = Sample(np.zeros((2, SIDE, SIDE, 1), np.uint8), [WholePicture("grey.png", np.full((50, 50, 1), 127, np.uint8), True)])
    return Brighter(processor_of(how_of(1), tmp_path), by), sample


def test_compare_when_a_pixel_is_a_level_off_then_is_refused(tmp_path):
    processor, sample = grey_and(-0.0078 - 1 / (255 * 0.25), tmp_path)
    with pytest.raises(ParityError, match="differs from transformers' by"):
        make_picture_model(two_classes(1), how_of(1), processor, labels=("x", "y"), sample=sample)


def test_compare_when_a_decision_flips_then_is_refused_however_small_the_lead(tmp_path):
    processor, sample = grey_and(1e-6, tmp_path)
    with pytest.raises(ParityError, match=r"grey.png \(50 x 50 pixels\).*says y.*transformers' x, which leads by 1e-06"):
        make_picture_model(two_classes(1), how_of(1), processor, labels=("x", "y"), sample=sample)


@pytest.fixture
def stored(tmp_path):
    """A folder of four pictures, of which the test split has two; one of its files is of the stored size."""
    files = []
    for number, side in enumerate((40, 40, SIDE, 50)):
        file = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(side, side, 3)).save(file)
        files.append(file)
    order = sorted(files)  # as the source has them: a/0 a/2 b/1 b/3
    rows = [0, 1, 3]
    made = [np.asarray(Image.open(order[row]).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for row in rows]
    names = Rows([f"test-{row:06d}" for row in rows], [order[row].name for row in rows], [0, 0, 1])
    write_pictures(tmp_path / "test.arrow", names, [np.stack(made)], size=PictureSize(SIDE, 3))
    return tmp_path, order


def wholes(folder, **places):
    return list(whole_pictures(read_examples(folder / "test.arrow"), open_originals(places, Columns("image", "label")), seed=1))


def test_whole_when_the_files_are_there_then_are_of_their_size_but_those_of_the_stored_size(stored):
    folder, _ = stored
    found = wholes(folder, train=folder / "photos")
    assert [item.is_original for item in found] == [True, False, True]
    assert [found[0].pixels.shape, found[2].pixels.shape] == [(40, 40, 3), (50, 50, 3)]
    assert found[1].pixels.shape[0] % 2 == found[1].pixels.shape[1] % 2 == 1


def test_whole_when_a_file_is_another_one_or_none_are_there_then_are_enlarged(stored):
    folder, order = stored
    Image.fromarray(255 - noise(40, 40, 3)).save(order[0])
    order[3].write_bytes(b"damaged")
    assert [item.is_original for item in wholes(folder, train=folder / "photos")] == [False] * 3
    again = wholes(folder)
    assert [item.pixels.shape for item in again] == [item.pixels.shape for item in wholes(folder)]
    assert min(min(item.pixels.shape[:2]) for item in again) > SIDE


def test_card_when_it_tells_the_memory_then_it_is_the_measured_one():
    file = Path(__file__).parents[3] / "benchmarks" / "results" / "picture_memory.json"
    rows = [row for row in json.loads(file.read_text())["rows"] if (row["picture_bytes"], row["side"]) == (36_000_000, 96)]
    assert {row["channels"]: round(max(row["added_bytes"]) / 1e6) for row in rows} == MEMORY_OF_12_MEGAPIXELS
