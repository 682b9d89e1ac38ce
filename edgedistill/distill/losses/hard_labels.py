"""Hard labels: cross-entropy on the classes that people gave."""

import torch
from torch.nn.functional import cross_entropy

from edgedistill.examples import NO_LABEL


def hard_label_loss(student: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy on the hard labels, averaged over the whole batch; an example without a label adds nothing.

    Args:
        student: raw logits, shape (batch, classes).
        labels: class indices, shape (batch,); `NO_LABEL` where nobody labelled.

    Returns:
        a scalar >= 0.

    Raises:
        ValueError: the labels are no class indices of shape (batch,): floats would be taken for probabilities, and a
            matrix of several labels a text needs `hard_multi_label_loss`.

    Reference: Hinton et al. 2015, section 2 (the second objective).
    """
    if labels.shape != student.shape[:1] or labels.is_floating_point():
        raise ValueError(f"hard labels of shape {tuple(labels.shape)} and type {labels.dtype} for logits "
                         f"{tuple(student.shape)}: one class index a row is expected")
    return cross_entropy(student, labels, ignore_index=NO_LABEL, reduction="sum") / max(1, len(labels))
