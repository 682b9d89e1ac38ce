"""Candidates side by side on this machine: the benchmark's protocol on rows of the median size."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from edgedistill.benchmark.protocol import Candidate as Timed
from edgedistill.benchmark.protocol import measure
from edgedistill.benchmark.statistics import Rounds, compare, median_interval, pooled
from edgedistill.quantize.calibration import Arrays
from edgedistill.quantize.forecast import Forecast
from edgedistill.quantize.rows import Rows
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.results import Interval, Variant

FLOAT_NAME = "float"

FASTEST_WITHIN = 1.03
"""Candidates that are at most so many times as slow as the fastest count as fast as it: two per cent stricter than the five that
are promised, since another measurement comes out otherwise by a per cent or two."""

_LOOKED_AT = 256
_TIMED_ROWS = 32


@dataclass(frozen=True)
class Speed:
    """How fast a candidate is here.

    Attributes:
        p50_s: median of the timed runs, with its interval.
        ratio: the float model's p50 / this one's, paired by round; above 1 it is faster than float.
        is_slower: is it slower than float, as far as this machine can tell?
    """

    p50_s: Interval
    ratio: Interval
    is_slower: bool


@dataclass(frozen=True)
class Times:
    """What is known of how fast candidates are, by title.

    Attributes:
        measured: here, where this machine has the target's int8 instructions.
        predicted: for the target, where nothing was measured.
        target: the id of the target that was predicted for.
    """

    measured: Mapping[str, Speed]
    predicted: Mapping[str, Forecast]
    target: str = ""

    def allowed(self, titles: Iterable[str]) -> frozenset[str]:
        """Return the candidates that are about as fast as the fastest; where nothing was measured, all not predicted slower."""
        if self.measured:
            return fast_enough(self.measured)
        return frozenset(title for title in titles if title not in self.predicted or not self.predicted[title].is_slower)

    @property
    def is_any_slower(self) -> bool:
        """Is a candidate known to be slower than float?"""
        return any(each.is_slower for each in self.measured.values()) or any(each.is_slower for each in self.predicted.values())


def time_candidates(
    float_model: Path, candidates: Mapping[str, Path], rows: Rows, *, protocol: BenchmarkProtocol, seed: int
) -> dict[str, Speed]:
    """Time candidates and the float model, interleaved, each in a process of its own.

    Args:
        float_model: an ONNX file.
        candidates: ONNX files by name.
        rows: real ones; those of the median size are timed.
        protocol: threads, runs and rounds.
        seed: decides who goes first.
    """
    inputs = rows_of_median_size(rows)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "inputs.npz"
        np.savez(file, allow_pickle=False, **dict(inputs))
        named = {FLOAT_NAME: float_model, **candidates}
        size = int(next(iter(inputs.values()))[0].size)
        timed = [Timed(cast(Variant, name), "onnx", path, file, size) for name, path in named.items()]
        traces = measure(timed, protocol, seed=seed)
    return {name: speed_of(traces[FLOAT_NAME].rounds_s, traces[name].rounds_s) for name in candidates}


def speed_of(reference: Rounds, candidate: Rounds) -> Speed:
    """Compare a candidate's rounds with the float model's."""
    found = compare(reference, candidate)
    return Speed(median_interval(pooled(candidate)), found.ratio, found.verdict == "slower")


def rows_of_median_size(rows: Rows) -> Arrays:
    """Return up to 32 rows of one shape, stacked by input: those whose inputs have the median number of elements."""
    first = [rows.row(index) for index in range(min(_LOOKED_AT, len(rows)))]
    sizes = np.array([sum(array.size for array in row.values()) for row in first])
    chosen = sizes[np.argmin(np.abs(sizes - np.median(sizes)))]
    alike = [row for row, size in zip(first, sizes, strict=True) if size == chosen]
    shapes = {name: array.shape for name, array in alike[0].items()}
    same = [row for row in alike if {name: array.shape for name, array in row.items()} == shapes][:_TIMED_ROWS]
    return {name: np.concatenate([row[name] for row in same]) for name in shapes}


def fast_enough(speeds: Mapping[str, Speed]) -> frozenset[str]:
    """Return the names of those that are no slower than float and about as fast as the fastest."""
    usable = {name: speed.p50_s.value for name, speed in speeds.items() if not speed.is_slower}
    least = min(usable.values(), default=0.0)
    return frozenset(name for name, p50_s in usable.items() if p50_s <= FASTEST_WITHIN * least)
