"""What a bundle answers, whatever it reads: the classes with their probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import check
from edgedistill.errors import ArtifactError, BundleError
from edgedistill.package.contents import read_manifest
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS, ProblemType


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
        probability: its probability, 0 to 1: by softmax, or by its own sigmoid where a text may have several labels.
        top: the most probable classes, best first; the first one is `label`.
        labels: where a text may have several labels, the classes that apply, best first: those with a probability above 0.5.
            There may be none. All of them are in `top` too. None where each text has one label.
    """

    label: str
    probability: float
    top: tuple[Candidate, ...]
    labels: tuple[str, ...] | None = None


def answer_of(logits: NDArray[np.float32], labels: Sequence[str], *, top: int, problem: ProblemType = ONE_LABEL) -> Answer:
    """Return the answer of raw logits.

    Args:
        logits: shape (classes,).
        labels: name of each class.
        top: classes in `Answer.top` at most, 1 or more; of several labels as many as apply, where these are more.
        problem: may there be several labels?
    """
    if problem == SEVERAL_LABELS:
        return _answer_of_several(logits, labels, top=top)
    shifted = np.exp(logits.astype(np.float64) - logits.max())
    probabilities = shifted / shifted.sum()
    best = np.argsort(-probabilities, kind="stable")[: max(1, top)]
    candidates = tuple(Candidate(labels[i], float(probabilities[i])) for i in best)
    return Answer(candidates[0].label, candidates[0].probability, candidates)


def _answer_of_several(logits: NDArray[np.float32], labels: Sequence[str], *, top: int) -> Answer:
    applying = int((logits > 0).sum())  # these come first: a sigmoid keeps the order
    best = np.argsort(-logits, kind="stable")[: max(1, top, applying)]
    probabilities = np.exp(-np.logaddexp(0, -logits[best].astype(np.float64)))  # 1 / (1 + exp(-x)), without an overflow
    candidates = tuple(Candidate(labels[i], float(p)) for i, p in zip(best, probabilities, strict=True))
    names = tuple(candidate.label for candidate in candidates[:applying])
    return Answer(candidates[0].label, candidates[0].probability, candidates, names)


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
