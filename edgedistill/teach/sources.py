"""Which of the texts transfer texts are made from: no more than are needed, as the words of each stand in memory."""

import sys
from collections.abc import Callable, Sequence

import numpy as np

from edgedistill.teach.units import Unit

_WORDS_TO_DRAW_FROM = 2
"""Times the words that may be made: so many are enough to make them of, one copy of a text being about as long as it is."""


def some_of(texts: list[str], most: int, *, seed: int) -> list[str]:
    """Return at most as many texts as are to be made, drawn at random, in their order."""
    if len(texts) <= most:
        return texts
    return [texts[i] for i in np.sort(np.random.default_rng(seed).choice(len(texts), most, replace=False))]


def words_within(count: int, words: Callable[[int], Sequence[Unit]], *, limit: int, seed: int) -> list[tuple[Unit, ...]]:
    """Return the words of texts, drawn at random until twice `limit` words are there; of all texts where they hold no more.

    Args:
        count: of the texts.
        words: of the text with a number, from 0.
        limit: how many words may be made of them.
        seed: of the draw.

    Returns:
        a row a text, in the order of the texts.
    """
    found: dict[int, tuple[Unit, ...]] = {}
    left = _WORDS_TO_DRAW_FROM * limit
    for index in np.random.default_rng([seed, count]).permutation(count).tolist():
        if left <= 0 and found:
            break
        found[index] = tuple(Unit(sys.intern(unit.text), unit.is_joined) for unit in words(index))
        left -= len(found[index])
    return [found[index] for index in sorted(found)]
