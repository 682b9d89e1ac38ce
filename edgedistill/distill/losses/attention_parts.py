"""What attention is made of in one layer: queries, keys, values; and relations between tokens made from them."""

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import log_softmax

from edgedistill.distill.losses.tokens import mean_over_tokens, require_same_tokens

_PADDING_SCORE = -1e4
"""Its exponential is 0 in float32, and 0 * log 0 does not become something that is no number, as with -inf."""


@dataclass(frozen=True)
class AttentionParts:
    """Queries, keys and values of one layer.

    Attributes:
        queries: shape (batch, tokens, width).
        keys: shape (batch, tokens, width).
        values: shape (batch, tokens, width).
        heads: attention heads; divides the width.
    """

    queries: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    heads: int

    @property
    def scores(self) -> torch.Tensor:
        """Queries on keys before the softmax, shape (batch, heads, tokens, tokens)."""
        return scaled_products(self.queries, self.keys, heads=self.heads)


def scaled_products(first: torch.Tensor, second: torch.Tensor, *, heads: int) -> torch.Tensor:
    """Products of all pairs of tokens, by head, over the square root of the head's size.

    Args:
        first: shape (batch, tokens, width).
        second: shape (batch, tokens, width).
        heads: divides the width.

    Returns:
        shape (batch, heads, tokens, tokens).

    Raises:
        ValueError: the width is no multiple of `heads`.
    """
    width = first.shape[-1]
    if heads < 1 or width % heads:
        raise ValueError(f"a width of {width} is no multiple of {heads} heads")
    of_heads = [part.reshape(*part.shape[:-1], heads, width // heads).transpose(1, 2) for part in (first, second)]
    return of_heads[0] @ of_heads[1].transpose(-1, -2) / math.sqrt(width // heads)


def relation_divergence(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """KL(softmax(teacher) || softmax(student)) of each token's row, averaged over texts, heads and real tokens.

    Where the numbers of heads differ, the distributions are averaged over the heads first.

    Args:
        student: scores before the softmax, shape (batch, student heads, tokens, tokens).
        teacher: scores before the softmax, shape (batch, teacher heads, tokens, tokens).
        mask: 1 for real tokens, shape (batch, tokens).

    Returns:
        a scalar >= 0.
    """
    is_padding = (mask == 0)[:, None, None, :]
    logs = [log_softmax(scores.masked_fill(is_padding, _PADDING_SCORE), dim=-1) for scores in (student, teacher)]
    if student.shape[1] != teacher.shape[1]:
        logs = [log.logsumexp(dim=1, keepdim=True) - math.log(log.shape[1]) for log in logs]
    return mean_over_tokens((logs[1].exp() * (logs[1] - logs[0])).sum(-1), mask)


def require_comparable(student: AttentionParts, teacher: AttentionParts, mask: torch.Tensor) -> None:
    """Refuse attention of other texts or tokens.

    Raises:
        ValueError: batch or tokens differ.
    """
    for ours, theirs in ((student.queries, teacher.queries), (student.keys, teacher.keys), (student.values, teacher.values)):
        require_same_tokens(ours, theirs, mask)
