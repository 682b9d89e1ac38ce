"""Adapter to transformers' encoders: hidden states, queries, keys and values of a forward pass.

Queries, keys and values are taken where they are made, by hooks on the three linear layers, and attention scores are
computed from them. So the fast attention kernels, which return no attention maps, can stay.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from edgedistill.distill.losses.attention_parts import AttentionParts
from edgedistill.teach.teacher_model import SentenceStates, sentence_states_of

_PART = re.compile(r"\.attention\.(?:self\.(?P<bert>query|key|value)|(?P<distilbert>[qkv])_lin)$")


@dataclass(frozen=True)
class Internals:
    """What happened inside an encoder, in float32.

    Attributes:
        hidden_states: of the embedding and of each layer, each shape (batch, tokens, width); empty if not asked for.
        attentions: of each layer; empty if not asked for.
        sentence_states: of the layers that whole texts are read from; None if not asked for.
    """

    hidden_states: tuple[torch.Tensor, ...] = ()
    attentions: tuple[AttentionParts, ...] = ()
    sentence_states: SentenceStates | None = None


@dataclass(frozen=True)
class Needs:
    """What is asked for."""

    hidden_states: bool = False
    attentions: bool = False
    sentence_states: bool = False


@dataclass(frozen=True)
class Observed:
    """Logits, shape (batch, classes), and what led to them."""

    logits: torch.Tensor
    internals: Internals


def observe(
    call: Callable[..., Any], network: PreTrainedModel, inputs: Mapping[str, torch.Tensor], *, needs: Needs
) -> Observed:
    """Run a classifier and keep what happened inside.

    Args:
        call: the classifier, or what wraps it for many processes.
        network: the classifier itself.
        inputs: what it is fed.
        needs: what to keep.

    Raises:
        ValueError: its queries, keys and values are asked for and it has none that are known.
    """
    with _recording(network if needs.attentions else None) as parts:
        is_looking = needs.hidden_states or needs.sentence_states
        output = call(**inputs, **({"output_hidden_states": True} if is_looking else {}))
    hidden = tuple(state.float() for state in output.hidden_states) if needs.hidden_states else ()
    attentions = tuple(
        AttentionParts(query.float(), key.float(), value.float(), heads=network.config.num_attention_heads)
        for query, key, value in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    )
    sentences = sentence_states_of(output.hidden_states) if needs.sentence_states else None
    return Observed(output.logits, Internals(hidden, attentions, sentences))


@contextmanager
def _recording(network: PreTrainedModel | None) -> Iterator[list[torch.Tensor]]:
    """Collect queries, keys and values of all layers, three tensors a layer; of no network, nothing."""
    parts: list[torch.Tensor] = []
    modules = attention_modules(network) if network is not None else []
    hooks = [module.register_forward_hook(lambda module, given, made: parts.append(made)) for module in modules]
    try:
        yield parts
    finally:
        for hook in hooks:
            hook.remove()


def attention_modules(network: torch.nn.Module) -> list[torch.nn.Module]:
    """Return the layers that make queries, keys and values, in the order in which they are called.

    Raises:
        ValueError: there are none with a known name.
    """
    found = [module for name, module in network.named_modules() if _PART.search(name)]
    if not found or len(found) % 3:
        raise ValueError(f"{type(network).__name__} has no queries, keys and values under a known name")
    return found
