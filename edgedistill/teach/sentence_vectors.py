"""The teacher's vectors of whole texts, reduced: what a student can learn from where the logits say too little.

Two or six logits hardly tell apart the texts of a class. The vectors that they are computed from do, and a student that
must reproduce them too makes of unseen texts what the teacher makes of them (Sun et al. 2019, "Patient Knowledge
Distillation for BERT Model Compression", section 3.2; Chen et al. 2022, "Knowledge Distillation with the Reused Teacher
Classifier").

Fine-tuning turns the last layer towards the classes: with two of them, one direction can hold nearly all of its variance, and
that one is in the logits already. So a layer halfway up, which still tells what a text is about, is a view too, and every
direction that is kept counts alike (ADR 21).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VIEWS = 3
"""The last layer's output at the first token, its mean over the tokens, and that of the layer halfway up."""

MOST_DIMENSIONS = 128

_LEAST_SHARE, _TEXTS_A_DIRECTION = 1e-6, 4

BASIS_ROWS = 2_000
"""Rows that a basis is fitted on where the teacher answers train in several batches."""


@dataclass(frozen=True)
class TextAnswers:
    """What a teacher says of some texts.

    Attributes:
        logits: shape (n, classes), float32, raw.
        vectors: shape (n, VIEWS, width), float32.
    """

    logits: NDArray[np.float32]
    vectors: NDArray[np.float32]


@dataclass(frozen=True)
class VectorBasis:
    """The principal components of each view, scaled so that each has the same variance and a view's is 1 in all.

    Attributes:
        mean: shape (VIEWS, width).
        components: shape (VIEWS, width, dimensions).
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]

    @property
    def dimensions(self) -> int:
        """Numbers that are kept of each view."""
        return int(self.components.shape[2])

    def reduce(self, vectors: NDArray[np.float32]) -> NDArray[np.float16]:
        """Return vectors (n, VIEWS, width) in this basis, shape (n, VIEWS, dimensions)."""
        centred = (vectors - self.mean).transpose(1, 0, 2)
        return np.asarray((centred @ self.components).transpose(1, 0, 2).astype(np.float16))


def fit_basis(vectors: NDArray[np.float32]) -> VectorBasis:
    """Find the basis of some texts' vectors, shape (n, VIEWS, width), n >= 1.

    Of few texts fewer directions are kept, one for every four: the others would be of these texts, not of their kind. A direction
    with less than a millionth of its view's variance is scaled as if it had that much: what is below is rounding.
    """
    kept = min(MOST_DIMENSIONS, max(1, len(vectors) // _TEXTS_A_DIRECTION))
    sample = vectors.astype(np.float64).transpose(1, 0, 2)
    mean = sample.mean(axis=1, keepdims=True)
    centred = sample - mean
    variances, directions = np.linalg.eigh(centred.transpose(0, 2, 1) @ centred / centred.shape[1])  # rising
    largest = variances[:, ::-1][:, :kept]
    whole = np.maximum(variances.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    raised = np.maximum(largest, _LEAST_SHARE * whole)
    total = np.maximum((largest / raised).sum(axis=1, keepdims=True), 1.0)  # 0 where all texts are alike
    components = directions[:, :, ::-1][:, :, :kept] / np.sqrt(raised * total)[:, None, :]
    return VectorBasis(mean[:, 0].astype(np.float32), components.astype(np.float32))


@dataclass(frozen=True)
class KeptAnswers:
    """What is kept of a teacher's answers.

    Attributes:
        logits: shape (n, classes), float32, raw.
        vectors: shape (n, VIEWS, dimensions), float16, in a basis.
    """

    logits: NDArray[np.float32]
    vectors: NDArray[np.float16]

    @classmethod
    def of(cls, answers: TextAnswers, basis: VectorBasis) -> "KeptAnswers":
        """Reduce a teacher's answers."""
        return cls(answers.logits, basis.reduce(answers.vectors))


def keep_vectors(answers: Iterable[KeptAnswers], path: Path, *, rows: int) -> Iterator[NDArray[np.float32]]:
    """Pass logits on, and write the reduced vectors beside.

    Args:
        answers: of `rows` texts in all, batch by batch; only one is in memory.
        path: the .npy file to make, float16, shape (rows, VIEWS, dimensions).
        rows: texts.
    """
    with path.open("wb") as file:  # not mapped: a page that finds no room on the disk ends the process without a word
        for answer in answers:
            if file.tell() == 0:
                header = {"descr": "<f2", "fortran_order": False, "shape": (rows, *answer.vectors.shape[1:])}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(np.ascontiguousarray(answer.vectors, "<f2").data)
            yield answer.logits
