"""MiniLM's attention and value relations against numpy, one text, one head and one token at a time."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgedistill.distill.losses import self_attention_loss
from edgedistill.distill.losses.attention_parts import AttentionParts

LENGTHS = (5, 3)

Matrices = list[list[NDArray[np.float64]]]


def distributions(reference: SimpleNamespace, parts: AttentionParts, first: str, second: str) -> Matrices:
    """Of each text and each head."""
    return [
        [reference.rows(reference.products(reference.head(getattr(parts, first), text, i, parts.heads), reference.head(getattr(parts, second), text, i, parts.heads)))
         for i in range(parts.heads)]
        for text in range(len(LENGTHS))
    ]


def by_numpy(reference: SimpleNamespace, pair: Any, *, over_heads: bool) -> float:
    total = 0.0
    for names in (("queries", "keys"), ("values", "values")):
        both = [distributions(reference, parts, *names) for parts in (pair.student, pair.teacher)]
        if over_heads:
            both = [[[np.mean(heads, axis=0)] for heads in texts] for texts in both]
        total += reference.divergence(*([matrix for heads in texts for matrix in heads] for texts in both))
    return total


def test_self_attention_loss_is_what_numpy_finds_head_by_head(reference: SimpleNamespace, like: Any) -> None:
    loss = self_attention_loss(like.student, like.teacher, like.mask)
    assert float(loss) == pytest.approx(by_numpy(reference, like, over_heads=False), rel=1e-6)


def test_self_attention_loss_with_other_numbers_of_heads_compares_the_averages(reference: SimpleNamespace, unlike: Any) -> None:
    loss = self_attention_loss(unlike.student, unlike.teacher, unlike.mask)
    assert float(loss) == pytest.approx(by_numpy(reference, unlike, over_heads=True), rel=1e-6)


def test_self_attention_loss_of_two_tokens_is_the_divergence_by_hand() -> None:
    # q k^T / sqrt(1) is (log 3, 0) in both rows of the teacher and (0, 0) in the student's: (3/4, 1/4) against (1/2, 1/2),
    # KL = 3/4 log(3/2) + 1/4 log(1/2) = 0.130812; the values are the same
    ones, zeros = torch.ones(1, 2, 1), torch.zeros(1, 2, 1)
    keys = torch.tensor([[[1.0986123], [0.0]]])
    loss = self_attention_loss(AttentionParts(ones, zeros, ones, 1), AttentionParts(ones, keys, ones, 1),
                               torch.ones(1, 2, dtype=torch.long))
    assert float(loss) == pytest.approx(0.130812, abs=1e-6)


@pytest.mark.parametrize("heads", [1, 3])
def test_self_attention_loss_of_a_student_that_is_its_teacher_is_zero(like: Any, heads: int) -> None:
    one = replace(like.teacher, heads=heads)
    assert float(self_attention_loss(one, one, like.mask)) == pytest.approx(0, abs=1e-9)


def test_self_attention_loss_does_not_look_at_padding(reference: SimpleNamespace, like: Any) -> None:
    kept, changed = (self_attention_loss(s, like.teacher, like.mask) for s in (like.student, reference.changed_padding(like.student)))
    assert float(kept) == float(changed)


def test_self_attention_loss_gives_a_gradient_to_the_student_alone(unlike: Any) -> None:
    for part in (unlike.student.queries, unlike.student.keys, unlike.student.values):
        part.requires_grad_()
    self_attention_loss(unlike.student, unlike.teacher, unlike.mask).backward()
    for part in (unlike.student.queries, unlike.student.keys, unlike.student.values):
        assert part.grad.abs().sum() > 0
        assert torch.isfinite(part.grad).all()
    assert unlike.teacher.keys.grad is None


def test_self_attention_loss_with_other_tokens_is_refused(like: Any) -> None:
    shorter = AttentionParts(*(p[:, :-1] for p in (like.teacher.queries, like.teacher.keys, like.teacher.values)), heads=3)
    with pytest.raises(ValueError, match="same tokens"):
        self_attention_loss(like.student, shorter, like.mask)
