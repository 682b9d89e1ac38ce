"""Picture files of every mode: decoded alike, turned upright, or refused with a reason."""

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification import decode
from edgedistill.tasks.image_classification.decode import BrokenPictureError, measure, open_picture, to_square, to_thumbnail

RED = (204, 51, 51)

DAMAGED = {
    "gif, IndexError": "R0lGODdhAgACAIEAAABmzAAzzAAAAAAAACwAAAAAAgACAAAIBwABBAgAICAAIfkEAQAAAQAsAAAAAAIAAgDmAAAAAAAAAAAAAAAAYwYAAQgEEBAAOw==",
    "tif, TypeError": (
        "SUkqAAgAAAAKAAABBAABAAAAAgAAAAEBBAABAAAAAgAAAAIBAwADAAAAhgAAAAMBAwABAAAAAQAAAAYBAwABAAAAAgAAABEBBAABAAAAjAAAABUBAwABAAAA"
        "AwAAABYBBAABAAAAAgAAABcBBAABAAAADAAAABwBAwABAAAAAQAAAO8AAAAIAAgACAAJUMgJUMgJUMgJUMg="),
}
"""Files of 2 x 2 pixels with one wrong byte, on which Pillow's readers end in an error that is none of Pillow's."""


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
def test_open_picture_when_modes_differ_then_the_colour_is_the_same(mode: str, tmp_path: Path) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    path = saved(Image.new("RGB", (4, 4), RED).convert(mode), tmp_path / f"p.{suffix}")
    opened = open_picture(path)
    assert opened.image.mode == "RGB"
    np.testing.assert_allclose(np.asarray(opened.image)[0, 0], RED, atol=2)


def test_open_picture_when_sixteen_bits_then_scaled_to_eight(tmp_path: Path) -> None:
    values = np.array([[0, 257, 65535]], np.uint16)
    opened = open_picture(saved(Image.fromarray(values), tmp_path / "p.png"))
    assert np.asarray(opened.image).tolist() == [[0, 1, 255]]
    assert opened.notes == ("16 bits",)


def test_open_picture_when_sixteen_bits_and_dark_then_scaled_as_bright_ones_and_said(tmp_path: Path) -> None:
    for values, expected in (([250, 4095], [1, 16]), ([250, 4112], [1, 16])):
        opened = open_picture(saved(Image.fromarray(np.array([values], np.uint16)), tmp_path / "p.png"))
        assert np.asarray(opened.image).tolist() == [expected]
        assert ("dark 16 bits" in opened.notes) is (max(values) == 4095)


@pytest.mark.parametrize(("values", "expected"), [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 1.5, 255.0], [0, 2, 255])])
def test_open_picture_when_floats_then_to_one_or_to_255(values: list[float], expected: list[int], tmp_path: Path) -> None:
    opened = open_picture(saved(Image.fromarray(np.array([values], np.float32)), tmp_path / "p.tif"))
    assert np.asarray(opened.image).tolist() == [expected]


def test_open_picture_when_floats_are_larger_than_255_then_broken(tmp_path: Path) -> None:
    for most in (4095.0, float("nan")):
        with pytest.raises(BrokenPictureError, match=f"floats up to {most:g}"):
            open_picture(saved(Image.fromarray(np.array([[0, most]], np.float32)), tmp_path / "p.tif"))


def test_open_picture_when_exif_says_rotated_then_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (6, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rows are columns
    opened = open_picture(saved(image, tmp_path / "p.jpg", exif=exif))
    assert opened.image.size == (3, 6)
    assert "rotated" in opened.notes


def test_open_picture_when_animated_then_the_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((250, 0, 0), (0, 250, 0))]
    opened = open_picture(saved(frames[0], tmp_path / "p.gif", save_all=True, append_images=frames[1:]))
    assert "animated" in opened.notes
    assert np.asarray(opened.image)[0, 0, 0] > 200


def test_open_picture_when_cut_off_or_no_picture_then_refused_with_a_reason(tmp_path: Path) -> None:
    whole = saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)), tmp_path / "p.jpg")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:500])
    text = tmp_path / "text.png"
    text.write_text("no picture", encoding="utf-8")
    for path in (cut, text):
        with pytest.raises(BrokenPictureError, match=r"(?i)truncated|cannot identify"):
            open_picture(path)


@pytest.mark.parametrize("name", DAMAGED)
def test_open_picture_when_pillow_trips_over_a_damaged_file_then_it_is_broken(name: str) -> None:
    with pytest.raises(BrokenPictureError, match=rf"damaged \({name.split()[1]}: "):
        open_picture(base64.b64decode(DAMAGED[name]))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_measure_when_modes_differ_then_as_the_decoded_picture(mode: str, tmp_path: Path) -> None:
    path = saved(Image.new(mode, (6, 3)), tmp_path / "p.png")
    opened = open_picture(path)
    assert measure(path) == (min(opened.image.size), opened.is_grey) == (3, mode in ("1", "L", "LA", "I;16"))


def test_measure_when_pixels_or_no_picture_then_their_size_or_broken() -> None:
    assert measure(np.zeros((5, 7), np.uint8)) == measure(np.zeros((7, 5, 1), np.uint8)) == (5, True)
    assert measure(np.zeros((5, 7, 3), np.uint8)) == (5, False)
    with pytest.raises(BrokenPictureError):
        measure(b"no picture")


def test_open_picture_when_huge_then_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "MOST_PIXELS", 10)
    with pytest.raises(BrokenPictureError, match="4 x 4 pixels"):
        open_picture(saved(Image.new("L", (4, 4)), tmp_path / "p.png"))


def test_to_square_when_grey_is_wanted_then_one_channel_of_that_side(tmp_path: Path) -> None:
    opened = open_picture(saved(Image.new("RGB", (10, 4), RED), tmp_path / "p.png"))
    pixels = to_square(opened, PictureSize(8, 1))
    assert pixels.shape == (8, 8, 1)
    assert int(pixels[0, 0, 0]) == round(0.299 * 204 + 0.587 * 51 + 0.114 * 51)


def read_thumbnail(uri: str) -> tuple[Image.Image, int]:
    content = base64.b64decode(uri.partition(";base64,")[2])
    return Image.open(BytesIO(content)), len(uri)


def test_thumbnail_when_small_then_every_pixel_is_kept_as_a_square() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    image, _ = read_thumbnail(to_thumbnail(pixels))
    assert (image.format, image.size) == ("PNG", (96, 96))
    np.testing.assert_array_equal(np.asarray(image)[1::3, 1::3], pixels)


@pytest.mark.parametrize(("side", "shown"), [(48, 96), (49, 49), (96, 96), (224, 96)])
@pytest.mark.parametrize("channels", [1, 3])
def test_thumbnail_when_large_then_never_more_than_96_pixels_and_a_few_kilobytes(side: int, shown: int, channels: int) -> None:
    ramp = np.add.outer(np.arange(side), np.arange(side)).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 16, (side, side, channels), dtype=np.uint8)
    image, characters = read_thumbnail(to_thumbnail(ramp[..., None] // 2 + noise))
    assert image.size == (shown, shown)
    assert image.mode == ("L" if channels == 1 else "RGB")
    assert characters < 9_000
