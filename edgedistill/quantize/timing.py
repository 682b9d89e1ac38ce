"""Candidates side by side on this machine: the benchmark's protocol on rows of the median size.

One process a model tells apart what lies more than a few per cent from float. What lies nearer is timed again over pairs of fresh
processes, since where a process lies in memory is worth as much and stays the same for its life.
"""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from edgedistill.benchmark.comparison import Pair, compare_pairs
from edgedistill.benchmark.protocol import Candidate as Timed
from edgedistill.benchmark.protocol import Trace, measure
from edgedistill.benchmark.statistics import Rounds, is_separable, median_interval, pooled, speed_ratio
from edgedistill.quantize.calibration import Arrays
from edgedistill.quantize.forecast import Forecast
from edgedistill.quantize.rows import Rows, each, some_rows
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.results import Interval, Variant

FLOAT_NAME = "float"

FASTEST_WITHIN = 1.03
"""Candidates that are at most so many times as slow as the fastest count as fast as it: two per cent stricter than the five that
are promised, since another measurement comes out otherwise by a per cent or two."""

AGAIN = BenchmarkProtocol(min_runs=240, min_duration_s=2.4, rounds=4, processes=12)
"""How candidates are timed again that one process cannot tell from float; threads are those of the first time. Twelve pairs are
enough for a few per cent on a quiet machine (docs/benchmark.md, A against B); each process works for a fifth of a second."""

_LOOKED_AT = 256
_TIMED_ROWS = 32


@dataclass(frozen=True)
class Speed:
    """How fast a candidate is here.

    Attributes:
        p50_s: median of the timed runs, with its interval.
        ratio: the float model's p50 / this one's, paired by round, or by fresh process where the two lie near each other; above 1
            it is faster than float.
    """

    p50_s: Interval
    ratio: Interval

    @property
    def is_slower(self) -> bool:
        """Is it slower than float? It is when the whole interval of the ratio says so, by however little."""
        return self.ratio.high < 1


@dataclass(frozen=True)
class Times:
    """What is known of how fast candidates are, by title.

    Attributes:
        measured: here, where this machine has the target's int8 instructions.
        predicted: for the target, where nothing was measured.
        target: the id of the target that was predicted for.
        float_p50_s: predicted of the float model on that target, whatever is known of candidates; None without a target, or for a
            model whose shape is not known.
    """

    measured: Mapping[str, Speed]
    predicted: Mapping[str, Forecast]
    target: str = ""
    float_p50_s: float | None = None

    def allowed(self, titles: Iterable[str]) -> frozenset[str]:
        """Return the candidates that are about as fast as the fastest; where nothing was measured, all not predicted slower."""
        if self.measured:
            return fast_enough({title: self.measured[title] for title in titles})
        return frozenset(title for title in titles if title not in self.predicted or not self.predicted[title].is_slower)

    @property
    def is_any_slower(self) -> bool:
        """Is a candidate known to be slower than float?"""
        return any(each.is_slower for each in self.measured.values()) or any(each.is_slower for each in self.predicted.values())


def time_candidates(
    float_model: Path, candidates: Mapping[str, Path], rows: Rows, *, protocol: BenchmarkProtocol, seed: int
) -> dict[str, Speed]:
    """Time candidates and the float model, interleaved, each in a process of its own; then those near float over more processes.

    Args:
        float_model: an ONNX file.
        candidates: ONNX files by name.
        rows: real ones; those of the median size are timed.
        protocol: threads, runs and rounds of the first time.
        seed: decides who goes first.

    Returns:
        Speeds by name. Every p50 is from the first time, when all took turns.
    """
    inputs = rows_of_median_size(rows)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "inputs.npz"
        np.savez(file, allow_pickle=False, **dict(inputs))
        size = int(next(iter(inputs.values()))[0].size)

        def traces_of(names: Iterable[str], how: BenchmarkProtocol) -> dict[str, Trace]:
            files = {FLOAT_NAME: float_model} | {name: candidates[name] for name in names}
            return measure([Timed(cast(Variant, name), "onnx", path, file, size) for name, path in files.items()], how, seed=seed)

        first = {name: trace.rounds_s for name, trace in traces_of(candidates, protocol).items()}
        speeds = {name: speed_of(first[FLOAT_NAME], first[name]) for name in candidates}
        near = [name for name in candidates if not is_separable(first[FLOAT_NAME], first[name])]
        if near:
            again = traces_of(near, AGAIN.model_copy(update={"threads": protocol.threads}))
            speeds |= {name: timed_again(speeds[name], again[FLOAT_NAME], again[name]) for name in near}
    return speeds


def speed_of(reference: Rounds, candidate: Rounds) -> Speed:
    """Compare a candidate's rounds with the float model's, of one process each."""
    return Speed(median_interval(pooled(candidate)), speed_ratio(reference, candidate))


def timed_again(speed: Speed, reference: Trace, candidate: Trace) -> Speed:
    """Return a speed whose ratio is that over pairs of fresh processes.

    Args:
        speed: of the first time.
        reference: the float model's runs by `AGAIN`.
        candidate: the candidate's.
    """
    return replace(speed, ratio=compare_pairs(_by_process(reference), _by_process(candidate)).ratio)


def _by_process(trace: Trace) -> list[Pair]:
    return [trace.rounds_s[start : start + AGAIN.rounds] for start in range(0, len(trace.rounds_s), AGAIN.rounds)]


def rows_of_median_size(rows: Rows) -> Arrays:
    """Return up to 32 rows of one shape, stacked by input: those whose inputs have the median number of elements."""
    first = list(each(some_rows(rows, _LOOKED_AT)))
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
