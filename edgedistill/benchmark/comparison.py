"""Two models over many pairs of fresh processes: which is faster, by how much, and when that cannot be told. Pure functions.

Where the loader puts a process in memory costs or gains a few percent for the life of that process, and a machine's
state (heat, neighbours) moves slowly. So the unit here is neither the run nor the round but the *pair*: one fresh process
of each model, timed in turn, A B B A, who begins drawn anew each time.

    d_i        mean over the rounds of pair i of ln median(reference) - ln median(candidate)
    ratio      exp of the Hodges-Lehmann estimate, the median of all (d_i + d_j) / 2, i <= j
    interval   from the signed-rank distribution, exact, 99 %: [W_(k + 1), W_(M - k)] of the M ordered averages
    faster     the interval lies above 1 and the ratio beyond LEAST_RATIO; slower: the same below
    same       else, if the interval lies within SAME_RATIO of 1
    undecided  else: this machine cannot separate the two; or below FEWEST_PAIRS: nothing can be said

As the order is drawn, the sign of d_i is a fair coin when the models are the same, whatever the tails and however the
machine's state wanders: the test needs no more than that.

Reference: Wilcoxon 1945; Hodges and Lehmann 1963; Hollander and Wolfe 1999, "Nonparametric statistical methods", chapter 3;
the drawn order after Laaber et al. 2019, "Software microbenchmarking in the cloud".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgedistill.benchmark.statistics import log_median
from edgedistill.errors import UsageError
from edgedistill.results import Interval

Pair = Sequence[Sequence[float]]
"""The rounds of one process: seconds of every timed run."""

CONFIDENCE = 0.99
FEWEST_PAIRS = 8
"""With fewer pairs no outcome at all is rarer than 1 in 100: 2 / 2^7 = 0.016."""

LEAST_RATIO = 1.03
"""Smaller differences are not called: they are within what another build or another day of the same model gives."""

SAME_RATIO = 1.10

Verdict = Literal["faster", "slower", "same", "undecided"]


@dataclass(frozen=True)
class PairedComparison:
    """How a candidate's speed compares with a reference's.

    Attributes:
        ratio: how many times faster the candidate is, with its 99 % interval; below 1 it is slower.
        verdict: what may be said on this machine.
        pairs: how many pairs of processes it rests on.
    """

    ratio: Interval
    verdict: Verdict
    pairs: int

    def sentence(self, reference: str, candidate: str) -> str:
        """Say it, with both names."""
        ratio = self.ratio
        found = f"{ratio.value:.3f} times as fast, 99 % interval {ratio.low:.3f} to {ratio.high:.3f}, {self.pairs} pairs"
        if self.pairs < FEWEST_PAIRS:
            few = f"too few pairs of processes to compare {candidate} with {reference}"
            return f"{few}: {found}; at least {FEWEST_PAIRS} are needed"
        if self.verdict == "undecided":
            return f"cannot separate {candidate} from {reference} on this machine: {found}"
        words = {"faster": "is faster than", "slower": "is slower than", "same": "takes the same time as"}[self.verdict]
        return f"{candidate} {words} {reference}: {found}"


def compare_pairs(reference: Sequence[Pair], candidate: Sequence[Pair]) -> PairedComparison:
    """Compare two models by pairs of processes.

    Args:
        reference: by pair, the rounds of its process.
        candidate: the same of the other, with as many pairs.

    Raises:
        UsageError: they cannot be paired.
    """
    if len(reference) != len(candidate) or not reference:
        raise UsageError(f"{len(reference)} and {len(candidate)} processes cannot be paired",
                         hint="compare models that were measured by the same `edgedistill benchmark`")
    differences = np.array([log_median(a) - log_median(b) for a, b in zip(reference, candidate, strict=True)])
    low, middle, high = (math.exp(value) for value in signed_rank_interval(differences))
    ratio = Interval(value=middle, low=low, high=high)
    return PairedComparison(ratio, _verdict(ratio, len(differences)), len(differences))


def signed_rank_interval(differences: NDArray[np.float64], *, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """Return (low, Hodges-Lehmann estimate, high) of the centre of a symmetric distribution.

    Args:
        differences: shape (n,), n >= 1. Where n is too small for the confidence, the interval is all of the averages.
        confidence: 0 to 1.
    """
    first, second = np.triu_indices(len(differences))
    averages = np.sort((differences[first] + differences[second]) / 2)
    place = signed_rank_place(len(differences), (1 - confidence) / 2)
    return float(averages[place]), float(np.median(averages)), float(averages[-1 - place])


def signed_rank_place(n: int, tail: float) -> int:
    """Return the largest k with P(T <= k) <= tail, T the signed-rank statistic of n; 0 where there is none.

    P is exact: of the 2^n ways to sign 1 ... n, those whose positive ranks sum up to each value.
    """
    ways = np.zeros(n * (n + 1) // 2 + 1)
    ways[0] = 1
    for rank in range(1, n + 1):
        ways[rank:] = ways[rank:] + ways[:-rank]
    return max(0, int((np.cumsum(ways / 2.0**n) <= tail).sum()) - 1)


def _verdict(ratio: Interval, pairs: int) -> Verdict:
    if pairs < FEWEST_PAIRS:
        return "undecided"
    if ratio.low > 1 and ratio.value > LEAST_RATIO:
        return "faster"
    if ratio.high < 1 and ratio.value < 1 / LEAST_RATIO:
        return "slower"
    return "same" if ratio.low >= 1 / SAME_RATIO and ratio.high <= SAME_RATIO else "undecided"
