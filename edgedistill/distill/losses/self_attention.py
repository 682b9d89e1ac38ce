"""Self-attention distributions and value relations of one layer (MiniLM, the first version)."""

import torch

from edgedistill.distill.losses.attention_parts import (
    AttentionParts,
    relation_divergence,
    require_comparable,
    scaled_products,
)


def self_attention_loss(student: AttentionParts, teacher: AttentionParts, mask: torch.Tensor) -> torch.Tensor:
    """KL of the attention distributions plus KL of the value relations, softmax(V V^T / sqrt(head size)).

    Each is averaged over heads and real tokens of a text, then over the batch. The paper needs equal numbers of heads;
    where they differ, the distributions are averaged over the heads first. The head sizes may differ.

    Args:
        student: of its last layer, in the paper.
        teacher: of its last layer, in the paper.
        mask: 1 for real tokens, shape (batch, tokens).

    Returns:
        a scalar >= 0.

    Raises:
        ValueError: other texts or tokens in teacher and student.

    Reference: Wang et al. 2020, "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained
        Transformers", sections 3.1 (L_AT) and 3.2 (L_VR); their sum is the loss of section 3.2.
    """
    require_comparable(student, teacher, mask)
    ours, theirs = (scaled_products(part.values, part.values, heads=part.heads) for part in (student, teacher))
    return relation_divergence(student.scores, teacher.scores, mask) + relation_divergence(ours, theirs, mask)
