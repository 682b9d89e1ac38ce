"""The units that transfer texts are made of: words, and where no spaces separate them, the teacher's own tokens.

Chinese, Japanese, Thai and some other scripts are written without spaces between words. A run of them is split where
the teacher's tokenizer begins another token: for BERT that is each Chinese character, for a SentencePiece vocabulary each
piece. (Its pre-tokens would not do: they end at spaces too, but for BERT's Chinese characters.) All else is split at
spaces, so that a word keeps the punctuation that touches it.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tokenizers import Tokenizer

UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"  # Tibetan, Myanmar, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
)
"""Characters of scripts that are written without spaces, as what stands in the brackets of a regular expression."""

_HAS_UNSPACED = re.compile(f"[{UNSPACED}]")
_IS_UNSPACED = re.compile(f"[{UNSPACED}]+")
_LEAST_SHARE = 0.25
"""From this share of such characters on a text counts as written without spaces: each says more than a letter does."""


class Unit(NamedTuple):
    """A word, or a piece of a run without spaces.

    Attributes:
        text: without blanks.
        is_joined: does it touch the unit before it?
    """

    text: str
    is_joined: bool = False


def split_at_spaces(text: str) -> tuple[Unit, ...]:
    """Return the words of a text, split at blanks."""
    return tuple(Unit(word) for word in text.split())


@dataclass(frozen=True)
class UnitSplitter:
    """Splits texts at blanks, and runs of scripts without spaces where the tokenizer begins another token.

    Attributes:
        tokenizer: the teacher's, without truncation.
    """

    tokenizer: Tokenizer

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "UnitSplitter":
        """Return a splitter by a copy of the teacher's tokenizer that reads texts to their end."""
        whole = Tokenizer.from_str(tokenizer.to_str())
        whole.no_truncation()
        return cls(whole)

    def split_until(self, text: str, end: int) -> tuple[Unit, ...]:
        """Return the units of a text that end at character `end` or before; of a first one that is longer, what is read of it."""
        kept: list[Unit] = []
        place = 0
        for unit in self.split(text):
            place = text.index(unit.text, place) + len(unit.text)  # only blanks lie between two units
            if place > end:
                break
            kept.append(unit)
        return tuple(kept or split_at_spaces(text[:end])[:1])

    def split(self, text: str) -> tuple[Unit, ...]:
        """Return the units of a text; joined again they are the text, with one space for each run of blanks."""
        words = text.split()
        if unspaced_characters(text) < max(1.0, _LEAST_SHARE * sum(map(len, words))):
            return tuple(Unit(word) for word in words)
        return tuple(unit for word in words for unit in self._split_word(word))

    def _split_word(self, word: str) -> list[Unit]:
        if not _HAS_UNSPACED.search(word):
            return [Unit(word)]
        starts = [0, *self._borders(word), len(word)]
        return [Unit(word[a:b], is_joined=a > 0) for a, b in zip(starts, starts[1:], strict=False)]

    def _borders(self, word: str) -> list[int]:
        """Return where a token begins, beside a character of such a script, and not within a character and its marks."""
        found, reached = [], 0
        for start, end in self.tokenizer.encode(word, add_special_tokens=False).offsets:
            is_beside = 0 < start < len(word) and _HAS_UNSPACED.search(word[start - 1 : start + 1])
            if is_beside and start >= reached and not unicodedata.category(word[start]).startswith("M"):
                found.append(start)
            reached = max(reached, end)
        return sorted(set(found))


def join_units(row: Iterable[Unit]) -> str:
    """Return the text of some units; where one did not touch the unit before it, a space stands between them."""
    parts: list[str] = []
    for unit in row:
        if parts and not unit.is_joined:
            parts.append(" ")
        parts.append(unit.text)
    return "".join(parts)


def unspaced_characters(text: str) -> int:
    """Return how many characters of a text are of scripts without spaces."""
    return len(_HAS_UNSPACED.findall(text))


def is_unspaced(text: str) -> bool:
    """Is a text written in scripts without spaces throughout?"""
    return _IS_UNSPACED.fullmatch(text) is not None


def unspaced_units(rows: Iterable[Sequence[Unit]]) -> list[str]:
    """Return the different units of scripts without spaces, sorted."""
    return sorted({unit.text for row in rows for unit in row if is_unspaced(unit.text)})
