"""The distillation loss, once and for all."""

import torch
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from edgedistill.examples import NO_LABEL


def soft_label_loss(student: torch.Tensor, teacher: torch.Tensor, *, temperature: float) -> torch.Tensor:
    """T^2 * KL(teacher_T || student_T), summed over classes and averaged over the batch.

    T^2 keeps the soft gradients at the scale of the hard ones when T changes.

    Args:
        student: raw logits, shape (batch, classes).
        teacher: raw logits, shape (batch, classes).
        temperature: T > 0, softens both distributions.

    Returns:
        a scalar >= 0.

    Raises:
        ValueError: the shapes differ (another number of classes), or T is not positive.

    Reference: Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network", section 2, equations 1 and 4.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"student logits {tuple(student.shape)} and teacher logits {tuple(teacher.shape)} differ")
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    divergence = kl_div(
        log_softmax(student / temperature, dim=-1),
        log_softmax(teacher / temperature, dim=-1),
        reduction="batchmean",
        log_target=True,
    )
    return divergence * temperature**2


def hard_label_loss(student: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy on the hard labels, averaged over the whole batch; an example without a label adds nothing.

    Args:
        student: raw logits, shape (batch, classes).
        labels: class indices, shape (batch,); `NO_LABEL` where nobody labelled.

    Returns:
        a scalar >= 0.
    """
    return cross_entropy(student, labels, ignore_index=NO_LABEL, reduction="sum") / max(1, len(labels))


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

    Reference: Hinton et al. 2015, section 2.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in 0 .. 1, not {alpha}")
    soft = soft_label_loss(student, teacher, temperature=temperature)
    return alpha * soft + (1 - alpha) * hard_label_loss(student, labels)
