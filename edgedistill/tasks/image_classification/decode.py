"""Adapter to Pillow: a picture file, whatever its mode, size and rotation, to uint8 pixels of a square."""

import base64
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, features

from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification.preprocessing import BILINEAR

MOST_PIXELS = 100_000_000
"""A picture with more is not decoded: it would take hundreds of MB, and a small file can claim any size."""

THUMBNAIL_SIDE = 96
"""Side of a picture in a report at most, pixels."""

_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})
_DEEP_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "F"})
_DARK = 4095
"""Of 65,535: a picture with no larger value is nearly black as 8 bits. Cameras of 12 bits make such files."""
_SAID = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
"""Pillow's own words for files that are no pictures, cut off or damaged. Its readers of TIFF and GIF trip over others."""

READS_AVIF = "avif" in features.get_supported_modules()
"""Can this Pillow read AVIF? It can since 11.3, where it was built with it."""


class BrokenPictureError(Exception):
    """A picture that cannot be decoded; the message says why."""


@dataclass(frozen=True)
class Opened:
    """A decoded picture, upright, and what was remarkable about it.

    Attributes:
        image: mode L or RGB.
        notes: kinds of what was done to it: "animated", "rotated", "16 bits", "dark 16 bits" (besides), "floats", "transparent",
            "palette".
    """

    image: Image.Image
    notes: tuple[str, ...] = ()

    @property
    def is_grey(self) -> bool:
        """Has it no colours?"""
        return self.image.mode == "L"


def open_picture(source: Path | bytes | NDArray[np.uint8]) -> Opened:
    """Decode a picture: the first frame, turned as its EXIF says, 16 bits scaled to 8, transparency dropped.

    What becomes of a value follows from the kind of file alone, as it does in apps: 65,535 of 16 bits becomes 255, however
    bright a picture is. Floats are from 0 to 1 where none is larger, else from 0 to 255.

    Args:
        source: a file, its bytes, or pixels of shape (height, width) or (height, width, 1 or 3).

    Raises:
        BrokenPictureError: it is no picture, cut off, damaged, has more than 100 million pixels, or floats above 255.
    """
    if isinstance(source, np.ndarray):
        return Opened(Image.fromarray(source[..., 0] if source.ndim == 3 and source.shape[2] == 1 else source))
    with _opened(source) as image:
        notes = ["animated"] if getattr(image, "n_frames", 1) > 1 else []
        image.load()
        upright = ImageOps.exif_transpose(image)
        notes += ["rotated"] if image.getexif().get(_ORIENTATION, 1) != 1 else []
        return Opened(_plain(upright, notes), tuple(notes))


def measure(source: Path | bytes | NDArray[np.uint8]) -> tuple[int, bool]:
    """Return the shorter side of a picture in pixels, and whether it has no colours, from the file's header alone.

    Args:
        source: as for `open_picture`.

    Raises:
        BrokenPictureError: it is no picture, or has more than 100 million pixels.
    """
    if isinstance(source, np.ndarray):
        return min(source.shape[:2]), source.ndim == 2 or source.shape[2] == 1
    with _opened(source) as image:
        return min(image.size), image.mode in _GREY_MODES


@contextmanager
def _opened(source: Path | bytes) -> Iterator[Image.Image]:
    """Open a picture, not decoded yet; whatever Pillow raises then or inside the block says that it is broken."""
    try:
        with Image.open(source if isinstance(source, Path) else BytesIO(source)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise BrokenPictureError(f"has {image.width} x {image.height} pixels, more than {MOST_PIXELS // 10**6} million")
            yield image
    except BrokenPictureError:
        raise
    except _SAID as bad:
        raise BrokenPictureError(_first_line(bad)) from None
    except Exception as bad:  # noqa: BLE001 - a damaged TIFF or GIF ends in IndexError, TypeError, KeyError and others
        raise BrokenPictureError(f"damaged ({type(bad).__name__}: {_first_line(bad)})") from None


_ORIENTATION = 0x0112


def _plain(image: Image.Image, notes: list[str]) -> Image.Image:
    """Return a picture of mode L or RGB; adds to the notes what was given up for it."""
    if image.mode in _DEEP_MODES:
        values = np.asarray(image, np.float64)
        most = float(values.max(initial=0.0))
        notes += ["floats"] if image.mode == "F" else deep_notes(most)
        return Image.fromarray(_to_eight_bits(values * _factor(image.mode, most)))
    if image.mode == "P":
        notes.append("palette")
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        notes.append("transparent")
    return image.convert("L" if image.mode in _GREY_MODES else "RGB")


def deep_notes(most: float) -> tuple[str, ...]:
    """Return the notes of a picture of 16 bits a value, by the largest of its values."""
    return ("16 bits", "dark 16 bits") if most <= _DARK else ("16 bits",)


def _factor(mode: str, most: float) -> float:
    """Return what values are multiplied by; `most` is the largest."""
    if mode != "F":
        return 1 / 257.0
    if not most <= 255.0:  # NaN is refused too
        raise BrokenPictureError(f"holds floats up to {most:g}; 0 to 1, or 0 to 255, is read")
    return 255.0 if most <= 1.0 else 1.0


def _to_eight_bits(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def to_square(opened: Opened, size: PictureSize, resample: int = BILINEAR) -> NDArray[np.uint8]:
    """Return pixels of shape (side, side, channels), resized to both sides, as transformers' ViTImageProcessor does.

    Args:
        opened: the picture.
        size: of the result.
        resample: Pillow's number of the filter.
    """
    mode = "L" if size.channels == 1 else "RGB"
    image = opened.image if opened.image.mode == mode else opened.image.convert(mode)
    if image.size != (size.side, size.side):
        image = image.resize((size.side, size.side), resample=resample)
    return np.asarray(image, np.uint8).reshape(size.side, size.side, size.channels)


def to_thumbnail(pixels: NDArray[np.uint8]) -> str:
    """Return a data URI of a picture of 49 to 96 pixels a side: small ones enlarged whole times, large ones shrunk.

    Small ones are PNG, pixel by pixel as the model sees them; from 49 pixels on they are JPEG, so that a page of sixty
    photographs stays small.

    Args:
        pixels: shape (side, side, 1 or 3).
    """
    flat, side = pixels[..., 0] if pixels.shape[2] == 1 else pixels, pixels.shape[0]
    stream = BytesIO()
    if side <= THUMBNAIL_SIDE // 2:
        kind, scale = "png", THUMBNAIL_SIDE // side
        Image.fromarray(np.repeat(np.repeat(flat, scale, axis=0), scale, axis=1)).save(stream, format="PNG", optimize=True)
    else:
        kind, image = "jpeg", Image.fromarray(flat)
        image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        image.save(stream, format="JPEG", quality=85)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"


def to_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a PNG file of pixels of shape (height, width, 1 or 3)."""
    stream = BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(stream, format="PNG")
    return stream.getvalue()


def _first_line(bad: BaseException) -> str:
    return (str(bad).splitlines() or [type(bad).__name__])[0].split(" <_io")[0]
