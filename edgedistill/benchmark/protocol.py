"""The benchmark protocol: every variant in its own process, one at a time, interleaved over rounds.

What disturbs a machine (another program, a clock that sinks with the heat) lasts longer than a run. Measured one after
the other, the variant that had the bad minute looks slow; interleaved, every variant gets its share of it, and the
rounds show that it was there.

Reference: Georges, Buytaert and Eeckhout 2007, "Statistically rigorous Java performance evaluation"; pyperf's workers.
"""

import contextlib
import logging
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedistill.benchmark.messages import Engine, Load, Loaded, Open, Opened, Ran, Run
from edgedistill.benchmark.process import WorkerProcess
from edgedistill.progress import Progress
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.results import Variant

log = logging.getLogger("edgedistill")

REWARM_RUNS = 3
"""Untimed runs at the start of every turn: they fetch the model back into the caches."""

PATIENCE_S = 600.0
"""How long one answer may take beyond the time that the timed runs were asked to fill."""

_NS_PER_S = 1e9


@dataclass(frozen=True)
class Candidate:
    """Something to measure.

    Attributes:
        name: the variant.
        engine: which runtime loads it.
        model: an .onnx file, or a transformers folder for torch.
        inputs: an .npz of its inputs, each shape (rows, sequence_tokens), int64.
        sequence_tokens: the length of all of them.
    """

    name: Variant
    engine: Engine
    model: Path
    inputs: Path
    sequence_tokens: int


@dataclass(frozen=True)
class Trace:
    """All that was seen of one variant, raw.

    Attributes:
        runtime: name and version.
        load_s: seconds to load the model, once.
        first_run_s: seconds of the very first run, once.
        warmup_s: seconds of every warm-up run after it.
        rounds_s: seconds of every timed run, by round.
        peak_rss_bytes: peak of the process, from its start to its last run.
        baseline_rss_bytes: peak of a process that imported the same runtime and read inputs, but no model.
    """

    runtime: str
    load_s: float
    first_run_s: float
    warmup_s: tuple[float, ...]
    rounds_s: tuple[tuple[float, ...], ...]
    peak_rss_bytes: int
    baseline_rss_bytes: int


@dataclass(frozen=True)
class Share:
    """What a variant does in one round: at least `runs` runs and at least `duration_ns` of timed work."""

    runs: int
    duration_ns: int


def share_of_round(protocol: BenchmarkProtocol) -> Share:
    """Return a round's share, rounded up: all rounds together reach min_runs and min_duration_s."""
    return Share(
        runs=math.ceil(protocol.min_runs / protocol.rounds),
        duration_ns=math.ceil(protocol.min_duration_s * _NS_PER_S / protocol.rounds),
    )


def order_of_round(names: Sequence[str], round_index: int, *, seed: int) -> list[str]:
    """Return who comes when in a round.

    The names are shuffled once by the seed and stand in a circle; each round starts one place further on, and every
    second round goes round backwards, so that no variant is always first and none always follows the same other.
    """
    circle = list(names)
    random.Random(seed).shuffle(circle)  # noqa: S311 - an order, not a secret
    step = -1 if round_index % 2 else 1
    return [circle[(round_index + step * place) % len(circle)] for place in range(len(circle))]


def measure(
    candidates: Sequence[Candidate], protocol: BenchmarkProtocol, *, seed: int, patience_s: float = PATIENCE_S
) -> dict[str, Trace]:
    """Measure all candidates side by side.

    Args:
        candidates: with names that differ.
        protocol: threads, warm-up, runs, duration and rounds.
        seed: decides who goes first.
        patience_s: seconds that any one answer may take beyond its timed work.

    Returns:
        The trace of every candidate by name, in the order given. No worker is left, however this ends.

    Raises:
        ArtifactError: a runtime does not load a model.
        EdgedistillError: a worker died or did not answer in time.
    """
    baselines = _measure_baselines(candidates, protocol.threads, patience_s)
    share = share_of_round(protocol)
    timeout_s = patience_s + 2 * share.duration_ns / _NS_PER_S
    with contextlib.ExitStack() as stack:
        sessions: dict[str, _Session] = {}
        for candidate in candidates:
            worker = stack.enter_context(WorkerProcess(candidate.name, threads=protocol.threads))
            sessions[candidate.name] = _prepare(worker, candidate, protocol, timeout_s)
        turns: dict[str, list[Ran]] = {name: [] for name in sessions}
        progress = stack.enter_context(Progress("benchmark", total=protocol.rounds, unit="rounds"))
        for index in range(protocol.rounds):
            log.info("benchmark: round %d of %d, %s", index + 1, protocol.rounds, progress.left())
            for name in order_of_round(list(sessions), index, seed=seed):
                request = Run(share.runs, share.duration_ns, REWARM_RUNS)
                turns[name].append(sessions[name].worker.ask(request, Ran, timeout_s=timeout_s))
            progress.advance()
    return {c.name: _trace(sessions[c.name], turns[c.name], baselines[c.engine]) for c in candidates}


@dataclass(frozen=True)
class _Session:
    """A worker that is loaded and warm, and what it said on the way there."""

    worker: WorkerProcess
    opened: Opened
    loaded: Loaded


def _prepare(worker: WorkerProcess, candidate: Candidate, protocol: BenchmarkProtocol, timeout_s: float) -> _Session:
    log.info("benchmark: loading %s", candidate.name)
    opened = _open(worker, candidate, protocol.threads, timeout_s)
    loaded = worker.ask(Load(str(candidate.model), protocol.warmup_runs), Loaded, timeout_s=timeout_s)
    return _Session(worker, opened, loaded)


def _open(worker: WorkerProcess, candidate: Candidate, threads: int, timeout_s: float) -> Opened:
    return worker.ask(Open(candidate.engine, threads, str(candidate.inputs)), Opened, timeout_s=timeout_s)


def _measure_baselines(candidates: Sequence[Candidate], threads: int, timeout_s: float) -> Mapping[Engine, int]:
    """Return the peak bytes of a bare process by engine; one process each, gone before anything is timed."""
    baselines: dict[Engine, int] = {}
    for candidate in candidates:
        if candidate.engine not in baselines:
            with WorkerProcess(f"bare {candidate.engine}", threads=threads) as worker:
                baselines[candidate.engine] = _open(worker, candidate, threads, timeout_s).peak_rss_bytes
    return baselines


def _trace(session: _Session, turns: Sequence[Ran], baseline_rss_bytes: int) -> Trace:
    return Trace(
        runtime=session.opened.runtime,
        load_s=session.loaded.load_ns / _NS_PER_S,
        first_run_s=session.loaded.first_run_ns / _NS_PER_S,
        warmup_s=_seconds(session.loaded.warmup_ns),
        rounds_s=tuple(_seconds(turn.samples_ns) for turn in turns),
        peak_rss_bytes=max(turn.peak_rss_bytes for turn in turns),
        baseline_rss_bytes=baseline_rss_bytes,
    )


def _seconds(samples_ns: Sequence[int]) -> tuple[float, ...]:
    return tuple(sample / _NS_PER_S for sample in samples_ns)
