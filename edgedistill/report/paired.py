"""Statistics beyond those of `evaluate`: a ratio of paired accuracies, and a test of unpaired ones.

Both take the examples of a split as independent draws from what the model will meet.
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


def two_proportion_p(right_a: int, n_a: int, right_b: int, n_b: int) -> float:
    """Return the two-sided p value of the pooled z test for right_a / n_a = right_b / n_b; both n >= 1."""
    pooled = (right_a + right_b) / (n_a + n_b)
    variance = pooled * (1 - pooled) * (1 / n_a + 1 / n_b)
    if variance == 0:
        return 1.0
    return float(2 * stats.norm.sf(abs(right_a / n_a - right_b / n_b) / math.sqrt(variance)))
