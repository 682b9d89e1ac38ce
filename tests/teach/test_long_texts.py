"""Texts that are longer than the teacher reads: how many, where reading ends, and what to type."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgedistill.tasks.text_classification.encoding import TextEncoder
from edgedistill.tasks.text_classification.unread import Unread
from edgedistill.teach.long_texts import (
    cut_by_student_decision,
    cut_decision,
    ends_of_reading,
    estimated_lengths,
    sampled_rows,
    tokens_that_hold,
    unread_decision,
    whole_lengths,
)

FITS, LONG = "turn the lamp on", " ".join(["please turn the lamps on"] * 5)  # 30 pieces: lamps is two


@pytest.fixture
def encoder(model_folder: Callable[[str], Path]) -> TextEncoder:
    return TextEncoder.load(model_folder("bert"))  # cuts after 16


def test_whole_lengths_when_the_tokenizer_cuts_then_counts_to_the_end_and_it_still_cuts(encoder: TextEncoder) -> None:
    assert whole_lengths(encoder.tokenizer, [FITS, LONG, ""]).tolist() == [6, 32, 2]
    assert encoder.encode([LONG]).lengths.tolist() == [16]


def test_estimated_lengths_when_there_is_no_tokenizer_then_1_4_a_word_and_1_a_chinese_character() -> None:
    assert estimated_lengths(["one two three four five", "", "我今天"]).tolist() == [9, 2, 3 + 1 + 2]


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (2000, 2000), (2001, 1001), (100_000, 2000)])
def test_sampled_rows_when_there_are_many_then_at_most_2000_evenly_spaced(count: int, rows: int) -> None:
    found = sampled_rows(count)
    assert len(found) == rows
    assert set(np.diff(found)) <= {-(-count // 2000)}


@pytest.mark.parametrize(("lengths", "most", "tokens"), [
    ([60] * 95 + [500] * 5, 512, 64), ([60] * 94 + [100] * 6, 512, 128), ([200] * 100, 512, 256), ([900] * 100, 512, 512),
    ([200] * 100, 130, 130), ([30] * 100, 40, 40),
])
def test_tokens_that_hold_when_95_percent_fit_then_the_smallest_size(lengths: list[int], most: int, tokens: int) -> None:
    assert tokens_that_hold(np.array(lengths), most=most) == tokens


@pytest.mark.parametrize(("lengths", "what", "why"), [
    ([64] * 991 + [65] * 9, None, None),
    ([64] * 690 + [200] * 310, "31% of the training texts are longer than 64 tokens", "256 would hold 100% .*max_tokens=256"),
    ([64] * 985 + [900] * 15, "2% of", "128 would hold 98% .*max_tokens=128"),
    ([900] * 1000, "100% of", "512 would hold 0% .*max_tokens=512"),
])
def test_cut_decision_when_one_percent_is_cut_then_says_so_and_what_to_type(
    lengths: list[int], what: str | None, why: str | None
) -> None:
    told = cut_decision(np.array(lengths), max_tokens=64, most=512)
    if what is None or why is None:
        assert told is None
        return
    assert told is not None
    assert told.what.startswith(what)
    assert re.search(why, told.why)


def test_cut_by_student_decision_when_the_teacher_reads_whole_what_the_student_cuts_then_says_so_and_what_to_type() -> None:
    student, teacher = np.array([60] * 95 + [100] * 3 + [300] * 2), np.array([50] * 98 + [200] * 2)
    told = cut_by_student_decision(student, teacher, max_tokens=64, most=512)
    assert told is not None
    assert told.what.startswith("the student cuts 3% of the training texts after 64 tokens")  # the teacher cuts the last two itself
    assert "--set teacher.max_tokens=128" in told.why
    told = cut_by_student_decision(student, teacher, max_tokens=64, most=64)
    assert told is not None
    assert "--set" not in told.why
    assert cut_by_student_decision(np.array([60] * 995 + [65] * 5), np.full(1000, 50), max_tokens=64, most=512) is None


def test_cut_decision_when_the_teacher_reads_no_more_then_nothing_to_type() -> None:
    told = cut_decision(np.array([900]), max_tokens=128, most=128)
    assert told is not None
    assert "--set" not in told.why
    assert "no more than 128" in told.why


@pytest.mark.parametrize(("tokens", "texts", "is_told"), [(0.009, 0.09, False), (0.01, 0.02, True), (0.002, 0.1, True)])
def test_unread_decision_when_much_is_not_read_then_says_how_much(tokens: float, texts: float, is_told: bool) -> None:
    told = unread_decision(Unread(tokens, texts))
    assert bool(told) is is_told
    assert all(f"cannot read {tokens:.1%} of the tokens" in decision.what for decision in told)


def test_ends_of_reading_when_a_text_is_cut_then_behind_its_last_token_read(encoder: TextEncoder) -> None:
    # [CLS], 14 pieces, [SEP]: twice "please turn the lamp ##s on" and "please turn"
    ends = ends_of_reading(encoder, [FITS, LONG, FITS])
    assert {number: LONG[:end] for number, end in ends.items()} == {1: "please turn the lamps on please turn the lamps on please turn"}


def test_ends_of_reading_when_little_is_cut_or_a_text_just_fits_then_none(encoder: TextEncoder) -> None:
    just = " ".join(["lamp"] * 14)
    assert ends_of_reading(encoder, [LONG, *[FITS] * 1000]) == {}
    assert list(ends_of_reading(encoder, [LONG, *[just] * 99])) == [0]
    assert ends_of_reading(encoder, []) == {}


def test_ends_of_reading_when_few_texts_hold_much_that_is_not_read_then_theirs(encoder: TextEncoder) -> None:
    texts = ["turn the lamp on " * 500, *[FITS] * 1000]
    assert ends_of_reading(encoder, texts) == {0: len("turn the lamp on " * 3 + "turn the")}
