"""Relations among queries, among keys and among values, over heads of their own number (MiniLM, the second version)."""

import math

import torch
from torch.utils.checkpoint import checkpoint

from edgedistill.distill.losses.attention_parts import (
    AttentionParts,
    relation_divergence,
    require_comparable,
    scaled_products,
)

MOST_RELATION_HEADS = 48
"""The paper's number for teachers of 12 layers and width 768."""

_MOST_KEPT = 2**26
"""Numbers of a relation that are kept for its gradient; 256 MiB in float32, several times over."""


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
    rows, tokens = mask.shape
    is_large = rows * relation_heads * tokens * tokens > _MOST_KEPT
    total = torch.zeros((), device=mask.device)
    for name in ("queries", "keys", "values"):
        ours, theirs = getattr(student, name), getattr(teacher, name)
        if is_large:  # one relation at a time, made again for its gradient
            total = total + checkpoint(_divergence, ours, theirs, mask, relation_heads, use_reentrant=False)
        else:
            total = total + _divergence(ours, theirs, mask, relation_heads)
    return total / 3


def _divergence(ours: torch.Tensor, theirs: torch.Tensor, mask: torch.Tensor, heads: int) -> torch.Tensor:
    """Return the KL of one relation of the two."""
    first, second = (scaled_products(part, part, heads=heads) for part in (ours, theirs))
    return relation_divergence(first, second, mask)
