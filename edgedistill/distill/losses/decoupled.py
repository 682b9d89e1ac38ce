"""Decoupled knowledge distillation: the target class and the other classes apart (Zhao et al. 2022)."""

import torch
from torch.nn.functional import kl_div, log_softmax

from edgedistill.distill.losses.soft_labels import LEAST_LOG_PROBABILITY, require_like_logits


def target_class_divergence(
    student: torch.Tensor, teacher: torch.Tensor, targets: torch.Tensor, *, temperature: float
) -> torch.Tensor:
    """TCKD: KL of (probability of the target class, probability of all others), for each row.

    Args:
        student: raw logits, shape (batch, classes).
        teacher: raw logits, shape (batch, classes); -inf for a class that cannot be.
        targets: class indices, shape (batch,), 0 .. classes - 1.
        temperature: T > 0.

    Returns:
        shape (batch,), each >= 0.

    Raises:
        ValueError: see `decoupled_loss`.

    Reference: Zhao et al. 2022, "Decoupled Knowledge Distillation", section 3.1, KL(b^T || b^S).
    """
    _require(student, teacher, targets, temperature=temperature)
    binary = [_target_and_rest(_finite(logits / temperature), targets) for logits in (student, teacher)]
    return _row_divergence(*binary)


def other_classes_divergence(
    student: torch.Tensor, teacher: torch.Tensor, targets: torch.Tensor, *, temperature: float
) -> torch.Tensor:
    """NCKD: KL of the distributions over all classes but the target, for each row.

    Arguments, errors and shape are those of `target_class_divergence`; with two classes it is 0, and so it is in a row in
    which the teacher holds every class but the target for impossible.

    Reference: Zhao et al. 2022, section 3.1, KL(p^T || p^S) with hats: softmax without the target class.
    """
    _require(student, teacher, targets, temperature=temperature)
    finite = [_finite(logits / temperature) for logits in (student, teacher)]
    others = [log_softmax(_without_target(logits, targets), dim=-1) for logits in finite]
    is_known = (_without_target(teacher, targets) > -torch.inf).any(-1)  # of nothing but impossible classes nothing is said
    return _row_divergence(*others) * is_known


def decoupled_loss(
    student: torch.Tensor, teacher: torch.Tensor, targets: torch.Tensor, *, temperature: float, beta: float
) -> torch.Tensor:
    """T^2 * (TCKD + beta * NCKD), averaged over the batch.

    In the soft label loss the second part has the weight 1 - p(target) of the teacher, so that a sure teacher says
    little about the other classes; here its weight is the same for every row. The paper's own weight of TCKD is 1
    throughout.

    Args:
        student: raw logits, shape (batch, classes), two classes at least.
        teacher: raw logits, shape (batch, classes); -inf for a class that cannot be.
        targets: class indices, shape (batch,): the hard label.
        temperature: T > 0.
        beta: weight of the other classes, >= 0.

    Returns:
        a scalar >= 0.

    Raises:
        ValueError: the logits differ in shape or have one class, targets are not of shape (batch,), T is not
            positive, or beta is negative.

    Reference: Zhao et al. 2022, equation 7, with its alpha at 1.
    """
    if beta < 0:
        raise ValueError(f"beta must not be negative, not {beta}")
    target = target_class_divergence(student, teacher, targets, temperature=temperature)
    others = other_classes_divergence(student, teacher, targets, temperature=temperature)
    return (target + beta * others).mean() * temperature**2


def _require(student: torch.Tensor, teacher: torch.Tensor, targets: torch.Tensor, *, temperature: float) -> None:
    require_like_logits(student, teacher, temperature=temperature)
    if student.shape[-1] < 2:
        raise ValueError("two classes at least are needed")
    if targets.shape != student.shape[:1] or targets.is_floating_point():
        raise ValueError(f"targets of shape {tuple(targets.shape)} for logits {tuple(student.shape)}: one class index a "
                         "row is expected")


def _finite(logits: torch.Tensor) -> torch.Tensor:
    """Return logits in which an impossible class is merely as unlikely as can be: -inf - -inf is no number."""
    return logits.clamp(min=LEAST_LOG_PROBABILITY)


def _without_target(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the logits of the other classes, shape (batch, classes - 1)."""
    is_other = torch.arange(logits.shape[-1], device=logits.device) != targets[:, None]
    return logits[is_other].view(len(logits), -1)


def _target_and_rest(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return log probabilities of the target class and of all others together, shape (batch, 2)."""
    rest = torch.logsumexp(_without_target(logits, targets), dim=-1)
    return log_softmax(torch.stack([logits.gather(1, targets[:, None])[:, 0], rest], dim=-1), dim=-1)


def _row_divergence(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    return kl_div(
        student.clamp(min=LEAST_LOG_PROBABILITY), teacher.clamp(min=LEAST_LOG_PROBABILITY), reduction="none", log_target=True
    ).sum(-1)
