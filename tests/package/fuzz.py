"""Texts that break tokenizers: emoji, CJK, combining marks, control characters, lines of 10 kB, special tokens, noise."""

import random

_BLOCKS = (
    (0x20, 0x7F), (0x20, 0x7F), (0x20, 0x7F), (0x01, 0x20), (0x7F, 0xA0), (0xA0, 0x250), (0x250, 0x370), (0x300, 0x370),
    (0x370, 0x530), (0x590, 0x700), (0x900, 0xE00), (0x1100, 0x1200), (0x1E00, 0x2000), (0x2000, 0x2070), (0x2070, 0x2BFF),
    (0x3000, 0x3400), (0x3400, 0xA000), (0xAC00, 0xD7A4), (0xE000, 0xF900), (0xF900, 0xFB00), (0xFB00, 0x10000),
    (0x1F300, 0x1FAFF), (0x1D400, 0x1D800), (0x20000, 0x2FA20), (0xE0000, 0xE01F0), (0xF0000, 0xF0100), (0x10FF00, 0x110000),
)
_PHRASES = (
    "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "[sep]", "[CL\x01S]", "[[SEP]]", "##ing", "[unused1]", "👩‍👩‍👧‍👦", "🏳️‍🌈", "e\u0301",
    "\u1100\u1161\u11a8", "İI", "ſß", "ŉ", "ﬁ", "Ω", "Å", "\u0344", "\u200d", "\ufeff", "\ufffd", "\u2028", "\u00a0",
    "Straße", "naïve", "日本語", "三上", "한국어", "العربية", "हिन्दी", "\u302e\u302f", "x" * 99, "y" * 100, "z" * 101, "w" * 201,
    "don't", "3.14", "a-b_c", "https://example.org/?q=1", "can not", "turn", "lights", "unaffable",
)


def fuzzed_texts(count, *, seed=0):
    """Give `count` texts; a few in a thousand are lines of about 10 kB."""
    random_ = random.Random(seed)
    for number in range(count):
        pieces = 3000 if number % 1000 == 17 else random_.randint(0, 14)
        yield "".join(_piece(random_) for _ in range(pieces))


def _piece(random_):
    kind = random_.random()
    if kind < 0.3:
        return random_.choice(_PHRASES)
    if kind < 0.5:
        return " " * random_.randint(1, 3)
    first, end = random_.choice(_BLOCKS)
    return "".join(chr(random_.randrange(first, end)) for _ in range(random_.randint(1, 4)))
