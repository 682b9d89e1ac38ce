"""The transfer set: unlabelled texts made from the training texts, for the teacher to label.

Word replacement by neighbours in the teacher's own embedding space (TinyBERT, Jiao et al. 2020, algorithm 1, with the
teacher's input embeddings in place of GloVe), masking, n-gram sampling and mixing of two texts (Tang et al. 2019,
section 4). No download, no labels needed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistill.recipe import TransferSet

NEIGHBOURS = 12
_SOFTMAX_WIDTH = 0.08
_RATE_FACTORS = (0.46, 0.92, 1.62)
"""A text's own rate of replaced words is the mean rate times one of these, which average 1: some texts stay close to
their source, some go far."""

_DROP_RATE = 0.1
_LONGEST_NGRAM = 7
_LONGEST_SPAN = 3
_CORE = re.compile(r"^(\W*)(.*?)(\W*)$", re.DOTALL)
"""A word between the punctuation that touches it."""


@dataclass(frozen=True)
class Neighbours:
    """For each known word, words like it with their cumulative probabilities, shape (k,)."""

    words: Mapping[str, tuple[tuple[str, ...], NDArray[np.float64]]]


def find_neighbours(
    wanted: Sequence[str], vocabulary: Sequence[str], vectors: NDArray[np.float32], *, k: int = NEIGHBOURS
) -> Neighbours:
    """Find the k nearest words of each wanted word by the cosine of mean-centred embeddings.

    Args:
        wanted: words of the training texts.
        vocabulary: whole words that have a vector, n of them.
        vectors: their embeddings, shape (n, width).
        k: neighbours a word.

    Returns:
        neighbours with probability softmax(cosine / 0.08); words without a vector are left out.
    """
    row_of = {word: row for row, word in enumerate(vocabulary)}
    known = [word for word in wanted if word in row_of]
    if not known:
        return Neighbours({})
    centred = vectors - vectors.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    found: dict[str, tuple[tuple[str, ...], NDArray[np.float64]]] = {}
    for start in range(0, len(known), 1024):
        part = known[start : start + 1024]
        cosines = unit[[row_of[word] for word in part]] @ unit.T
        cosines[np.arange(len(part)), [row_of[word] for word in part]] = -np.inf
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        for word, rows, scores in zip(part, nearest, np.take_along_axis(cosines, nearest, 1), strict=True):
            weights = np.exp((scores - scores.max()) / _SOFTMAX_WIDTH)
            found[word] = (tuple(vocabulary[row] for row in rows), np.cumsum(weights / weights.sum()))
    return Neighbours(found)


@dataclass(frozen=True)
class Source:
    """What texts are made from.

    Attributes:
        words: of each text, split at blanks.
        pool: all words of all texts, with repeats: a draw from it follows their use.
        neighbours: of the words.
        mask_token: what a masked word becomes; None switches masking off.
    """

    words: tuple[tuple[str, ...], ...]
    pool: tuple[str, ...]
    neighbours: Neighbours
    mask_token: str | None


def words_of(texts: Iterable[str]) -> list[str]:
    """Return the different words of texts as written and in lower case, without the punctuation around them, sorted."""
    found = {core for text in texts for word in text.split() if (core := _parts(word)[1])}
    return sorted(found | {word.lower() for word in found})


def make_transfer_texts(
    texts: Sequence[str], neighbours: Neighbours, kinds: TransferSet, *, mask_token: str | None, seed: int
) -> list[str]:
    """Make unlabelled texts out of others.

    Args:
        texts: the training texts, and the user's unlabelled ones.
        neighbours: of their words.
        kinds: how many, and how much of which kind.
        mask_token: what a masked word becomes; None switches masking off.
        seed: of every choice.

    Returns:
        distinct texts, none of them among `texts`.
    """
    words = tuple(tuple(text.split()) for text in texts)
    source = Source(words, tuple(word for row in words for word in row), neighbours, mask_token)
    seen = set(texts) | {" ".join(row) for row in words}
    made: list[str] = []
    words_made = 0
    for copy in range(kinds.copies):
        rng = np.random.default_rng([seed, copy])
        for index in rng.permutation(len(words)):
            if len(made) >= kinds.rows or words_made >= kinds.words:
                return made
            varied = _vary(words[index], source, kinds, rng)
            candidate = " ".join(varied)
            if candidate and candidate not in seen:
                seen.add(candidate)
                made.append(candidate)
                words_made += len(varied)
    return made


def _vary(row: Sequence[str], source: Source, kinds: TransferSet, rng: np.random.Generator) -> list[str]:
    """One variation: mix two texts or keep an n-gram, then replace, mask and drop words."""
    result = _change_words(_recompose(row, source, kinds, rng), source, kinds, rng)
    if source.mask_token and len(result) > _LONGEST_SPAN and rng.random() < kinds.spans:
        length = int(rng.integers(2, _LONGEST_SPAN + 1))
        start = int(rng.integers(0, len(result) - length + 1))
        result[start : start + length] = [source.mask_token] * length
    if rng.random() < kinds.dropping and len(result) > 2:
        result = [word for word, keep in zip(result, rng.random(len(result)) >= _DROP_RATE, strict=True) if keep]
    return result


def _recompose(row: Sequence[str], source: Source, kinds: TransferSet, rng: np.random.Generator) -> list[str]:
    """Tang et al. 2019, section 4: the second half of another text, or an n-gram, or the text as it is."""
    chance = rng.random()
    if chance < kinds.mixing:
        other = source.words[int(rng.integers(len(source.words)))]
        return [*row[: max(1, len(row) // 2)], *other[len(other) // 2 :]]
    if chance < kinds.mixing + kinds.ngrams and len(row) > 2:
        length = int(rng.integers(2, min(_LONGEST_NGRAM, len(row)) + 1))
        start = int(rng.integers(0, len(row) - length + 1))
        return list(row[start : start + length])
    return list(row)


def _change_words(row: list[str], source: Source, kinds: TransferSet, rng: np.random.Generator) -> list[str]:
    """Replace by neighbours (TinyBERT, algorithm 1), mask, or exchange for any word, each at its rate."""
    rate = kinds.neighbours * _RATE_FACTORS[rng.integers(len(_RATE_FACTORS))]
    draws, picks = rng.random(len(row)), rng.random(len(row))
    result = list(row)
    for place, word in enumerate(row):
        if draws[place] < rate:
            result[place] = _neighbour(word, picks[place], source.neighbours)
        elif draws[place] < rate + kinds.masking:
            result[place] = source.mask_token or word
        elif draws[place] < rate + kinds.masking + kinds.exchanging:
            result[place] = source.pool[int(picks[place] * len(source.pool))]
    return result


def _neighbour(word: str, pick: float, neighbours: Neighbours) -> str:
    """Return a neighbour of a word, in the punctuation that touched it; the word itself where it has none."""
    before, core, after = _parts(word)
    found = neighbours.words.get(core) or neighbours.words.get(core.lower())
    if found is None:
        return word
    choices, cumulative = found
    return before + choices[min(int(np.searchsorted(cumulative, pick)), len(choices) - 1)] + after


def _parts(word: str) -> tuple[str, str, str]:
    """Split a word into the punctuation before it, the word, and the punctuation after it."""
    before, core, after = _CORE.fullmatch(word).groups()  # type: ignore[union-attr] # the pattern matches every string
    return before, core, after
