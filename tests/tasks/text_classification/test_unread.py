"""How much of some texts a tokenizer cannot read."""

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE, Unigram, WordPiece
from tokenizers.pre_tokenizers import Whitespace

from edgedistill.tasks.text_classification.encoding import TextEncoder
from edgedistill.tasks.text_classification.unread import Unread, unread_of

TEXTS = ["one two", "one", "two strange other"]


def _of(tokenizer: Tokenizer) -> Unread:
    tokenizer.pre_tokenizer = Whitespace()
    return unread_of(tokenizer, TextEncoder(tokenizer, 0).encode(TEXTS))


def test_unread_when_words_are_unknown_then_their_share_and_that_of_the_texts_that_hold_one() -> None:
    found = _of(Tokenizer(WordPiece({"[UNK]": 0, "one": 1, "two": 2}, unk_token="[UNK]")))
    assert (found.tokens, found.texts) == (pytest.approx(2 / 6), pytest.approx(1 / 3))


def test_unread_when_a_unigram_names_its_unknown_token_by_number_then_it_is_found() -> None:
    found = _of(Tokenizer(Unigram([("<unk>", 0.0), ("one", -1.0), ("two", -1.0)], unk_id=0, byte_fallback=False)))
    assert found.texts == pytest.approx(1 / 3)


def test_unread_when_a_tokenizer_has_no_unknown_token_then_nothing() -> None:
    assert _of(Tokenizer(BPE({"o": 0, "n": 1, "e": 2}, []))) == Unread()
    assert unread_of(Tokenizer(WordPiece({"[UNK]": 0}, unk_token="[UNK]")), TextEncoder(Tokenizer(BPE()), 0).encode([])) == Unread()
