"""Statistics beyond those of `evaluate`: ratios of paired accuracies, and a test of unpaired ones.

All take the examples of a split as independent draws from what the model will meet.
"""

import math
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from edgedistill.results import Interval

Z_95 = float(stats.norm.ppf(0.975))

_ADDED_ROWS = 2
"""Made-up rows that keep the error of a difference away from 0 where few rows are answered alike; see `retention_difference`."""

_Floats = NDArray[np.float64]


def accuracy_ratio(reference_right: ArrayLike, candidate_right: ArrayLike) -> Interval:
    """Return accuracy(candidate) / accuracy(reference) on the same examples, with its 95 % interval.

    With x = examples right, b, c = examples that only one of the two has right, and m = examples that either has right, the
    limits are low(x_c) / high(x_r) and high(x_c) / low(x_r), where low and high are Wilson's limits of x / m at
    z* = z A / (B_c + B_r); A = sqrt((b + c + 2) / ((x_c + 1) (x_r + 1))) is the standard error of the logarithm of the ratio, and
    B = sqrt((1 - (x + 1) / (m + 2)) / (x + 1)) that of each accuracy's. They keep a width where both have the same rows right,
    and where the candidate has none; with tens of b + c they are those of exp(ln(x_c / x_r) +- z sqrt((b + c) / (x_c x_r))).

    Args:
        reference_right: whether the reference is right, shape (n,).
        candidate_right: the same of the candidate.

    Returns:
        The ratio; where the reference is never right there is none, and it is 0 with the interval 0 to n, all that n examples
        can show.

    Reference: Bonett and Price 2006, "Confidence intervals for a ratio of binomial proportions based on paired data", Statistics
    in Medicine 25, 3039-3047; Fagerland, Lydersen and Laake 2014, "Recommended tests and confidence intervals for paired
    binomial proportions", Statistics in Medicine 33, which recommends it.
    """
    reference, candidate = np.asarray(reference_right, dtype=bool), np.asarray(candidate_right, dtype=bool)
    right_r, right_c = int(reference.sum()), int(candidate.sum())
    if right_r == 0:
        return Interval(value=0.0, low=0.0, high=float(len(reference)))
    either = int((reference | candidate).sum())
    error = math.sqrt((int((reference != candidate).sum()) + 2) / ((right_c + 1) * (right_r + 1)))
    z = Z_95 * error / (_log_error(right_c, either) + _log_error(right_r, either))
    low_r, high_r = _wilson_limits(right_r, either, z)
    low_c, high_c = _wilson_limits(right_c, either, z)
    value = right_c / right_r
    return Interval(value=value, low=min(value, low_c / high_r), high=max(value, high_c / low_r))


def _log_error(right: int, rows: int) -> float:
    """Return the standard error of ln(right / rows), with one row more of each kind."""
    return math.sqrt((1 - (right + 1) / (rows + 2)) / (right + 1))


def _wilson_limits(right: int, rows: int, z: float) -> tuple[float, float]:
    """Return Wilson's limits of right / rows at another z than that of 95 %; 0 and 1 exactly where none or all are right."""
    half = z * math.sqrt(z * z + 4 * right * (1 - right / rows))
    low, high = ((2 * right + z * z + sign * half) / (2 * (rows + z * z)) for sign in (-1, 1))
    return (0.0 if right == 0 else low, 1.0 if right == rows else high)


def retention_difference(
    *, reference_teacher: ArrayLike, reference_student: ArrayLike, teacher: ArrayLike, student: ArrayLike
) -> Interval | None:
    """Return how much more of its teacher's accuracy a student keeps than a reference does, on the same examples.

    With r = mean(s) / mean(t), an example moves r by (s_i - r t_i) / (n mean(t)); the variance of the difference of two
    retentions is the sum of the squared differences of these moves, which holds what all four have in common. Few examples that
    all four answer alike are no proof of no difference: for the variance, two rows are added, spread evenly over the 16 ways in
    which four models can be right, which puts half a row into each of the four cells of every two of them.

    Args:
        reference_teacher: whether the reference's teacher is right, shape (n,).
        reference_student: the same of the reference's student.
        teacher: whether the other teacher is right.
        student: the same of its student.

    Returns:
        retention minus the reference's, with its 95 % interval; None when a teacher is never right.

    Reference: Cochran 1977, "Sampling Techniques", chapter 6 (the variance of a ratio of means), for two ratios; the added rows
    after Agresti and Min 2005, "Simple improved confidence intervals for comparing matched proportions".
    """
    right = np.array([np.asarray(rows, dtype=np.float64) for rows in (reference_teacher, reference_student, teacher, student)])
    if not right[0].any() or not right[2].any():
        return None
    counts = right.sum(axis=1)
    value = float(counts[3] / counts[2] - counts[1] / counts[0])
    ways = np.array(list(product((0.0, 1.0), repeat=len(right)))).T
    weights = np.concatenate([np.ones(right.shape[1]), np.full(ways.shape[1], _ADDED_ROWS / ways.shape[1])])
    rows = np.concatenate([right, ways], axis=1)
    moved = _moves(rows[2], rows[3], weights) - _moves(rows[0], rows[1], weights)
    half = Z_95 * math.sqrt(float((weights * moved**2).sum()))
    return Interval(value=value, low=value - half, high=value + half)


def _moves(teacher: _Floats, student: _Floats, weights: _Floats) -> _Floats:
    """Return by how much each row, with its weight, moves the ratio of the student's right answers to the teacher's."""
    right = float((weights * teacher).sum())
    ratio = float((weights * student).sum()) / right
    return (student - ratio * teacher) / right


def two_proportion_p(right_a: int, n_a: int, right_b: int, n_b: int) -> float:
    """Return the two-sided p value of the pooled z test for right_a / n_a = right_b / n_b; both n >= 1."""
    pooled = (right_a + right_b) / (n_a + n_b)
    variance = pooled * (1 - pooled) * (1 / n_a + 1 / n_b)
    if variance == 0:
        return 1.0
    return float(2 * stats.norm.sf(abs(right_a / n_a - right_b / n_b) / math.sqrt(variance)))
