"""The transfer set: unlabelled texts made from the training texts, for the teacher to label.

Word replacement by neighbours in the teacher's own embedding space (TinyBERT, Jiao et al. 2020, algorithm 1, with the
teacher's input embeddings in place of GloVe), masking, n-gram sampling and mixing of two texts (Tang et al. 2019,
section 4). No download, no labels needed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 12
_SOFTMAX_WIDTH = 0.08
_SPLICE_SHARE, _NGRAM_SHARE, _DROP_SHARE = 0.2, 0.2, 0.1
_REPLACE_RATES = (0.1, 0.2, 0.35)
_MASK_RATE, _RANDOM_RATE, _DROP_RATE = 0.04, 0.04, 0.1
_LONGEST_NGRAM = 7


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


def make_transfer_texts(
    texts: Sequence[str], neighbours: Neighbours, *, rows: int, copies: int, mask_token: str | None, seed: int
) -> list[str]:
    """Make unlabelled texts out of labelled ones.

    Args:
        texts: the training texts.
        neighbours: of their words.
        rows: texts to make at most.
        copies: texts made per training text at most.
        mask_token: what a masked word becomes; None switches masking off.
        seed: of every choice.

    Returns:
        distinct texts, none of them a training text.
    """
    words = [text.split() for text in texts]
    everything = [word for row in words for word in row]
    seen = set(texts) | {" ".join(row) for row in words}
    made: list[str] = []
    for copy in range(copies):
        rng = np.random.default_rng([seed, copy])
        for index in rng.permutation(len(words)):
            if len(made) >= rows:
                return made
            candidate = " ".join(_vary(words[index], words, everything, neighbours, mask_token, rng))
            if candidate and candidate not in seen:
                seen.add(candidate)
                made.append(candidate)
    return made


def _vary(  # noqa: PLR0913 - private, and every argument is a different kind of thing
    row: Sequence[str],
    words: Sequence[Sequence[str]],
    everything: Sequence[str],
    neighbours: Neighbours,
    mask_token: str | None,
    rng: np.random.Generator,
) -> list[str]:
    """One variation: mix two texts or keep an n-gram, then replace, mask and drop words."""
    result = list(row)
    chance = rng.random()
    if chance < _SPLICE_SHARE:
        other = words[int(rng.integers(len(words)))]
        result = result[: max(1, len(result) // 2)] + list(other[len(other) // 2 :])
    elif chance < _SPLICE_SHARE + _NGRAM_SHARE and len(result) > 2:
        length = int(rng.integers(2, min(_LONGEST_NGRAM, len(result)) + 1))
        start = int(rng.integers(0, len(result) - length + 1))
        result = result[start : start + length]
    rate = _REPLACE_RATES[rng.integers(len(_REPLACE_RATES))]
    draws, picks = rng.random(len(result)), rng.random(len(result))
    for place, word in enumerate(result):
        if draws[place] < rate:
            result[place] = _neighbour(word, picks[place], neighbours)
        elif draws[place] < rate + _MASK_RATE and mask_token:
            result[place] = mask_token
        elif draws[place] < rate + _MASK_RATE + _RANDOM_RATE:
            result[place] = everything[int(picks[place] * len(everything))]
    if rng.random() < _DROP_SHARE and len(result) > 2:
        result = [word for word, keep in zip(result, rng.random(len(result)) >= _DROP_RATE, strict=True) if keep]
    return result


def _neighbour(word: str, pick: float, neighbours: Neighbours) -> str:
    found = neighbours.words.get(word) or neighbours.words.get(word.lower())
    if found is None:
        return word
    choices, cumulative = found
    return choices[min(int(np.searchsorted(cumulative, pick)), len(choices) - 1)]
