"""The model that takes a decoded picture: made, and compared with transformers' processor and model.onnx on real pictures."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from edgedistill.errors import ParityError
from edgedistill.package.contents import PictureInput
from edgedistill.tasks.image_classification.encoding import Preprocessing
from edgedistill.tasks.image_classification.in_graph import IMAGE_INPUT, OUTPUT, classifier_of_picture, preprocessing_model
from edgedistill.tasks.image_classification.whole_pictures import WholePicture

_SLACK = 1e-4
"""Of a model input: float rounding. A level of 255 is 40 times as much, so that it passes only where no pixel is another one."""

_BATCH = 256


@dataclass(frozen=True)
class PictureModel:
    """A model that takes pictures, and what was found when it was compared.

    Attributes:
        model: the .onnx file.
        told: what bundle.json says about it.
    """

    model: bytes
    told: PictureInput


@dataclass(frozen=True)
class Processor:
    """transformers' image processor, the slow one, which resizes with Pillow.

    Attributes:
        processor: transformers' object.
    """

    processor: Any

    @classmethod
    def load(cls, folder: Path) -> "Processor":
        """Read it from a model folder with a preprocessor_config.json."""
        from transformers import AutoImageProcessor

        return cls(AutoImageProcessor.from_pretrained(folder, use_fast=False, local_files_only=True))

    def inputs(self, pictures: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return `pixel_values`, shape (n, channels, side, side), of pictures of shape (height, width, channels)."""
        made = self.processor(list(pictures), return_tensors="np", input_data_format="channels_last")
        return np.asarray(made["pixel_values"], np.float32)


@dataclass(frozen=True)
class Sample:
    """On what a model that takes pictures is compared.

    Attributes:
        stored: of the test split, shape (n, side, side, channels).
        whole: of the test split at other sizes.
    """

    stored: NDArray[np.uint8]
    whole: Iterable[WholePicture]


@dataclass(frozen=True)
class _Answers:
    """What whole pictures showed."""

    count: int
    originals: int
    largest_input: float
    largest_logit: float


def make_picture_model(
    model: bytes, how: Preprocessing, processor: Processor, *, labels: tuple[str, ...], sample: Sample
) -> PictureModel:
    """Put the pre-processing in front of a model and compare it with the processor in front of it.

    Args:
        model: the int8 .onnx file.
        how: its pre-processing.
        processor: transformers' for the same.
        labels: name of each class.
        sample: on what both are compared.

    Raises:
        ParityError: an input differs by more than float rounding, or a decision is another one.
    """
    plain = onnx.load_from_string(model)
    before = open_session(preprocessing_model(how, ir_version=plain.ir_version).SerializeToString())
    made = classifier_of_picture(plain, how, labels).SerializeToString(deterministic=True)
    exact = _exact(before, sample.stored, processor)
    found = _answers(_Models(before, open_session(made), open_session(model), processor, how.size.channels), sample, labels)
    if max(exact, found.largest_input) > _SLACK:
        raise ParityError(f"the pre-processing in the graph differs from transformers' by {max(exact, found.largest_input):.3g}",
                          hint="report this, with the versions of pillow and onnxruntime: they are none that were tried")
    return PictureModel(made, PictureInput(
        side=how.size.side, channels=how.size.channels, mean=how.mean, std=how.std, resample=how.resample,
        compared=len(sample.stored), compared_resized=found.count, compared_originals=found.originals,
        largest_difference=exact, largest_difference_resized=found.largest_input, largest_logit_difference=found.largest_logit,
        decisions_flipped=0, added_bytes=len(made) - len(model),
    ))


def as_rgb(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture as the graph takes it, shape (height, width, 3)."""
    return np.ascontiguousarray(np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture)


def open_session(model: bytes) -> Any:
    """Open an .onnx file with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def logits_of(session: Any, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the logits of a model that takes pictures, shape (classes,)."""
    return np.asarray(session.run([OUTPUT], {IMAGE_INPUT: as_rgb(picture)})[0][0], np.float32)


@dataclass(frozen=True)
class _Models:
    """The two ways from a picture to logits: the graph's, of which `before` is the first half, and processor and `plain`."""

    before: Any
    whole: Any
    plain: Any
    processor: Processor
    channels: int

    def expected(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of model.onnx, shape (classes,)."""
        return np.asarray(self.plain.run(None, {self.plain.get_inputs()[0].name: inputs})[0][0], np.float32)


def _exact(before: Any, stored: NDArray[np.uint8], processor: Processor) -> float:
    """Return the largest difference of an input, of pictures that are not resized."""
    largest = 0.0
    for start in range(0, len(stored), _BATCH):
        part = stored[start : start + _BATCH]
        for picture, expected in zip(part, processor.inputs(part), strict=True):
            found = before.run(None, {IMAGE_INPUT: as_rgb(picture)})[0][0]
            largest = max(largest, float(np.abs(found - expected).max()))
    return largest


def _answers(models: _Models, sample: Sample, labels: tuple[str, ...]) -> _Answers:
    count = originals = 0
    largest_input = largest_logit = 0.0
    for item in sample.whole:
        inputs = models.processor.inputs([item.fitted(models.channels)])
        found = models.before.run(None, {IMAGE_INPUT: as_rgb(item.pixels)})[0]
        logits, expected = logits_of(models.whole, item.pixels), models.expected(inputs)
        count, originals = count + 1, originals + item.is_original
        largest_input = max(largest_input, float(np.abs(found - inputs).max()))
        largest_logit = max(largest_logit, float(np.abs(logits - expected).max()))
        _require_same(item, (logits, expected), labels)
    return _Answers(count, originals, largest_input, largest_logit)


def _require_same(
    item: WholePicture, answers: tuple[NDArray[np.float32], NDArray[np.float32]], labels: tuple[str, ...]
) -> None:
    """Refuse another decision than that of processor and model.onnx; raises ParityError."""
    found, wanted = (int(logits.argmax()) for logits in answers)
    if found == wanted:
        return
    height, width = item.pixels.shape[:2]
    raise ParityError(
        f"{item.name} ({height} x {width} pixels): with its pre-processing in the graph the model says {labels[found]}, with "
        f"transformers' {labels[wanted]}, which leads by {float(answers[1][wanted] - answers[1][found]):.3g} there",
        hint="report this, with the versions of pillow and onnxruntime: no picture may be decided otherwise",
    )
