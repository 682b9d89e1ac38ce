"""Texts that break tokenizers: emoji, CJK, combining marks, control characters, lines of 10 kB, special tokens, noise."""

import random
from collections.abc import Iterator, Sequence

_BLOCKS = (
    (0x20, 0x7F), (0x20, 0x7F), (0x20, 0x7F), (0x01, 0x20), (0x7F, 0xA0), (0xA0, 0x250), (0x250, 0x370), (0x300, 0x370),
    (0x370, 0x530), (0x590, 0x700), (0x900, 0xE00), (0x1100, 0x1200), (0x1E00, 0x2000), (0x2000, 0x2070), (0x2070, 0x2BFF),
    (0x3000, 0x3400), (0x3400, 0xA000), (0xAC00, 0xD7A4), (0xE000, 0xF900), (0xF900, 0xFB00), (0xFB00, 0x10000),
    (0x1F300, 0x1FAFF), (0x1D400, 0x1D800), (0x20000, 0x2FA20), (0xE0000, 0xE01F0), (0xF0000, 0xF0100), (0x10FF00, 0x110000),
)
"""First code point and one past the last; ASCII stands thrice, halves of surrogate pairs are left out."""

_PHRASES = (
    "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "[sep]", "[CL\x01S]", "[[SEP]]", "##ing", "[unused1]",
    "👩‍👩‍👧‍👦", "🏳️‍🌈", "e\u0301", "\u1100\u1161\u11a8", "İI", "ſß", "ŉ", "ﬁ", "Ω", "Å", "\u0344",
    "\u200d", "\ufeff", "\ufffd", "\u2028", "\u00a0", "Straße", "naïve", "日本語", "三上", "한국어",
    "العربية", "हिन्दी", "\u302e\u302f", "x" * 99, "y" * 100, "z" * 101, "w" * 201, "don't", "3.14",
    "a-b_c", "https://example.org/?q=1", "can not", "turn", "lights", "unaffable",
)
_MOST_PIECES = 14
_LONG_EVERY = 1000
_LONG_PIECES = 3000
_OWN_SHARE = 0.5


def fuzzed_texts(count: int, *, seed: int = 0, own: Sequence[str] = ()) -> Iterator[str]:
    """Yield texts to try a tokenizer on; the same arguments give the same texts.

    Args:
        count: how many; one in a thousand is a line of about 10 kB.
        seed: of the random numbers.
        own: texts of the data at hand; half of what is yielded is one of these with such pieces put into it.
    """
    chance = random.Random(seed)  # noqa: S311 - texts to try, no secrets
    for number in range(count):
        if own and chance.random() < _OWN_SHARE:
            yield _spliced(chance.choice(own), chance)
        else:
            length = _LONG_PIECES if number % _LONG_EVERY == 17 else chance.randint(0, _MOST_PIECES)
            yield "".join(_piece(chance) for _ in range(length))


def _spliced(text: str, chance: random.Random) -> str:
    """Put up to four pieces into a text, anywhere; a U+0000, at which strings end on their way into a graph, goes."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(text))
        text = text[:at] + _piece(chance) + text[at:]
    return text.replace("\0", "")


def _piece(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.3:
        return chance.choice(_PHRASES)
    if kind < 0.5:
        return " " * chance.randint(1, 3)
    first, end = chance.choice(_BLOCKS)
    return "".join(chr(chance.randrange(first, end)) for _ in range(chance.randint(1, 4)))
