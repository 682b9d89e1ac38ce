"""What of the texts a tokenizer cannot read: tokens that come out as its one unknown token, and what they said is lost."""

import json
from dataclasses import dataclass

from tokenizers import Tokenizer

from edgedistill.tasks.text_classification.encoding import EncodedTexts

MUCH_UNREAD = 0.01
"""From this share of the tokens on it is told."""


@dataclass(frozen=True)
class Unread:
    """Shares, 0 to 1.

    Attributes:
        tokens: of the tokens, special ones counted.
        texts: of the texts that hold one at least.
    """

    tokens: float = 0.0
    texts: float = 0.0


def unread_of(tokenizer: Tokenizer, encoded: EncodedTexts) -> Unread:
    """Return how much of some texts a tokenizer could not read; nothing where it has no token for that, as byte-level ones."""
    index = _unknown_id(tokenizer)
    if index is None or not len(encoded.ids):
        return Unread()
    is_unknown = encoded.ids == index
    hit = {int(place) for place in encoded.offsets.searchsorted(is_unknown.nonzero()[0], side="right")}
    return Unread(float(is_unknown.mean()), len(hit) / len(encoded))


def _unknown_id(tokenizer: Tokenizer) -> int | None:
    model = json.loads(tokenizer.to_str())["model"]
    name = model.get("unk_token")
    if name is not None:
        found: int | None = tokenizer.token_to_id(name)
        return found
    index = model.get("unk_id")  # of a Unigram
    return None if index is None else int(index)
