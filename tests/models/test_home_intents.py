"""The built-in data: counts, no near-duplicate across splits, no template, no stray characters."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

DATA = Path(__file__).parents[2] / "models" / "home-intents" / "data"
SPLITS = ("train", "validation", "test")
LEAST_ROWS = {"train": 70, "validation": 15, "test": 25}
WORD_OVERLAP, TRIGRAM_OVERLAP = 0.6, 0.7
PAIRS = [("train", "validation"), ("train", "test"), ("validation", "test")]


def read(split: str) -> list[tuple[str, str]]:
    header, *lines = (DATA / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
    assert header == "label\ttext"
    return [tuple(line.split("\t")) for line in lines]  # type: ignore[misc]


def bare(text: str) -> str:
    """Case folded, punctuation stripped."""
    return " ".join(re.sub(r"[^\w\s]", "", text.casefold()).split())


def words(text: str) -> set[str]:
    return set(bare(text).split())


def trigrams(text: str) -> set[str]:
    letters = bare(text)
    return {letters[i : i + 3] for i in range(max(1, len(letters) - 2))}


def overlaps(first: list[str], second: list[str], parts: Callable[[str], set[str]]) -> np.ndarray:
    """Jaccard overlap of every text of one list with every text of the other; shape (first, second)."""
    count = CountVectorizer(analyzer=lambda text: sorted(parts(text)), binary=True).fit(first + second)
    a, b = count.transform(first).astype(np.int32), count.transform(second).astype(np.int32)
    shared = (a @ b.T).toarray()
    return shared / (a.sum(axis=1) + b.sum(axis=1).T - shared)


def test_overlaps_when_texts_are_known_then_jaccard() -> None:
    assert np.asarray(overlaps(["turn the lamp on"], ["Turn the lamp off!"], words)).item() == pytest.approx(3 / 5)
    assert np.asarray(overlaps(["abcd"], ["bcde"], trigrams)).item() == pytest.approx(1 / 3)


@pytest.mark.parametrize("split", SPLITS)
def test_split_when_counted_then_every_label_has_its_least_rows(split: str) -> None:
    counts = Counter(label for label, _ in read(split))
    assert len(counts) >= 27
    assert "out_of_scope" in counts
    assert min(counts.values()) >= LEAST_ROWS[split]


def test_labels_when_splits_are_compared_then_the_same() -> None:
    labels = [{label for label, _ in read(split)} for split in SPLITS]
    assert labels[0] == labels[1] == labels[2]


@pytest.mark.parametrize(("one", "other"), PAIRS)
@pytest.mark.parametrize(("parts", "limit"), [(words, WORD_OVERLAP), (trigrams, TRIGRAM_OVERLAP)])
def test_splits_when_compared_then_no_near_duplicate_stands_in_two(
    one: str, other: str, parts: Callable[[str], set[str]], limit: float
) -> None:
    first, second = ([text for _, text in read(split)] for split in (one, other))
    found = np.argwhere(np.asarray(overlaps(first, second, parts)) >= limit)
    assert [(first[i], second[j]) for i, j in found] == []


def test_texts_when_read_then_none_stands_twice() -> None:
    counts = Counter(bare(text) for split in SPLITS for _, text in read(split))
    assert [text for text, count in counts.items() if count > 1] == []


def test_texts_when_one_word_is_blanked_then_no_two_of_a_label_are_alike() -> None:
    """Four words or more that differ in one position only would be a template with a slot."""
    patterns: Counter[tuple[str, int, tuple[str, ...]]] = Counter()
    for split in SPLITS:
        for label, text in read(split):
            spoken = bare(text).split()
            if len(spoken) >= 4:
                patterns.update((label, i, (*spoken[:i], "_", *spoken[i + 1 :])) for i in range(len(spoken)))
    assert [pattern for pattern, count in patterns.items() if count > 1] == []


@pytest.mark.parametrize("split", SPLITS)
def test_texts_when_read_then_spelled_as_a_recogniser_spells(split: str) -> None:
    odd = [text for _, text in read(split) if not re.fullmatch(r"[a-z0-9'][a-z0-9 ,.'-]*", text) or "  " in text]
    assert odd == []


def test_commas_when_counted_by_label_then_they_do_not_give_the_label_away() -> None:
    rows = [row for split in SPLITS for row in read(split)]
    commas = Counter(label for label, text in rows if "," in text)
    totals = Counter(label for label, _ in rows)
    assert all(0.1 <= commas[label] / totals[label] <= 0.65 for label in totals)
