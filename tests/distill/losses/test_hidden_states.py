"""TinyBERT's hidden states against numpy and by hand."""

import numpy as np
import pytest
import torch

from edgedistill.distill.losses import hidden_state_loss

RNG = np.random.default_rng(0)
STUDENT, TEACHER, PROJECTION = RNG.normal(size=(2, 5, 3)), RNG.normal(size=(2, 5, 4)), RNG.normal(size=(3, 4))
LENGTHS = (5, 3)
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def loss_of(student: np.ndarray, teacher: np.ndarray, projection: np.ndarray) -> torch.Tensor:
    return hidden_state_loss(torch.tensor(student), torch.tensor(teacher), projection=torch.tensor(projection), mask=MASK)


def test_hidden_state_loss_of_other_widths_is_what_numpy_finds() -> None:
    errors = [((STUDENT[i, :n] @ PROJECTION - TEACHER[i, :n]) ** 2).mean() for i, n in enumerate(LENGTHS)]
    loss = loss_of(STUDENT, TEACHER, PROJECTION)
    assert float(loss) == pytest.approx(np.mean(errors), rel=1e-9)


def test_hidden_state_loss_of_one_token_is_the_error_by_hand() -> None:
    # (1, 2) @ [[1, 0], [1, 1]] = (3, 2) against (1, 1): (4 + 1) / 2 = 2.5; the padding's error would be 50
    student, teacher = torch.tensor([[[1.0, 2], [9, 9]]]), torch.tensor([[[1.0, 1], [-1, -1]]])
    loss = hidden_state_loss(student, teacher, projection=torch.tensor([[1.0, 0], [1, 1]]), mask=torch.tensor([[1, 0]]))
    assert float(loss) == pytest.approx(2.5)


def test_hidden_state_loss_of_a_student_that_is_its_teacher_is_zero() -> None:
    teacher = torch.tensor(TEACHER)
    assert float(hidden_state_loss(teacher, teacher, projection=torch.eye(4, dtype=torch.float64), mask=MASK)) == 0


def test_hidden_state_loss_gives_a_gradient_to_student_and_projection_alone() -> None:
    student, teacher, projection = map(torch.tensor, (STUDENT, TEACHER, PROJECTION))
    student.requires_grad_()
    projection.requires_grad_()
    hidden_state_loss(student, teacher, projection=projection, mask=MASK).backward()
    assert student.grad.abs().sum() > 0
    assert not student.grad[1, LENGTHS[1]:].any()
    assert projection.grad.abs().sum() > 0
    assert teacher.grad is None


def test_hidden_state_loss_with_a_projection_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(4, 3\) between widths 3 and 4"):
        loss_of(STUDENT, TEACHER, PROJECTION.T)


def test_hidden_state_loss_with_other_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="same tokens"):
        loss_of(STUDENT[:, :4], TEACHER, PROJECTION)
