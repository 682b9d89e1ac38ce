"""Pictures that are arrays: what was done to those of 16 bits is noted, as it is of files."""

import numpy as np
import pytest
from PIL import Image

from edgedistill.tasks.image_classification.arrays import notes_of
from edgedistill.tasks.image_classification.decode import open_picture, to_png


@pytest.mark.parametrize(("largest", "notes"), [
    ([4095, 4096], [("16 bits", "dark 16 bits"), ("16 bits",)]), ([65535, 0], [("16 bits",), ("16 bits", "dark 16 bits")]),
    ([256, 1], [("16 bits", "dark 16 bits")] * 2), ([255, 9], []),
])
@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.int64])
def test_notes_when_values_are_above_a_byte_then_of_each_picture(largest: list[int], notes: list[tuple[str, ...]], kind: type) -> None:
    images = np.zeros((2, 3, 3), kind)
    images[:, 1, 1] = largest
    assert list(notes_of(images)) == notes


def test_notes_when_floats_or_black_and_white_then_none() -> None:
    for images in (np.full((2, 3, 3), 0.5), np.ones((2, 3, 3), bool), np.ones((2, 3, 3, 1), np.uint8)):
        assert notes_of(images) == ()


def test_notes_when_the_same_pixels_are_a_file_then_the_same(tmp_path) -> None:
    values = np.arange(16, dtype=np.uint16).reshape(4, 4) * 200
    Image.fromarray(values).save(tmp_path / "a.png")
    assert notes_of(values[None]) == (open_picture(tmp_path / "a.png").notes,)
    assert open_picture(to_png(np.zeros((4, 4, 1), np.uint8))).notes == ()
