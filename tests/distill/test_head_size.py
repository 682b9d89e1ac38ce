"""Heads of another size: what they computed is kept, as far as the size allows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertForSequenceClassification

from edgedistill.distill.head_size import resize_heads, student_heads
from edgedistill.distill.student_model import cut_student, student_config
from edgedistill.shape import StudentShape
from edgedistill.tasks.text_classification.encoding import EncodedTexts, TextEncoder

Batch = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def sample(model_folder: Callable[[str], Any], rows: Callable[..., Any]) -> EncodedTexts:
    return TextEncoder.load(model_folder("bert")).encode(rows(64, seed=4)[0])


@pytest.fixture(scope="module")
def batch(sample: EncodedTexts) -> Batch:
    return {name: torch.from_numpy(values) for name, values in sample.batch(np.arange(len(sample))).items()}


@torch.inference_mode()
def last_states(model: BertForSequenceClassification, batch: Batch) -> torch.Tensor:
    """The last layer's output at the real tokens."""
    return model.eval().bert(**batch).last_hidden_state[batch["attention_mask"].bool()]


def lively(make_classifier: Callable[..., Any]) -> BertForSequenceClassification:
    """A teacher (4 heads of 8) whose attention is far from even and whose biases are not zero."""
    teacher: BertForSequenceClassification = make_classifier("bert", initializer_range=0.2)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in teacher.named_parameters():
            if name.endswith(("query.bias", "key.bias", "value.bias")):
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return teacher


def shape(hidden: int, heads: int) -> StudentShape:
    return StudentShape(id="s", layers=2, hidden=hidden, heads=heads, intermediate=64, vocabulary=100)


@pytest.mark.parametrize(("hidden", "heads", "expected"), [
    (16, 4, 2),  # whole heads of 8
    (12, 3, 3), (20, 5, 4),  # the teacher has four
    (12, 12, 4), (20, 10, 4), (9, 9, 3),
])
def test_student_heads_are_the_teachers_where_they_divide_and_else_the_shapes_as_far_as_the_teacher_has_them(
    tiny_config: Callable[..., Any], hidden: int, heads: int, expected: int
) -> None:
    assert student_heads(tiny_config("bert"), shape(hidden, heads)) == expected


@pytest.mark.parametrize("size", [8, 11])
def test_resize_heads_when_nothing_has_to_go_then_computes_what_it_did(
    make_classifier: Callable[..., Any], batch: Batch, size: int
) -> None:
    teacher = lively(make_classifier)
    before = last_states(teacher, batch)
    after = last_states(resize_heads(teacher, [batch], size=size, seed=1), batch)
    assert teacher.bert.encoder.layer[1].attention.self.query.out_features == 4 * size
    torch.testing.assert_close(after, before, atol=1e-4, rtol=0)


def test_resize_heads_to_the_directions_that_are_used_computes_what_they_did(
    make_classifier: Callable[..., Any], batch: Batch
) -> None:
    teacher = lively(make_classifier)
    with torch.no_grad():
        for layer in teacher.bert.encoder.layer:
            own, mix = layer.attention.self, torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(2)))[0]
            for head in range(4):
                rows = slice(8 * head, 8 * head + 8)
                own.key.weight[rows] = mix[:, :5] @ mix[:, :5].T @ own.key.weight[rows]  # five directions, turned
                columns = layer.attention.output.dense.weight[:, rows]
                columns.copy_(columns @ mix[:, :5] @ mix[:, :5].T)
    before = last_states(teacher, batch)
    torch.testing.assert_close(last_states(resize_heads(teacher, [batch], size=5, seed=1), batch), before, atol=1e-4, rtol=0)


def test_resize_heads_to_fewer_numbers_loses_less_than_leaving_some_out(
    make_classifier: Callable[..., Any], batch: Batch
) -> None:
    teacher, plain = lively(make_classifier), lively(make_classifier)
    before = last_states(teacher, batch)
    with torch.no_grad():
        for layer in plain.bert.encoder.layer:
            for dense in (layer.attention.self.query, layer.attention.self.value):
                for head in range(4):
                    dense.weight[8 * head + 4 : 8 * head + 8] = 0
                    dense.bias[8 * head + 4 : 8 * head + 8] = 0
    lost = float((last_states(plain, batch) - before).norm())
    assert float((last_states(resize_heads(teacher, [batch], size=4, seed=1), batch) - before).norm()) < 0.7 * lost


def test_resize_heads_to_more_numbers_then_every_new_direction_can_learn(
    make_classifier: Callable[..., Any], batch: Batch
) -> None:
    model = resize_heads(lively(make_classifier), [batch], size=10, seed=1).train()
    model(**batch).logits.square().sum().backward()
    attention = model.bert.encoder.layer[0].attention
    new = [10 * head + i for head in range(4) for i in (8, 9)]
    assert (attention.self.key.weight.grad[new].abs().sum(1) > 0).all()
    assert (attention.output.dense.weight.grad[:, new].abs().sum(0) > 0).all()


@pytest.mark.parametrize(("hidden", "heads"), [(20, 5), (28, 7)])
def test_cut_student_whose_width_is_no_multiple_of_the_teachers_head_size_starts_close_to_it(
    make_classifier: Callable[..., Any], sample: EncodedTexts, batch: Batch, hidden: int, heads: int
) -> None:
    teacher, wanted = lively(make_classifier), shape(hidden, heads)
    config = student_config(wanted, ("a", "b", "c"), vocabulary=55, positions=16, teacher=teacher)
    student = cut_student(teacher, config, wanted, np.arange(55), sample, seed=0)
    with torch.inference_mode():
        expected, found = teacher.eval()(**batch).logits, student.eval()(**batch).logits
        random = BertForSequenceClassification(config).eval()(**batch).logits
    centred = expected - expected.mean(0)
    assert (found - expected).norm() < 0.9 * centred.norm() < (random - expected).norm()
