"""Two texts, one of them padded, and what a student and a wider teacher with more heads made of them."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgedistill.distill.losses.attention_parts import AttentionParts

LENGTHS = (5, 3)


@dataclass(frozen=True)
class Pair:
    """Student and teacher on the same tokens; padding holds values that would show."""

    student: AttentionParts
    teacher: AttentionParts
    mask: torch.Tensor


def random_parts(width: int, heads: int, *, seed: int) -> AttentionParts:
    random = np.random.default_rng(seed)
    values = random.normal(0, 1, (3, len(LENGTHS), max(LENGTHS), width))
    values[:, 1, LENGTHS[1]:] = 7.0
    return AttentionParts(*(torch.tensor(part) for part in values), heads=heads)


def mask_of_lengths() -> torch.Tensor:
    return torch.tensor([[int(i < length) for i in range(max(LENGTHS))] for length in LENGTHS])


def changed_padding(parts: AttentionParts) -> AttentionParts:
    """The same, with other values in the padding."""
    made = [part.clone() for part in (parts.queries, parts.keys, parts.values)]
    for part in made:
        part[1, LENGTHS[1]:] = -3.0
    return AttentionParts(*made, heads=parts.heads)


def rows(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax of each row."""
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def head(part: torch.Tensor, text: int, index: int, heads: int) -> NDArray[np.float64]:
    """One head's vectors of the real tokens of one text, shape (tokens, head size)."""
    size = part.shape[-1] // heads
    return part[text, : LENGTHS[text], index * size : (index + 1) * size].detach().numpy()


def products(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    return first @ second.T / np.sqrt(first.shape[1])


def divergence_by_numpy(student: list[NDArray[np.float64]], teacher: list[NDArray[np.float64]]) -> float:
    """KL(teacher || student) of distributions in rows, averaged over the rows of each matrix, then over the matrices."""
    return float(np.mean([(p * np.log(p / q)).sum(-1).mean() for q, p in zip(student, teacher, strict=True)]))


@pytest.fixture
def like() -> Pair:
    """Equal numbers of heads, another head size."""
    return Pair(random_parts(6, 3, seed=1), random_parts(12, 3, seed=2), mask_of_lengths())


@pytest.fixture
def unlike() -> Pair:
    """Other widths and other numbers of heads."""
    return Pair(random_parts(6, 1, seed=1), random_parts(12, 4, seed=2), mask_of_lengths())


@pytest.fixture(scope="session")
def reference() -> SimpleNamespace:
    """The losses' parts in numpy, written apart from the package."""
    return SimpleNamespace(rows=rows, head=head, products=products, divergence=divergence_by_numpy,
                           changed_padding=changed_padding, mask=mask_of_lengths())
