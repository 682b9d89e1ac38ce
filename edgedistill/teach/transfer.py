"""The transfer set: unlabelled texts made from the training texts, for the teacher to label.

Word replacement by neighbours in the teacher's own embedding space (TinyBERT, Jiao et al. 2020, algorithm 1, with the
teacher's input embeddings in place of GloVe), masking, n-gram sampling and mixing of two texts (Tang et al. 2019,
section 4). No download, no labels needed. What is called a word here is a unit of `edgedistill.teach.units`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistill.examples import folded
from edgedistill.recipe import TransferSet
from edgedistill.teach.units import Unit, join_units

NEIGHBOURS = 12
_SOFTMAX_WIDTH = 0.08
_RATE_FACTORS = (0.46, 0.92, 1.62)
"""A text's own rate of replaced words is the mean rate times one of these, which average 1: some texts stay close to
their source, some go far."""

_DROP_RATE = 0.1
_LONGEST_NGRAM = 7
_LONGEST_SPAN = 3
_MOST_COSINES = 2**25
"""Held at once, 128 MiB: a multilingual vocabulary has 250,000 words."""

_BEFORE, _UP_TO_THE_LAST_LETTER = re.compile(r"\W*"), re.compile(r".*\w", re.DOTALL)
"""What touches a word and is no letter; each pattern passes over a text once, however long a row of signs in it is."""


@dataclass(frozen=True)
class Neighbours:
    """For each known word, words like it with their cumulative probabilities, shape (k,)."""

    words: Mapping[str, tuple[tuple[str, ...], NDArray[np.float64]]]

    def with_others(self, others: "Neighbours") -> "Neighbours":
        """Return these and others; of a word that is in both, the others'."""
        return Neighbours({**self.words, **others.words})


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
    at_once = max(1, min(1024, _MOST_COSINES // len(vocabulary)))
    for start in range(0, len(known), at_once):
        part = known[start : start + at_once]
        cosines = unit[[row_of[word] for word in part]] @ unit.T
        cosines[np.arange(len(part)), [row_of[word] for word in part]] = -np.inf
        nearest = _largest(cosines, min(k, len(vocabulary)))
        for word, rows, scores in zip(part, nearest, np.take_along_axis(cosines, nearest, 1), strict=True):
            weights = np.exp((scores - scores.max()) / _SOFTMAX_WIDTH)
            found[word] = (tuple(vocabulary[row] for row in rows), np.cumsum(weights / weights.sum()))
    return Neighbours(found)


def _largest(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Return the columns of the k largest scores of each row, shape (rows, k), largest first; of equal ones the first columns."""
    least = np.partition(scores, -k, axis=1)[:, -k]
    found = np.empty((len(scores), k), dtype=np.int64)
    for row, (values, limit) in enumerate(zip(scores, least, strict=True)):
        columns = np.flatnonzero(values >= limit)
        found[row] = columns[np.argsort(-values[columns], kind="stable")[:k]]
    return found


@dataclass(frozen=True)
class Source:
    """What texts are made from.

    Attributes:
        words: of each text; see `edgedistill.teach.units`.
        pool: all words of all texts, with repeats: a draw from it follows their use.
        neighbours: of the words.
        mask_token: what a masked word becomes; None switches masking off.
    """

    words: Sequence[Sequence[Unit]]
    pool: tuple[str, ...]
    neighbours: Neighbours
    mask_token: str | None


def words_of(rows: Iterable[Sequence[Unit]]) -> list[str]:
    """Return the different words of texts as written and in lower case, without the punctuation around them, sorted."""
    texts = {unit.text for row in rows for unit in row}
    found = {core for text in texts if (core := _parts(text)[1])}
    return sorted(found | {word.lower() for word in found})


def share_with_neighbours(rows: Iterable[Sequence[Unit]], neighbours: Neighbours) -> float:
    """Return the share of the words of texts, as often as these use them, that have neighbours; 1 of none."""
    uses = Counter(unit.text for row in rows for unit in row)
    return sum(n for word, n in uses.items() if _found(word, neighbours)) / uses.total() if uses else 1.0


def make_transfer_texts(
    words: Sequence[Sequence[Unit]], neighbours: Neighbours, kinds: TransferSet, *, mask_token: str | None, seed: int,
    without: Iterable[str] = (),
) -> list[str]:
    """Make unlabelled texts out of others.

    Args:
        words: of the training texts, and of the user's unlabelled ones; see `edgedistill.teach.units`.
        neighbours: of these words.
        kinds: how many, and how much of which kind.
        mask_token: what a masked word becomes; None switches masking off.
        seed: of every choice.
        without: texts that none is to equal but for capitals and the width of blanks.

    Returns:
        distinct texts, none of them one of those that they are made from.
    """
    source = Source(words, tuple(unit.text for row in words for unit in row), neighbours, mask_token)
    seen, barred = {join_units(row) for row in words}, {folded(text) for text in without}
    made: list[str] = []
    words_made = 0
    for copy in range(kinds.copies):
        rng = np.random.default_rng([seed, copy])
        for index in rng.permutation(len(words)):
            if len(made) >= kinds.rows or words_made >= kinds.words:
                return made
            varied = _vary(words[index], source, kinds, rng)
            candidate = join_units(varied)
            if candidate and candidate not in seen and folded(candidate) not in barred:
                seen.add(candidate)
                made.append(candidate)
                words_made += len(varied)
    return made


def _vary(row: Sequence[Unit], source: Source, kinds: TransferSet, rng: np.random.Generator) -> list[Unit]:
    """One variation: mix two texts or keep an n-gram, then replace, mask and drop words."""
    result = _change_words(_recompose(row, source, kinds, rng), source, kinds, rng)
    if source.mask_token and len(result) > _LONGEST_SPAN and rng.random() < kinds.spans:
        length = int(rng.integers(2, _LONGEST_SPAN + 1))
        start = int(rng.integers(0, len(result) - length + 1))
        for place in range(start, start + length):
            result[place] = Unit(source.mask_token, result[place].is_joined)
    if rng.random() < kinds.dropping and len(result) > 2:
        result = _drop(result, rng.random(len(result)) >= _DROP_RATE)
    return result


def _drop(row: Sequence[Unit], is_kept: NDArray[np.bool_]) -> list[Unit]:
    """Leave words out; what did not touch before touches nothing new."""
    result: list[Unit] = []
    is_joined = True
    for unit, keep in zip(row, is_kept, strict=True):
        is_joined = is_joined and unit.is_joined
        if keep:
            result.append(Unit(unit.text, is_joined))
            is_joined = True
    return result


def _recompose(row: Sequence[Unit], source: Source, kinds: TransferSet, rng: np.random.Generator) -> list[Unit]:
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


def _change_words(row: list[Unit], source: Source, kinds: TransferSet, rng: np.random.Generator) -> list[Unit]:
    """Replace by neighbours (TinyBERT, algorithm 1), mask, or exchange for any word, each at its rate."""
    rate = kinds.neighbours * _RATE_FACTORS[rng.integers(len(_RATE_FACTORS))]
    draws, picks = rng.random(len(row)), rng.random(len(row))
    result = list(row)
    for place, (word, is_joined) in enumerate(row):
        if draws[place] < rate:
            result[place] = Unit(_neighbour(word, picks[place], source.neighbours), is_joined)
        elif draws[place] < rate + kinds.masking:
            result[place] = Unit(source.mask_token or word, is_joined)
        elif draws[place] < rate + kinds.masking + kinds.exchanging:
            result[place] = Unit(source.pool[int(picks[place] * len(source.pool))], is_joined)
    return result


def _neighbour(word: str, pick: float, neighbours: Neighbours) -> str:
    """Return a neighbour of a word, in the punctuation that touched it; the word itself where it has none."""
    found = _found(word, neighbours)
    if found is None:
        return word
    before, (choices, cumulative), after = found
    return before + choices[min(int(np.searchsorted(cumulative, pick)), len(choices) - 1)] + after


def _found(
    word: str, neighbours: Neighbours
) -> tuple[str, tuple[tuple[str, ...], NDArray[np.float64]], str] | None:
    """Return the neighbours of a word between the punctuation that touches it, None where it has none."""
    before, core, after = ("", word, "") if word in neighbours.words else _parts(word)
    found = neighbours.words.get(core) or neighbours.words.get(core.lower())
    return None if found is None else (before, found, after)


def _parts(word: str) -> tuple[str, str, str]:
    """Split a word into the punctuation before it, the word, and the punctuation after it."""
    begins = len(_BEFORE.match(word).group())  # type: ignore[union-attr] # the pattern matches every string
    last = _UP_TO_THE_LAST_LETTER.match(word)
    ends = begins if last is None else last.end()
    before, core, after = word[:begins], word[begins:ends], word[ends:]
    marks = 0
    while core and marks < len(after) and unicodedata.category(after[marks]).startswith("M"):
        marks += 1  # vowel signs and accents are no letters to `re`
    return before, core + after[:marks], after[marks:]
