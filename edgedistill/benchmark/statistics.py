"""Views on raw timings: percentiles, spread, intervals, and whether two variants can be told apart. Pure functions.

A measurement is a sequence of rounds, each a sequence of seconds. Nothing here is stored; the raw samples are.

    percentile      linear between order statistics (Hyndman and Fan 1996, type 7: numpy's default)
    spread          MAD = median |x - median|; not scaled to a standard deviation
    interval        of a percentile p, from order statistics: [x_(r), x_(s)], binomial(n, p / 100), no distribution assumed
    ratio           r_i = median(reference_i) / median(candidate_i) per round i;
                    exp(mean(ln r) +- t_(0.975, R-1) * sd(ln r) / sqrt(R)), a paired t interval over R rounds
    faster, slower  the ratio's interval excludes 1 and the ratio is beyond SEPARABLE_RATIO
    same            else, if the interval lies within SAME_RATIO of 1 on both sides
    undecided       else: the noise of this machine is larger than the difference
    noisy           (max - min) / median of the round medians > ROUND_SPREAD_LIMIT, or p90 / p50 > TAIL_LIMIT

Runs of one round resemble each other, so the round, not the run, is the unit of the ratio's interval. Rounds of one process
resemble each other too, by where the loader put it in memory: of several processes a model, each is one round
(`process_medians`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from edgedistill.errors import UsageError
from edgedistill.results import Interval

Rounds = Sequence[Sequence[float]]
"""Seconds of every timed run, by interleaved round; at least one round, none empty."""

CONFIDENCE = 0.95

SEPARABLE_RATIO = 1.05
"""A smaller ratio is never called a difference: where the loader puts a process in memory costs or gains a few percent,
stays the same for the life of that process, and therefore looks like a real difference to any test over its runs.

Reference: Mytkowicz, Diwan, Hauswirth and Sweeney 2009, "Producing wrong data without doing anything obviously wrong!".
"""

SAME_RATIO = 1.10
"""Two variants whose ratio's whole interval lies in [1 / 1.10, 1.10] take the same time for every purpose here."""

ROUND_SPREAD_LIMIT = 0.10
"""How far the medians of the rounds may lie apart, relative to their median."""

TAIL_LIMIT = 2.0
"""How far p90 may lie above p50. The same work on an undisturbed core differs by percents, not by a factor."""

_ADVICE = (
    "close other programs, plug in the charger, fix the CPU's governor to 'performance', and run the benchmark again"
)

Verdict = Literal["faster", "slower", "same", "undecided"]


@dataclass(frozen=True)
class LatencySummary:
    """What a report says of one variant; seconds, over all rounds together.

    Attributes:
        n: runs.
        p50_s: half of them were at most this slow.
        p90_s: nine tenths of them.
        p99_s: 99 hundredths of them.
        mad_s: median absolute deviation.
        median_s: the median with its 95 % interval.
        p90_interval_s: 95 % interval (low, high); None where the runs are too few for one: below 36.
        p99_interval_s: the same; below 368 runs.
    """

    n: int
    p50_s: float
    p90_s: float
    p99_s: float
    mad_s: float
    median_s: Interval
    p90_interval_s: tuple[float, float] | None
    p99_interval_s: tuple[float, float] | None


@dataclass(frozen=True)
class Comparison:
    """How a candidate's speed compares with a reference's.

    Attributes:
        ratio: how many times faster the candidate is, with its 95 % interval; below 1 it is slower.
        verdict: what may be said about it on this machine.
    """

    ratio: Interval
    verdict: Verdict


def pooled(rounds: Rounds) -> list[float]:
    """Return the runs of all rounds in one list, in order."""
    return [sample for samples in rounds for sample in samples]


def percentile(samples: ArrayLike, percent: float) -> float:
    """Return a percentile, linear between the two nearest order statistics.

    Args:
        samples: shape (n,), n >= 1.
        percent: 0 to 100.
    """
    return float(np.percentile(np.asarray(samples, dtype=np.float64), percent))


def median_absolute_deviation(samples: ArrayLike) -> float:
    """Return median(|x - median(x)|), in the unit of the samples; shape (n,), n >= 1. Half the runs lie nearer."""
    values = np.asarray(samples, dtype=np.float64)
    return float(np.median(np.abs(values - np.median(values))))


def percentile_interval(samples: Sequence[float], percent: float) -> tuple[float, float] | None:
    """Return an interval that covers the true percentile with at least 95 %, or None where the runs are too few for one.

    With B = Binomial(n, percent / 100) the interval is [x_(r), x_(s)]: r the least rank with P(B <= r) >= 0.025, so that
    P(B < r) < 0.025, and s - 1 the least with P(B <= s - 1) >= 0.975. Far from the middle it takes many runs before x_(r)
    and x_(s) exist: 6 for the median, 36 for p90, 368 for p99. It takes the runs as independent: it tells how well *this session*
    knows its percentile, not what another day would give.

    Args:
        samples: shape (n,), n >= 1.
        percent: above 0, below 100.

    Reference: Conover 1999, "Practical nonparametric statistics", section 3.2.
    """
    ordered = np.sort(np.asarray(samples, dtype=np.float64))
    tail = (1 - CONFIDENCE) / 2
    low, high = (int(rank) for rank in stats.binom.ppf((tail, 1 - tail), len(ordered), percent / 100))
    if low < 1 or high >= len(ordered):
        return None
    return float(ordered[low - 1]), float(ordered[high])


def median_interval(samples: Sequence[float]) -> Interval:
    """Return the median with its `percentile_interval`; below six samples with their whole range, which covers less."""
    low, high = percentile_interval(samples, 50) or (min(samples), max(samples))
    return Interval(value=float(np.median(np.asarray(samples, dtype=np.float64))), low=float(low), high=float(high))


def summarize(rounds: Rounds) -> LatencySummary:
    """Return the figures that a report shows; `rounds` as in `Measurement.rounds_s`."""
    samples = pooled(rounds)
    return LatencySummary(
        n=len(samples),
        p50_s=percentile(samples, 50),
        p90_s=percentile(samples, 90),
        p99_s=percentile(samples, 99),
        mad_s=median_absolute_deviation(samples),
        median_s=median_interval(samples),
        p90_interval_s=percentile_interval(samples, 90),
        p99_interval_s=percentile_interval(samples, 99),
    )


def log_median(rounds: Rounds) -> float:
    """Return the mean over rounds of the logarithm of their median."""
    return float(np.log(_round_medians(rounds)).mean())


def process_medians(processes: Sequence[Rounds]) -> tuple[tuple[float], ...]:
    """Return each of several processes as a round of one run: the geometric mean of the medians of its rounds.

    Args:
        processes: as `Measurement.processes_s`.
    """
    return tuple((math.exp(log_median(rounds)),) for rounds in processes)


def speed_ratio(reference: Rounds, candidate: Rounds) -> Interval:
    """Return how many times faster the candidate is than the reference, paired by round.

    Round i of both was measured at about the same time, so what slowed the machine then cancels in
    r_i = median(reference_i) / median(candidate_i). The value is the geometric mean of the r_i, the interval Student's
    t over their logarithms with R - 1 degrees of freedom.

    Raises:
        UsageError: fewer than two rounds, or not the same number: they do not come from one benchmark.
    """
    if len(reference) != len(candidate) or len(reference) < 2:
        raise UsageError(
            f"{len(reference)} and {len(candidate)} rounds cannot be paired",
            hint="compare variants that were measured by the same `edgedistill benchmark`",
        )
    logs = np.log(_round_medians(reference)) - np.log(_round_medians(candidate))
    middle = float(logs.mean())
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(logs) - 1))
    half = quantile * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return Interval(value=math.exp(middle), low=math.exp(middle - half), high=math.exp(middle + half))


def compare(reference: Rounds, candidate: Rounds) -> Comparison:
    """Return what may be said about a candidate's speed against a reference's; the rules stand above.

    Raises:
        UsageError: the rounds cannot be paired.
    """
    ratio = speed_ratio(reference, candidate)
    verdict: Verdict = "undecided"
    if ratio.low > 1 and ratio.value > SEPARABLE_RATIO:
        verdict = "faster"
    elif ratio.high < 1 and ratio.value < 1 / SEPARABLE_RATIO:
        verdict = "slower"
    elif ratio.low >= 1 / SAME_RATIO and ratio.high <= SAME_RATIO:
        verdict = "same"
    return Comparison(ratio, verdict)


def is_separable(a: Rounds, b: Rounds) -> bool:
    """Is one of the two faster, as far as this machine can tell? Symmetric in its arguments.

    Raises:
        UsageError: the rounds cannot be paired.
    """
    return compare(a, b).verdict in ("faster", "slower")


def round_spread(rounds: Rounds) -> float:
    """Return (max - min) / median of the medians of the rounds; 0 for a machine that did not change."""
    medians = _round_medians(rounds)
    return float((medians.max() - medians.min()) / np.median(medians))


def is_noisy(rounds: Rounds) -> bool:
    """Did the machine disturb the measurement so much that its figures should not be relied on?"""
    return bool(noise_warnings(rounds))


def noise_warnings(rounds: Rounds) -> tuple[str, ...]:
    """Return a sentence for every rule of noise that the rounds break, with what to do about it."""
    samples = pooled(rounds)
    spread = round_spread(rounds)
    tail = percentile(samples, 90) / percentile(samples, 50)
    warnings = []
    if spread > ROUND_SPREAD_LIMIT:
        warnings.append(
            f"the medians of the rounds lie {spread:.0%} apart (limit {ROUND_SPREAD_LIMIT:.0%}): another program took "
            f"the CPU or its clock changed; {_ADVICE}"
        )
    if tail > TAIL_LIMIT:
        warnings.append(
            f"p90 is {tail:.1f} times p50 (limit {TAIL_LIMIT:.1f}): runs were interrupted by other programs; {_ADVICE}"
        )
    return tuple(warnings)


def undecided_warnings(rounds: Mapping[str, Rounds]) -> dict[str, tuple[str, ...]]:
    """Return by variant a sentence for every other variant that the noise of this machine hides the difference to.

    Raises:
        UsageError: the rounds of two variants cannot be paired.
    """
    found: dict[str, list[str]] = {name: [] for name in rounds}
    for reference, candidate in combinations(rounds, 2):
        comparison = compare(rounds[reference], rounds[candidate])
        if comparison.verdict == "undecided":
            ratio = comparison.ratio
            sentence = (
                f"cannot tell {candidate} from {reference} on this machine: {ratio.value:.2f} times as fast, 95 % "
                f"interval {ratio.low:.2f} to {ratio.high:.2f}; {_ADVICE}, or raise benchmark.rounds"
            )
            found[reference].append(sentence)
            found[candidate].append(sentence)
    return {name: tuple(sentences) for name, sentences in found.items()}


def _round_medians(rounds: Rounds) -> NDArray[np.float64]:
    return np.array([np.median(np.asarray(samples, dtype=np.float64)) for samples in rounds])
