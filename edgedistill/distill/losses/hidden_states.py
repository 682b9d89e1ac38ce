"""Hidden states: the student's, through a learned projection, against the teacher's (TinyBERT)."""

import torch

from edgedistill.distill.losses.tokens import mean_over_tokens, require_same_tokens


def hidden_state_loss(
    student: torch.Tensor, teacher: torch.Tensor, *, projection: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Mean squared error of `student @ projection` against the teacher; padding does not count.

    The error is averaged over the channels and the real tokens of each text, then over the batch. The same equation
    serves the embedding layer, with a projection of its own.

    Args:
        student: output of a layer or of the embedding, shape (batch, tokens, student width).
        teacher: output of a layer or of the embedding, shape (batch, tokens, teacher width).
        projection: shape (student width, teacher width).
        mask: 1 for real tokens, shape (batch, tokens).

    Returns:
        a scalar >= 0.

    Raises:
        ValueError: other texts or tokens in teacher and student, or a projection between other widths.

    Reference: Jiao et al. 2020, "TinyBERT: Distilling BERT for Natural Language Understanding", equations 8 and 9.
    """
    require_same_tokens(student, teacher, mask)
    if projection.shape != (student.shape[-1], teacher.shape[-1]):
        raise ValueError(f"a projection {tuple(projection.shape)} between widths {student.shape[-1]} and "
                         f"{teacher.shape[-1]}")
    squared = (student @ projection - teacher).square().mean(-1)
    return mean_over_tokens(squared, mask)
