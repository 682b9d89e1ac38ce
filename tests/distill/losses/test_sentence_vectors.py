"""Sentence vectors: worked by hand."""

import pytest
import torch

from edgedistill.distill.losses import sentence_vector_loss


def test_sentence_vector_loss_when_worked_by_hand_then_the_same() -> None:
    student = torch.tensor([[[1.0, 2.0], [0.0, 1.0]]])
    teacher = torch.tensor([[[3.0], [5.0]]])
    # view 0: 1 * 1 + 2 * 1 + 1 = 4, off by 1; view 1: 1 * 2 + 0 = 2, off by 3
    projection = torch.tensor([[[1.0], [1.0], [1.0]], [[7.0], [2.0], [0.0]]])
    assert float(sentence_vector_loss(student, teacher, projection=projection)) == pytest.approx((1 + 9) / 2)


def test_sentence_vector_loss_when_there_are_more_dimensions_then_their_errors_add_up() -> None:
    student, teacher = torch.zeros(4, 2, 3), torch.full((4, 2, 5), 2.0)
    assert float(sentence_vector_loss(student, teacher, projection=torch.zeros(2, 4, 5))) == pytest.approx(5 * 4)


@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 4, 5), (2, 4, 6)])
def test_sentence_vector_loss_when_shapes_do_not_fit_then_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        sentence_vector_loss(torch.zeros(4, 2, 3), torch.zeros(4, 2, 5), projection=torch.zeros(shape))
