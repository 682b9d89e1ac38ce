"""A student's own WordPiece tokenizer reads as its teacher does: capitals, accents, tones and vowel signs stay where they were."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from edgedistill.distill import work
from edgedistill.distill.own_tokenizer import OwnTokenizer, reading_for, train_wordpiece, unknown_share
from edgedistill.examples import read_examples, write_examples
from edgedistill.package.bert_rules import bert_problem
from edgedistill.tasks.text_classification.encoding import TextEncoder


def teacher(normalizer: Any = None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    return tokenizer


def trained(texts: list[str], *, size: int = 200, normalizer: Any = None) -> tuple[OwnTokenizer, Tokenizer]:
    made = train_wordpiece(texts, teacher(normalizer), mask="<mask>", size=size, max_tokens=64)
    return made, Tokenizer.from_str(made.json)


@pytest.mark.parametrize(("normalizer", "lowers", "strips"), [
    (None, False, False),
    (normalizers.NFKC(), False, False),
    (normalizers.ByteLevel(), False, False),
    (normalizers.Lowercase(), True, False),
    (normalizers.BertNormalizer(), True, True),
    (normalizers.BertNormalizer(lowercase=True, strip_accents=False), True, False),
    (normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]), False, True),
    (normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Lowercase()]), True, False),
])
def test_reading_does_to_capitals_and_accents_what_the_teacher_does(normalizer: Any, lowers: bool, strips: bool) -> None:
    found = reading_for(teacher(normalizer), {"Café": 3})
    assert (found.lowers, found.strips_accents, found.splits_runs) == (lowers, strips, False)


@pytest.mark.parametrize(("one", "other"), [
    ("bạn", "bán"), ("cà", "cá"),  # Vietnamese: friend, shot; tomato, fish
    ("की", "का"),  # Hindi: of, in two genders
    ("ไม่", "ไม้"),  # Thai: not, wood
    ("Polish", "polish"),
])
def test_own_tokenizer_of_a_cased_teacher_tells_words_apart_by_case_and_marks(one: str, other: str) -> None:
    _, student = trained([one, other, one])
    ids = [student.encode(word).ids[1:-1] for word in (one, other)]
    assert ids[0] != ids[1]
    assert 1 not in ids[0] + ids[1]


def test_own_tokenizer_of_a_lower_casing_teacher_that_strips_accents_does_too() -> None:
    made, student = trained(["Café café"], normalizer=normalizers.BertNormalizer())
    assert student.encode("CAFÉ").ids == student.encode("cafe").ids
    assert "makes capitals small and strips accents" in made.note


def test_own_tokenizer_of_korean_reads_letters_so_that_an_unseen_syllable_is_known() -> None:
    made, student = trained(["각나 나각"])  # letters: g, a, final g, n
    assert 1 not in student.encode("나가").ids  # the syllable ga stands in neither word
    assert "strips accents" in made.note


def test_own_tokenizer_of_long_runs_without_spaces_splits_them_and_says_so() -> None:
    run = "ฉันไม่ชอบหนังเรื่องนี้เลย" * 12
    assert len(run) > 250
    made, student = trained([run, f"ok {run} ok"])
    assert 1 not in student.encode(f"{run}ok{run}").ids
    assert "split" in made.note
    assert bert_problem(made.json) == "its pre-tokenizer is Sequence, not BERT's BertPreTokenizer"


def test_own_tokenizer_of_short_runs_is_one_that_the_graph_can_hold() -> None:
    made, _ = trained(["ฉันไม่ชอบหนัง", "Tôi không thích", "मुझे पसंद"])
    assert bert_problem(made.json) is None
    assert json.loads(made.json)["model"]["max_input_chars_per_word"] == 100


def test_own_tokenizer_of_more_characters_than_its_size_keeps_the_size_and_the_most_used() -> None:
    characters = [chr(0x4E00 + i) for i in range(100)]
    texts = ["".join(characters), "".join(characters[40:]), "".join(characters[90:])]
    made, student = trained(texts, size=30)
    assert len(made.tokens) == 30
    assert set(characters[90:]) <= set(made.tokens)
    assert student.encode(characters[95] + characters[0] + characters[91]).ids.count(1) == 1  # one character, not the run


def test_unknown_share_counts_tokens_without_the_frame() -> None:
    _, student = trained(["a b c"])
    assert unknown_share(TextEncoder(student, 0), [["a b", "z c"], []]) == pytest.approx(1 / 4)
    assert unknown_share(TextEncoder(student, 0), []) == 0.0


def test_own_tokenizer_counts_words_once_whatever_the_order() -> None:
    texts = ["Bàn bạn", "bán Bàn", "hug hugs"]
    assert trained(texts)[0] == trained(texts[::-1])[0]
    assert reading_for(teacher(), Counter()).splits_runs is False


def test_warn_of_cut_when_the_students_tokens_are_smaller_then_it_cuts_what_its_teacher_reads(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "lamp": 2}, unk_token="[UNK]"))  # noqa: S106 - no secret
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.enable_truncation(16)
    texts = ["lamp " * 10, "lamp"]
    letters = Tokenizer.from_str(train_wordpiece(texts, words, mask=None, size=9, max_tokens=16).json)
    write_examples(tmp_path / "train.arrow", ["a", "b"], texts, [0, 1])
    table = read_examples(tmp_path / "train.arrow")
    told = work._warn_of_cut(TextEncoder(letters, 0), TextEncoder(words, 1), table, most=512)
    assert [decision.what.startswith("the student cuts 50% of the training texts") for decision in told] == [True]
    assert "--set teacher.max_tokens=64" in caplog.text
    assert work._warn_of_cut(TextEncoder(words, 1), TextEncoder(words, 1), table, most=512) == ()
