"""Test pictures as an app meets them: at their own size where their files are at hand, else enlarged to odd sizes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgedistill.errors import DataError
from edgedistill.examples import Examples
from edgedistill.plan import PictureSize
from edgedistill.prepare.columns import Columns
from edgedistill.tasks.image_classification.decode import BrokenPictureError, open_picture, to_square
from edgedistill.tasks.image_classification.pictures import pixels_of
from edgedistill.tasks.image_classification.sources import Picture, Source, holds_split, open_source

MOST_WHOLE = 500
MOST_PIXELS = 60_000_000
"""Of all whole pictures together, about: five of 12 megapixels take as long as hundreds of small ones."""

_FEWEST = 5
_MEASURED = 5
_GROWTH = (1.1, 4.0)
"""How much larger than the stored square an enlarged picture is, each side drawn for itself."""

_ID = re.compile(r"^test-(\d+)$")


@dataclass(frozen=True)
class WholePicture:
    """A picture of any size.

    Attributes:
        name: what the reader knows it by.
        pixels: shape (height, width, 1 or 3), uint8.
        is_original: is it decoded from its file, rather than enlarged from the stored square?
    """

    name: str
    pixels: NDArray[np.uint8]
    is_original: bool

    def fitted(self, channels: int) -> NDArray[np.uint8]:
        """Return it grey or in colour, as Pillow makes it, shape (height, width, channels)."""
        if self.pixels.shape[2] == channels:
            return self.pixels
        flat = self.pixels[..., 0] if channels == 3 else self.pixels
        made = np.asarray(Image.fromarray(flat).convert("RGB" if channels == 3 else "L"), np.uint8)
        return made.reshape(*flat.shape[:2], channels)


def open_originals(places: Mapping[str, Path], columns: Columns) -> Source | None:
    """Open the source that the test split came from; None where it is not at hand.

    Args:
        places: data files and folders of the recipe by split; those that are gone are missing.
        columns: where a table has the pictures and the labels.
    """
    train = places.get("train")
    path = places.get("test", train)
    try:
        is_inside = "test" not in places and train is not None and holds_split(train, "test", columns)
        return None if path is None else open_source(path, columns, split="test" if is_inside or "test" in places else "train")
    except DataError:  # it was read when the data were prepared; what is there now is something else
        return None


def whole_pictures(examples: Examples, originals: Source | None, *, seed: int) -> Iterator[WholePicture]:
    """Yield up to 500 test pictures, fewer of large ones, evenly taken.

    A picture's file counts where it still gives the stored pixels and is not of the stored size already; else the stored square
    is enlarged to odd sides.

    Args:
        examples: the test split.
        originals: where it came from, None where that is not at hand.
        seed: draws the sizes of those that are enlarged.
    """
    pixels, rng = pixels_of(examples), np.random.default_rng(seed)
    names, ids = examples.table.column("name").to_pylist(), examples.table.column("id").to_pylist()
    numbers = _numbers(ids, originals)
    rows = _evenly(np.argsort(numbers, kind="stable"), _how_many(numbers, originals))
    found = originals.rows(numbers[rows].tolist()) if originals is not None and numbers[0] >= 0 else iter(())
    for row in rows:
        stored = pixels.take([int(row)])[0]
        whole = _original(next(found, None), stored, pixels.size)
        yield WholePicture(names[row], enlarged(stored, rng) if whole is None else whole, whole is not None)


def enlarged(stored: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a stored square enlarged to odd sides, shape (height, width, channels)."""
    height, width = (int(stored.shape[0] * factor) | 1 for factor in rng.uniform(*_GROWTH, size=2))
    return resized(stored, height=height, width=width)


def resized(pixels: NDArray[np.uint8], *, height: int, width: int) -> NDArray[np.uint8]:
    """Return a picture at another size, by a filter that is not the model's; shape (height, width, channels)."""
    flat = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    made = Image.fromarray(flat).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(made, np.uint8).reshape(height, width, pixels.shape[2])


def _numbers(ids: list[str], originals: Source | None) -> NDArray[np.int64]:
    """Return the place of each picture in its source; all -1 where that is not known."""
    found = [_ID.match(name) for name in ids]
    known = [int(match[1]) for match in found if match is not None]
    is_usable = originals is not None and len(known) == len(ids) and (originals.count is None or max(known) < originals.count)
    return np.asarray(known if is_usable else [-1] * len(ids), np.int64)


def _how_many(numbers: NDArray[np.int64], originals: Source | None) -> int:
    """Return how many pictures are compared; the size of a few tells how many are not too much."""
    if originals is None or numbers[0] < 0:
        return MOST_WHOLE
    some = originals.rows(np.sort(_evenly(numbers, _MEASURED)).tolist())
    sizes = [image.width * image.height for picture in some if (image := _decoded(picture)) is not None]
    return min(MOST_WHOLE, max(_FEWEST, int(MOST_PIXELS / float(np.mean(sizes))))) if sizes else MOST_WHOLE


def _evenly(items: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    return items[np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(np.int64)]


def _decoded(picture: Picture) -> Image.Image | None:
    try:
        return open_picture(picture.source).image
    except BrokenPictureError:  # it was whole when the data were prepared, and is not there any more
        return None


def _original(picture: Picture | None, stored: NDArray[np.uint8], size: PictureSize) -> NDArray[np.uint8] | None:
    """Return the pixels of a picture's file, None where it is gone, another one, or of the stored size."""
    if picture is None:
        return None
    try:
        opened = open_picture(picture.source)
    except BrokenPictureError:
        return None
    if opened.image.size == (size.side, size.side) or not np.array_equal(to_square(opened, size), stored):
        return None
    return np.asarray(opened.image, np.uint8).reshape(opened.image.height, opened.image.width, 1 if opened.is_grey else 3)
