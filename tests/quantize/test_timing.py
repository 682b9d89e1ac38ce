"""Which candidates are fast enough; what is timed, and what is timed again. No time is asserted: traces are made up."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edgedistill.benchmark.protocol import Candidate, Trace
from edgedistill.quantize import stage, timing
from edgedistill.quantize.candidates import Candidate as Int8Candidate
from edgedistill.quantize.court import Judged
from edgedistill.quantize.judgement import Evidence, Goal
from edgedistill.quantize.rows import ArrayRows
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.timing import AGAIN, Times, fast_enough, rows_of_median_size, speed_of, time_candidates
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.results import Coverage

ROWS = ArrayRows({"ids": np.zeros((4, 3), np.int64)}, None)


def rounds(p50_s: float) -> list[list[float]]:
    return [[p50_s * (1 + 0.001 * (i + j)) for i in range(5)] for j in range(5)]


class Machine:
    """Stands for the benchmark: each process of a model is slower than the model by a share of its own.

    Attributes:
        p50_s: of each model, by name.
        spread: how far the processes of one model may lie from it; the first one lies `first_off` away.
        asked: names and protocol of every call.
    """

    def __init__(self, p50_s: dict[str, float], *, spread: float = 0.0, first_off: float = 0.0) -> None:
        self.p50_s, self.spread, self.first_off = p50_s, spread, first_off
        self.asked: list[tuple[list[str], BenchmarkProtocol]] = []

    def measure(self, candidates: Sequence[Candidate], protocol: BenchmarkProtocol, *, seed: int) -> dict[str, Trace]:
        self.asked.append(([candidate.name for candidate in candidates], protocol))
        return {candidate.name: self._trace(candidate.name, protocol) for candidate in candidates}

    def _trace(self, name: str, protocol: BenchmarkProtocol) -> Trace:
        drawn = np.random.default_rng(list(name.encode()))
        found = []
        for _ in range(protocol.processes):
            off = (0.0 if name == "float" else self.first_off) if protocol.processes == 1 else drawn.uniform(-1, 1) * self.spread
            found += [[self.p50_s[name] * (1 + off + 0.0001 * i)] * 3 for i in range(protocol.rounds)]
        return Trace("made up", (), (), (), (), tuple(map(tuple, found)), 1, 1)


def time(monkeypatch: pytest.MonkeyPatch, machine: Machine, protocol: BenchmarkProtocol | None = None) -> dict[str, timing.Speed]:
    monkeypatch.setattr(timing, "measure", machine.measure)
    files = {name: Path(name) for name in machine.p50_s if name != "float"}
    return time_candidates(Path("float"), files, ROWS, protocol=protocol or BenchmarkProtocol(), seed=13)


def test_a_candidate_that_is_two_per_cent_slower_in_every_process_is_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    speeds = time(monkeypatch, Machine({"float": 1.0, "slow": 1.02, "fast": 0.98}, spread=0.002))
    assert (speeds["slow"].is_slower, speeds["fast"].is_slower) == (True, False)
    assert speeds["slow"].ratio.value == pytest.approx(1 / 1.02, abs=0.003)
    assert fast_enough(speeds) == {"fast"}


def test_two_per_cent_that_only_one_process_shows_are_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    speeds = time(monkeypatch, Machine({"float": 1.0, "alike": 1.0}, spread=0.03, first_off=0.02))
    assert speed_of(rounds(1.0), rounds(1.02)).ratio.high < 1  # the rounds of that one process alone would have said so
    assert not speeds["alike"].is_slower
    assert speeds["alike"].ratio.low < 1 < speeds["alike"].ratio.high
    assert fast_enough(speeds) == {"alike"}


def test_only_what_lies_near_float_is_timed_again_over_more_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine({"float": 1.0, "near": 1.04, "far": 0.5, "slow": 1.3})
    speeds = time(monkeypatch, machine, BenchmarkProtocol(threads=2))
    assert [(names, how.processes, how.threads) for names, how in machine.asked] == [
        (["float", "near", "far", "slow"], 1, 2), (["float", "near"], AGAIN.processes, 2)]
    assert {name for name, speed in speeds.items() if speed.is_slower} == {"near", "slow"}
    assert speeds["near"].p50_s.value == pytest.approx(1.04, rel=0.001)


def test_nothing_is_timed_again_where_one_process_tells_all_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine({"float": 1.0, "far": 0.5})
    time(monkeypatch, machine)
    assert len(machine.asked) == 1


def test_fast_enough_are_those_near_the_fastest_and_no_slower_than_float() -> None:
    speeds = {name: speed_of(rounds(1.0), rounds(p50_s)) for name, p50_s in
              {"fastest": 0.5, "alike": 0.51, "not quite": 0.52, "behind": 0.6, "slower": 1.3, "a little slower": 1.02}.items()}
    assert fast_enough(speeds) == {"fastest", "alike"}
    assert [name for name, speed in speeds.items() if speed.is_slower] == ["slower", "a little slower"]
    assert 1.99 < speeds["fastest"].ratio.value < 2.01


def test_nothing_is_fast_enough_where_all_are_slower_than_float() -> None:
    assert fast_enough({"a": speed_of(rounds(1.0), rounds(1.5))}) == frozenset()


def test_rows_of_median_size_have_one_shape() -> None:
    class Ragged(ArrayRows):
        def row(self, index: int):
            return {"ids": np.full((1, 1 + index % 5), index)}

    found = rows_of_median_size(Ragged({"ids": np.zeros((50, 1))}, None))
    assert found["ids"].shape == (10, 3)


def judged_as(name: str, size_bytes: int) -> Judged:
    coverage = Coverage(weight_bytes_share=1.0, nodes_share=1.0, float_nodes=(), bytes_by_part={})
    evidence = Evidence(1.0, 0.01, 0.9, 0.0, 0.0, size_bytes, coverage, 1.0)
    return Judged(Int8Candidate(parse_scheme(name)), Path(name), evidence, ())


@pytest.mark.parametrize(("small_s", "chosen"), [(1.04, "small"), (3.0, "large")])
def test_choose_when_the_fastest_is_over_the_size_budget_then_one_within_it_unless_that_is_slower_than_float(
    small_s: float, chosen: str
) -> None:
    names = {"large": "dynamic_wi8_afp32", "small": "dynamic_wi8_afp32_per_channel"}
    judged = [judged_as(names["large"], 1_120_000), judged_as(names["small"], 1_080_000)]
    p50_s = {judged[0].candidate.title: 1.0, judged[1].candidate.title: small_s}
    times = Times({title: speed_of(rounds(1.5), rounds(value)) for title, value in p50_s.items()}, {})
    settings, court = SimpleNamespace(model_bytes_limit=1_100_000), SimpleNamespace(goal=Goal(0.9, 0.01, 0.7))
    found = stage._choose(settings, court, judged, times)  # type: ignore[arg-type] # fakes
    assert found is not None
    assert found.candidate.scheme.name == names[chosen]
