"""The model that takes a decoded picture: made, and compared with transformers' way of pre-processing on real pictures."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from edgedistill.errors import ParityError
from edgedistill.package.contents import PictureInput
from edgedistill.tasks.image_classification.encoding import Preprocessing, as_inputs
from edgedistill.tasks.image_classification.in_graph import IMAGE_INPUT, classifier_of_picture, preprocessing_model

LEVEL = 1.0
"""A resized pixel may differ from Pillow's by one level of 255."""

_SIDES = ((20, 27), (61, 40), (96, 128), (150, 113))
"""Height and width of the pictures on which resizing is compared."""

_RESIZED = 32
_SLACK = 1e-4


@dataclass(frozen=True)
class PictureModel:
    """A model that takes pictures, and what was found when it was compared.

    Attributes:
        model: the .onnx file.
        told: what bundle.json says about it.
    """

    model: bytes
    told: PictureInput


def make_picture_model(
    model: bytes, how: Preprocessing, *, labels: tuple[str, ...], pictures: NDArray[np.uint8]
) -> PictureModel:
    """Put the pre-processing in front of a model and compare it on pictures, as they are and resized.

    Args:
        model: the int8 .onnx file.
        how: its pre-processing.
        labels: name of each class.
        pictures: of the test split, shape (n, side, side, channels).

    Raises:
        ParityError: a value differs by more than rounding, or a resized pixel by more than a level.
    """
    plain = onnx.load_from_string(model)
    session = _open(preprocessing_model(how, ir_version=plain.ir_version).SerializeToString())
    exact = max((_difference(session, picture, how) for picture in pictures), default=0.0)
    chosen = pictures[np.linspace(0, len(pictures) - 1, min(_RESIZED, len(pictures))).round().astype(np.int64)]
    resized = max((_difference(session, other, how) for picture in chosen for other in _other_sizes(picture)), default=0.0)
    level = LEVEL / (255.0 * min(how.std))
    if exact > _SLACK or resized > level + _SLACK:
        raise ParityError(f"the pre-processing in the graph differs from transformers' by {max(exact, resized):.3g}",
                          hint="report this: onnxruntime's Resize is not the one that was tried")
    made = classifier_of_picture(plain, how, labels).SerializeToString(deterministic=True)
    return PictureModel(made, PictureInput(
        side=how.size.side, channels=how.size.channels, mean=how.mean, std=how.std, resample=how.resample,
        compared=len(pictures), compared_resized=len(chosen) * len(_SIDES), largest_difference=exact,
        largest_difference_resized=resized, added_bytes=len(made) - len(model),
    ))


def as_rgb(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture as the graph takes it, shape (height, width, 3)."""
    return np.ascontiguousarray(np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture)


def _difference(session: Any, picture: NDArray[np.uint8], how: Preprocessing) -> float:
    found = session.run(None, {IMAGE_INPUT: as_rgb(picture)})[0]
    return float(np.abs(found - as_inputs(picture[None], how)).max())


def _other_sizes(picture: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return the picture enlarged to odd sizes, so that the graph has to resize it."""
    from PIL import Image

    flat = picture[..., 0] if picture.shape[2] == 1 else picture
    made = [np.asarray(Image.fromarray(flat).resize((width, height), Image.Resampling.BICUBIC)) for height, width in _SIDES]
    return [np.asarray(item.reshape(*item.shape[:2], picture.shape[2]), np.uint8) for item in made]


def _open(model: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
