"""MiniLMv2's relations against numpy, one text, one relation head and one token at a time."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from edgedistill.distill.losses import common_relation_heads, relation_loss, relations

LENGTHS = (5, 3)


def by_numpy(reference: SimpleNamespace, pair: Any, heads: int) -> float:
    total = 0.0
    for name in ("queries", "keys", "values"):
        of_student, of_teacher = (
            [reference.rows(reference.products(vectors, vectors)) for text in range(len(LENGTHS)) for index in range(heads)
             for vectors in [reference.head(getattr(parts, name), text, index, heads)]]
            for parts in (pair.student, pair.teacher)
        )
        total += reference.divergence(of_student, of_teacher)
    return total / 3


@pytest.mark.parametrize("heads", [1, 2, 6])
def test_relation_loss_over_other_widths_and_heads_is_what_numpy_finds(reference: SimpleNamespace, unlike: Any, heads: int) -> None:
    loss = relation_loss(unlike.student, unlike.teacher, unlike.mask, relation_heads=heads)
    assert float(loss) == pytest.approx(by_numpy(reference, unlike, heads), rel=1e-6)


def test_relation_loss_does_not_depend_on_the_attention_heads(unlike: Any) -> None:
    other = relation_loss(replace(unlike.student, heads=2), replace(unlike.teacher, heads=1), unlike.mask, relation_heads=2)
    assert float(other) == float(relation_loss(unlike.student, unlike.teacher, unlike.mask, relation_heads=2))


def test_relation_loss_of_a_student_that_is_its_teacher_is_zero(unlike: Any) -> None:
    loss = relation_loss(unlike.teacher, unlike.teacher, unlike.mask, relation_heads=4)
    assert float(loss) == pytest.approx(0, abs=1e-9)


def test_relation_loss_does_not_look_at_padding(reference: SimpleNamespace, unlike: Any) -> None:
    kept, changed = (relation_loss(s, unlike.teacher, unlike.mask, relation_heads=2)
                     for s in (unlike.student, reference.changed_padding(unlike.student)))
    assert float(kept) == float(changed)


def test_relation_loss_gives_a_gradient_to_the_student_alone(unlike: Any) -> None:
    for part in (unlike.student.queries, unlike.student.keys, unlike.student.values):
        part.requires_grad_()
    relation_loss(unlike.student, unlike.teacher, unlike.mask, relation_heads=2).backward()
    for part in (unlike.student.queries, unlike.student.keys, unlike.student.values):
        assert part.grad.abs().sum() > 0
        assert torch.isfinite(part.grad).all()
        assert not part.grad[1, LENGTHS[1]:].any()
    assert unlike.teacher.queries.grad is None


def test_relation_loss_when_large_then_made_again_for_the_same_gradient(unlike: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gradients, calls, made = [], [], []
    divergence = relations._divergence
    monkeypatch.setattr(relations, "_divergence", lambda *given: (calls.append(1), divergence(*given))[1])
    for most in (relations._MOST_KEPT, 0):
        monkeypatch.setattr(relations, "_MOST_KEPT", most)
        parts = [part.detach().clone().requires_grad_() for part in (unlike.student.queries, unlike.student.keys, unlike.student.values)]
        student = replace(unlike.student, queries=parts[0], keys=parts[1], values=parts[2])
        relation_loss(student, unlike.teacher, unlike.mask, relation_heads=2).backward()
        gradients.append([part.grad for part in parts])
        made.append(len(calls))
    for kept, again in zip(*gradients, strict=True):
        assert torch.equal(kept, again)
    assert made == [3, 3 + 6]  # forward, and once more for the gradient


def test_relation_loss_with_heads_that_do_not_divide_a_width_is_refused(unlike: Any) -> None:
    with pytest.raises(ValueError, match="6 is no multiple of 4 heads"):
        relation_loss(unlike.student, unlike.teacher, unlike.mask, relation_heads=4)


@pytest.mark.parametrize(
    ("student", "teacher", "heads"), [(192, 384, 48), (128, 384, 32), (312, 768, 24), (384, 768, 48), (97, 384, 1)]
)
def test_common_relation_heads_is_the_largest_divisor_of_both_up_to_48(student: int, teacher: int, heads: int) -> None:
    assert common_relation_heads(student, teacher) == heads
