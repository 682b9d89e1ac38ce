"""The range of each activation, learned from a stream of values; what is held does not grow with the samples.

    min-max     [min, max] of all that was seen
    percentile  the range that leaves (100 - p) / 2 percent out on each side
    entropy     the range whose 8-bit histogram is nearest to the whole one in Kullback-Leibler divergence

Percentile and entropy need two passes over the rows: the first finds the extremes, the second fills a histogram of a fixed
number of bins between them. onnxruntime's own calibrators hold every activation of every row until they are done.

Reference: Migacz 2017, "8-bit inference with TensorRT" (entropy).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

CalibrationMethod = Literal["min-max", "percentile", "entropy"]

Arrays = Mapping[str, NDArray[np.generic]]
"""Inputs of a model by name, or values by the name of the tensor."""

Stream = Callable[[], Iterator[Arrays]]
"""Starts a pass over the rows: called again, it gives the same rows again."""

BINS = 2048
"""Bins of a histogram, from minus to plus the largest magnitude."""

PERCENTILE = 99.99
"""What the method `percentile` keeps; 99.9 cuts away the outliers that transformers need."""

_LEVELS = 256
_WIDTH_STEP = 4
"""Bins by which one width that is tried differs from the next."""


@dataclass(frozen=True)
class Range:
    """The real values that the integers of a tensor span."""

    low: float
    high: float


class Extremes:
    """The smallest and the largest finite value of each tensor seen so far."""

    def __init__(self) -> None:
        self.ranges: dict[str, Range] = {}

    def add(self, values: Arrays) -> None:
        """Take one more row into account; tensors without a finite element say nothing."""
        for name, array in values.items():
            finite = finite_values(array)
            if finite.size:
                low, high = float(np.min(finite)), float(np.max(finite))
                known = self.ranges.get(name, Range(low, high))
                self.ranges[name] = Range(min(low, known.low), max(high, known.high))


class Histograms:
    """Counts of the values of each tensor, in equal bins between minus and plus its largest magnitude.

    Attributes:
        counts: by tensor, shape (bins,), int64.
        limits: by tensor, the upper edge of the last bin, more than 0.
    """

    def __init__(self, extremes: Mapping[str, Range], *, bins: int = BINS) -> None:
        self.limits = {name: max(abs(r.low), abs(r.high)) or 1.0 for name, r in extremes.items()}
        self.counts = {name: np.zeros(bins, np.int64) for name in extremes}
        self._bins = bins

    def add(self, values: Arrays) -> None:
        """Count the finite values of one more row."""
        for name, array in values.items():
            if name in self.counts:
                limit = self.limits[name]
                self.counts[name] += np.histogram(finite_values(array), bins=self._bins, range=(-limit, limit))[0]

    def edges(self, name: str) -> NDArray[np.float32]:
        """Return the edges of a tensor's bins, shape (bins + 1,)."""
        return np.linspace(-self.limits[name], self.limits[name], self._bins + 1, dtype=np.float32)


def finite_values(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the values of an array that are numbers, neither nan nor infinite; shape (values,) where some are not."""
    is_finite = np.isfinite(array)
    return array if bool(is_finite.all()) else array[is_finite]


def find_ranges(activations: Stream, method: CalibrationMethod) -> dict[str, Range]:
    """Return the range of every tensor of a stream of activations.

    Args:
        activations: one mapping of tensors a row; passed over once for min-max, twice for the others.
        method: how the range is chosen.

    Returns:
        By tensor; every range holds 0, which must be an integer's value. None for a tensor without a finite value in any row.
    """
    extremes = Extremes()
    for row in activations():
        extremes.add(row)
    found = extremes.ranges
    if method != "min-max":
        histograms = Histograms(found)
        for row in activations():
            histograms.add(row)
        choose = percentile_range if method == "percentile" else entropy_range
        found = {
            name: clip(choose(histograms.counts[name], histograms.edges(name)), to=outer) for name, outer in found.items()
        }
    return {name: Range(min(0.0, r.low), max(0.0, r.high)) for name, r in found.items()}


def clip(inner: Range, *, to: Range) -> Range:
    """Return a range cut to another one: a histogram's edges reach beyond what was seen."""
    return Range(max(inner.low, to.low), min(inner.high, to.high))


def percentile_range(counts: NDArray[np.int64], edges: NDArray[np.float32], percentile: float = PERCENTILE) -> Range:
    """Return the range that leaves (100 - percentile) / 2 percent of the values out on each side.

    Args:
        counts: shape (bins,), at least one value counted.
        edges: shape (bins + 1,).
        percentile: more than 0, at most 100.
    """
    shares = np.cumsum(counts) / counts.sum()
    outside = (100.0 - percentile) / 200.0
    first, last = int(np.searchsorted(shares, outside)), int(np.searchsorted(shares, 1.0 - outside))
    return Range(float(edges[first]), float(edges[min(last + 1, len(edges) - 1)]))


def entropy_range(counts: NDArray[np.int64], edges: NDArray[np.float32]) -> Range:
    """Return the range, symmetric in bins around zero, that 8 bits describe with the least divergence.

    Widths from 256 bins to all of them are tried: what lies outside is added to the outermost bin (as saturation does), what
    lies inside is merged into 256 levels, and the two are compared. The bin of the exact zeros, of which a ReLU leaves many,
    takes its neighbour's count: every width represents zero exactly.

    Args:
        counts: shape (bins,), bins even and at least 256.
        edges: shape (bins + 1,).

    Source: Migacz 2017, "8-bit inference with TensorRT"; the zero bin as in NVIDIA's pytorch-quantization.
    """
    middle = len(counts) // 2
    counts = counts.copy()
    counts[middle] = min(counts[middle], counts[middle + 1])
    if not counts.any():
        return Range(float(edges[0]), float(edges[-1]))
    widths = range(_LEVELS // 2, middle + 1, _WIDTH_STEP)
    divergences = [_divergence_of_width(counts, middle, width) for width in widths]
    best = widths[int(np.argmin(divergences))]
    return Range(float(edges[middle - best]), float(edges[middle + best]))


def _divergence_of_width(counts: NDArray[np.int64], middle: int, width: int) -> float:
    """Return KL(p || q) in nats of the clipped histogram p and its 256-level version q, 2 * width bins wide."""
    inside = counts[middle - width : middle + width].astype(np.float64)
    if not inside.any():
        return float("inf")
    clipped = inside.copy()
    clipped[0] += counts[: middle - width].sum()
    clipped[-1] += counts[middle + width :].sum()
    level = np.arange(len(inside)) * _LEVELS // len(inside)
    is_filled = clipped > 0
    filled = np.bincount(level[is_filled], minlength=_LEVELS)
    merged = np.bincount(level, weights=inside, minlength=_LEVELS)
    spread = (merged / np.maximum(filled, 1))[level[is_filled]]
    p, q = clipped[is_filled] / clipped.sum(), spread / spread.sum()
    return float(np.sum(p * (np.log(p) - np.log(np.maximum(q, np.finfo(np.float64).tiny)))))
