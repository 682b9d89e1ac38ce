"""Several labels a text: every class is a yes or no of its own (a Bernoulli variable), soft or hard."""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from edgedistill.distill.losses.combined import mix
from edgedistill.distill.losses.soft_labels import require_like_logits
from edgedistill.examples import NO_LABEL


def soft_multi_label_loss(student: torch.Tensor, teacher: torch.Tensor, *, temperature: float) -> torch.Tensor:
    """T^2 * sum over classes of KL(Bernoulli(sigmoid(teacher / T)) || Bernoulli(sigmoid(student / T))), batch average.

    Two classes of a softmax whose logits differ by z are a Bernoulli variable of logit z, so this is the soft label
    loss of each class against "not this class".

    Args:
        student: raw logits, shape (batch, classes).
        teacher: raw logits, shape (batch, classes).
        temperature: T > 0.

    Returns:
        a scalar >= 0.

    Raises:
        ValueError: the shapes differ, or T is not positive.

    Reference: Hinton et al. 2015, section 2, equations 1 and 4, for two classes.
    """
    require_like_logits(student, teacher, temperature=temperature)
    p, z_student, z_teacher = torch.sigmoid(teacher / temperature), student / temperature, teacher / temperature
    yes = p * (logsigmoid(z_teacher) - logsigmoid(z_student))
    no = (1 - p) * (logsigmoid(-z_teacher) - logsigmoid(-z_student))
    return (yes + no).sum() / max(1, len(student)) * temperature**2


def hard_multi_label_loss(student: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy, summed over the classes and averaged over the batch, as the soft form is.

    Args:
        student: raw logits, shape (batch, classes).
        labels: 0 or 1, shape (batch, classes); a cell with `NO_LABEL` adds nothing.

    Returns:
        a scalar >= 0.

    Raises:
        ValueError: the shapes differ (a vector of class indices, say), or a label is neither 0, 1 nor `NO_LABEL`.
    """
    if student.shape != labels.shape:
        raise ValueError(f"labels of shape {tuple(labels.shape)} for logits {tuple(student.shape)}: a 0 or 1 for each "
                         "class of each row is expected")
    is_known = labels != NO_LABEL
    if not ((labels == 0) | (labels == 1) | ~is_known).all():
        raise ValueError(f"labels other than 0, 1 and {NO_LABEL}")
    loss = binary_cross_entropy_with_logits(student, labels.to(student.dtype), reduction="none")
    return (loss * is_known).sum() / max(1, len(student))


def multi_label_distillation_loss(
    student: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor, *, temperature: float, alpha: float
) -> torch.Tensor:
    """Alpha * soft_multi_label_loss + (1 - alpha) * hard_multi_label_loss; arguments and errors are theirs."""
    soft = soft_multi_label_loss(student, teacher, temperature=temperature)
    return mix(soft, hard_multi_label_loss(student, labels), alpha=alpha)
