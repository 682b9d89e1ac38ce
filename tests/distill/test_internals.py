"""What happens inside an encoder, against what transformers itself says with eager attention."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from edgedistill.distill.internals import Needs, attention_modules, observe

IDS = torch.tensor([[2, 8, 9, 10, 3], [2, 11, 3, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
EVERYTHING = Needs(hidden_states=True, attentions=True)


def inputs() -> dict[str, torch.Tensor]:
    return {"input_ids": IDS, "attention_mask": MASK}


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_observe_gives_scores_whose_softmax_is_the_attention_of_transformers(
    family: str, make_classifier: Callable[..., Any]
) -> None:
    model = make_classifier(family)
    eager = make_classifier(family, attn_implementation="eager")
    with torch.inference_mode():
        seen = observe(model, model, inputs(), needs=EVERYTHING)
        expected = eager(**inputs(), output_attentions=True).attentions
    assert model.config._attn_implementation == "sdpa"
    assert len(seen.internals.attentions) == len(expected) == 2
    for parts, attention in zip(seen.internals.attentions, expected, strict=True):
        found = parts.scores.masked_fill((MASK == 0)[:, None, None, :], -torch.inf).softmax(-1)
        torch.testing.assert_close(found[0], attention[0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found[1, :, :3], attention[1, :, :3], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_observe_gives_the_hidden_states_and_logits_of_transformers(
    family: str, make_classifier: Callable[..., Any]
) -> None:
    model = make_classifier(family)
    with torch.inference_mode():
        seen = observe(model, model, inputs(), needs=EVERYTHING)
        expected = model(**inputs(), output_hidden_states=True)
    assert torch.equal(seen.logits, expected.logits)
    assert len(seen.internals.hidden_states) == 3
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(seen.internals.hidden_states, expected.hidden_states, strict=True))


def test_observe_leaves_no_hook_behind(make_classifier: Callable[..., Any]) -> None:
    model = make_classifier()
    observe(model, model, inputs(), needs=EVERYTHING)
    assert not any(module._forward_hooks for module in model.modules())


def test_observe_when_the_model_fails_leaves_no_hook_behind(make_classifier: Callable[..., Any]) -> None:
    model = make_classifier()
    with pytest.raises(IndexError):
        observe(model, model, inputs() | {"input_ids": IDS + 1000}, needs=EVERYTHING)
    assert not any(module._forward_hooks for module in model.modules())


def test_observe_of_nothing_keeps_nothing(make_classifier: Callable[..., Any]) -> None:
    model = make_classifier()
    internals = observe(model, model, inputs(), needs=Needs()).internals
    assert (internals.hidden_states, internals.attentions) == ((), ())


def test_attention_modules_of_an_unknown_model_are_refused() -> None:
    with pytest.raises(ValueError, match="Linear has no queries"):
        attention_modules(torch.nn.Linear(2, 2))
