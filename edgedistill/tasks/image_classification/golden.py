"""Golden pictures: a few of the test split with the answers that every runtime must give, a like number of each class."""

import base64
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgedistill.errors import ArtifactError
from edgedistill.evaluate.predictor import Predictor
from edgedistill.examples import NO_LABEL, Examples
from edgedistill.package.contents import GOLDEN_FILE, InstructionSet, PictureVector, PictureVectors
from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification.encoding import (
    EncodedPictures,
    Preprocessing,
    as_inputs,
    fit_channels,
    fit_size,
)
from edgedistill.tasks.image_classification.picture_model import logits_of
from edgedistill.tasks.image_classification.pictures import Rows, pixels_of, write_pictures
from edgedistill.tasks.image_classification.whole_pictures import resized

GOLDEN_COUNT = 32
_TRIES = 8
"""Rows looked at for one place before a near tie is accepted."""

_ODD_SIZES = ((1.53, 1.22), (0.61, 0.83), (0.72, 1.39))
"""Height and width of the golden pictures that must be resized, in sides: enlarged, shrunk, and one of each."""


@dataclass(frozen=True)
class GoldenRule:
    """How golden pictures are chosen: tolerances of a logit, and the seed that decides between rows."""

    tolerance: float
    tolerances: dict[InstructionSet, float]
    seed: int

    @property
    def tightest(self) -> float:
        """The least of the tolerances."""
        return min((self.tolerance, *self.tolerances.values()))


def make_golden_pictures(
    examples: Examples, how: Preprocessing, *, model: Predictor, labels: Sequence[str], rule: GoldenRule
) -> PictureVectors:
    """Choose pictures, class by class in turn, and record what the model answers.

    Near ties are passed over where another picture can serve: a tie tells nothing about an app that answers differently. The
    places of `make_odd_pictures` are left free.

    Raises:
        ArtifactError: the model answers with other classes, or with infinite or undefined logits.
    """
    pixels = pixels_of(examples)
    encoded = EncodedPictures(pixels, how)
    vectors = []
    for row in _choose(encoded, examples.labels, model, rule):
        logits = model.logits(encoded.batch([row]))[0]
        if len(logits) != len(labels):
            raise ArtifactError(f"{len(labels)} class names, the model answers with {len(logits)} classes",
                                hint="pack a model with the labels.json that it was trained with")
        if not np.isfinite(logits).all():
            raise ArtifactError(f"the model answers row {row} with logits that are no numbers", hint="edgedistill quantize")
        seen = fit_size(fit_channels(pixels.take([row]), how.size.channels), how)[0]
        vectors.append(PictureVector(
            text=_name(examples, row), pixels=_as_text(seen), logits=_exactly(logits), label=labels[int(logits.argmax())],
        ))
    return PictureVectors(
        tolerance=rule.tolerance, tolerances=rule.tolerances, runtime=f"onnxruntime {onnxruntime.__version__}",
        architecture=platform.machine(), side=how.size.side, channels=1 if how.size.channels == 1 else 3, mean=how.mean,
        std=how.std, vectors=tuple(vectors),
    )


def covered_words(count: int, *, classes: int) -> str:
    """Say of which classes golden pictures are.

    Args:
        count: what `make_golden_pictures` chose.
        classes: of the pictures that it chose from.
    """
    if count >= classes:
        return "they cover the classes in turn"
    return f"they are of the first {count} of {classes} classes, one of each, as a bundle has so few"


def make_odd_pictures(
    examples: Examples, how: Preprocessing, *, models: tuple[Predictor, Any], labels: Sequence[str], rule: GoldenRule
) -> tuple[PictureVector, ...]:
    """Record answers to test pictures that the graph has to resize, at three sizes, so that a device tries its Resize too.

    What transformers' processor makes of them is recorded as well, and the answers are those of model.onnx to that. The graph's
    logits may be off by half of the tolerance at most, as another core may add the rest; of some pictures the one is taken whose
    class leads most.

    Args:
        examples: of the test split.
        how: the pre-processing.
        models: model.onnx, and a session of the model that takes pictures.
        labels: name of each class.
        rule: as for the others.

    Returns:
        one a size, fewer where the graph is further off on every picture that was tried.
    """
    pixels, (plain, whole), vectors = pixels_of(examples), models, []
    rows = np.random.default_rng(rule.seed + 1).permutation(len(examples))
    for place, (high, wide) in enumerate(_ODD_SIZES):
        height, width = (round(how.size.side * factor) | 1 for factor in (high, wide))
        found: list[tuple[float, PictureVector]] = []
        for row in np.roll(rows, -_TRIES * place)[:_TRIES].tolist():
            stored = fit_channels(pixels.take([row]), how.size.channels)[0]
            picture = resized(stored, height=height, width=width)
            seen = fit_size(picture[None], how)
            logits, own = plain.logits({"pixel_values": as_inputs(seen, how)})[0], logits_of(whole, picture)
            if np.abs(own - logits).max() > rule.tightest / 2 or own.argmax() != logits.argmax():
                continue
            found.append((_lead(logits), PictureVector(
                text=f"{_name(examples, row)} at {height} x {width}", pixels=_as_text(seen), logits=_exactly(logits),
                label=labels[int(logits.argmax())], picture=_as_text(picture), height=height, width=width,
            )))
        if found:
            vectors.append(max(found, key=lambda item: item[0])[1])
    return tuple(vectors)


def _name(examples: Examples, row: int) -> str:
    return str(examples.table.column("name")[row].as_py())


def _as_text(pixels: NDArray[np.uint8]) -> str:
    return base64.b64encode(pixels.tobytes()).decode()


def _exactly(logits: NDArray[np.float32]) -> tuple[float, ...]:
    """Return the logits in the shortest text that reads back as the same float32."""
    return tuple(float(str(value)) for value in logits)


def _choose(encoded: EncodedPictures, classes: NDArray[np.int32], model: Predictor, rule: GoldenRule) -> list[int]:
    order = np.random.default_rng(rule.seed).permutation(len(encoded))
    by_class = [order[classes[order] == c] for c in np.unique(classes)]
    chosen: dict[int, None] = {}  # a set that keeps its order
    for turn in range(max((len(members) for members in by_class), default=0)):
        for members in by_class:
            if len(chosen) >= min(GOLDEN_COUNT - len(_ODD_SIZES), len(encoded)):
                return sorted(chosen)
            free = [int(row) for row in members[turn:] if int(row) not in chosen][:_TRIES]
            if free:
                chosen[next((row for row in free if _is_clear(encoded, row, model, rule)), free[0])] = None
    return sorted(chosen)


def _is_clear(encoded: EncodedPictures, row: int, model: Predictor, rule: GoldenRule) -> bool:
    """Can no difference within the tolerance change the decision?"""
    return _lead(model.logits(encoded.batch([row]))[0]) > 2 * rule.tolerance


def _lead(logits: NDArray[np.float32]) -> float:
    """Return by how much the best class leads."""
    low, high = np.sort(logits)[-2:]
    return float(high - low)


def write_golden_pictures(bundle: Path, path: Path) -> None:
    """Write the golden pictures of a bundle's folder as examples without labels."""
    golden = PictureVectors.read_json(bundle / GOLDEN_FILE)
    size = PictureSize(golden.side, golden.channels)
    pixels = [np.frombuffer(base64.b64decode(vector.pixels), np.uint8) for vector in golden.vectors]
    ids = [f"golden-{i}" for i in range(len(pixels))]
    rows = Rows(ids, [vector.text for vector in golden.vectors], [NO_LABEL] * len(pixels))
    write_pictures(path, rows, pixels, size=size)
