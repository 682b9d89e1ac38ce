"""Cut a student out of a BERT teacher: fewer layers, the heads and neurons that matter, a rotated, narrower residual.

The residual stream is rotated onto its principal components and only the first `hidden` are kept (SliceGPT, Ashkboos et
al. 2024, section 3, with mean-centring and the LayerNorms refitted by least squares instead of replaced by RMSNorm).
Where the student's width is no multiple of the teacher's head size, its heads get a size of their own (`head_size.py`).
The result is a stock `BertForSequenceClassification`.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

from edgedistill.distill.head_size import student_heads
from edgedistill.distill.importance import Importance
from edgedistill.shape import StudentShape


@dataclass(frozen=True)
class Rotation:
    """The narrower basis of the residual stream: x is approximately `mean + basis @ y`.

    Attributes:
        mean: shape (teacher width,).
        basis: orthonormal columns, shape (teacher width, student width).
    """

    mean: torch.Tensor
    basis: torch.Tensor


_WHOLE_NUMBERS = 200_000_000
"""Up to so many numbers (1.6 GB) the covariance of all LayerNorm outputs is one product, beyond a sum of one a LayerNorm.

They differ in the last bits. A teacher of width 384 with 13 LayerNorms on 30,000 tokens has 150 million numbers: its students
keep their bytes."""


@dataclass(frozen=True)
class Records:
    """Inputs and outputs of the LayerNorms of the kept layers on real tokens, in order: embedding, then two a layer.

    The outputs are computed anew when they are asked for, which takes half the memory and gives the same numbers.

    Attributes:
        before: one tensor per LayerNorm, shape (tokens, teacher width).
        norms: the LayerNorms.
        first: rows of the first token of each text, the one that the classifier reads; shape (texts,).
    """

    before: tuple[torch.Tensor, ...]
    norms: tuple[torch.nn.LayerNorm, ...]
    first: torch.Tensor

    @torch.inference_mode()
    def after(self, place: int) -> torch.Tensor:
        """Return what one LayerNorm, counted from 0, made of its input; shape (tokens, teacher width)."""
        found: torch.Tensor = self.norms[place](self.before[place])
        return found


def can_be_cut(teacher_config: object, shape: StudentShape) -> bool:
    """Can a student of this shape be cut out of this teacher?"""
    return not why_not_cut(teacher_config, shape)


def why_not_cut(teacher_config: object, shape: StudentShape) -> str:
    """Say why a student of this shape cannot be cut out of this teacher; empty when it can."""
    family = getattr(teacher_config, "model_type", "")
    if family != "bert":
        return f"only BERT teachers are cut, and this one is of {family!r}"
    config: BertConfig = teacher_config
    positions = getattr(config, "position_embedding_type", "absolute")
    if positions != "absolute":
        return f"only teachers with absolute positions are cut, and this one has {positions!r} ones"
    if any((getattr(config, "pruned_heads", None) or {}).values()):
        return "only teachers with all their heads are cut, and some were pruned from this one (pruned_heads)"
    sizes = (("layers", shape.layers, config.num_hidden_layers), ("hidden", shape.hidden, config.hidden_size),
             ("intermediate", shape.intermediate, config.intermediate_size))
    larger = [f"{name} {wanted} is more than its {has}" for name, wanted, has in sizes if wanted > has]
    return f"the student is larger than the teacher: {', '.join(larger)}" if larger else ""


def kept_layers(teacher_layers: int, student_layers: int) -> list[int]:
    """Return evenly spaced layers, the first and the last among them (one layer: the last)."""
    if student_layers == 1:
        return [teacher_layers - 1]
    return [int(round(i)) for i in np.linspace(0, teacher_layers - 1, student_layers)]


def prune(
    teacher: BertForSequenceClassification, importance: Importance, shape: StudentShape
) -> BertForSequenceClassification:
    """Return a copy of the teacher with fewer layers, heads and neurons; its residual width and its head size unchanged."""
    config = teacher.config
    heads = student_heads(config, shape)
    layers = kept_layers(config.num_hidden_layers, shape.layers)
    pruned = copy.deepcopy(teacher)
    pruned.bert.encoder.layer = torch.nn.ModuleList(pruned.bert.encoder.layer[i] for i in layers)
    for layer, index in zip(pruned.bert.encoder.layer, layers, strict=True):
        drop = importance.heads[index].argsort(descending=True)[heads:].tolist()
        if drop:
            layer.attention.prune_heads(drop)
        keep = importance.neurons[index].argsort(descending=True)[: shape.intermediate].sort().values
        first, second = layer.intermediate.dense, layer.output.dense
        layer.intermediate.dense = _linear(first.weight[keep], first.bias[keep])
        layer.output.dense = _linear(second.weight[:, keep], second.bias)
    return pruned.eval()


@torch.inference_mode()
def record(pruned: BertForSequenceClassification, batches: Sequence[dict[str, torch.Tensor]]) -> Records:
    """Run texts through a pruned teacher and record its LayerNorms on the tokens that are no padding."""
    norms = [pruned.bert.embeddings.LayerNorm]
    for layer in pruned.bert.encoder.layer:
        norms += [layer.attention.output.LayerNorm, layer.output.LayerNorm]
    lengths = torch.cat([batch["attention_mask"].sum(1) for batch in batches])
    ends = lengths.cumsum(0)
    # filled in place: pieces that are joined at the end stand in memory twice
    before = tuple(torch.empty(int(ends[-1]), pruned.config.hidden_size) for _ in norms)
    mask, start = torch.empty(0), 0

    def recorder(place: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a torch hook
        def hook(module, inputs):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            before[place][start : start + int(mask.sum())] = inputs[0][mask]

        return hook

    hooks = [norm.register_forward_pre_hook(recorder(place)) for place, norm in enumerate(norms)]
    for batch in batches:
        mask = batch["attention_mask"].bool()
        pruned(**batch)
        start += int(mask.sum())
    for hook in hooks:
        hook.remove()
    first = torch.cat([torch.zeros(1, dtype=ends.dtype), ends[:-1]])
    return Records(before, tuple(norms), first)


def find_rotation(records: Records, width: int, *, seed: int) -> Rotation:
    """Return the `width` principal components of all LayerNorm outputs, mixed by a random orthogonal matrix.

    The mix spreads large channels over all, which int8 likes (QuaRot, Ashkboos et al. 2024b, section 4). The student's
    LayerNorms remove the component along (1, ..., 1): the mix turns the weakest kept one into that direction.
    """
    tokens, teacher_width = records.before[0].shape
    if width == teacher_width:
        return Rotation(torch.zeros(width), torch.eye(width))
    is_whole = len(records.norms) * tokens * teacher_width <= _WHOLE_NUMBERS
    mean, covariance = (_whole_moments if is_whole else _summed_moments)(records)
    _, vectors = torch.linalg.eigh(covariance)
    top = vectors[:, -width:].flip(1)
    generator = torch.Generator().manual_seed(seed)
    mix, _ = torch.linalg.qr(torch.randn(width, width, generator=generator, dtype=torch.float64))
    return Rotation(mean.float(), (top @ _with_row_along_ones(mix)).float())


def _whole_moments(records: Records) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and covariance, times the rows, of all LayerNorm outputs in float64, by one product of all rows."""
    tokens, width = records.before[0].shape
    rows = torch.empty(len(records.norms) * tokens, width, dtype=torch.float64)
    for place in range(len(records.norms)):
        rows[place * tokens : (place + 1) * tokens] = records.after(place)
    mean = rows.mean(0)
    rows -= mean
    return mean, rows.T @ rows


def _summed_moments(records: Records) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the same but for the last bits, one LayerNorm in memory at a time."""
    tokens, width = records.before[0].shape
    places = range(len(records.norms))
    mean = torch.zeros(width, dtype=torch.float64)
    for place in places:
        mean += records.after(place).sum(0, dtype=torch.float64)
    mean /= tokens * len(places)
    covariance = torch.zeros(width, width, dtype=torch.float64)
    for place in places:
        rows = records.after(place).double()
        rows -= mean
        covariance += rows.T @ rows
    return mean, covariance


def _with_row_along_ones(mix: torch.Tensor) -> torch.Tensor:
    """Reflect an orthogonal matrix (Householder) so that its last row becomes (1, ..., 1) / sqrt(width)."""
    width = len(mix)
    ones = torch.full((width,), width**-0.5, dtype=mix.dtype)
    difference = mix @ ones
    difference[-1] -= 1.0
    square = difference @ difference
    if square < 1e-24:  # it is so already
        return mix
    return mix - torch.outer(difference, difference @ mix) * (2 / square)


def narrow(
    pruned: BertForSequenceClassification,
    records: Records,
    rotation: Rotation,
    kept_tokens: torch.Tensor,
    config: BertConfig,
) -> BertForSequenceClassification:
    """Return the student: the pruned teacher in the rotated basis, with the student's vocabulary.

    Args:
        pruned: what `prune` returned, its heads of the student's size.
        records: its LayerNorms on real tokens.
        rotation: the narrower basis.
        kept_tokens: teacher ids of the student's tokens, shape (vocabulary,).
        config: the student's configuration.
    """
    student = BertForSequenceClassification(config)
    basis, mean = rotation.basis, rotation.mean
    source, target = pruned.bert.embeddings, student.bert.embeddings
    with torch.no_grad():
        target.word_embeddings.weight.copy_(source.word_embeddings.weight[kept_tokens] @ basis)
        target.position_embeddings.weight.copy_(
            source.position_embeddings.weight[: config.max_position_embeddings] @ basis
        )
        target.token_type_embeddings.weight.copy_(
            source.token_type_embeddings.weight[: config.type_vocab_size] @ basis
        )
        norms = [target.LayerNorm]
        for old, new in zip(pruned.bert.encoder.layer, student.bert.encoder.layer, strict=True):
            for name in ("query", "key", "value"):
                _read(getattr(old.attention.self, name), getattr(new.attention.self, name), basis, mean)
            _read(old.intermediate.dense, new.intermediate.dense, basis, mean)
            _write(old.attention.output.dense, new.attention.output.dense, basis, mean)
            _write(old.output.dense, new.output.dense, basis, mean)
            norms += [new.attention.output.LayerNorm, new.output.LayerNorm]
        for place, norm in enumerate(norms):
            _refit(norm, records.before[place] @ basis, (records.after(place) - mean) @ basis)
        _fit_classifier(pruned, student, records.after(len(norms) - 1)[records.first], rotation)
    return student


def _read(old: torch.nn.Linear, new: torch.nn.Linear, basis: torch.Tensor, mean: torch.Tensor) -> None:
    """A matrix that reads the residual: W x + b = (W B) y + (b + W mean)."""
    new.weight.copy_(old.weight @ basis)
    new.bias.copy_(old.bias + old.weight @ mean)


def _write(old: torch.nn.Linear, new: torch.nn.Linear, basis: torch.Tensor, mean: torch.Tensor) -> None:
    """A matrix that writes to the residual. Adding `mean` here makes the LayerNorm's input exactly B' of the teacher's."""
    new.weight.copy_(basis.T @ old.weight)
    new.bias.copy_(basis.T @ (old.bias + mean))


def _refit(norm: torch.nn.LayerNorm, before: torch.Tensor, wanted: torch.Tensor) -> None:
    """Fit gain and offset of a LayerNorm, dimension by dimension, by least squares."""
    normalised = torch.nn.functional.layer_norm(before, before.shape[-1:], eps=norm.eps)
    centre_x, centre_y = normalised.mean(0), wanted.mean(0)
    covariance = ((normalised - centre_x) * (wanted - centre_y)).mean(0)
    gain = covariance / (normalised - centre_x).square().mean(0).clamp_min(1e-6)
    norm.weight.copy_(gain)
    norm.bias.copy_(centre_y - gain * centre_x)


def _fit_classifier(
    pruned: BertForSequenceClassification,
    student: BertForSequenceClassification,
    tokens: torch.Tensor,
    rotation: Rotation,
) -> None:
    """Keep the pooler units that the classifier listens to most; refit the classifier on them by ridge regression."""
    old, new = pruned.bert.pooler.dense, student.bert.pooler.dense
    width = new.out_features
    keep = pruned.classifier.weight.square().sum(0).argsort(descending=True)[:width].sort().values
    kept = _linear(old.weight[keep], old.bias[keep])
    _read(kept, new, rotation.basis, rotation.mean)
    if width == old.out_features:
        student.classifier.load_state_dict(pruned.classifier.state_dict())
        return
    full = torch.tanh(tokens @ old.weight.T + old.bias)
    wanted = full @ pruned.classifier.weight.T + pruned.classifier.bias
    inputs = torch.cat([full[:, keep], torch.ones(len(full), 1)], dim=1).double()
    ridge = 1e-3 * len(full) * torch.eye(width + 1, dtype=torch.float64)
    solution = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ wanted.double()).float()
    student.classifier.weight.copy_(solution[:-1].T)
    student.classifier.bias.copy_(solution[-1])


def _linear(weight: torch.Tensor, bias: torch.Tensor) -> torch.nn.Linear:
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer
