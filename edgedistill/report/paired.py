"""Statistics beyond those of `evaluate`: ratios of paired accuracies, and a test of unpaired ones.

All take the examples of a split as independent draws from what the model will meet.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from edgedistill.results import Interval

Z_95 = float(stats.norm.ppf(0.975))


def accuracy_ratio(reference_right: ArrayLike, candidate_right: ArrayLike) -> Interval:
    """Return accuracy(candidate) / accuracy(reference) on the same examples, with its 95 % interval.

    exp(ln(x_c / x_r) +- z sqrt((b + c) / (x_c x_r))) with x = examples right and b, c = examples that only one of the
    two has right.

    Args:
        reference_right: whether the reference is right, shape (n,).
        candidate_right: the same of the candidate.

    Returns:
        The ratio; 0 with the interval 0 to 0 when one of the two is never right, where nothing can be said.

    Reference: Fagerland, Lydersen and Laake 2014, "Recommended tests and confidence intervals for paired binomial
    proportions", Statistics in Medicine 33, the Wald interval for the ratio.
    """
    reference, candidate = np.asarray(reference_right, dtype=bool), np.asarray(candidate_right, dtype=bool)
    right_r, right_c = int(reference.sum()), int(candidate.sum())
    if right_r == 0 or right_c == 0:
        return Interval(value=0.0, low=0.0, high=0.0)
    value = right_c / right_r
    half = Z_95 * math.sqrt(int((reference != candidate).sum()) / (right_r * right_c))
    return Interval(value=value, low=value * math.exp(-half), high=value * math.exp(half))


def retention_difference(
    *, reference_teacher: ArrayLike, reference_student: ArrayLike, teacher: ArrayLike, student: ArrayLike
) -> Interval | None:
    """Return how much more of its teacher's accuracy a student keeps than a reference does, on the same examples.

    With r = mean(s) / mean(t), an example moves r by (s_i - r t_i) / (n mean(t)); the variance of the difference of two
    retentions is the sum of the squared differences of these moves, which holds what all four have in common.

    Args:
        reference_teacher: whether the reference's teacher is right, shape (n,).
        reference_student: the same of the reference's student.
        teacher: whether the other teacher is right.
        student: the same of its student.

    Returns:
        retention minus the reference's, with its 95 % interval; None when a teacher is never right.

    Reference: Cochran 1977, "Sampling Techniques", chapter 6 (the variance of a ratio of means), for two ratios.
    """
    moves, ratios = [], []
    for t, s in ((reference_teacher, reference_student), (teacher, student)):
        t_right, s_right = np.asarray(t, dtype=float), np.asarray(s, dtype=float)
        if not t_right.any():
            return None
        ratio = float(s_right.mean() / t_right.mean())
        ratios.append(ratio)
        moves.append((s_right - ratio * t_right) / (len(t_right) * t_right.mean()))
    value = ratios[1] - ratios[0]
    half = Z_95 * math.sqrt(float(((moves[1] - moves[0]) ** 2).sum()))
    return Interval(value=value, low=value - half, high=value + half)


def two_proportion_p(right_a: int, n_a: int, right_b: int, n_b: int) -> float:
    """Return the two-sided p value of the pooled z test for right_a / n_a = right_b / n_b; both n >= 1."""
    pooled = (right_a + right_b) / (n_a + n_b)
    variance = pooled * (1 - pooled) * (1 / n_a + 1 / n_b)
    if variance == 0:
        return 1.0
    return float(2 * stats.norm.sf(abs(right_a / n_a - right_b / n_b) / math.sqrt(variance)))
