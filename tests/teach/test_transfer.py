"""The transfer set: made by the seed, distinct, none of it a training text."""

import hashlib
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from edgedistill.recipe import TransferSet
from edgedistill.teach.transfer import Neighbours, find_neighbours, make_transfer_texts, share_with_neighbours, words_of
from edgedistill.teach.units import Unit, UnitSplitter, split_at_spaces

WORDS = tuple("lamp light bulb song tune radio rain snow the a".split())
VECTORS = np.random.default_rng(0).normal(size=(len(WORDS), 6)).astype(np.float32)


@pytest.fixture(scope="module")
def texts(rows: Callable[..., Any]) -> list[str]:
    return rows(80, seed=3)[0]


@pytest.fixture(scope="module")
def neighbours(texts: list[str]) -> Neighbours:
    wanted = sorted({word for text in texts for word in text.split()})
    return find_neighbours(wanted, wanted, np.random.default_rng(1).normal(size=(len(wanted), 8)).astype(np.float32))


def make(texts: list[str], neighbours: Neighbours, /, **changes: Any) -> list[str]:
    others = {"mask_token": "[MASK]", "seed": 5} | {name: changes.pop(name) for name in ("mask_token", "seed", "without") if name in changes}
    words = [split_at_spaces(text) for text in texts]
    return make_transfer_texts(words, neighbours, TransferSet(**({"rows": 300, "copies": 6} | changes)), **others)


def only(**kinds: float) -> dict[str, float]:
    """One kind of variation and no other."""
    return dict.fromkeys(("mixing", "ngrams", "neighbours", "masking", "spans", "exchanging", "dropping"), 0.0) | kinds


def test_find_neighbours_never_gives_the_word_itself() -> None:
    found = find_neighbours(WORDS, WORDS, VECTORS, k=4)
    assert set(found.words) == set(WORDS)
    for word, (near, cumulative) in found.words.items():
        assert word not in near
        assert len(set(near)) == len(near) == len(cumulative) == 4


def test_find_neighbours_in_a_vocabulary_smaller_than_k_never_gives_the_word_itself() -> None:
    found = find_neighbours(["lamp"], ("lamp", "light", "bulb"), VECTORS[:3], k=12)
    near, cumulative = found.words["lamp"]
    likely = [word for word, share in zip(near, np.diff(cumulative, prepend=0.0), strict=True) if share > 0]
    assert sorted(likely) == ["bulb", "light"]


def test_find_neighbours_takes_the_first_of_equal_words_however_many_are_looked_at_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.tile(np.vstack([np.eye(3), -np.eye(3)]), (10, 1)).astype(np.float32)  # exact: the mean is 0, cosines are 1, 0, -1
    words = tuple(f"w{i}" for i in range(60))
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    wanted = {w: tuple(words[i] for i in np.argsort(-cosines[row], kind="stable")[:12]) for row, w in enumerate(words)}
    for most in (60 * 60, 7 * 60, 1):
        monkeypatch.setattr(sys.modules[find_neighbours.__module__], "_MOST_COSINES", most)
        assert {word: near for word, (near, _) in find_neighbours(words, words, vectors, k=12).words.items()} == wanted, most


def test_find_neighbours_orders_by_the_cosine_of_centred_vectors_and_weighs_by_its_softmax() -> None:
    # around their mean (10, 10) the vectors point to 0, 60, 90 and 210 degrees
    angles = np.radians([0.0, 60.0, 90.0, 210.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    vectors = (vectors - vectors.mean(axis=0) + 10).astype(np.float32)
    centred = vectors - vectors.mean(axis=0)
    cosines = centred[1:] @ centred[0] / np.linalg.norm(centred[1:], axis=1) / np.linalg.norm(centred[0])
    powers = np.exp(np.sort(cosines)[::-1] / 0.08)
    near, cumulative = find_neighbours(["w"], ("w", "x", "y", "z"), vectors, k=3).words["w"]
    assert list(near) == [("x", "y", "z")[i] for i in np.argsort(-cosines)]
    np.testing.assert_allclose(cumulative, np.cumsum(powers / powers.sum()), rtol=1e-4)
    assert cumulative[-1] == pytest.approx(1.0)


def test_find_neighbours_leaves_out_words_without_a_vector() -> None:
    assert set(find_neighbours(["lamp", "kitchen"], WORDS, VECTORS).words) == {"lamp"}


def test_find_neighbours_without_any_vector_finds_none() -> None:
    assert not find_neighbours(["lamp"], (), np.zeros((0, 6), np.float32)).words


def test_make_transfer_texts_is_the_same_for_the_same_seed(texts: list[str], neighbours: Neighbours) -> None:
    assert make(texts, neighbours) == make(texts, neighbours)
    assert make(texts, neighbours) != make(texts, neighbours, seed=6)


def test_make_transfer_texts_holds_no_training_text_and_none_twice(texts: list[str], neighbours: Neighbours) -> None:
    made = make(texts, neighbours, rows=10_000, copies=20)
    assert len(made) > 800
    assert len(set(made)) == len(made)
    assert not set(made) & set(texts)
    assert all(made)


def test_make_transfer_texts_holds_no_training_text_in_other_spacing(neighbours: Neighbours) -> None:
    spaced = ["the  lamp", " song\tplease", "rain "]
    made = make(spaced, Neighbours({}), rows=1000, copies=100, mask_token=None)
    assert made
    assert not set(made) & {"the lamp", "song please", "rain"}


def test_make_transfer_texts_holds_no_text_that_is_to_be_left_out_whatever_its_capitals_and_blanks(
    texts: list[str], neighbours: Neighbours
) -> None:
    free = make(texts, neighbours)
    barred = [f" {text.upper()}  " for text in free[10:20]]
    made = make(texts, neighbours, without=barred)
    assert not {text.lower() for text in made} & {text.lower() for text in free[10:20]}
    assert made[:290] == [text for text in free if text not in free[10:20]]
    assert len(made) == len(free) == 300


@pytest.mark.parametrize("limit", [0, 1, 50])
def test_make_transfer_texts_stops_at_the_rows(texts: list[str], neighbours: Neighbours, limit: int) -> None:
    assert len(make(texts, neighbours, rows=limit)) == limit
    assert make(texts, neighbours, rows=limit) == make(texts, neighbours)[:limit]


def test_make_transfer_texts_stops_once_so_many_words_are_made(texts: list[str], neighbours: Neighbours) -> None:
    free, bound = make(texts, neighbours, rows=500), make(texts, neighbours, rows=500, words=40)
    assert bound == free[: len(bound)]
    words = [len(text.split()) for text in bound]
    assert sum(words[:-1]) < 40 <= sum(words)


@pytest.mark.parametrize("copies", [1, 3])
def test_make_transfer_texts_makes_at_most_so_many_copies_a_text(
    texts: list[str], neighbours: Neighbours, copies: int
) -> None:
    made = make(texts, neighbours, rows=10_000, copies=copies)
    assert 0.6 * copies * len(texts) < len(made) <= copies * len(texts)


def test_make_transfer_texts_from_one_text_makes_at_most_so_many_copies() -> None:
    neighbours = find_neighbours(WORDS, WORDS, VECTORS)
    assert 0 < len(make(["the lamp song rain a light"], neighbours, copies=4)) <= 4


def test_make_transfer_texts_without_a_mask_token_masks_nothing(texts: list[str], neighbours: Neighbours) -> None:
    known = {word for text in texts for word in text.split()}
    without = " ".join(make(texts, neighbours, mask_token=None)).split()
    assert set(without) <= known
    assert "None" not in without
    assert " ".join(make(texts, neighbours)).count("[MASK]") > 10


def test_make_transfer_texts_replaces_a_word_in_capitals_by_a_neighbour_of_its_small_letters() -> None:
    neighbours = find_neighbours(["lamp"], WORDS, VECTORS)
    made = make(["Lamp Lamp Lamp Lamp"], neighbours, rows=1000, copies=60, mask_token=None)
    assert {word for text in made for word in text.split()} & set(neighbours.words["lamp"][0])


def test_make_transfer_texts_varies_within_the_words_of_the_texts_and_their_neighbours(
    texts: list[str], neighbours: Neighbours
) -> None:
    allowed = {word for text in texts for word in text.split()} | {"[MASK]"}
    assert set(re.findall(r"\S+", " ".join(make(texts, neighbours)))) <= allowed


def test_make_transfer_texts_by_neighbours_alone_keeps_places_and_punctuation() -> None:
    neighbours = find_neighbours(["lamp", "song"], WORDS, VECTORS)
    near = {word: set(neighbours.words[word][0]) | {word} for word in ("lamp", "song")}
    made = make(["(lamp), song!"], neighbours, rows=50, copies=60, **only(neighbours=0.6))
    assert len(made) > 3
    for text in made:
        first, second = re.fullmatch(r"\((\w+)\), (\w+)!", text).groups()
        assert first in near["lamp"]
        assert second in near["song"]


def test_make_transfer_texts_by_ngrams_alone_keeps_two_to_seven_words_in_a_row() -> None:
    text = "one two three four five six seven eight nine"
    made = make([text], Neighbours({}), rows=100, copies=100, **only(ngrams=1.0))
    assert {len(m.split()) for m in made} == {2, 3, 4, 5, 6, 7}
    assert all(m in text for m in made)


def test_make_transfer_texts_by_mixing_alone_joins_a_first_and_a_second_half() -> None:
    made = make(["a b c d", "e f g h"], Neighbours({}), rows=100, copies=30, **only(mixing=1.0))
    assert set(made) == {"a b g h", "e f c d"}


def test_make_transfer_texts_by_spans_alone_masks_two_or_three_words_in_a_row() -> None:
    made = make(["one two three four five six"], Neighbours({}), rows=100, copies=60, **only(spans=1.0))
    assert {m.count("[MASK]") for m in made} == {2, 3}
    assert all(re.search(r"\[MASK\]( \[MASK\])+", m) for m in made)


def test_make_transfer_texts_by_masking_alone_masks_single_words_at_its_rate() -> None:
    texts = [" ".join(f"w{row}x{i}" for i in range(20)) for row in range(50)]
    words = " ".join(make(texts, Neighbours({}), rows=50, copies=2, **only(masking=0.3))).split()
    assert words.count("[MASK]") / len(words) == pytest.approx(0.3, abs=0.06)


def test_make_transfer_texts_with_every_kind_off_makes_none(texts: list[str], neighbours: Neighbours) -> None:
    assert make(texts, neighbours, **only()) == []


@pytest.mark.parametrize(("written", "word"), [
    ("«हिन्दी»,", "हिन्दी"), ("की।", "की"), ("(cafe\u0301)!", "cafe\u0301"), ("ไม้!", "ไม้"), ("lamp\u2764\ufe0f", "lamp"), ("--\u0301", ""),
])
def test_words_of_keeps_the_marks_that_follow_a_letter(written: str, word: str) -> None:
    assert words_of([split_at_spaces(written)]) == ([word] if word else [])


def test_words_of_a_row_of_signs_however_long_takes_no_time_that_grows_with_its_square() -> None:
    assert words_of([split_at_spaces(f"a{'=' * 100_000}b")]) == [f"a{'=' * 100_000}b"]  # minutes, were each sign tried as an end


def test_make_transfer_texts_replaces_a_word_that_ends_in_a_vowel_sign_within_its_punctuation() -> None:
    neighbours = Neighbours({"की": (("हिन्दी",), np.array([1.0]))})
    made = make(["«की» x"], neighbours, rows=9, copies=9, mask_token=None, **only(neighbours=0.6))
    assert made == ["«हिन्दी» x"]


def test_share_with_neighbours_counts_words_by_their_use() -> None:
    neighbours = Neighbours({"lamp": (("light",), np.array([1.0]))})
    rows = [split_at_spaces("Lamp, lamp the"), split_at_spaces("the (lamp)")]
    assert share_with_neighbours(rows, neighbours) == pytest.approx(3 / 5)
    assert share_with_neighbours([], neighbours) == 1.0


def test_words_of_gives_words_without_punctuation_as_written_and_in_lower_case() -> None:
    assert words_of([split_at_spaces("Don't stop, (Lamp)!"), split_at_spaces("-- a")]) == ["Don't", "Lamp", "a", "don't", "lamp", "stop"]


@pytest.mark.parametrize(
    ("kinds", "count", "sha256"),
    [({"rows": 300, "copies": 6}, 300, "448a073c9ee52c92de3283c638dd9fcb3e4f07e0ef9d246e2cc77b871b4ab9a5"),
     ({"rows": 2000, "copies": 20, "words": 3000, "spans": 0.5, "dropping": 0.5}, 645,
      "1e9398939a84bb0162510a99848c292cf6371dcacf826346ff0ad9c57283ed23")],
)
def test_make_transfer_texts_of_words_between_spaces_are_those_of_every_version_so_far(
    texts: list[str], wordpiece_json: str, kinds: dict[str, Any], count: int, sha256: str
) -> None:
    more = [*texts, "(Lamp), song!  please\tturn it off", "Don't stop -- the radio...", " rain ", "한국어 문장 하나 더",
            "naïve café, déjà vu", "Привет, мир и песня"]
    splitter = UnitSplitter.of(Tokenizer.from_str(wordpiece_json))
    words = [splitter.split(text) for text in more]
    wanted = words_of(words)
    neighbours = find_neighbours(wanted, wanted, np.random.default_rng(1).normal(size=(len(wanted), 8)).astype(np.float32))
    made = make_transfer_texts(words, neighbours, TransferSet(**kinds), mask_token="[MASK]", seed=5)
    assert len(made) == count
    assert hashlib.sha256("\n".join(made).encode()).hexdigest() == sha256


CHINESE = tuple("我今天很高兴因为天气好你明去公园看书听音乐吃饭")


@pytest.fixture(scope="module")
def chinese() -> list[tuple[Unit, ...]]:
    """30 texts of 12 characters without a space."""
    random = np.random.default_rng(2)
    return [tuple(Unit(CHINESE[i], place > 0) for place, i in enumerate(random.integers(0, len(CHINESE), 12))) for _ in range(30)]


@pytest.fixture(scope="module")
def near_chinese() -> Neighbours:
    words = sorted(set(CHINESE))
    return find_neighbours(words, words, np.random.default_rng(3).normal(size=(len(words), 8)).astype(np.float32))


def test_make_transfer_texts_of_a_script_without_spaces_puts_none_in_and_makes_as_many_as_of_others(
    chinese: list[tuple[Unit, ...]], near_chinese: Neighbours
) -> None:
    made = make_transfer_texts(chinese, near_chinese, TransferSet(rows=10_000, copies=20), mask_token="[MASK]", seed=1)
    assert len(made) > 0.9 * 20 * len(chinese)
    assert not [text for text in made if " " in text]
    lengths = [len(text.replace("[MASK]", "M")) for text in made]
    assert min(lengths) == 2  # an n-gram
    assert max(lengths) == 12  # never two whole texts glued together


@pytest.mark.parametrize("kind", ["neighbours", "masking", "exchanging", "ngrams", "mixing", "dropping"])
def test_make_transfer_texts_of_a_script_without_spaces_knows_every_kind(
    chinese: list[tuple[Unit, ...]], near_chinese: Neighbours, kind: str
) -> None:
    kinds = TransferSet(rows=500, copies=20, **only(**{kind: 0.5}))
    made = make_transfer_texts(chinese, near_chinese, kinds, mask_token="[MASK]", seed=1)
    assert len(made) >= len(chinese)
    assert not [text for text in made if " " in text]


def test_make_transfer_texts_by_dropping_glues_no_word_that_stood_apart() -> None:
    words = [Unit("turn"), Unit("on"), Unit("天"), Unit("气", True), Unit("song"), Unit("now")]
    made = make_transfer_texts([words], Neighbours({}), TransferSet(rows=60, copies=100, **only(dropping=1.0)), mask_token=None, seed=1)
    assert "turn on 气 song now" in made
    assert not [text for text in made if re.search("[a-z]气|气[a-z]|天[a-z]", text)]


def test_make_transfer_texts_replaces_a_unit_with_marks_as_a_whole() -> None:
    neighbours = Neighbours({"ที่": (("นี้",), np.ones(1)), "ท": (("x",), np.ones(1))})
    made = make_transfer_texts([[Unit("ที่")]], neighbours, TransferSet(rows=9, **only(neighbours=0.6)), mask_token=None, seed=1)
    assert made == ["นี้"]


def test_neighbours_with_others_takes_the_others_of_a_word_in_both() -> None:
    mine, theirs = (("x",), np.ones(1)), (("y",), np.ones(1))
    both = Neighbours({"a": mine, "b": mine}).with_others(Neighbours({"b": theirs}))
    assert both.words["a"][0] == ("x",)
    assert both.words["b"][0] == ("y",)


def test_transfer_set_with_more_than_all_words_changed_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 1 together"):
        TransferSet(neighbours=0.7, masking=0.4)
