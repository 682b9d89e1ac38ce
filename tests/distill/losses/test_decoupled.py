"""Decoupled distillation: Zhao et al.'s identity with the plain loss, numpy, and figures by hand."""

import math

import numpy as np
import pytest
import torch

from edgedistill.distill.losses import (
    decoupled_loss,
    other_classes_divergence,
    soft_label_loss,
    target_class_divergence,
)

RNG = np.random.default_rng(0)
STUDENT, TEACHER = torch.tensor(RNG.normal(0, 2, (6, 5))), torch.tensor(RNG.normal(0, 3, (6, 5)))
TARGETS = torch.tensor([0, 4, 2, 2, 1, 3])


@pytest.mark.parametrize("t", [1.0, 4.0])
def test_the_two_parts_with_the_teachers_own_weight_are_the_plain_loss(t: float) -> None:
    # Zhao et al. 2022, section 3.1: KD = TCKD + (1 - p_t) NCKD, p_t the teacher's probability of the target
    sure = torch.softmax(TEACHER / t, -1)[torch.arange(6), TARGETS]
    parts = [f(STUDENT, TEACHER, TARGETS, temperature=t) for f in (target_class_divergence, other_classes_divergence)]
    plain = soft_label_loss(STUDENT, TEACHER, temperature=t)
    assert float(t**2 * (parts[0] + (1 - sure) * parts[1]).mean()) == pytest.approx(float(plain), rel=1e-9)


def test_decoupled_loss_is_what_numpy_finds_row_by_row() -> None:
    t, beta, found = 2.0, 8.0, []
    for s, v, y in zip(STUDENT.numpy() / t, TEACHER.numpy() / t, TARGETS.numpy(), strict=True):
        q, p = np.exp(s) / np.exp(s).sum(), np.exp(v) / np.exp(v).sum()
        tckd = p[y] * np.log(p[y] / q[y]) + (1 - p[y]) * np.log((1 - p[y]) / (1 - q[y]))
        p_other, q_other = (np.delete(x, y) / np.delete(x, y).sum() for x in (p, q))
        found.append(tckd + beta * (p_other * np.log(p_other / q_other)).sum())
    loss = decoupled_loss(STUDENT, TEACHER, TARGETS, temperature=t, beta=beta)
    assert float(loss) == pytest.approx(t**2 * np.mean(found), rel=1e-9)


def test_decoupled_loss_of_three_classes_is_the_divergence_by_hand() -> None:
    # T = 1, target 0. Teacher (1/2, 3/8, 1/8), student (1/2, 1/4, 1/4): TCKD 0, NCKD of (3/4, 1/4) and (1/2, 1/2) is
    # 3/4 log(3/2) + 1/4 log(1/2) = 0.130812
    student, teacher = (torch.tensor([row]).log() for row in ([0.5, 0.25, 0.25], [0.5, 0.375, 0.125]))
    loss = decoupled_loss(student, teacher, torch.tensor([0]), temperature=1.0, beta=3.0)
    assert float(loss) == pytest.approx(3 * 0.130812, abs=1e-5)


def test_decoupled_loss_of_two_classes_has_only_the_target_part() -> None:
    student, teacher = STUDENT[:, :2], TEACHER[:, :2]
    loss = decoupled_loss(student, teacher, TARGETS % 2, temperature=2.0, beta=100.0)
    assert float(loss) == pytest.approx(float(soft_label_loss(student, teacher, temperature=2.0)), rel=1e-9)


def test_decoupled_loss_of_a_student_that_is_its_teacher_is_zero() -> None:
    assert float(decoupled_loss(TEACHER + 3.0, TEACHER, TARGETS, temperature=2.0, beta=8.0)) == pytest.approx(0, abs=1e-12)


def test_decoupled_loss_averages_over_the_batch() -> None:
    once, thrice = (decoupled_loss(STUDENT[i], TEACHER[i], TARGETS[i], temperature=2.0, beta=8.0) for i in ([0], [0, 0, 0]))
    assert float(thrice) == pytest.approx(float(once), rel=1e-12)


def test_decoupled_loss_with_impossible_classes_appended_stays_the_same() -> None:
    longer = [torch.cat([z, torch.full((6, 5), -1e4, dtype=torch.float64)], 1) for z in (STUDENT, TEACHER)]
    kept = decoupled_loss(STUDENT, TEACHER, TARGETS, temperature=2.0, beta=8.0)
    assert float(decoupled_loss(*longer, TARGETS, temperature=2.0, beta=8.0)) == pytest.approx(float(kept), rel=1e-12)


def test_decoupled_loss_with_classes_of_minus_infinity_is_that_of_the_others() -> None:
    longer = [torch.cat([z, torch.full((6, 5), -torch.inf, dtype=torch.float64)], 1) for z in (STUDENT, TEACHER)]
    kept = decoupled_loss(STUDENT, TEACHER, TARGETS, temperature=2.0, beta=8.0)
    student = longer[0].requires_grad_()
    found = decoupled_loss(student, longer[1], TARGETS, temperature=2.0, beta=8.0)
    found.backward()
    assert float(found.detach()) == pytest.approx(float(kept), rel=1e-12)
    assert torch.isfinite(student.grad).all()


def test_decoupled_loss_where_only_the_target_is_possible_compares_nothing_of_the_others() -> None:
    impossible = torch.tensor([[3.0, -torch.inf, -torch.inf]], dtype=torch.float64)
    student = torch.tensor([[0.0, 2.0, -1.0]], dtype=torch.float64)
    found = decoupled_loss(student, impossible, torch.tensor([0]), temperature=1.0, beta=8.0)
    assert float(found) == pytest.approx(math.log(1 + math.exp(2) + math.exp(-1)))  # -log of the student's probability of it


def test_decoupled_loss_gradient_keeps_its_scale_when_the_temperature_rises() -> None:
    norms = []
    for t in (1e3, 1e4):
        student = STUDENT.clone().requires_grad_()
        decoupled_loss(student, TEACHER, TARGETS, temperature=t, beta=8.0).backward()
        norms.append(float(student.grad.norm()))
    assert norms[0] == pytest.approx(norms[1], rel=1e-2)
    assert norms[0] > 0.1


def test_decoupled_loss_of_very_sure_models_has_a_finite_gradient() -> None:
    student = torch.tensor([[60.0, -60.0, 0.0]], requires_grad=True)
    loss = decoupled_loss(student, torch.tensor([[80.0, 0.0, -80.0]]), torch.tensor([0]), temperature=1.0, beta=8.0)
    loss.backward()
    assert math.isfinite(float(loss.detach()))
    assert torch.isfinite(student.grad).all()


@pytest.mark.parametrize(
    ("student", "teacher", "targets", "beta", "problem"),
    [
        (STUDENT, TEACHER[:, :4], TARGETS, 8.0, "differ"),
        (STUDENT, TEACHER, TARGETS[:3], 8.0, "one class index a row"),
        (STUDENT, TEACHER, torch.ones(6, 5), 8.0, "one class index a row"),
        (STUDENT[:, :1], TEACHER[:, :1], TARGETS * 0, 8.0, "two classes"),
        (STUDENT, TEACHER, TARGETS, -1.0, "beta"),
    ],
)
def test_decoupled_loss_of_what_does_not_fit_is_refused(
    student: torch.Tensor, teacher: torch.Tensor, targets: torch.Tensor, beta: float, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        decoupled_loss(student, teacher, targets, temperature=1.0, beta=beta)
