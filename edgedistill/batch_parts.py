"""Batches of long texts in parts, so that a model's memory stays bounded: attention grows with the square of the length."""

from collections.abc import Mapping
from typing import Any

WEIGHT = "loss_weight"
"""The key of a batch's weight among the inputs of a training step: what the mean loss of its rows is multiplied with."""

_MOST_TOKENS = 16_384
"""Tokens at a time, padding counted, while the matrices outweigh the attention."""

_SQUARE_FROM = 128
"""From this length on the attention outweighs them: so many fewer tokens at a time as a text is longer."""

_SHORT = 64
"""Batches of texts of up to so many tokens are never split, however many rows the recipe asks for."""


def rows_that_fit(tokens: int) -> int:
    """Return how many texts of a length go through a model at a time: 128 of 128 tokens, 32 of 256, 8 of 512.

    Args:
        tokens: of the longest text, at least 1.
    """
    return max(1, _MOST_TOKENS * _SQUARE_FROM // (tokens * max(tokens, _SQUARE_FROM)))


def parts_of(batch: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return a batch in as few parts of like size as its length asks for; one that needs no splitting, itself.

    Args:
        batch: arrays or tensors by name, the rows first; what has no rows goes with every part. Without `input_ids`
            (a batch of pictures) nothing is split.
    """
    ids = batch.get("input_ids")
    if ids is None or ids.shape[1] <= _SHORT:
        return [batch]
    rows, count = len(ids), -(-len(ids) // rows_that_fit(ids.shape[1]))
    if count <= 1:
        return [batch]
    size = -(-rows // count)
    return [
        {name: values[start : start + size] if values.ndim else values for name, values in batch.items()}
        for start in range(0, rows, size)
    ]
