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

from edgedistill.benchmark.machine import choose_cores
from edgedistill.benchmark.messages import Engine, Load, Loaded, Open, Opened, Ran, Run
from edgedistill.benchmark.process import WorkerProcess
from edgedistill.progress import Progress
from edgedistill.recipe import BenchmarkProtocol

log = logging.getLogger("edgedistill")

REWARM_RUNS = 3
"""Untimed runs at the start of every turn: they fetch the model back into the caches."""

PATIENCE_S = 600.0
"""How long one answer may take beyond the time that the timed runs were asked to fill."""

_NS_PER_S, _UJ_PER_J = 1e9, 1e6


@dataclass(frozen=True)
class Candidate:
    """Something to measure.

    Attributes:
        name: the variant, or what tells it from the others.
        engine: which runtime loads it.
        model: an .onnx file, or a transformers folder for torch.
        inputs: an .npz of its inputs, the rows first; or of raw rows, which become inputs inside the timed call.
        sequence_tokens: the length of all of them.
        threads: None: the protocol's.
        batch: rows a call.
        arena: may onnxruntime keep freed memory?
        encoder: what makes inputs of raw rows; empty: they are inputs. See `messages.Load`.
    """

    name: str
    engine: Engine
    model: Path
    inputs: Path
    sequence_tokens: int
    threads: int | None = None
    batch: int = 1
    arena: bool = True
    encoder: str = ""


@dataclass(frozen=True)
class Trace:
    """All that was seen of one variant, raw.

    Attributes:
        runtime: name and version.
        cpus: the cores that its processes were kept to; empty: to none.
        loads_s: seconds to load the model, of every process.
        first_runs_s: seconds of the very first run, of every process.
        warmup_s: seconds of every warm-up run after it, of the first process.
        rounds_s: seconds of every timed run, by round; those of one process follow each other.
        peak_rss_bytes: peak of a process, from its start to its last run; the largest.
        baseline_rss_bytes: peak of a process that imported the same runtime and read inputs, but no model.
        energy_j: used while timed; None where the machine has no counter that may be read.
    """

    runtime: str
    cpus: tuple[int, ...]
    loads_s: tuple[float, ...]
    first_runs_s: tuple[float, ...]
    warmup_s: tuple[float, ...]
    rounds_s: tuple[tuple[float, ...], ...]
    peak_rss_bytes: int
    baseline_rss_bytes: int
    energy_j: float | None = None

    @property
    def load_s(self) -> float:
        """Of the first process."""
        return self.loads_s[0]

    @property
    def first_run_s(self) -> float:
        """Of the first process."""
        return self.first_runs_s[0]


@dataclass(frozen=True)
class Share:
    """What a variant does in one round: at least `runs` runs and at least `duration_ns` of timed work."""

    runs: int
    duration_ns: int


def share_of_round(protocol: BenchmarkProtocol) -> Share:
    """Return a round's share, rounded up: all rounds of all processes together reach min_runs and min_duration_s."""
    rounds = protocol.rounds * protocol.processes
    return Share(runs=math.ceil(protocol.min_runs / rounds), duration_ns=math.ceil(protocol.min_duration_s * _NS_PER_S / rounds))


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
    share = share_of_round(protocol)
    timeout_s = patience_s + 2 * share.duration_ns / _NS_PER_S
    baselines = _measure_baselines(candidates, protocol, patience_s)
    turns: dict[str, list[_Turn]] = {candidate.name: [] for candidate in candidates}
    for process in range(protocol.processes):
        if protocol.processes > 1:
            log.info("benchmark: processes %d of %d", process + 1, protocol.processes)
        for name, turn in _turns(candidates, protocol, seed=seed + process, timeout_s=timeout_s).items():
            turns[name].append(turn)
    return {c.name: _trace(c, turns[c.name], protocol, baselines[c.engine]) for c in candidates}


@dataclass(frozen=True)
class _Turn:
    """What one process said: ready, loaded, and each of its rounds."""

    opened: Opened
    loaded: Loaded
    rounds: tuple[Ran, ...]


def _turns(candidates: Sequence[Candidate], protocol: BenchmarkProtocol, *, seed: int, timeout_s: float) -> dict[str, _Turn]:
    """Start a process for each candidate, let them take turns in all rounds, and end them."""
    share = share_of_round(protocol)
    with contextlib.ExitStack() as stack:
        sessions: dict[str, _Session] = {}
        for candidate in candidates:
            threads = candidate.threads or protocol.threads
            worker = stack.enter_context(WorkerProcess(candidate.name, threads=threads))
            sessions[candidate.name] = _prepare(worker, candidate, protocol, timeout_s)
        found: dict[str, list[Ran]] = {name: [] for name in sessions}
        progress = stack.enter_context(Progress("benchmark", total=protocol.rounds, unit="rounds"))
        for index in range(protocol.rounds):
            if protocol.processes == 1:
                log.info("benchmark: round %d of %d, %s", index + 1, protocol.rounds, progress.left())
            for name in order_of_round(list(sessions), index, seed=seed):
                request = Run(share.runs, share.duration_ns, REWARM_RUNS)
                found[name].append(sessions[name].worker.ask(request, Ran, timeout_s=timeout_s))
            progress.advance()
    return {name: _Turn(session.opened, session.loaded, tuple(found[name])) for name, session in sessions.items()}


@dataclass(frozen=True)
class _Session:
    """A worker that is loaded and warm, and what it said on the way there."""

    worker: WorkerProcess
    opened: Opened
    loaded: Loaded


def _prepare(worker: WorkerProcess, candidate: Candidate, protocol: BenchmarkProtocol, timeout_s: float) -> _Session:
    if protocol.processes == 1:
        log.info("benchmark: loading %s", candidate.name)
    opened = _open(worker, candidate, protocol, timeout_s)
    request = Load(str(candidate.model), protocol.warmup_runs, candidate.arena, candidate.encoder)
    return _Session(worker, opened, worker.ask(request, Loaded, timeout_s=timeout_s))


def _open(worker: WorkerProcess, candidate: Candidate, protocol: BenchmarkProtocol, timeout_s: float) -> Opened:
    threads = candidate.threads or protocol.threads
    request = Open(candidate.engine, threads, str(candidate.inputs), _cores(candidate, protocol), candidate.batch)
    return worker.ask(request, Opened, timeout_s=timeout_s)


def _cores(candidate: Candidate, protocol: BenchmarkProtocol) -> tuple[int, ...]:
    return choose_cores(candidate.threads or protocol.threads) if protocol.pinned else ()


def _measure_baselines(
    candidates: Sequence[Candidate], protocol: BenchmarkProtocol, timeout_s: float
) -> Mapping[Engine, int]:
    """Return the peak bytes of a bare process by engine; one process each, gone before anything is timed."""
    baselines: dict[Engine, int] = {}
    for candidate in candidates:
        if candidate.engine not in baselines:
            with WorkerProcess(f"bare {candidate.engine}", threads=protocol.threads) as worker:
                baselines[candidate.engine] = _open(worker, candidate, protocol, timeout_s).peak_rss_bytes
    return baselines


def _trace(candidate: Candidate, turns: Sequence[_Turn], protocol: BenchmarkProtocol, baseline_rss_bytes: int) -> Trace:
    rounds = [ran for turn in turns for ran in turn.rounds]
    energies = [ran.energy_uj for ran in rounds]
    return Trace(
        runtime=turns[0].opened.runtime,
        cpus=_cores(candidate, protocol),
        loads_s=tuple(turn.loaded.load_ns / _NS_PER_S for turn in turns),
        first_runs_s=tuple(turn.loaded.first_run_ns / _NS_PER_S for turn in turns),
        warmup_s=_seconds(turns[0].loaded.warmup_ns),
        rounds_s=tuple(_seconds(ran.samples_ns) for ran in rounds),
        peak_rss_bytes=max(ran.peak_rss_bytes for ran in rounds),
        baseline_rss_bytes=baseline_rss_bytes,
        energy_j=None if None in energies else sum(e for e in energies if e is not None) / _UJ_PER_J,
    )


def _seconds(samples_ns: Sequence[int]) -> tuple[float, ...]:
    return tuple(sample / _NS_PER_S for sample in samples_ns)
