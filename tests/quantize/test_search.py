"""The search that neural-compressor's loop drives: which candidates come before the court, in which order, until when."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from edgedistill.int8_settings import Calibration, PostTraining
from edgedistill.quantize import rescue as rescue_module
from edgedistill.quantize import search as search_module
from edgedistill.quantize.candidates import Candidate
from edgedistill.quantize.court import Court, Judged
from edgedistill.quantize.judgement import Evidence, Goal, misses
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.search import Tried, search
from edgedistill.quantize.sensitivity import Noise
from edgedistill.results import Coverage

FULL, PLAIN, SEVEN = "dynamic_wi8_afp32_per_channel", "dynamic_wi8_afp32", "dynamic_wi8_afp32_reduced_range"
STATIC = "static_wi8_ai8"
WHOLE = Coverage(weight_bytes_share=1, nodes_share=1, float_nodes=(), bytes_by_part={})
NODES = ("a", "b", "c")


@dataclass
class Bench:
    """A court whose evidence a function makes up; nothing is quantized."""

    accuracy_of: Callable[[Candidate], float]
    float_accuracy: float | None = 0.9
    saturates: bool = False
    divergence: dict[str, float] = field(default_factory=dict)
    goal: Goal = Goal(0.95, 0.01, 0.0)
    made: dict[Candidate, Judged] = field(default_factory=dict)

    @property
    def judged(self) -> tuple[Judged, ...]:
        return tuple(self.made.values())

    def judge(self, candidate: Candidate) -> Judged:
        accuracy = self.accuracy_of(candidate)
        found = Evidence(0.97, self.divergence.get(candidate.scheme.name, 1.0), accuracy, (self.float_accuracy or 0.0) - accuracy,
                         0.0, 100, WHOLE, 1.0)
        return self.made.setdefault(candidate, Judged(candidate, Path("x"), found, misses(found, self.goal)))


@pytest.fixture(autouse=True)
def ranking(monkeypatch: pytest.MonkeyPatch) -> list[Candidate]:
    """Three noisy nodes and no table; returns the candidates whose nodes were left out one at a time."""
    asked: list[Candidate] = []

    def ranked(_: Any, base: Candidate, noise: Any) -> list[str]:
        asked.append(base)
        return list(NODES)

    noise = tuple(Noise(node, 10.0, 10.0, weights=10, is_table=False) for node in NODES)
    monkeypatch.setattr(search_module, "noisiest", lambda court, start: noise)
    monkeypatch.setattr(rescue_module, "_by_leaving_one_out", ranked)
    return asked


def run(bench: Bench, *groups: Sequence[str], **wanted: Any) -> Tried:
    return search(cast(Court, bench), [[parse_scheme(name) for name in group] for group in groups], PostTraining(**wanted))


def titles(found: Tried) -> list[str]:
    return [item.candidate.title for item in found.judged]


def test_search_judges_all_of_the_first_group_that_keeps_the_goal_and_no_other() -> None:
    found = run(Bench(lambda candidate: 0.9), (FULL, PLAIN), (STATIC,))
    assert titles(found) == [FULL, PLAIN]
    assert found.noise == ()


def test_search_goes_to_the_next_group_where_none_of_the_first_keeps_the_goal() -> None:
    bench = Bench(lambda candidate: 0.9 if candidate.scheme.needs_calibration else 0.5)
    assert titles(run(bench, (FULL, PLAIN), (STATIC,))) == [FULL, PLAIN, f"{STATIC}; min-max"]


def test_search_rescues_the_two_schemes_that_diverge_least_in_turn() -> None:
    bench = Bench(lambda candidate: 0.5, divergence={FULL: 3.0, PLAIN: 2.0, STATIC: 1.0})
    assert titles(run(bench, (FULL, PLAIN), (STATIC,)))[3:] == [
        f"{STATIC}; percentile", f"{STATIC}; entropy",
        f"{STATIC}; min-max; float: a", f"{PLAIN}; float: a", f"{STATIC}; min-max; float: a, b", f"{PLAIN}; float: a, b",
        f"{STATIC}; min-max; float: a, b, c", f"{PLAIN}; float: a, b, c",
    ]


def test_search_starts_from_the_calibration_of_the_recipe() -> None:
    bench = Bench(lambda candidate: 0.5)
    found = titles(run(bench, (STATIC,), calibration=Calibration(method="entropy"), trials=2))
    assert found == [f"{STATIC}; entropy", f"{STATIC}; percentile", f"{STATIC}; min-max"]


def test_search_ends_at_the_first_rescue_that_keeps_the_goal_and_names_its_nodes(ranking: list[Candidate]) -> None:
    bench = Bench(lambda candidate: 0.9 if candidate.excluded else 0.5, divergence={FULL: 1.0, PLAIN: 2.0})
    found = run(bench, (FULL, PLAIN))
    assert titles(found) == [FULL, PLAIN, f"{FULL}; float: a"]
    assert [item.node for item in found.noise] == list(NODES)
    assert len(ranking) == 1  # the nodes of the second scheme were not left out yet


def test_search_on_a_target_that_saturates_tries_seven_bits_once() -> None:
    bench = Bench(lambda candidate: 0.5, saturates=True, divergence={PLAIN: 1.0, SEVEN: 2.0})
    assert titles(run(bench, (PLAIN, SEVEN), trials=1)) == [PLAIN, SEVEN, f"{SEVEN}; float: a"]
    assert titles(run(Bench(lambda candidate: 0.5, saturates=True), (PLAIN,), trials=1)) == [PLAIN, SEVEN]


@pytest.mark.parametrize("wanted", [{"trials": 2}, {"time_limit_s": 1e-9}])
def test_search_is_bounded_by_trials_and_time_from_the_first_rescue_on(wanted: dict[str, Any]) -> None:
    expected = [FULL, PLAIN, f"{FULL}; float: a", f"{PLAIN}; float: a"]
    found = run(Bench(lambda candidate: 0.5), (FULL, PLAIN), **wanted)
    assert titles(found) == expected[: 2 + wanted.get("trials", 1)]


def test_search_without_trials_rescues_nothing_and_still_names_the_nodes() -> None:
    found = run(Bench(lambda candidate: 0.5), (FULL,), trials=0)
    assert titles(found) == [FULL]
    assert [item.node for item in found.noise] == list(NODES)


@pytest.mark.parametrize("float_accuracy", [0.0, None])
def test_search_where_the_float_model_is_never_right_goes_by_agreement_and_stops_as_early(float_accuracy: float | None) -> None:
    bench = Bench(lambda candidate: 0.0, float_accuracy=float_accuracy, goal=Goal(0.98, 0.01, 0.0))
    real = bench.judge

    def judge(candidate: Candidate) -> Judged:
        if not candidate.excluded:
            return real(candidate)
        found = Evidence(0.99, 1.0, 0.0, 0.0, 0.0, 100, WHOLE, 1.0)
        return bench.made.setdefault(candidate, Judged(candidate, Path("x"), found, misses(found, bench.goal)))

    bench.judge = judge  # type: ignore[method-assign]
    assert titles(run(bench, (FULL,))) == [FULL, f"{FULL}; float: a"]


@pytest.mark.parametrize("float_accuracy", np.linspace(0.5, 1.0, 11))
def test_search_stops_where_the_court_says_that_the_goal_is_kept_whatever_rounding_makes_of_the_figures(
    float_accuracy: float,
) -> None:
    kept = Bench(lambda candidate: float_accuracy - 0.01 if candidate.excluded else 0.1, float_accuracy=float_accuracy)
    found = run(kept, (FULL,))
    last_is_kept = [item.keeps_the_goal for item in found.judged]
    assert last_is_kept == [False] * (len(last_is_kept) - 1) + [last_is_kept[-1]]
    assert last_is_kept[-1] or len(last_is_kept) == 4
