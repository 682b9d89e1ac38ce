"""Retention and gains with their intervals, against figures by hand and known standard errors."""

import math

import numpy as np
import pytest
from row_statistics import draws_of, gain, gain_interval, mean_over_tasks, retention, significant_seeds

from edgedistill.evaluate.intervals import paired_difference


def _bits(*rows: str) -> np.ndarray:
    return np.array([[mark == "1" for mark in row] for row in rows])


def test_retention_then_is_the_mean_over_seeds_of_the_ratios() -> None:
    figure = retention(_bits("11100", "11000"), _bits("11110", "11110"), seed=0)
    assert figure.value == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert figure.interval.low <= figure.value <= figure.interval.high


def test_retention_when_student_answers_as_the_teacher_then_has_no_width() -> None:
    same = _bits("1101110101", "1101110101")
    interval = retention(same, same, seed=0).interval
    assert (interval.low, interval.value, interval.high) == (1.0, 1.0, 1.0)


def test_retention_when_teacher_is_always_right_then_spreads_like_a_share() -> None:
    n = 400
    student = np.arange(n)[None, :] % 5 != 0  # 0.8
    interval = retention(student, np.ones((1, n), bool), seed=0).interval
    error = math.sqrt(0.8 * 0.2 / n)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_retention_when_pairs_agree_then_is_narrower_than_each_model_alone() -> None:
    n = 400
    teacher = np.arange(n)[None, :] % 10 != 0
    student = teacher & (np.arange(n)[None, :] % 50 != 1)
    paired = retention(student, teacher, seed=0).interval
    alone = retention(student, np.ones((1, n), bool), seed=0).interval
    assert paired.high - paired.low < 0.7 * (alone.high - alone.low)


def test_gain_when_seeds_differ_then_is_wider_than_by_rows_alone() -> None:
    good, bad = np.ones(200, bool), np.arange(200) % 2 == 0
    other = np.zeros((2, 200), bool)
    assert gain(np.stack([good, bad]), other, seed=0).value == pytest.approx(0.75)
    spread = gain(np.stack([good, bad]), other, seed=0).interval
    assert spread.low == pytest.approx(0.5, abs=0.05)  # both seeds drawn bad
    assert spread.high == pytest.approx(1.0)  # both drawn good


def test_gain_interval_when_one_seed_then_is_newcombes() -> None:
    first, second = _bits("1111110000"), _bits("1110001000")
    assert gain_interval(first, second, seed=0) == paired_difference(first[0], second[0])


def test_mean_over_tasks_then_averages_and_narrows() -> None:
    n = 300
    student, teacher = np.arange(n)[None, :] % 4 != 0, np.ones((1, n), bool)
    one, two = retention(student, teacher, seed=0), retention(student, teacher, seed=1)
    both = mean_over_tasks([one, two])
    assert both.value == pytest.approx(0.75)
    width = both.interval.high - both.interval.low
    assert width == pytest.approx((one.interval.high - one.interval.low) / math.sqrt(2), rel=0.15)


def test_draws_of_two_tasks_then_are_independent_so_that_their_mean_is_narrower() -> None:
    n = 300
    student, teacher = np.arange(n)[None, :] % 4 != 0, np.ones((1, n), bool)
    one, two = (retention(student, teacher, seed=draws_of(task)) for task in ("trec6", "snips"))
    assert abs(np.corrcoef(one.resamples, two.resamples)[0, 1]) < 0.1
    assert draws_of("trec6") == 3291512115  # crc32: the same in every process, unlike hash()


def test_significant_seeds_then_counts_by_the_exact_test() -> None:
    # six discordant rows on one side: p = 2 / 2^6 = 0.031; five: p = 0.0625
    first = _bits("11111100", "11111000")
    second = _bits("00000000", "00000000")
    assert significant_seeds(first, second) == 1


def test_figures_when_rows_differ_in_number_then_refused() -> None:
    with pytest.raises(ValueError, match="not to the same rows"):
        retention(_bits("11"), _bits("111"), seed=0)
