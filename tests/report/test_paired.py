"""Ratios and tests against figures computed elsewhere."""

import math

import numpy as np
import pytest

from edgedistill.report.paired import accuracy_ratio, retention_difference, two_proportion_p

Z = 1.959964


def rows(both, only_reference, only_candidate, neither):
    """Which rows the reference and the candidate have right, of so many of each kind."""
    counts = (both, only_reference, only_candidate, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def test_accuracy_ratio_when_another_library_knows_the_table_then_agrees():
    # Cavo et al. 2012, as R's contingencytables 3 prints it: BonettPrice_hybrid_Wilson_score_CI_paired_2x2(cavo_2012)
    found = accuracy_ratio(*rows(59, 16, 6, 80))
    assert (round(found.value, 4), round(found.low, 4), round(found.high, 4)) == (0.8667, 0.7579, 0.9910)


def test_accuracy_ratio_when_few_rows_are_all_right_then_still_has_a_width():
    # A = sqrt(2) / 3, B = 1 / sqrt(12) twice: z*^2 = (2 / 3) z^2, and Wilson's limits of 2 / 2 are 2 / (2 + z*^2) and 1
    found = accuracy_ratio([1, 1], [1, 1])
    low = 2 / (2 + 2 / 3 * Z**2)
    assert (found.value, found.low, found.high) == (1, pytest.approx(low), pytest.approx(1 / low))


def test_accuracy_ratio_when_the_candidate_is_never_right_then_says_how_much_that_may_be():
    # A = sqrt(12 / 11), B = sqrt(11 / 12) and 1 / sqrt(132), which add up to A: z* = z; z^2 / (10 + z^2) over 10 / (10 + z^2)
    found = accuracy_ratio(np.ones(10, bool), np.zeros(10, bool))
    assert (found.value, found.low, found.high) == (0, 0, pytest.approx(Z**2 / 10))


def test_accuracy_ratio_when_the_reference_is_never_right_then_all_that_the_rows_can_show():
    found = accuracy_ratio(np.zeros(4, bool), np.ones(4, bool))
    assert (found.value, found.low, found.high) == (0, 0, 4)


def test_accuracy_ratio_when_rows_are_thousands_then_as_the_wald_interval_and_a_bootstrap():
    counts = np.array([2700, 70, 45, 185])
    found = accuracy_ratio(*rows(*counts))
    half = Z * math.sqrt(115 / (2770 * 2745))
    wald = [2745 / 2770 * math.exp(sign * half) for sign in (-1, 1)]
    draws = np.random.default_rng(1).multinomial(3000, counts / 3000, 20_000)
    drawn = np.percentile((draws[:, 0] + draws[:, 2]) / (draws[:, 0] + draws[:, 1]), [2.5, 97.5])
    assert [found.low, found.high] == pytest.approx(wald, abs=1e-4)
    assert [found.low, found.high] == pytest.approx(drawn, abs=5e-4)


def test_two_proportion_p_when_compared_with_a_chi_square_test_agrees():
    from scipy.stats import chi2_contingency

    expected = chi2_contingency([[180, 20], [165, 35]], correction=False).pvalue
    assert two_proportion_p(180, 200, 165, 200) == pytest.approx(expected)


def test_two_proportion_p_when_both_are_always_right_is_one():
    assert two_proportion_p(50, 50, 60, 60) == 1


def test_retention_difference_when_bootstrapped_agrees():
    random = np.random.default_rng(3)
    hard = random.random(3000)
    right = [hard + 0.2 * random.standard_normal(3000) < level for level in (0.9, 0.8, 0.9, 0.83)]
    found = retention_difference(reference_teacher=right[0], reference_student=right[1], teacher=right[2],
                                        student=right[3])
    draws = random.integers(0, 3000, (2000, 3000))
    means = [values[draws].mean(axis=1) for values in right]
    low, high = np.percentile(means[3] / means[2] - means[1] / means[0], [2.5, 97.5])
    assert found.value == pytest.approx(right[3].mean() / right[2].mean() - right[1].mean() / right[0].mean())
    assert (found.low, found.high) == (pytest.approx(low, abs=2e-3), pytest.approx(high, abs=2e-3))


def test_retention_difference_when_few_rows_are_all_right_then_still_has_a_width():
    # two rows are added to two; (s1 - t1) - (s0 - t0) of the added has variance 4 x 1/4, and three of four rows are right
    yes = np.ones(2, bool)
    found = retention_difference(reference_teacher=yes, reference_student=yes, teacher=yes, student=yes)
    assert (found.value, found.low, found.high) == (0, pytest.approx(-Z * math.sqrt(2) / 3), pytest.approx(Z * math.sqrt(2) / 3))


def test_retention_difference_when_a_teacher_is_never_right_is_unknown():
    no, yes = np.zeros(4, bool), np.ones(4, bool)
    assert retention_difference(reference_teacher=no, reference_student=yes, teacher=yes, student=yes) is None
