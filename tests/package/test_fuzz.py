"""The texts that tokenizers are tried on: the same each time, as odd as promised, and made of one's own where there are any."""

import unicodedata

from edgedistill.package.fuzz import fuzzed_texts


def test_texts_when_made_twice_are_the_same_and_another_seed_makes_others():
    assert list(fuzzed_texts(50, seed=3)) == list(fuzzed_texts(50, seed=3))
    assert list(fuzzed_texts(50, seed=3)) != list(fuzzed_texts(50, seed=4))


def test_texts_when_many_hold_every_kind_that_breaks_tokenizers():
    texts = list(fuzzed_texts(1000, seed=0))
    characters = {char for text in texts for char in text}

    assert any("\U0001f300" <= char <= "\U0001faff" for char in characters)
    assert any("\u4e00" <= char <= "\u9fff" for char in characters)
    assert {"Mn", "Cc", "Cf", "Co", "Lo", "So"} <= {unicodedata.category(char) for char in characters}
    assert sum(len(text.encode()) > 10_000 for text in texts) == 1
    assert "" in texts


def test_texts_hold_no_half_pair_and_no_nul():
    assert not any(char == "\0" or "\ud800" <= char <= "\udfff" for text in fuzzed_texts(500, own=["a\0b"]) for char in text)


def test_texts_when_there_are_own_ones_are_half_made_of_them():
    own = ["turn the lights down"]
    kept = [text for text in fuzzed_texts(400, own=own) if {"t", "u", "r", "n", "s", "d", "o", "w"} <= set(text) and text not in own]

    assert 150 < len(kept) < 300
