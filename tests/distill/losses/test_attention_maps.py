"""TinyBERT's attention maps against numpy and by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from edgedistill.distill.losses import attention_map_loss
from edgedistill.distill.losses.attention_parts import AttentionParts

LENGTHS = (5, 3)


def by_numpy(reference: SimpleNamespace, pair: Any, *, over_heads: bool) -> float:
    errors = []
    for text in range(len(LENGTHS)):
        ours, theirs = (
            np.array([reference.products(reference.head(p.queries, text, i, p.heads), reference.head(p.keys, text, i, p.heads)) for i in range(p.heads)])
            for p in (pair.student, pair.teacher)
        )
        if over_heads:
            ours, theirs = ours.mean(0, keepdims=True), theirs.mean(0, keepdims=True)
        errors.append(((ours - theirs) ** 2).mean())
    return float(np.mean(errors))


def test_attention_map_loss_is_what_numpy_finds_head_by_head(reference: SimpleNamespace, like: Any) -> None:
    loss = attention_map_loss(like.student, like.teacher, like.mask)
    assert float(loss) == pytest.approx(by_numpy(reference, like, over_heads=False), rel=1e-6)


def test_attention_map_loss_with_other_numbers_of_heads_compares_the_averages(reference: SimpleNamespace, unlike: Any) -> None:
    loss = attention_map_loss(unlike.student, unlike.teacher, unlike.mask)
    assert float(loss) == pytest.approx(by_numpy(reference, unlike, over_heads=True), rel=1e-6)


def test_attention_map_loss_of_one_head_of_size_four_is_the_error_by_hand() -> None:
    # scores: 8 / sqrt(4) = 4 against 0 for one of four pairs of tokens: 16 / 4 = 4
    queries = torch.tensor([[[2.0, 2, 2, 2], [0, 0, 0, 0]]])
    keys = torch.tensor([[[1.0, 1, 1, 1], [0, 0, 0, 0]]])
    zeros = torch.zeros_like(keys)
    loss = attention_map_loss(AttentionParts(queries, keys, zeros, 1), AttentionParts(zeros, zeros, zeros, 1),
                              torch.ones(1, 2, dtype=torch.long))
    assert float(loss) == pytest.approx(4.0)


def test_attention_map_loss_of_a_student_that_is_its_teacher_is_zero(like: Any) -> None:
    assert float(attention_map_loss(like.teacher, like.teacher, like.mask)) == 0


def test_attention_map_loss_does_not_look_at_padding(reference: SimpleNamespace, like: Any) -> None:
    kept, changed = (attention_map_loss(s, like.teacher, like.mask) for s in (like.student, reference.changed_padding(like.student)))
    assert float(kept) == float(changed)


def test_attention_map_loss_gives_a_gradient_to_the_student_alone(like: Any) -> None:
    like.student.queries.requires_grad_()
    like.student.keys.requires_grad_()
    attention_map_loss(like.student, like.teacher, like.mask).backward()
    assert like.student.queries.grad.abs().sum() > 0
    assert like.student.keys.grad.abs().sum() > 0
    assert like.teacher.keys.grad is None


def test_attention_map_loss_with_another_batch_is_refused(like: Any) -> None:
    one = AttentionParts(*(p[:1] for p in (like.teacher.queries, like.teacher.keys, like.teacher.values)), heads=3)
    with pytest.raises(ValueError, match="same tokens"):
        attention_map_loss(like.student, one, like.mask)
