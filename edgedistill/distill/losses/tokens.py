"""Averages over the real tokens of a padded batch, and the check that two models saw the same tokens."""

import torch


def mean_over_tokens(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Average over the real tokens of each text, then over everything else: a long text counts as much as a short one.

    Args:
        values: shape (batch, ..., tokens).
        mask: 1 for real tokens, 0 for padding, shape (batch, tokens).

    Returns:
        a scalar.
    """
    real = mask.to(values.dtype).view(len(mask), *[1] * (values.ndim - 2), -1)
    return ((values * real).sum(-1) / real.sum(-1).clamp(min=1)).mean()


def require_same_tokens(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> None:
    """Refuse tensors (batch, tokens, width) that do not stand for the same tokens of the same texts.

    Raises:
        ValueError: batch or tokens differ.
    """
    if not student.shape[:-1] == teacher.shape[:-1] == mask.shape:
        raise ValueError(f"student {tuple(student.shape)}, teacher {tuple(teacher.shape)} and mask {tuple(mask.shape)} do "
                         "not stand for the same tokens")
