"""Several labels a text: soft and hard binary losses against numpy, by hand, and against the two-class softmax."""

import math

import numpy as np
import pytest
import torch

from edgedistill.distill.losses import (
    hard_label_loss,
    hard_multi_label_loss,
    multi_label_distillation_loss,
    soft_label_loss,
    soft_multi_label_loss,
)
from edgedistill.examples import NO_LABEL

RNG = np.random.default_rng(0)
STUDENT, TEACHER = RNG.normal(0, 2, (4, 3)), RNG.normal(0, 3, (4, 3))
LABELS = np.array([[1, 0, 1], [0, 0, 0], [NO_LABEL] * 3, [1, 1, NO_LABEL]])


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("t", [1.0, 3.0])
def test_soft_multi_label_loss_is_what_numpy_finds(t: float) -> None:
    p, q = sigmoid(TEACHER / t), sigmoid(STUDENT / t)
    expected = t**2 * (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).sum() / 4
    loss = soft_multi_label_loss(torch.tensor(STUDENT), torch.tensor(TEACHER), temperature=t)
    assert float(loss) == pytest.approx(expected, rel=1e-9)


def test_soft_multi_label_loss_of_one_class_is_the_softmax_over_it_and_its_contrary() -> None:
    pairs = [torch.stack([torch.tensor(z[:, 0]), torch.zeros(4, dtype=torch.float64)], -1) for z in (STUDENT, TEACHER)]
    binary = soft_multi_label_loss(torch.tensor(STUDENT[:, :1]), torch.tensor(TEACHER[:, :1]), temperature=2.0)
    assert float(binary) == pytest.approx(float(soft_label_loss(*pairs, temperature=2.0)), rel=1e-9)


def test_soft_multi_label_loss_of_a_student_that_is_its_teacher_is_zero() -> None:
    assert float(soft_multi_label_loss(*[torch.tensor(TEACHER)] * 2, temperature=2.0)) == 0


def test_soft_multi_label_loss_gradient_tends_to_a_quarter_of_the_difference_of_logits() -> None:
    # T^2 d/dz KL = T (sigmoid(z/T) - sigmoid(v/T)) -> (z - v) / 4, over the batch of 4
    student = torch.tensor(STUDENT, requires_grad=True)
    soft_multi_label_loss(student, torch.tensor(TEACHER), temperature=1e4).backward()
    np.testing.assert_allclose(student.grad.numpy(), (STUDENT - TEACHER) / 4 / 4, atol=1e-4)


def test_soft_multi_label_loss_with_impossible_classes_appended_stays_the_same() -> None:
    longer = [torch.tensor(np.concatenate([z, np.full((4, 2), -1e4)], 1)) for z in (STUDENT, TEACHER)]
    kept = soft_multi_label_loss(torch.tensor(STUDENT), torch.tensor(TEACHER), temperature=2.0)
    assert float(soft_multi_label_loss(*longer, temperature=2.0)) == pytest.approx(float(kept), rel=1e-12)


def test_hard_multi_label_loss_sums_over_the_classes_and_leaves_unknown_cells_out() -> None:
    q, known = sigmoid(STUDENT), LABELS != NO_LABEL
    expected = -(np.where(LABELS == 1, np.log(q), np.log(1 - q)) * known).sum() / 4
    loss = hard_multi_label_loss(torch.tensor(STUDENT), torch.tensor(LABELS))
    assert float(loss) == pytest.approx(expected, rel=1e-9)


def test_hard_multi_label_loss_of_a_logit_of_zero_is_log_two_a_class() -> None:
    loss = hard_multi_label_loss(torch.zeros(2, 3), torch.tensor([[1, 0, 1], [0, 0, 1]]))
    assert float(loss) == pytest.approx(3 * math.log(2))


def test_multi_label_distillation_loss_weighs_the_soft_term_with_alpha() -> None:
    student, labels, teacher = map(torch.tensor, (STUDENT, LABELS, TEACHER))
    soft, hard = soft_multi_label_loss(student, teacher, temperature=2.0), hard_multi_label_loss(student, labels)
    loss = multi_label_distillation_loss(student, labels, teacher, temperature=2.0, alpha=0.25)
    assert float(loss) == pytest.approx(float(0.25 * soft + 0.75 * hard), rel=1e-12)


def test_multi_label_losses_give_a_gradient_to_the_student_alone() -> None:
    student, teacher = torch.tensor(STUDENT, requires_grad=True), torch.tensor(TEACHER)
    multi_label_distillation_loss(student, torch.tensor(LABELS), teacher, temperature=2.0, alpha=0.5).backward()
    assert (student.grad.abs().sum(0) > 0).all()
    assert teacher.grad is None


def test_hard_label_loss_with_a_matrix_of_labels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(4, 3\).*one class index a row"):
        hard_label_loss(torch.tensor(STUDENT), torch.tensor(LABELS))


def test_hard_label_loss_with_a_matrix_that_could_be_probabilities_is_refused() -> None:
    with pytest.raises(ValueError, match="one class index a row"):
        hard_label_loss(torch.tensor(STUDENT), torch.tensor(LABELS).double())


@pytest.mark.parametrize(("labels", "problem"), [(np.array([0, 1, 2, 0]), "0 or 1 for each"), (LABELS + 5, "other than")])
def test_hard_multi_label_loss_with_labels_that_are_none_is_refused(labels: np.ndarray, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        hard_multi_label_loss(torch.tensor(STUDENT), torch.tensor(labels))


def test_soft_multi_label_loss_with_another_number_of_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="differ"):
        soft_multi_label_loss(torch.tensor(STUDENT), torch.tensor(TEACHER[:, :2]), temperature=1.0)
