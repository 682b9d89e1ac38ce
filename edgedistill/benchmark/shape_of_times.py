"""Do timed runs come from one steady machine? Finds drift over the rounds and several modes in the runs. Pure functions.

    drift   Kendall's tau of the round medians against their order is no chance (p < 0.01), and the Theil-Sen line moves by
            more than DRIFT_LIMIT of the median from the first round to the last. Five rounds have too few orders for that p:
            there the round medians must rise, or fall, all the way, and p is that of the medians of their ten halves
    modes   peaks of a kernel density of ln(seconds), the slowest 2 % left out: a second peak counts when it is at least
            PEAK_SHARE as high as the first, the valley between them falls below VALLEY_SHARE of the lower one, and they lie
            more than MODE_DISTANCE apart

On a steady machine that is said in less than 1 of 100 benchmarks; where five rounds scatter each as a whole, in at most 1 of
60, which is how many of their orders rise or fall all the way.

A machine that throttles drifts; one whose clock jumps, or whose process moves between unlike cores, has modes. A median
of two modes is the time of neither.

Reference: Kendall 1938; Sen 1968; Silverman 1986, "Density estimation", section 3.4 for the bandwidth.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal, stats

from edgedistill.benchmark.statistics import Rounds, pooled

DRIFT_LIMIT = 0.05
DRIFT_P = 0.01
FEWEST_ROUNDS = 5
_ROUNDS_ALONE = 6
"""From so many rounds on some orders of their medians are rarer than DRIFT_P; of five the rarest two are 1 in 60."""

PEAK_SHARE, VALLEY_SHARE, MODE_DISTANCE = 0.10, 0.5, 0.05
FEWEST_RUNS = 50
_TAIL = 0.98
_GRID = 512


@dataclass(frozen=True)
class Mode:
    """A time that many runs take: where it lies, and the share of the runs that are nearest to it."""

    seconds: float
    share: float


def drift(rounds: Rounds) -> float | None:
    """Return by how much the rounds got slower from first to last, as a share of the median; None when they did not move.

    Fewer than five rounds cannot show it, nor five of which one has a single run.
    """
    if len(rounds) < FEWEST_ROUNDS:
        return None
    medians = _medians(rounds)
    order = np.arange(len(medians))
    if not _is_ordered(rounds, medians):
        return None
    moved = float(stats.theilslopes(medians, order).slope) * (len(medians) - 1) / float(np.median(medians))
    return moved if abs(moved) > DRIFT_LIMIT else None


def _is_ordered(rounds: Rounds, medians: NDArray[np.float64]) -> bool:
    """Is the order of the rounds, by their medians, no chance?"""
    if len(rounds) >= _ROUNDS_ALONE:
        return _kendall_p(medians) < DRIFT_P
    steps = np.diff(medians)
    if not ((steps > 0).all() or (steps < 0).all()) or min(map(len, rounds)) < 2:
        return False
    return _kendall_p(_medians([half for r in rounds for half in (r[: len(r) // 2], r[len(r) // 2 :])])) < DRIFT_P


def _kendall_p(medians: NDArray[np.float64]) -> float:
    return float(stats.kendalltau(np.arange(len(medians)), medians).pvalue)


def _medians(rounds: Rounds) -> NDArray[np.float64]:
    return np.array([np.median(samples) for samples in rounds])


def modes(samples: Sequence[float]) -> tuple[Mode, ...]:
    """Return the modes, fastest first; one where the runs do not say more, none below 50 runs."""
    if len(samples) < FEWEST_RUNS:
        return ()
    logs = np.log(np.asarray(samples, dtype=np.float64))
    kept = logs[logs <= np.quantile(logs, _TAIL)]
    width = _bandwidth(kept)
    grid = np.linspace(kept.min() - 3 * width, kept.max() + 3 * width, _GRID)
    counts, edges = np.histogram(kept, bins=_GRID, range=(grid[0], grid[-1]))
    kernel = np.exp(-0.5 * (np.arange(-_GRID, _GRID + 1) * (edges[1] - edges[0]) / width) ** 2)
    density = signal.fftconvolve(counts.astype(np.float64), kernel, mode="same")
    centres = (edges[1:] + edges[:-1]) / 2
    peaks = _separate_peaks(density, centres)
    nearest = np.abs(kept[:, None] - centres[peaks][None, :]).argmin(axis=1)
    return tuple(Mode(float(np.exp(centres[p])), float((nearest == i).mean())) for i, p in enumerate(peaks))


def shape_warnings(rounds: Rounds) -> tuple[str, ...]:
    """Return a sentence for drift and one for several modes."""
    said = []
    moved = drift(rounds)
    if moved is not None:
        way = "slower" if moved > 0 else "faster"
        said.append(f"the rounds got {abs(moved):.0%} {way} from the first to the last: the machine was not in a steady state; "
                    "let it cool or warm up, and run the benchmark again")
    found = modes(pooled(rounds))
    if len(found) > 1:
        places = " and ".join(f"{mode.seconds * 1e3:.3g} ms ({mode.share:.0%})" for mode in found)
        said.append(f"the runs have {len(found)} modes, {places}: the clock jumps or the process moves between unlike cores; p50 "
                    "is the time of neither")
    return tuple(said)


def _bandwidth(logs: NDArray[np.float64]) -> float:
    """Return Silverman's 0.9 min(sd, IQR / 1.34) n^(-1/5), no less than a hundredth: below 1 % nothing is a mode."""
    spread = min(float(logs.std()), float(np.subtract(*np.quantile(logs, [0.75, 0.25]))) / 1.34) or float(logs.std())
    return max(0.9 * spread / math.pow(len(logs), 0.2), 0.01)


def _separate_peaks(density: NDArray[np.float64], centres: NDArray[np.float64]) -> list[int]:
    """Return the peaks that a deep valley parts from every higher one."""
    candidates = [int(p) for p in signal.find_peaks(density)[0]] or [int(density.argmax())]
    kept: list[int] = []
    for peak in sorted(candidates, key=lambda p: -density[p]):
        if density[peak] < PEAK_SHARE * density.max():
            break
        is_apart = all(
            density[min(peak, other) : max(peak, other) + 1].min() < VALLEY_SHARE * density[peak]
            and abs(centres[peak] - centres[other]) > MODE_DISTANCE
            for other in kept
        )
        if is_apart:
            kept.append(peak)
    return sorted(kept)
