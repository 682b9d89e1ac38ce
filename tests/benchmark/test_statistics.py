"""Statistics against hand computation, published tables, numpy and scipy."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy import stats

from edgedistill.benchmark.statistics import (
    compare,
    is_noisy,
    is_separable,
    median_absolute_deviation,
    median_interval,
    noise_warnings,
    percentile,
    percentile_interval,
    process_medians,
    round_spread,
    speed_ratio,
    summarize,
    undecided_warnings,
)
from edgedistill.errors import UsageError


def _rounds(*medians: float) -> list[list[float]]:
    """Rounds of three runs with the given medians."""
    return [[m * 0.99, m, m * 1.01] for m in medians]


def test_percentile_when_between_two_runs_is_linear():
    assert percentile([1.0, 2.0, 3.0, 4.0, 5.0], 90) == pytest.approx(4.6)  # 4 + 0.6 * (5 - 4)
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == pytest.approx(2.5)


def test_mad_when_computed_equals_scipy_and_the_textbook():
    samples = [1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]
    assert median_absolute_deviation(samples) == 1.0
    assert median_absolute_deviation(samples) == stats.median_abs_deviation(samples)


@pytest.mark.parametrize(
    ("n", "low", "high"), [(6, 1, 6), (9, 2, 8), (10, 2, 9), (20, 6, 15), (25, 8, 18), (100, 40, 61)]
)
def test_median_interval_when_n_is_in_the_table_has_its_ranks(n, low, high):
    """Ranks of the 95 % interval of a median as tables for the sign test give them."""
    interval = median_interval([float(rank) for rank in range(n, 0, -1)])
    assert (interval.low, interval.high) == (low, high)
    assert interval.value == (n + 1) / 2


def test_median_interval_when_there_are_few_runs_is_their_range():
    interval = median_interval([3.0, 1.0, 2.0])
    assert (interval.low, interval.value, interval.high) == (1.0, 2.0, 3.0)


def test_median_interval_when_drawn_often_covers_the_true_median():
    random = np.random.default_rng(0)
    intervals = [median_interval(random.exponential(size=40).tolist()) for _ in range(400)]
    covered = np.mean([i.low <= np.log(2) <= i.high for i in intervals])
    assert 0.93 <= covered <= 0.99


@pytest.mark.parametrize("percent", [50, 90, 99])
@pytest.mark.parametrize("n", [400, 1001])
def test_percentile_interval_when_its_ranks_are_counted_out_then_each_tail_is_the_largest_below_a_fortieth(n, percent):
    """The ranks are x_(r) and x_(s) of 1, 2, ... n; the chances are sums of whole numbers, with no library."""
    low, high = map(int, percentile_interval([float(rank) for rank in range(1, n + 1)], percent))

    def chance(below: int) -> Fraction:
        """The chance that fewer than `below` of n runs lie at or below the true percentile."""
        return Fraction(sum(comb(n, k) * percent**k * (100 - percent) ** (n - k) for k in range(below)), 100**n)

    tail = Fraction(1, 40)
    assert chance(low) <= tail < chance(low + 1)
    assert 1 - chance(high) <= tail < 1 - chance(high - 1)


@pytest.mark.parametrize(("percent", "runs"), [(50, 6), (90, 36), (99, 368)])
def test_percentile_interval_when_the_runs_are_too_few_then_there_is_none(percent, runs):
    """The largest of n runs lies above the percentile with 1 - p**n: 0.99**368 = 0.0248, 0.99**367 = 0.02502."""
    assert percentile_interval([float(i) for i in range(runs - 1)], percent) is None
    assert percentile_interval([float(i) for i in range(runs)], percent) is not None


@pytest.mark.parametrize(("percent", "n"), [(90, 60), (99, 500)])
def test_percentile_interval_when_drawn_often_covers_the_true_percentile(percent, n):
    random = np.random.default_rng(percent)
    true = -np.log(1 - percent / 100)  # of the exponential distribution
    intervals = [percentile_interval(random.exponential(size=n).tolist(), percent) for _ in range(600)]
    covered = np.mean([low <= true <= high for low, high in intervals])
    assert 0.93 <= covered <= 0.99


def test_summarize_when_there_are_many_runs_then_has_intervals_of_the_tail_else_none():
    many = summarize([[float(i) for i in range(200)], [float(i) for i in range(200, 500)]])
    assert many.p90_interval_s[0] < many.p90_s < many.p90_interval_s[1]
    assert many.p99_interval_s[0] < many.p99_s < many.p99_interval_s[1]
    few = summarize([[float(i) for i in range(20)], [float(i) for i in range(30)]])
    assert few.p90_interval_s is not None
    assert few.p99_interval_s is None


def test_summarize_when_rounds_are_given_pools_them():
    summary = summarize([[1.0, 2.0], [3.0, 4.0, 5.0]])
    assert (summary.n, summary.p50_s, summary.mad_s) == (5, 3.0, 1.0)
    assert summary.p90_s == pytest.approx(4.6)
    assert summary.p99_s == pytest.approx(4.96)


def test_speed_ratio_when_two_rounds_are_given_equals_the_hand_computation():
    # ratios 2 and 4: mean of ln = ln sqrt(8); sd = ln 2 / sqrt 2; t(0.975, 1) = 12.7062; half = 12.7062 * ln 2 / 2
    ratio = speed_ratio(_rounds(2.0, 4.0), _rounds(1.0, 1.0))
    assert ratio.value == pytest.approx(8**0.5)
    assert ratio.low == pytest.approx(8**0.5 / np.exp(4.4036), rel=1e-4)
    assert ratio.high == pytest.approx(8**0.5 * np.exp(4.4036), rel=1e-4)


def test_speed_ratio_when_five_rounds_are_given_equals_scipy():
    slow, fast = [5.2, 5.1, 5.6, 5.3, 5.2], [0.45, 0.46, 0.44, 0.45, 0.47]
    expected = stats.ttest_1samp(np.log(np.divide(slow, fast)), 0).confidence_interval(0.95)
    ratio = speed_ratio(_rounds(*slow), _rounds(*fast))
    assert (ratio.low, ratio.high) == pytest.approx((np.exp(expected.low), np.exp(expected.high)))


def test_by_process_when_the_rounds_of_a_process_differ_then_takes_their_geometric_mean():
    found = process_medians([_rounds(1.0, 4.0), _rounds(3.0, 3.0)])
    assert found == (pytest.approx((2.0,)), pytest.approx((3.0,)))


def test_speed_ratio_when_both_are_slowed_together_does_not_change():
    slow, fast = _rounds(5.0, 10.0, 5.0), _rounds(1.0, 2.0, 1.0)
    ratio = speed_ratio(slow, fast)
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx((5.0, 5.0, 5.0))


@pytest.mark.parametrize(("one", "other"), [(_rounds(1, 1), _rounds(1, 1, 1)), (_rounds(1), _rounds(1))])
def test_speed_ratio_when_rounds_cannot_be_paired_raises(one, other):
    with pytest.raises(UsageError, match="cannot be paired"):
        speed_ratio(one, other)


@pytest.mark.parametrize(
    ("reference", "candidate", "verdict"),
    [
        (_rounds(2.0, 2.1, 1.9, 2.0), _rounds(1.0, 1.0, 1.0, 1.0), "faster"),
        (_rounds(1.0, 1.0, 1.0, 1.0), _rounds(2.0, 2.1, 1.9, 2.0), "slower"),
        (_rounds(1.0, 1.01, 0.99, 1.0), _rounds(1.0, 1.0, 1.0, 1.0), "same"),
        (_rounds(1.03, 1.03, 1.03, 1.03), _rounds(1.0, 1.0, 1.0, 1.0), "same"),  # sure, but too small to claim
        (_rounds(1.0, 3.0, 0.7, 1.4), _rounds(1.0, 1.0, 1.0, 1.0), "undecided"),
    ],
)
def test_compare_when_rounds_are_given_says_what_may_be_said(reference, candidate, verdict):
    assert compare(reference, candidate).verdict == verdict
    assert is_separable(reference, candidate) == is_separable(candidate, reference) == (verdict in ("faster", "slower"))


def test_is_separable_when_a_tenth_is_planted_finds_it_and_invents_none():
    """Rounds with 1 % noise: twenty identical pairs, twenty with a 10 % slow-down."""
    random = np.random.default_rng(1)
    draw = lambda scale: _rounds(*(scale * np.exp(random.normal(0, 0.01, 5))))  # noqa: E731
    assert not any(is_separable(draw(1.0), draw(1.0)) for _ in range(20))
    assert all(is_separable(draw(1.0), draw(1.1)) for _ in range(20))


def test_noise_when_the_machine_is_quiet_is_not_reported():
    rounds = _rounds(1.0, 1.02, 0.98)
    assert round_spread(rounds) == pytest.approx(0.04)
    assert not is_noisy(rounds)
    assert noise_warnings(rounds) == ()


def test_noise_when_a_round_is_slower_is_reported_with_advice():
    (warning,) = noise_warnings(_rounds(1.0, 1.0, 1.25))
    assert "25% apart (limit 10%)" in warning
    assert "governor" in warning
    assert is_noisy(_rounds(1.0, 1.0, 1.25))


def test_noise_when_the_tail_is_long_is_reported():
    rounds = [[1.0] * 8 + [5.0, 5.0]] * 3
    (warning,) = noise_warnings(rounds)
    assert "p90 is 5.0 times p50 (limit 2.0)" in warning


def test_undecided_when_noise_hides_a_difference_warns_both_and_no_other():
    rounds = {
        "teacher": _rounds(50.0, 50.0, 50.0, 50.0),
        "student": _rounds(1.0, 3.0, 0.7, 1.4),
        "student_onnx": _rounds(1.0, 1.0, 1.0, 1.0),
    }
    warnings = undecided_warnings(rounds)
    assert warnings["teacher"] == ()
    assert warnings["student"] == warnings["student_onnx"]
    assert "cannot tell student_onnx from student" in warnings["student"][0]
