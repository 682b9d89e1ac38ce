"""The distillation loss, once and for all: the soft and the hard term, weighed by alpha."""

import torch

from edgedistill.distill.losses.hard_labels import hard_label_loss
from edgedistill.distill.losses.soft_labels import soft_label_loss


def distillation_loss(
    student: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor, *, temperature: float, alpha: float
) -> torch.Tensor:
    """Alpha * T^2 * KL(teacher_T || student_T) + (1 - alpha) * CE(student, hard label).

    Args:
        student: raw logits, shape (batch, classes).
        labels: class indices, shape (batch,); `NO_LABEL` where nobody labelled.
        teacher: raw logits, shape (batch, classes).
        temperature: T > 0.
        alpha: weight of the soft term, 0 .. 1.

    Returns:
        a scalar >= 0.

    Raises:
        ValueError: shapes that do not fit, T not positive, or alpha outside of 0 .. 1.

    Reference: Hinton et al. 2015, section 2.
    """
    return mix(soft_label_loss(student, teacher, temperature=temperature), hard_label_loss(student, labels), alpha=alpha)


def mix(soft: torch.Tensor, hard: torch.Tensor, *, alpha: float) -> torch.Tensor:
    """Return alpha * soft + (1 - alpha) * hard.

    Raises:
        ValueError: alpha lies outside of 0 .. 1.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in 0 .. 1, not {alpha}")
    return alpha * soft + (1 - alpha) * hard
