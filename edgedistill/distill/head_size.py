"""Heads of another size: what a teacher's head computes, in as many dimensions as the student's heads have.

Queries and keys of a head only meet in their products, and values only in what the output matrix makes of them. Both are
products of two matrices, of which the best approximation of a lower rank *on real tokens* is a singular value
decomposition (Eckart and Young 1936). Nothing is lost where the head used no more directions.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import BertConfig, BertForSequenceClassification

from edgedistill.shape import StudentShape

_NOTHING = 1e-6
"""A direction below this share of the strongest one is left empty: dividing by its root would spread rounding errors."""


def student_heads(teacher: BertConfig, shape: StudentShape) -> int:
    """Return how many heads a student has that is cut out of a teacher.

    Whole heads of the teacher where the student's width is a multiple of their size; else those of the shape, and fewer
    where the teacher has fewer.
    """
    size = int(teacher.hidden_size) // int(teacher.num_attention_heads)
    if shape.hidden % size == 0:
        return shape.hidden // size
    most = min(shape.heads, int(teacher.num_attention_heads))
    return next(heads for heads in range(most, 0, -1) if shape.hidden % heads == 0)


class _Moments:
    """Sums over rows of vectors, head by head: enough for their mean and their covariance."""

    def __init__(self, heads: int) -> None:
        self._heads, self._rows = heads, 0
        self._sum = self._square = torch.zeros((), dtype=torch.float64)

    def add(self, rows: torch.Tensor) -> None:
        """Add rows, shape (n, heads * size)."""
        parts = rows.double().view(len(rows), self._heads, -1).transpose(0, 1)
        self._rows += len(rows)
        self._sum = self._sum + parts.sum(1)
        self._square = self._square + parts.transpose(1, 2) @ parts

    @property
    def mean(self) -> torch.Tensor:
        """Shape (heads, size)."""
        return self._sum / self._rows

    @property
    def square_root(self) -> torch.Tensor:
        """The symmetric root of the mean of x x', shape (heads, size, size)."""
        return _root(self._square / self._rows)

    @property
    def centred_root(self) -> torch.Tensor:
        """The same of x - mean."""
        mean = self.mean
        return _root(self._square / self._rows - mean[:, :, None] * mean[:, None, :])


def _root(matrices: torch.Tensor) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(matrices)
    root: torch.Tensor = (vectors * values.clamp_min(0).sqrt()[:, None, :]) @ vectors.transpose(1, 2)
    return root


@torch.no_grad()
def resize_heads(
    pruned: BertForSequenceClassification, batches: Sequence[Mapping[str, torch.Tensor]], *, size: int, seed: int
) -> BertForSequenceClassification:
    """Give all heads of a BERT another size, in place, so that it computes what it did as nearly as can be.

    A smaller head keeps the directions in which queries meet keys most, and in which values reach the residual most, on
    the tokens of the batches. What all keys have in common changes no attention and takes no room; what all values have
    in common goes into the output's bias. A larger head computes exactly what it did; its new directions start without
    effect (queries and values random, keys and output zero), so that a training can use them.

    Args:
        pruned: a BERT with absolute positions; each layer may have its own heads.
        batches: model inputs with `attention_mask`, each shape (batch, length).
        size: numbers a head, at least 1.
        seed: of the random values of new directions.
    """
    layers = list(pruned.bert.encoder.layer)
    moments = [{name: _Moments(layer.attention.self.num_attention_heads) for name in ("query", "key", "context")}
               for layer in layers]
    with _recording(layers, moments) as see:
        for batch in batches:
            see(batch["attention_mask"].bool())
            pruned(**batch)
    generator = torch.Generator().manual_seed(seed)
    for layer, found in zip(layers, moments, strict=True):
        _resize_scores(layer.attention.self, found["query"], found["key"], size=size)
        _resize_values(layer.attention, found["context"], size=size)
        _fill_new_directions(layer.attention.self, generator, spread=pruned.config.initializer_range)
    return pruned.eval()


@contextmanager
def _recording(layers: Sequence[Any], moments: Sequence[dict[str, _Moments]]) -> Iterator[Any]:
    """Add queries, keys and contexts of real tokens up; yields what must be told each batch's mask first."""
    mask = torch.empty(0)

    def see(is_real: torch.Tensor) -> None:
        nonlocal mask
        mask = is_real

    hooks = []
    for layer, sums in zip(layers, moments, strict=True):
        own = layer.attention
        hooks += [
            own.self.query.register_forward_hook(lambda _m, _i, out, s=sums: s["query"].add(out[mask])),
            own.self.key.register_forward_hook(lambda _m, _i, out, s=sums: s["key"].add(out[mask])),
            own.output.dense.register_forward_hook(lambda _m, given, _o, s=sums: s["context"].add(given[0][mask])),
        ]
    try:
        yield see
    finally:
        for hook in hooks:
            hook.remove()


def _resize_scores(attention: Any, queries: _Moments, keys: _Moments, *, size: int) -> None:
    """Queries and keys: the singular directions of their products; the scale of the scores is that of the new size."""
    was = attention.attention_head_size
    of_queries, of_keys = queries.square_root, keys.centred_root
    left, strengths, right = torch.linalg.svd(of_queries @ of_keys)
    kept = min(size, was)
    strengths = strengths[:, :kept]
    scale = torch.where(strengths > _NOTHING * strengths[:, :1], strengths.clamp_min(1e-300).rsqrt(), 0.0)
    to_query = of_keys @ right.transpose(1, 2)[:, :, :kept] * scale[:, None, :] * (size / was) ** 0.5
    to_key = of_queries @ left[:, :, :kept] * scale[:, None, :]
    attention.query = _combined(attention.query, to_query, size=size)
    attention.key = _combined(attention.key, to_key, size=size, minus=keys.mean)
    attention.attention_head_size = size
    attention.all_head_size = size * attention.num_attention_heads


def _resize_values(layer: Any, contexts: _Moments, *, size: int) -> None:
    """Values and the output matrix: the directions of the residual in which a head writes most."""
    output, heads = layer.output.dense, layer.self.num_attention_heads
    writes = output.weight.double().view(output.out_features, heads, -1).permute(1, 2, 0)  # (heads, size, width)
    _, _, directions = torch.linalg.svd(contexts.centred_root @ writes, full_matrices=False)
    directions = directions[:, : min(size, writes.shape[1])]
    layer.self.value = _combined(layer.self.value, writes @ directions.transpose(1, 2), size=size, minus=contexts.mean)
    new = torch.nn.Linear(heads * size, output.out_features)
    new.weight.copy_(_padded(directions, size=size).permute(2, 0, 1).reshape(output.out_features, -1))
    new.bias.copy_(output.bias + torch.einsum("hd,hdw->w", contexts.mean, writes))
    layer.output.dense = new


def _combined(
    old: torch.nn.Linear, change: torch.Tensor, *, size: int, minus: torch.Tensor | None = None
) -> torch.nn.Linear:
    """Return change' (W x + b - minus), head by head, with zeros for directions that are new.

    Args:
        old: shape (heads * old size, width).
        change: shape (heads, old size, kept).
        size: the new size of a head, >= kept.
        minus: shape (heads, old size).
    """
    heads = len(change)
    weight = old.weight.double().view(heads, -1, old.in_features)
    bias = old.bias.double().view(heads, -1)
    bias = bias if minus is None else bias - minus
    new = torch.nn.Linear(old.in_features, heads * size)
    new.weight.copy_(_padded(change.transpose(1, 2) @ weight, size=size).reshape(heads * size, -1))
    new.bias.copy_(_padded(torch.einsum("hdk,hd->hk", change, bias)[:, :, None], size=size).reshape(-1))
    return new


def _padded(rows: torch.Tensor, *, size: int) -> torch.Tensor:
    """Return (heads, kept, any) with zero rows added up to `size`."""
    return torch.nn.functional.pad(rows, (0, 0, 0, size - rows.shape[1]))


def _fill_new_directions(attention: Any, generator: torch.Generator, *, spread: float) -> None:
    """Give queries and values random numbers where they are zero: with keys and output zero, nothing changes by it."""
    for dense in (attention.query, attention.value):
        is_new = (dense.weight == 0).all(dim=1)
        dense.weight[is_new] = spread * torch.randn(int(is_new.sum()), dense.in_features, generator=generator)
