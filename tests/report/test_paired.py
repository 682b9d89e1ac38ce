"""Ratios and tests against figures computed elsewhere."""

import math

import numpy as np
import pytest

from edgedistill.report.paired import accuracy_ratio, retention_difference, two_proportion_p


def test_accuracy_ratio_when_counted_by_hand_matches_the_formula():
    # 90 both right, 6 only the reference, 2 only the candidate, 2 neither
    reference = np.array([1] * 96 + [0] * 4, dtype=bool)
    candidate = np.array([1] * 90 + [0] * 6 + [1] * 2 + [0] * 2, dtype=bool)
    found = accuracy_ratio(reference, candidate)
    half = 1.959964 * math.sqrt(8 / (96 * 92))
    assert found.value == pytest.approx(92 / 96)
    assert found.low == pytest.approx(92 / 96 * math.exp(-half))
    assert found.high == pytest.approx(92 / 96 * math.exp(half))


def test_accuracy_ratio_when_all_answers_agree_has_no_width():
    right = np.array([1, 1, 0], dtype=bool)
    found = accuracy_ratio(right, right)
    assert (found.low, found.value, found.high) == (1, 1, 1)


def test_accuracy_ratio_when_one_is_never_right_claims_nothing():
    assert accuracy_ratio(np.zeros(4, bool), np.ones(4, bool)).value == 0


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


def test_retention_difference_when_a_teacher_is_never_right_is_unknown():
    no, yes = np.zeros(4, bool), np.ones(4, bool)
    assert retention_difference(reference_teacher=no, reference_student=yes, teacher=yes, student=yes) is None
