"""Pictures that a user names on the command line: read as the model's own processor does, by the names of its classes."""

from pathlib import Path

import numpy as np
import pytest
import transformers
from PIL import Image

from edgedistill.errors import DataError
from edgedistill.examples import read_examples
from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification.data_file import write_data_file
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


@pytest.mark.parametrize(("labels", "names", "expected"), [
    (["False", "True"], ("false", "true"), [0, 1]), (["1.0", "0.0"], ("0", "1"), [1, 0]), (["1", "2"], ("1.0", "2.0"), [0, 1]),
    (["cat", "dog"], ("dog", "cat"), [1, 0]),
])
def test_write_examples_when_labels_are_spelled_otherwise_then_they_mean_the_same_classes(
    labels: list[str], names: tuple[str, ...], expected: list[int], square: Path, tmp_path: Path
) -> None:
    path = square / "d.csv"
    path.write_text("image,label\n" + "".join(f"cat/a.png,{label}\n" for label in labels), encoding="utf-8")
    write_data_file(DataFile(path, "test", names), tmp_path / "d.arrow", size=PictureSize(8, 3))
    assert read_examples(tmp_path / "d.arrow").labels.tolist() == expected


def test_write_examples_when_a_label_means_no_class_then_refused_with_those_that_are_known(square: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cat/a.png: the model does not know the class 'cat'; it knows true, false"):
        write_data_file(DataFile(square, "test", ("true", "false")), tmp_path / "d.arrow", size=PictureSize(8, 3))
