"""95 % intervals and tests for figures of merit. Pure functions; what is drawn at random is drawn from a seed.

    a share (accuracy, agreement)       Wilson's score interval
    macro-F1, calibration error         percentile bootstrap over the examples
    two accuracies, the same examples   McNemar's exact test; Newcombe's interval (method 10) of their difference

All take the examples of a split as independent draws from what the model will meet. They say how well *this split*
knows the figure, not what another training with another seed would give.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from edgedistill.errors import DataError
from edgedistill.evaluate import metrics
from edgedistill.results import Interval, McNemar

CONFIDENCE = 0.95

RESAMPLES = 1000
"""Each limit is then the 25th figure from its end: with far fewer resamples it would be left to chance."""

_CHUNK_DRAWS = 500_000
"""Examples drawn at once: bounds the memory to some tens of MB whatever n is."""

_Indices = NDArray[np.int64]


def wilson(successes: int, n: int) -> Interval:
    """Return a share with its score interval.

    With z = 1.96 and p = successes / n: (successes + z^2/2 +- z * sqrt(n * p * (1 - p) + z^2/4)) / (n + z^2).

    Args:
        successes: 0 .. n.
        n: trials, at least 1.

    Returns:
        The share and limits within 0 to 1; unlike the textbook interval it has a width at 0 and at 1.

    Raises:
        DataError: n is 0.

    Reference: Wilson 1927; Brown, Cai and DasGupta 2001, "Interval estimation for a binomial proportion", eq. 4.
    """
    if n == 0:
        raise DataError("no examples: a share of nothing has no interval", hint="give a split with at least one row")
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    share = successes / n
    middle = (successes + z * z / 2) / (n + z * z)
    half = z * math.sqrt(n * share * (1 - share) + z * z / 4) / (n + z * z)
    # at 0 and n one limit is the share itself; rounding must not put it on the wrong side
    return Interval(value=share, low=max(0.0, min(share, middle - half)), high=min(1.0, max(share, middle + half)))


def share_interval(is_hit: ArrayLike) -> Interval:
    """Return the share of true values with its Wilson interval; shape (n,), n >= 1.

    Raises:
        DataError: there are no examples.
    """
    hits = np.asarray(is_hit, dtype=bool)
    return wilson(int(hits.sum()), len(hits))


def macro_f1_interval(labels: ArrayLike, predicted: ArrayLike, *, classes: int, seed: int) -> Interval:
    """Return macro-F1 with a percentile bootstrap interval over the examples.

    Each resample is scored over the classes of the split; one that it does not hold keeps its F1 (`mean_f1_of_samples`).

    Args:
        labels: true classes, shape (n,), 0 .. classes - 1.
        predicted: decided classes, shape (n,).
        classes: C.
        seed: the same seed and n give the same resamples, also in `calibration_interval`.

    Raises:
        DataError: there are no examples.

    Reference: Efron and Tibshirani 1993, "An introduction to the bootstrap", section 13.3.
    """
    truth, answers = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    value = metrics.macro_f1(truth, answers, classes=classes)
    # class C collects the examples that were answered wrongly, so that one count serves all three tallies
    right = np.where(truth == answers, truth, classes)

    def tallies(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        return _tally(right, rows, classes + 1)[:, :classes], _tally(truth, rows, classes), _tally(answers, rows, classes)

    table = metrics.confusion(truth, answers, classes=classes)
    split = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    figures = [metrics.mean_f1_of_samples(*tallies(rows), split=split) for rows in resamples(len(truth), seed)]
    return percentile_interval(value, np.concatenate(figures))


def calibration_interval(confidence: ArrayLike, is_right: ArrayLike, *, seed: int) -> Interval:
    """Return the expected calibration error with a percentile bootstrap interval over the examples.

    The error of a resample is biased upwards (noise in a bin counts as miscalibration, and a resample has twice the
    noise), so that for a well calibrated model the plain percentiles can lie above the figure. The interval is then
    widened to hold it; read its upper limit as cautious.

    Args:
        confidence: probability of the decided class, shape (n,), 0 to 1.
        is_right: whether the decision is the label, shape (n,).
        seed: the same seed and n give the same resamples, also in `macro_f1_interval`.

    Raises:
        DataError: there are no examples.

    Reference: Guo et al. 2017, eq. 3; for the bias Kumar, Liang and Ma 2019, "Verified uncertainty calibration".
    """
    value = metrics.calibration_error(confidence, is_right)
    gaps = np.asarray(is_right, dtype=np.float64) - np.asarray(confidence, dtype=np.float64)
    bins = metrics.calibration_bin(confidence)
    figures = [
        np.abs(_sums(bins, gaps, rows, metrics.CALIBRATION_BINS)).sum(axis=1) / len(gaps)
        for rows in resamples(len(gaps), seed)
    ]
    return percentile_interval(value, np.concatenate(figures))


def mcnemar(reference_right: ArrayLike, candidate_right: ArrayLike) -> McNemar:
    """Test whether two models are equally often right, on the same examples.

    Args:
        reference_right: whether the reference is right, shape (n,).
        candidate_right: the same of the candidate.

    Returns:
        The two discordant counts and the two-sided p of the exact test: given their sum, each is Binomial(sum, 1/2)
        when the models are equally good. No discordant example: p = 1.

    Reference: McNemar 1947; the exact binomial form.
    """
    table = _pairs(reference_right, candidate_right)
    discordant = table.only_first + table.only_second
    p_value = float(stats.binomtest(table.only_first, discordant, 0.5).pvalue) if discordant else 1.0
    return McNemar(only_reference_right=table.only_first, only_candidate_right=table.only_second,
                   p_value=min(1.0, p_value))


def paired_difference(first_right: ArrayLike, second_right: ArrayLike) -> Interval:
    """Return accuracy(first) - accuracy(second) on the same examples, with its interval.

    Newcombe's method 10: Wilson limits of both accuracies, joined by "square and add" with the correlation phi of the
    pairs, which is corrected for continuity where it is positive.

    Args:
        first_right: whether the first model is right, shape (n,), n >= 1.
        second_right: the same of the second.

    Returns:
        Value and limits within -1 to 1.

    Raises:
        DataError: there are no examples.

    Reference: Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions based on
    paired data", Statistics in Medicine 17, 2635-2650, method 10.
    """
    table = _pairs(first_right, second_right)
    first = wilson(table.both + table.only_first, table.n)
    second = wilson(table.both + table.only_second, table.n)
    phi, value = table.phi, first.value - second.value
    below = _square_and_add(first.value - first.low, second.high - second.value, phi)
    above = _square_and_add(first.high - first.value, second.value - second.low, phi)
    return Interval(value=value, low=max(-1.0, value - below), high=min(1.0, value + above))


@dataclass(frozen=True)
class _Pairs:
    """Counts of examples by who is right."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def n(self) -> int:
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def phi(self) -> float:
        """Correlation of the two, -1 to 1, shrunk towards 0 when positive; 0 where one of them does not vary."""
        product = self.both * self.neither - self.only_first * self.only_second
        scale = (
            (self.both + self.only_first) * (self.only_second + self.neither)
            * (self.both + self.only_second) * (self.only_first + self.neither)
        )
        if scale == 0:
            return 0.0
        return (max(product - self.n / 2, 0.0) if product > 0 else product) / math.sqrt(scale)


def _pairs(first_right: ArrayLike, second_right: ArrayLike) -> _Pairs:
    first, second = np.asarray(first_right, dtype=bool), np.asarray(second_right, dtype=bool)
    counts = np.bincount(2 * first + second, minlength=4)
    return _Pairs(both=int(counts[3]), only_first=int(counts[2]), only_second=int(counts[1]), neither=int(counts[0]))


def _square_and_add(a: float, b: float, phi: float) -> float:
    return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))


def resamples(n: int, seed: int) -> Iterator[_Indices]:
    """Yield the rows of `RESAMPLES` samples with replacement, in chunks of shape (resamples, n)."""
    random = np.random.default_rng(seed)
    step = max(1, _CHUNK_DRAWS // n)
    for start in range(0, RESAMPLES, step):
        yield random.integers(0, n, size=(min(step, RESAMPLES - start), n), dtype=np.int64)


def _tally(codes: _Indices, rows: _Indices, kinds: int) -> NDArray[np.int64]:
    """Count the codes 0 .. kinds - 1 in every resample, shape (resamples, kinds)."""
    counts = np.bincount(_cells(codes, rows, kinds), minlength=len(rows) * kinds)
    return counts.reshape(len(rows), kinds).astype(np.int64)


def _sums(codes: _Indices, weights: NDArray[np.float64], rows: _Indices, kinds: int) -> NDArray[np.float64]:
    """Sum the weights of each code 0 .. kinds - 1 in every resample, shape (resamples, kinds)."""
    sums = np.bincount(_cells(codes, rows, kinds), weights[rows].ravel(), minlength=len(rows) * kinds)
    return np.asarray(sums.reshape(len(rows), kinds))


def _cells(codes: _Indices, rows: _Indices, kinds: int) -> _Indices:
    """Number the codes on from resample to resample, so that one bincount serves them all."""
    return np.asarray((codes[rows] + np.arange(len(rows))[:, None] * kinds).ravel())


def percentile_interval(value: float, figures: NDArray[np.float64]) -> Interval:
    """Return a figure with the percentiles of what samples gave, widened where need be so that it holds the figure."""
    low, high = np.percentile(figures, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return Interval(value=value, low=min(value, float(low)), high=max(value, float(high)))
