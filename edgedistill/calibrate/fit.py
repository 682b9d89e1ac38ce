"""The rates that explain the times of the micro-graphs, and how well they do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from scipy.optimize import nnls

from edgedistill.calibrate.timing import Timed

COLUMNS = ("int8_macs", "float_macs", "glue_elements", "bytes", "nodes", "call")
MOST_RESIDUAL = 0.25
MOST_NOISE = 0.30
_LEAST_SHARE = 0.05
"""A class that takes less than this of every graph's time has no rate that the times could tell."""

_WHOLE_WEIGHT = 6.0
"""Of the error of a whole encoder. Squared, it is about the number of single operators: those tell the classes apart, the
level is that of whole encoders."""

_REWEIGHTINGS = 8
_LEAST_SPREAD = 1.25
NOISY_SPREAD = 2.0
"""At least, where a warning says that the fit must not be trusted."""

_Z80 = 1.2816


@dataclass(frozen=True)
class FittedRates:
    """Seconds for a unit of each class of work, and how far the times are from what they predict.

    Attributes:
        seconds: by column of COLUMNS; never negative.
        residual_error: median |predicted / measured - 1| of all graphs.
        noise: median over the graphs of largest round over smallest, less one.
        spread: the factor within which four in five whole encoders lie (of all graphs, where no encoder was timed), at least
            1.25; at least 2 after a warning.
        warnings: why the fit must not be trusted, a sentence each.
    """

    seconds: dict[str, float]
    residual_error: float
    noise: float
    spread: float
    warnings: tuple[str, ...]


def fit_rates(timed: Sequence[Timed]) -> FittedRates:
    """Find the rates by non-negative least squares of relative errors, reweighted towards least absolute ones.

    Lawson and Hanson 1974 for the non-negative problem; the weights 1 / sqrt(|error|) are those of iteratively
    reweighted least squares, so that one graph that the model does not describe does not bend all rates.
    """
    is_whole = np.array([t.graph.is_whole for t in timed])
    importance = np.where(is_whole, _WHOLE_WEIGHT, 1.0)
    work = np.array([_row(t) for t in timed])
    times = np.array([t.p50_s for t in timed])
    relative = work / times[:, None]
    scale = np.linalg.norm(relative, axis=0)
    scale[scale == 0] = 1.0
    weight = importance
    found = np.zeros(len(COLUMNS))
    for _ in range(_REWEIGHTINGS):
        found = nnls(relative / scale * weight[:, None], weight)[0] / scale
        error = relative @ found - 1
        weight = importance / np.sqrt(np.maximum(np.abs(error), 0.02))
    ratio = np.maximum(relative @ found, 1e-9)
    residual = float(np.median(np.abs(ratio - 1)))
    noise = median(t.noise for t in timed)
    shares = dict(zip(COLUMNS, (relative * found).max(axis=0), strict=True))
    warnings = _warnings(shares, residual, noise)
    judged = np.log(ratio[is_whole] if is_whole.any() else ratio)
    spread = max(_LEAST_SPREAD, math.exp(_Z80 * float(np.sqrt(np.mean(judged**2)))))
    return FittedRates(
        seconds=dict(zip(COLUMNS, map(float, found), strict=True)),
        residual_error=residual,
        noise=noise,
        spread=max(spread, NOISY_SPREAD) if warnings else spread,
        warnings=warnings,
    )


def thread_exponent(one: Sequence[Timed], two: Sequence[Timed]) -> float:
    """Return g so that two threads are 2^g as fast; between 0 and 1."""
    gains = [math.log2(a.p50_s / b.p50_s) for a, b in zip(one, two, strict=True)]
    return min(1.0, max(0.01, median(gains)))


def _row(timed: Timed) -> tuple[float, ...]:
    work = timed.graph.work
    return (work.int8_macs, work.float_macs, work.glue_elements, work.weight_bytes + work.gathered_bytes, work.nodes, 1.0)


def _warnings(shares: dict[str, float], residual: float, noise: float) -> tuple[str, ...]:
    said = []
    if residual > MOST_RESIDUAL:
        said.append(f"the rates explain half of the graphs' times only to {residual:.0%} (limit {MOST_RESIDUAL:.0%})")
    if noise > MOST_NOISE:
        said.append(f"the same graph differs by {noise:.0%} from round to round (limit {MOST_NOISE:.0%}): the machine is busy")
    absent = [name for name, share in shares.items() if share < _LEAST_SHARE and name != "call"]
    if absent:
        said.append(f"no time was left for {', '.join(absent)}: these rates are unknown")
    return tuple(said)
