"""Which heads and feed-forward neurons of a BERT teacher matter: Fisher information of masks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from transformers import BertForSequenceClassification

from edgedistill.batch_parts import parts_of
from edgedistill.problem_type import SEVERAL_LABELS, ProblemType, problem_of

_SOFTENING = 4.0
"""Labels are drawn from the teacher's distribution at this temperature: a confident teacher has almost no gradient."""


@dataclass(frozen=True)
class Importance:
    """Fisher information of a mask on each part, higher is more important.

    Attributes:
        heads: shape (layers, heads).
        neurons: shape (layers, intermediate).
    """

    heads: torch.Tensor
    neurons: torch.Tensor


def measure_importance(
    teacher: BertForSequenceClassification, batches: Iterable[Mapping[str, torch.Tensor]], *, seed: int
) -> Importance:
    """Accumulate squared gradients of masks (all ones) on heads and neurons, labels drawn from the teacher itself.

    Args:
        teacher: the fine-tuned teacher.
        batches: model inputs, each shape (batch, length).
        seed: of the drawn labels.

    Reference: Molchanov et al. 2019, "Importance Estimation for Neural Network Pruning", equation 8; labels drawn from the model
    make it the Fisher information (Kunstner et al. 2019, section 3.1). A batch counts by its rows, so that a short last one,
    which holds the longest texts, weighs no more than they do.
    """
    config = teacher.config
    heads = torch.ones(config.num_hidden_layers, config.num_attention_heads, requires_grad=True)
    neurons = torch.ones(config.num_hidden_layers, config.intermediate_size, requires_grad=True)
    hooks = [
        hook
        for index, layer in enumerate(teacher.bert.encoder.layer)
        for hook in (
            layer.attention.self.register_forward_hook(_mask_heads(heads, index)),
            layer.intermediate.register_forward_hook(_mask_neurons(neurons, index)),
        )
    ]
    generator = torch.Generator().manual_seed(seed)
    total_heads, total_neurons = torch.zeros_like(heads), torch.zeros_like(neurons)
    teacher.eval()
    try:
        for batch in batches:
            by_head, by_neuron = _gradients(teacher, batch, (heads, neurons), generator)
            rows = len(batch["input_ids"])  # with drawn labels the square of a sum is the sum of the rows' squares, in the mean
            total_heads += (rows * by_head).square()
            total_neurons += (rows * by_neuron).square()
    finally:
        for hook in hooks:
            hook.remove()
    return Importance(total_heads.detach(), total_neurons.detach())


def _gradients(
    teacher: BertForSequenceClassification, batch: Mapping[str, torch.Tensor], masks: tuple[torch.Tensor, torch.Tensor],
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients by the masks, of the mean loss over a batch; long texts go through in parts."""
    by_head, by_neuron = (torch.zeros_like(mask) for mask in masks)
    for part in parts_of(batch):
        logits = teacher(**part).logits
        loss = _drawn_loss(logits / _SOFTENING, generator, problem=problem_of(teacher.config))
        found, share = torch.autograd.grad(loss, masks), len(part["input_ids"]) / len(batch["input_ids"])
        by_head += share * found[0]
        by_neuron += share * found[1]
    return by_head, by_neuron


def _drawn_loss(logits: torch.Tensor, generator: torch.Generator, *, problem: ProblemType) -> torch.Tensor:
    """Return -ln p of labels that are drawn from the logits' own distribution, averaged over the batch."""
    if problem == SEVERAL_LABELS:  # a Bernoulli variable for each class
        drawn = torch.bernoulli(logits.detach().sigmoid(), generator=generator)
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, drawn, reduction="sum") / len(logits)
    drawn = torch.multinomial(logits.detach().softmax(-1), 1, generator=generator)[:, 0]
    return torch.nn.functional.cross_entropy(logits, drawn)


def _mask_heads(masks: torch.Tensor, index: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a torch hook
    def hook(module, inputs, output):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        context = output[0] if isinstance(output, tuple) else output
        size = context.shape[-1] // masks.shape[1]
        masked = context * masks[index].repeat_interleave(size)
        return (masked, *output[1:]) if isinstance(output, tuple) else masked

    return hook


def _mask_neurons(masks: torch.Tensor, index: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a torch hook
    def hook(module, inputs, output):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return output * masks[index]

    return hook
