"""Pictures to model inputs, by the `preprocessor_config.json` of a model folder. One encoder for torch, ONNX and the bundle.

What it computes is what transformers' ViTImageProcessor computes: resize to (height, width), divide by 255, subtract the
mean, divide by the standard deviation, channels first.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.document import read_text
from edgedistill.errors import ArtifactError
from edgedistill.examples import Examples
from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification.pictures import Pixels, pixels_of

PREPROCESSOR_FILE = "preprocessor_config.json"
BILINEAR = 2
"""Pillow's number of the bilinear filter, which widens when it shrinks a picture (antialiasing)."""

_LUMA = np.array([299, 587, 114], np.float32) / 1000
"""ITU-R 601-2, as Pillow's convert("L") has it."""


@dataclass(frozen=True)
class Preprocessing:
    """How pixels of 0 to 255 become model inputs.

    Attributes:
        size: what the model takes.
        mean: subtracted from each channel after the division by 255.
        std: what is divided by then.
        resample: Pillow's number of the filter that resizes.
    """

    size: PictureSize
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: int = BILINEAR

    def to_json(self) -> str:
        """Return the text of preprocessor_config.json, which transformers' AutoImageProcessor reads."""
        content = {
            "do_convert_rgb": self.size.channels == 3, "do_normalize": True, "do_rescale": True, "do_resize": True,
            "image_mean": list(self.mean), "image_processor_type": "ViTImageProcessor", "image_std": list(self.std),
            "resample": self.resample, "rescale_factor": 1 / 255,
            "size": {"height": self.size.side, "width": self.size.side},
        }
        return json.dumps(content, indent=2, sort_keys=True) + "\n"


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
        fitted = fit_size(fit_channels(pixels.take(np.arange(len(pixels))), self.how.size.channels), self.how)
        return {"pixels": fitted, "scale": scale, "shift": shift}

    def raw(self, examples: Examples) -> list[bytes]:
        """Return a PNG file of each picture, at the size that is stored."""
        from edgedistill.tasks.image_classification.decode import to_png

        pixels = pixels_of(examples)
        return [to_png(pixels.take([row])[0]) for row in range(len(pixels))]

    def encode_raw(self, raw: Sequence[bytes]) -> EncodedPictures:
        """Decode picture files and fit them to the model's size, as `predict` does.

        Raises:
            BrokenPictureError: one is no picture.
        """
        from edgedistill.tasks.image_classification.decode import open_picture, to_square

        size = self.how.size
        fitted = np.zeros((len(raw), size.side, size.side, size.channels), np.uint8)
        for row, file in enumerate(raw):
            fitted[row] = to_square(open_picture(file), size)
        return EncodedPictures(Pixels((fitted,), size), self.how)


def as_inputs(pixels: NDArray[np.uint8], how: Preprocessing) -> NDArray[np.float32]:
    """Return model inputs, shape (n, channels, side, side), of pixels of shape (n, height, width, 1 or 3)."""
    fitted = fit_size(fit_channels(pixels, how.size.channels), how)
    scale, shift = _scale_and_shift(how)
    values = fitted.astype(np.float32) * scale - shift
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2), np.float32)


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
    """Return pictures of the model's size; each is resized by Pillow, as transformers does."""
    side = how.size.side
    if pixels.shape[1:3] == (side, side):
        return pixels
    from PIL import Image

    def resized(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        flat = picture[..., 0] if picture.shape[2] == 1 else picture
        made = np.asarray(Image.fromarray(flat).resize((side, side), resample=how.resample), np.uint8)
        return made.reshape(side, side, picture.shape[2])

    return np.stack([resized(picture) for picture in pixels]) if len(pixels) else np.zeros(
        (0, side, side, pixels.shape[3]), np.uint8)


def read_preprocessing(folder: Path) -> Preprocessing:
    """Read what a model folder says of its pre-processing.

    A `shortest_edge` (with or without a crop) counts as the side of a square: the stored pictures are squares.

    Raises:
        ArtifactError: it cannot be read or asks for what is not understood.
    """
    path = folder / PREPROCESSOR_FILE
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file",
                            hint="name a folder with a picture model and its preprocessor_config.json")
    try:
        found = json.loads(read_text(path, error=ArtifactError))
        mean, std = (_channels(found.get(name), default) for name, default in (("image_mean", 0.5), ("image_std", 0.5)))
        if not found.get("do_normalize", True):
            mean, std = (0.0,) * len(mean), (1.0,) * len(mean)
        how = Preprocessing(PictureSize(_side(found), len(mean)), mean, std, int(found.get("resample", BILINEAR)))
    except (ValueError, AttributeError, TypeError, KeyError) as bad:
        raise ArtifactError(f"{path}: is not understood ({bad})", hint="write it with an image processor of transformers: "
                            "processor.save_pretrained(DIR)") from None
    if len(mean) != len(std) or len(mean) not in (1, 3) or min(std) <= 0 or how.size.side < 1:
        raise ArtifactError(f"{path}: image_mean and image_std must have 1 or 3 values, the latter above 0",
                            hint="write it with an image processor of transformers: processor.save_pretrained(DIR)")
    return how


def _channels(value: Any, default: float) -> tuple[float, ...]:
    if value is None:
        return (default,) * 3
    return tuple(float(item) for item in value) if isinstance(value, list) else (float(value),) * 3


def _side(found: Mapping[str, Any]) -> int:
    size = found.get("crop_size") if found.get("do_center_crop") else None
    size = size or found["size"]
    if isinstance(size, int):
        return size
    if "height" in size and size["height"] != size["width"]:
        raise ValueError(f"size {size['height']} x {size['width']} is no square")
    return int(size["height"] if "height" in size else size["shortest_edge"])
