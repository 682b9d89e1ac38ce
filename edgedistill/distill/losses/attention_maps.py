"""Attention maps: which token looks at which, before the softmax (TinyBERT)."""

import torch

from edgedistill.distill.losses.attention_parts import AttentionParts, require_comparable
from edgedistill.distill.losses.tokens import mean_over_tokens


def attention_map_loss(student: AttentionParts, teacher: AttentionParts, mask: torch.Tensor) -> torch.Tensor:
    """Mean squared error of the attention scores of one layer; padding counts neither as query nor as key.

    The paper compares the matrices before the softmax ("unnormalized"), head by head, and averages over the heads. It
    knows no other case than equal numbers of heads; where they differ, the scores are averaged over the heads first.

    Args:
        student: of a layer.
        teacher: of the layer it is mapped to.
        mask: 1 for real tokens, shape (batch, tokens).

    Returns:
        a scalar >= 0.

    Raises:
        ValueError: other texts or tokens in teacher and student.

    Reference: Jiao et al. 2020, "TinyBERT: Distilling BERT for Natural Language Understanding", equation 7.
    """
    require_comparable(student, teacher, mask)
    ours, theirs = student.scores, teacher.scores
    if student.heads != teacher.heads:
        ours, theirs = ours.mean(1, keepdim=True), theirs.mean(1, keepdim=True)
    real_keys = mask.to(ours.dtype)[:, None, None, :]
    of_query = ((ours - theirs).square() * real_keys).sum(-1) / real_keys.sum(-1).clamp(min=1)
    return mean_over_tokens(of_query, mask)
