"""The distillation loss against numpy and against figures worked out by hand."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgedistill.distill.losses import distillation_loss, hard_label_loss, soft_label_loss
from edgedistill.examples import NO_LABEL

RNG = np.random.default_rng(0)
STUDENT, TEACHER = RNG.normal(0, 2, (5, 4)), RNG.normal(0, 3, (5, 4))
HARD = np.array([3, NO_LABEL, 0, NO_LABEL, 2])


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def soft_by_numpy(student: NDArray[np.float64], teacher: NDArray[np.float64], t: float) -> float:
    p, q = softmax(teacher / t), softmax(student / t)
    return float(t**2 * (p * (np.log(p) - np.log(q))).sum() / len(p))


def tensors(*arrays: NDArray[np.float64]) -> list[torch.Tensor]:
    return [torch.tensor(array) for array in arrays]


def test_soft_label_loss_of_two_even_classes_is_the_divergence_by_hand() -> None:
    # T = 1, teacher (3/4, 1/4), student (1/2, 1/2): 3/4 log(3/2) + 1/4 log(1/2) = 0.130812
    loss = soft_label_loss(*tensors(np.zeros((1, 2)), np.array([[math.log(3), 0.0]])), temperature=1.0)
    assert float(loss) == pytest.approx(0.130812, abs=1e-6)


@pytest.mark.parametrize("t", [0.5, 1.0, 2.0, 7.0])
def test_soft_label_loss_is_t_squared_times_the_divergence_summed_over_classes(t: float) -> None:
    assert float(soft_label_loss(*tensors(STUDENT, TEACHER), temperature=t)) == pytest.approx(
        soft_by_numpy(STUDENT, TEACHER, t), rel=1e-9
    )


def test_soft_label_loss_averages_over_the_batch_and_not_over_the_classes() -> None:
    once = soft_label_loss(*tensors(STUDENT[:1], TEACHER[:1]), temperature=2.0)
    thrice = soft_label_loss(*tensors(STUDENT[[0, 0, 0]], TEACHER[[0, 0, 0]]), temperature=2.0)
    assert float(thrice) == pytest.approx(float(once), rel=1e-12)


def test_soft_label_loss_gradient_is_t_times_the_difference_of_probabilities_over_the_batch() -> None:
    # Hinton et al. 2015, equation 2, times T^2: dL/dz = T (q - p) / n
    for t in (1.0, 4.0):
        student = torch.tensor(STUDENT, requires_grad=True)
        soft_label_loss(student, torch.tensor(TEACHER), temperature=t).backward()
        expected = t * (softmax(STUDENT / t) - softmax(TEACHER / t)) / len(STUDENT)
        np.testing.assert_allclose(student.grad.numpy(), expected, atol=1e-12)


def test_soft_label_loss_gradient_at_a_high_temperature_does_not_vanish() -> None:
    # Hinton et al. 2015, equation 4: for large T the gradient tends to (z - v) / (classes * n) of zero-mean logits
    student = torch.tensor(STUDENT, requires_grad=True)
    soft_label_loss(student, torch.tensor(TEACHER), temperature=1e4).backward()
    centred = (STUDENT - STUDENT.mean(1, keepdims=True)) - (TEACHER - TEACHER.mean(1, keepdims=True))
    np.testing.assert_allclose(student.grad.numpy(), centred / STUDENT.size, atol=1e-3)


@pytest.mark.parametrize("t", [1.0, 3.0])
def test_soft_label_loss_when_the_student_equals_the_teacher_is_zero(t: float) -> None:
    shifted = TEACHER + np.array([[1.0], [-2], [30], [0], [5]])  # softmax knows no offset
    assert float(soft_label_loss(*tensors(shifted, TEACHER), temperature=t)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("t", [1.0, 2.0])
def test_distillation_loss_with_impossible_classes_appended_stays_the_same(t: float) -> None:
    impossible = np.full((5, 3), -1e4)
    longer = [np.concatenate([array, impossible], axis=1) for array in (STUDENT, TEACHER)]
    hard = torch.tensor(HARD)
    losses = [
        distillation_loss(torch.tensor(s), hard, torch.tensor(t_), temperature=t, alpha=0.5)
        for s, t_ in ((STUDENT, TEACHER), (longer[0], longer[1]))
    ]
    assert float(losses[1]) == pytest.approx(float(losses[0]), rel=1e-12)


@pytest.mark.parametrize("of_student", [-np.inf, -1e4, 0.0])
def test_soft_label_loss_with_a_class_that_the_teacher_rules_out_is_a_number_and_has_a_gradient(of_student: float) -> None:
    # p = 0 of that class adds nothing: with q its share of the student, KL grows by -log(1 - q) of the renormalised rest
    student = torch.tensor(np.concatenate([STUDENT, np.full((5, 1), of_student)], 1), requires_grad=True)
    teacher = torch.tensor(np.concatenate([TEACHER, np.full((5, 1), -np.inf)], 1))
    loss = soft_label_loss(student, teacher, temperature=1.0)
    loss.backward()
    rest = 1 - softmax(student.detach().numpy())[:, 4]
    assert float(loss.detach()) == pytest.approx(soft_by_numpy(STUDENT, TEACHER, 1.0) - np.log(rest).mean(), rel=1e-9)
    assert torch.isfinite(student.grad).all()


def test_soft_label_loss_with_as_many_impossible_classes_again_is_not_halved() -> None:
    # reduction="mean" would divide by the classes too
    impossible = np.full((5, 4), -1e4)
    longer = tensors(*(np.concatenate([array, impossible], axis=1) for array in (STUDENT, TEACHER)))
    assert float(soft_label_loss(*longer, temperature=2.0)) == pytest.approx(soft_by_numpy(STUDENT, TEACHER, 2.0), rel=1e-9)


def test_hard_label_loss_is_the_cross_entropy_over_the_whole_batch() -> None:
    labelled = HARD != NO_LABEL
    picked = softmax(STUDENT)[labelled, HARD[labelled]]
    loss = hard_label_loss(torch.tensor(STUDENT), torch.tensor(HARD))
    assert float(loss) == pytest.approx(-np.log(picked).sum() / 5, rel=1e-9)


def test_hard_label_loss_without_any_label_is_zero() -> None:
    student = torch.tensor(STUDENT, requires_grad=True)
    loss = hard_label_loss(student, torch.full((5,), NO_LABEL))
    loss.backward()
    assert float(loss.detach()) == 0
    assert not student.grad.any()


def test_distillation_loss_of_an_example_without_a_label_is_its_soft_term_alone() -> None:
    loss = distillation_loss(torch.tensor(STUDENT), torch.full((5,), NO_LABEL), torch.tensor(TEACHER), temperature=2.0,
                             alpha=0.3)
    assert float(loss) == pytest.approx(0.3 * soft_by_numpy(STUDENT, TEACHER, 2.0), rel=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_distillation_loss_weighs_the_soft_term_with_alpha(alpha: float) -> None:
    labelled = HARD != NO_LABEL
    hard = -np.log(softmax(STUDENT)[labelled, HARD[labelled]]).sum() / 5
    loss = distillation_loss(torch.tensor(STUDENT), torch.tensor(HARD), torch.tensor(TEACHER), temperature=2.0, alpha=alpha)
    assert float(loss) == pytest.approx(alpha * soft_by_numpy(STUDENT, TEACHER, 2.0) + (1 - alpha) * hard, rel=1e-9)


@pytest.mark.parametrize("lost", [STUDENT, TEACHER])
def test_soft_label_loss_with_another_number_of_classes_is_refused(lost: NDArray[np.float64]) -> None:
    logits = [torch.tensor(array[:, :3] if array is lost else array) for array in (STUDENT, TEACHER)]
    with pytest.raises(ValueError, match=r"\(5, \d\).*\(5, \d\) differ"):
        soft_label_loss(*logits, temperature=1.0)


def test_soft_label_loss_with_a_batch_that_would_broadcast_is_refused() -> None:
    with pytest.raises(ValueError, match="differ"):
        soft_label_loss(torch.tensor(STUDENT), torch.tensor(TEACHER[:1]), temperature=1.0)


@pytest.mark.parametrize("t", [0.0, -1.0])
def test_soft_label_loss_at_a_temperature_that_is_not_positive_is_refused(t: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        soft_label_loss(torch.tensor(STUDENT), torch.tensor(TEACHER), temperature=t)


@pytest.mark.parametrize("alpha", [-0.1, 1.1])
def test_distillation_loss_with_alpha_outside_of_0_to_1_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        distillation_loss(torch.tensor(STUDENT), torch.tensor(HARD), torch.tensor(TEACHER), temperature=1.0, alpha=alpha)
