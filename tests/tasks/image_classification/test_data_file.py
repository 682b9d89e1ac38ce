"""Pictures that a user names on the command line: read as the model's own processor does, by the names of its classes."""

from pathlib import Path

import numpy as np
import pytest
import transformers
from PIL import Image

from edgedistill.examples import read_examples
from edgedistill.tasks.image_classification.encoding import PictureEncoder
from edgedistill.tasks.image_classification.task import DOOR
from edgedistill.tasks.task import DataFile


@pytest.fixture
def square(tmp_path: Path) -> Path:
    """One picture of 40 x 40 in the folder of its class: bilinear and bicubic give other pixels of it."""
    down, across = np.mgrid[0:40, 0:40]
    waves = np.stack([127 + 100 * np.sin(across / 2), 127 + 100 * np.cos(down / 3), (across + down) * 3], -1)
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    Image.fromarray(waves.clip(0, 255).astype(np.uint8)).save(tmp_path / "photos" / "cat" / "a.png")
    return tmp_path / "photos"


@pytest.mark.parametrize(("name", "settings"), [
    ("CLIP", {"size": {"shortest_edge": 24}, "crop_size": {"height": 17, "width": 17}}), ("ViT", {"size": {"height": 24, "width": 24}}),
])
def test_write_examples_when_the_processor_has_a_filter_then_its_own_inputs(
    name: str, settings: dict[str, dict[str, int]], square: Path, tmp_path: Path
) -> None:
    processor = getattr(transformers, f"{name}ImageProcessor")(**settings)
    processor.save_pretrained(tmp_path)
    DOOR.write_examples(DataFile(square, "test", ("cat", "dog")), tmp_path / "d.arrow", model=tmp_path)
    with Image.open(square / "cat" / "a.png") as picture:
        expected = processor(picture, return_tensors="np")["pixel_values"]
    found = PictureEncoder.load(tmp_path).encode_examples(read_examples(tmp_path / "d.arrow")).batch([0])["pixel_values"]
    np.testing.assert_allclose(found, expected, atol=3e-6)
