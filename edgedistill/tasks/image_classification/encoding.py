"""Pictures to model inputs, as the `preprocessor_config.json` of a model folder says. One encoder for torch, ONNX and the bundle.

What it computes is what transformers' own image processor computes, with Pillow, for pictures that are squares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.examples import Examples
from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification.pictures import Pixels, pixels_of
from edgedistill.tasks.image_classification.preprocessing import (
    BILINEAR,
    PREPROCESSOR_FILE,
    Preprocessing,
    read_preprocessing,
)

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["BILINEAR", "PREPROCESSOR_FILE", "EncodedPictures", "PictureEncoder", "Preprocessing", "as_inputs", "fit_channels",
           "fit_size", "fit_whole", "pictures_a_batch", "read_preprocessing"]

_MOST_A_BATCH, _LEAST_A_BATCH = 256, 8
_PIXELS_A_BATCH = _MOST_A_BATCH * 96**2
"""Of a plane. A teacher's maps take memory by it."""

_LUMA = np.array([299, 587, 114], np.float32) / 1000
"""ITU-R 601-2, as Pillow's convert("L") has it."""


@dataclass(frozen=True)
class EncodedPictures:
    """Pictures as model inputs, computed when a batch is asked for.

    Attributes:
        pixels: as stored.
        how: what the model takes.
    """

    pixels: Pixels
    how: Preprocessing

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Pixels of each picture as stored: all alike, shape (n,)."""
        return np.full(len(self), self.pixels.size.side**2, np.int64)

    def batch(self, indices: Sequence[int] | NDArray[np.int64]) -> Mapping[str, NDArray[np.float32]]:
        """Return `pixel_values`, shape (batch, channels, side, side), float32."""
        return {"pixel_values": as_inputs(self.pixels.take(indices), self.how)}


@dataclass(frozen=True)
class PictureEncoder:
    """Pre-processing as the model folder says."""

    how: Preprocessing

    @classmethod
    def load(cls, model_folder: Path) -> "PictureEncoder":
        """Read `preprocessor_config.json` of a model folder.

        Raises:
            ArtifactError: it is missing, or asks for what is not understood.
        """
        return cls(read_preprocessing(model_folder))

    def encode_examples(self, examples: Examples) -> EncodedPictures:
        """Return the pictures of examples as this model reads them; nothing is computed yet."""
        return EncodedPictures(pixels_of(examples), self.how)

    def pack(self, examples: Examples) -> Mapping[str, NDArray[Any]]:
        """Return the pictures as bytes of the model's size, a quarter of what its inputs take, and how they are normalised."""
        scale, shift = _scale_and_shift(self.how)
        pixels = pixels_of(examples)
        return {"pixels": _fitted(pixels.take(np.arange(len(pixels))), self.how), "scale": scale, "shift": shift}

    def raw(self, examples: Examples) -> list[bytes]:
        """Return a PNG file of each picture, at the size that is stored."""
        from edgedistill.tasks.image_classification.decode import to_png

        pixels = pixels_of(examples)
        return [to_png(pixels.take([row])[0]) for row in range(len(pixels))]

    def encode_raw(self, raw: Sequence[bytes]) -> EncodedPictures:
        """Decode picture files as the model reads them, as `predict` does.

        Raises:
            BrokenPictureError: one is no picture.
        """
        from edgedistill.tasks.image_classification.decode import open_picture

        size = PictureSize(self.how.resized, self.how.size.channels)
        whole = np.zeros((len(raw), size.side, size.side, size.channels), np.uint8)
        for row, file in enumerate(raw):
            whole[row] = fit_whole(open_picture(file).image, self.how)
        return EncodedPictures(Pixels((whole,), size), self.how)


def pictures_a_batch(how: Preprocessing) -> int:
    """Return how many pictures a teacher answers at a time: 256 of up to 96 x 96 pixels, fewer of larger ones, 8 at least."""
    return max(_LEAST_A_BATCH, min(_MOST_A_BATCH, _PIXELS_A_BATCH // how.size.side**2))


def as_inputs(pixels: NDArray[np.uint8], how: Preprocessing) -> NDArray[np.float32]:
    """Return model inputs, shape (n, channels, side, side), of pixels of shape (n, height, width, 1 or 3)."""
    scale, shift = _scale_and_shift(how)
    values = _fitted(pixels, how).astype(np.float32) * scale - shift
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2), np.float32)


def _fitted(pixels: NDArray[np.uint8], how: Preprocessing) -> NDArray[np.uint8]:
    """Return pictures of the model's size, its channels in its order."""
    fitted = fit_size(fit_channels(pixels, how.size.channels), how)
    return fitted[..., ::-1] if how.is_bgr else fitted


def _scale_and_shift(how: Preprocessing) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what pixels of 0 to 255 are multiplied by, and what is subtracted then; each shape (channels,)."""
    mean, std = np.asarray(how.mean, np.float64), np.asarray(how.std, np.float64)
    return (1.0 / (255.0 * std)).astype(np.float32), (mean / std).astype(np.float32)


def fit_channels(pixels: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Return grey pictures of coloured ones or the reverse, shape (n, height, width, channels)."""
    if pixels.shape[3] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=3)
    return np.asarray((pixels.astype(np.float32) @ _LUMA + 0.5).astype(np.uint8)[..., None])


def fit_size(pixels: NDArray[np.uint8], how: Preprocessing) -> NDArray[np.uint8]:
    """Return pictures of the model's size; each is resized by Pillow, as transformers does, and its middle is cut out."""
    side = how.resized
    if pixels.shape[1:3] != (side, side):
        resized = np.zeros((len(pixels), side, side, how.size.channels), np.uint8)
        for row, picture in enumerate(pixels):
            resized[row] = _resize(picture, how)
        pixels = resized
    return _cut_middle(pixels, how.size.side)


def _resize(picture: NDArray[np.uint8], how: Preprocessing) -> NDArray[np.uint8]:
    from PIL import Image

    return fit_whole(Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture), how)


def fit_whole(image: "Image", how: Preprocessing) -> NDArray[np.uint8]:
    """Return a whole picture as it is before anything is cut off, shape (how.resized, how.resized, channels)."""
    mode, side = "L" if how.size.channels == 1 else "RGB", how.resized
    image = image if image.mode == mode else image.convert(mode)
    if image.size != (side, side):
        image = image.resize((side, side), resample=how.resample)
    return np.asarray(image, np.uint8).reshape(side, side, how.size.channels)


def _cut_middle(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return the middle of pictures; where they are smaller, they are laid on black."""
    start = (pixels.shape[1] - side) // 2
    if start >= 0:
        return pixels[:, start : start + side, start : start + side]
    around = (-start, side - pixels.shape[1] + start)
    return np.pad(pixels, ((0, 0), around, around, (0, 0)))
