"""The fit: rates that are known give times, and the times give the rates back; noise and nonsense are said."""

import numpy as np
import pytest

from edgedistill.calibrate.fit import COLUMNS, fit_rates, thread_exponent
from edgedistill.calibrate.micro_graphs import MicroGraph, micro_graphs
from edgedistill.calibrate.timing import Timed

TRUE = {"int8_macs": 5e-12, "float_macs": 2e-11, "glue_elements": 1e-9, "bytes": 8e-12, "nodes": 5e-7, "call": 5e-6}
GRAPHS = micro_graphs()


def seconds_of(graph: MicroGraph) -> float:
    work = graph.work
    amounts = (work.int8_macs, work.float_macs, work.glue_elements, work.weight_bytes + work.gathered_bytes, work.nodes, 1)
    return sum(TRUE[name] * amount for name, amount in zip(COLUMNS, amounts, strict=True))


def timed(factor: float = 1.0, *, jitter: float = 0.0, seed: int = 0) -> list[Timed]:
    rng = np.random.default_rng(seed)
    return [Timed(g, tuple(seconds_of(g) * factor * float(np.exp(jitter * rng.normal())) for _ in range(3))) for g in GRAPHS]


def test_fit_rates_when_times_follow_the_model_then_the_rates_come_back() -> None:
    found = fit_rates(timed())
    assert found.seconds == pytest.approx(TRUE, rel=1e-3)
    assert found.residual_error < 1e-3
    assert found.warnings == ()
    assert found.spread == 1.25


def test_fit_rates_when_one_graph_is_a_hundred_times_too_slow_then_the_others_still_decide() -> None:
    times = timed()
    times[3] = Timed(times[3].graph, tuple(100 * s for s in times[3].rounds_s))
    found = fit_rates(times)
    assert found.seconds["int8_macs"] == pytest.approx(TRUE["int8_macs"], rel=0.05)
    assert found.spread == 1.25  # it is no encoder
    last = times[-1]
    found = fit_rates([*times[:-1], Timed(last.graph, tuple(100 * s for s in last.rounds_s))])
    assert found.seconds["int8_macs"] == pytest.approx(TRUE["int8_macs"], rel=0.05)
    assert found.spread > 1.25


def test_fit_rates_when_whole_encoders_take_longer_than_their_parts_then_theirs_is_the_level() -> None:
    slower = [Timed(t.graph, tuple(1.4 * s for s in t.rounds_s)) if t.graph.is_whole else t for t in timed()]
    found = fit_rates(slower)
    seconds = np.array([found.seconds[name] for name in COLUMNS])
    for t in slower:
        if t.graph.is_whole:
            work = t.graph.work
            amounts = (work.int8_macs, work.float_macs, work.glue_elements, work.weight_bytes + work.gathered_bytes, work.nodes, 1)
            assert seconds @ np.array(amounts) == pytest.approx(t.p50_s, rel=0.05)
    assert found.spread == 1.25
    assert found.residual_error > 0.05  # of the single operators


def test_fit_rates_when_the_machine_is_busy_then_a_warning_and_a_wider_interval() -> None:
    found = fit_rates(timed(jitter=0.8))
    assert any("the machine is busy" in warning for warning in found.warnings)
    assert found.spread >= 2


def test_fit_rates_when_times_do_not_depend_on_the_work_then_says_which_rates_are_unknown() -> None:
    found = fit_rates([Timed(g, (1e-3, 1e-3)) for g in GRAPHS])
    assert any(warning.startswith("no time was left for ") for warning in found.warnings)


def test_thread_exponent_when_two_threads_are_half_as_long_then_one_and_never_below_zero() -> None:
    one = timed()
    assert thread_exponent(one, timed(0.5)) == pytest.approx(1.0)
    assert thread_exponent(one, timed(2**-0.5)) == pytest.approx(0.5)
    assert thread_exponent(one, timed(3.0)) == 0.01
