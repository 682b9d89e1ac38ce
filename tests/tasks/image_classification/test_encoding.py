"""Pictures as model inputs: those that transformers' own image processor makes."""

from pathlib import Path

import numpy as np
import pytest

from edgedistill.errors import ArtifactError
from edgedistill.examples import read_examples
from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification.encoding import (
    PREPROCESSOR_FILE,
    PictureEncoder,
    Preprocessing,
    as_inputs,
    fit_channels,
    pictures_a_batch,
    read_preprocessing,
)
from edgedistill.tasks.image_classification.pictures import Rows, write_pictures


@pytest.mark.parametrize(("side", "rows"), [(16, 256), (96, 256), (97, 250), (224, 47), (384, 16), (1024, 8)])
def test_pictures_a_batch_when_larger_then_fewer(side: int, rows: int) -> None:
    assert pictures_a_batch(Preprocessing(PictureSize(side, 3), (0.5,) * 3, (0.5,) * 3)) == rows


@pytest.mark.parametrize(("stored", "side"), [(32, 32), (20, 32), (48, 32)])
def test_as_inputs_when_read_by_transformers_then_equal(stored: int, side: int, tmp_path: Path) -> None:
    from transformers import AutoImageProcessor

    how = Preprocessing(PictureSize(side, 3), (0.48, 0.45, 0.4), (0.2, 0.25, 0.3))
    (tmp_path / PREPROCESSOR_FILE).write_text(how.to_json(), encoding="utf-8")
    pixels = np.random.default_rng(0).integers(0, 256, (3, stored, stored, 3), dtype=np.uint8)
    processor = AutoImageProcessor.from_pretrained(tmp_path, use_fast=False)
    expected = processor(list(pixels), return_tensors="np")["pixel_values"]
    assert read_preprocessing(tmp_path) == how
    np.testing.assert_allclose(as_inputs(pixels, PictureEncoder.load(tmp_path).how), expected, atol=2e-6)


def test_as_inputs_when_grey_then_as_by_hand() -> None:
    how = Preprocessing(PictureSize(1, 1), (0.5,), (0.25,))
    assert as_inputs(np.full((1, 1, 1, 1), 255, np.uint8), how).item() == pytest.approx(2.0)


def test_fit_channels_when_coloured_then_the_luma_that_pillow_has() -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (1, 9, 9, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(pixels[0]).convert("L"), int)
    assert np.abs(fit_channels(pixels, 1)[0, ..., 0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("content", [
    "{}", "no json", "[]", '{"image_processor_type": "ViTImageProcessor", "size": 8, "image_std": [0, 1, 1]}'])
def test_read_preprocessing_when_not_understood_then_names_the_file(content: str, tmp_path: Path) -> None:
    (tmp_path / PREPROCESSOR_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(ArtifactError, match="preprocessor_config"):
        read_preprocessing(tmp_path)


@pytest.mark.parametrize(("stored", "side", "channels"), [(6, 6, 3), (9, 6, 3), (6, 6, 1)])
def test_encode_raw_when_the_raw_pictures_are_read_again_then_the_same_inputs(
    stored: int, side: int, channels: int, tmp_path: Path
) -> None:
    how = Preprocessing(PictureSize(side, channels), (0.5,) * channels, (0.25,) * channels)
    pixels = np.random.default_rng(0).integers(0, 256, (3, stored, stored, channels), dtype=np.uint8)
    write_pictures(tmp_path / "p.arrow", Rows("abc", "abc", (0, 0, 0)), [pixels], size=PictureSize(stored, channels))
    examples, encoder = read_examples(tmp_path / "p.arrow"), PictureEncoder(how)
    raw = encoder.raw(examples)
    assert all(file.startswith(b"\x89PNG") for file in raw)
    again = encoder.encode_raw(raw)
    assert len(again) == 3
    expected = encoder.encode_examples(examples).batch(range(3))["pixel_values"]
    np.testing.assert_array_equal(again.batch(range(3))["pixel_values"], expected)
