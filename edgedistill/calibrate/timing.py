"""Time graphs through onnxruntime, in interleaved rounds, so that a slow minute falls on all of them alike."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import onnxruntime

from edgedistill.benchmark.machine import kept_to_cores
from edgedistill.calibrate.micro_graphs import MicroGraph

_LEAST_RUNS = 5
_MOST_RUNS = 2_000


@dataclass(frozen=True)
class Timed:
    """A graph and its times.

    Attributes:
        graph: what ran.
        rounds_s: the median of each round, seconds.
    """

    graph: MicroGraph
    rounds_s: tuple[float, ...]

    @property
    def p50_s(self) -> float:
        """Median of the rounds."""
        return median(self.rounds_s)

    @property
    def noise(self) -> float:
        """Largest over smallest round, less one; 0 on a machine that does nothing else."""
        return max(self.rounds_s) / min(self.rounds_s) - 1


def time_graphs(
    graphs: Sequence[MicroGraph], *, rounds: int, seconds: float, threads: int = 1, clock: Callable[[], float] = time.perf_counter
) -> tuple[Timed, ...]:
    """Time each graph in every round for `seconds`, at least five runs, as a benchmark does: kept to as many cores as threads.

    Args:
        graphs: what to time.
        rounds: how often all graphs come round.
        seconds: time for a graph in a round; the first run of each round is not counted.
        threads: of the runtime.
        clock: seconds, for tests.
    """
    times: list[list[float]] = [[] for _ in graphs]
    with kept_to_cores(threads):  # before the sessions: their threads stay where they are started
        sessions = [_session(graph, threads) for graph in graphs]
        for _ in range(rounds):
            for graph, session, found in zip(graphs, sessions, times, strict=True):
                found.append(_round(graph, session, seconds, clock))
    return tuple(Timed(graph, tuple(found)) for graph, found in zip(graphs, times, strict=True))


def _session(graph: MicroGraph, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph.model, options, providers=["CPUExecutionProvider"])


def _round(
    graph: MicroGraph, session: onnxruntime.InferenceSession, seconds: float, clock: Callable[[], float]
) -> float:
    session.run(None, graph.feeds)
    found: list[float] = []
    began = clock()
    while len(found) < _LEAST_RUNS or (clock() - began < seconds and len(found) < _MOST_RUNS):
        start = clock()
        session.run(None, graph.feeds)
        found.append(clock() - start)
    return median(found)
