"""Soft labels: the teacher's softened distribution over the classes (Hinton et al. 2015)."""

import torch
from torch.nn.functional import kl_div, log_softmax

LEAST_LOG_PROBABILITY = -1e30
"""In place of -inf: an impossible class then contributes 0 * finite = 0, and not 0 * -inf, which is no number."""


def soft_label_loss(student: torch.Tensor, teacher: torch.Tensor, *, temperature: float) -> torch.Tensor:
    """T^2 * KL(teacher_T || student_T), summed over classes and averaged over the batch.

    T^2 keeps the soft gradients at the scale of the hard ones when T changes.

    Args:
        student: raw logits, shape (batch, classes).
        teacher: raw logits, shape (batch, classes); -inf for a class that cannot be.
        temperature: T > 0, softens both distributions.

    Returns:
        a scalar >= 0.

    Raises:
        ValueError: the shapes differ (another number of classes), or T is not positive.

    Reference: Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network", section 2, equations 1 and 4.
    """
    require_like_logits(student, teacher, temperature=temperature)
    divergence = kl_div(
        log_softmax(student / temperature, dim=-1).clamp(min=LEAST_LOG_PROBABILITY),
        log_softmax(teacher / temperature, dim=-1).clamp(min=LEAST_LOG_PROBABILITY),
        reduction="batchmean",
        log_target=True,
    )
    return divergence * temperature**2


def require_like_logits(student: torch.Tensor, teacher: torch.Tensor, *, temperature: float) -> None:
    """Refuse logits that cannot be compared.

    Raises:
        ValueError: the shapes differ, or the temperature is not positive.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"student logits {tuple(student.shape)} and teacher logits {tuple(teacher.shape)} differ")
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
