"""What a bundle answers, whatever it reads: the classes with their probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import check
from edgedistill.errors import ArtifactError, BundleError
from edgedistill.package.contents import read_manifest


@dataclass(frozen=True)
class Candidate:
    """A class and its probability, 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """What the model says about one text or picture.

    Attributes:
        label: the most probable class.
        probability: its softmax probability, 0 to 1.
        top: the most probable classes, best first; the first one is `label`.
    """

    label: str
    probability: float
    top: tuple[Candidate, ...]


def answer_of(logits: NDArray[np.float32], labels: Sequence[str], *, top: int) -> Answer:
    """Return the answer of raw logits, shape (classes,); of `top` classes at most, 1 or more."""
    shifted = np.exp(logits.astype(np.float64) - logits.max())
    probabilities = shifted / shifted.sum()
    best = np.argsort(-probabilities, kind="stable")[: max(1, top)]
    candidates = tuple(Candidate(labels[i], float(probabilities[i])) for i in best)
    return Answer(candidates[0].label, candidates[0].probability, candidates)


def require_sound_files(folder: Path, names: Sequence[str]) -> None:
    """Compare files of a bundle with their hashes.

    Raises:
        BundleError: one is not listed, missing or altered.
    """
    listed = {file.path: file for file in read_manifest(folder).files}
    for name in names:
        if name not in listed:
            raise BundleError(f"{folder}: bundle.json does not list {name}", hint="edgedistill verify BUNDLE")
        try:
            check(listed[name], root=folder)
        except ArtifactError as bad:
            raise BundleError(bad.message, hint="edgedistill verify BUNDLE") from None
