"""Relations among queries, among keys and among values, over heads of their own number (MiniLM, the second version)."""

import math

import torch

from edgedistill.distill.losses.attention_parts import (
    AttentionParts,
    relation_divergence,
    require_comparable,
    scaled_products,
)

MOST_RELATION_HEADS = 48
"""The paper's number for teachers of 12 layers and width 768."""


def common_relation_heads(student_width: int, teacher_width: int) -> int:
    """Return the largest number of relation heads that divides both widths and is not above 48."""
    divisor = math.gcd(student_width, teacher_width)
    return max(heads for heads in range(1, MOST_RELATION_HEADS + 1) if divisor % heads == 0)


def relation_loss(
    student: AttentionParts, teacher: AttentionParts, mask: torch.Tensor, *, relation_heads: int
) -> torch.Tensor:
    """Mean of the KLs of the query, key and value relations, softmax(A A^T / sqrt(relation head size)).

    Queries, keys and values of all attention heads are joined and split anew into relation heads, so that neither the
    widths nor the numbers of attention heads need to agree. The three count alike.

    Args:
        student: of its last layer, in the paper.
        teacher: of its last layer (base size) or of one below it (large), in the paper.
        mask: 1 for real tokens, shape (batch, tokens).
        relation_heads: divides both widths; see `common_relation_heads`.

    Returns:
        a scalar >= 0.

    Raises:
        ValueError: other texts or tokens in teacher and student, or relation heads that do not divide a width.

    Reference: Wang et al. 2021, "MiniLMv2: Multi-Head Self-Attention Relation Distillation for Compressing Pretrained
        Transformers", section 3.1.
    """
    require_comparable(student, teacher, mask)
    total = torch.zeros((), device=mask.device)
    for name in ("queries", "keys", "values"):
        vectors = (getattr(student, name), getattr(teacher, name))
        ours, theirs = (scaled_products(part, part, heads=relation_heads) for part in vectors)
        total = total + relation_divergence(ours, theirs, mask)
    return total / 3
