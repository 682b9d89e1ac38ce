"""Estimates: the sum over classes of operators by hand, threads, lengths, and the second opinion."""

from dataclasses import replace

import pytest

from edgedistill.catalog import load_target
from edgedistill.latency.estimate import estimate, parts_of, static_p50, weighted_quantile
from edgedistill.latency.rates import Rates
from edgedistill.latency.workload import Workload, glue_per_layer, workload_of
from edgedistill.shape import StudentShape

RATES = Rates(int8_mac_s=1e-9, float_mac_s=2e-9, glue_element_s=3e-9, byte_s=4e-9, node_s=5e-6, call_s=7e-6,
              thread_exponent=0.5, node_threads=0.1, low=0.5, high=3.0, origin="fitted")
WORK = Workload(int8_macs=1000, float_macs=100, glue_elements=10, gathered_bytes=20, weight_bytes=30, nodes=2)
SHAPE = StudentShape(id="small", layers=2, hidden=8, heads=2, intermediate=16, vocabulary=100)


def test_parts_of_when_one_thread_then_as_by_hand() -> None:
    parts = parts_of(WORK, RATES)
    assert vars(parts) == pytest.approx({"int8": 1e-6, "attention": 2e-7, "glue": 3e-8, "memory": 2e-7, "nodes": 17e-6})
    assert parts.total == pytest.approx(18.43e-6)


def test_parts_of_when_four_threads_then_work_is_twice_as_fast_and_nodes_are_slower() -> None:
    one, four = parts_of(WORK, RATES), parts_of(WORK, RATES, threads=4)
    assert four.int8 == pytest.approx(one.int8 / 2)  # 4 to the power 0.5
    assert four.nodes == pytest.approx(7e-6 + 10e-6 * 1.3)


def test_estimate_when_asked_then_interval_by_the_factors() -> None:
    found = estimate(WORK, RATES)
    assert found.interval_s == pytest.approx((found.p50_s * 0.5, found.p50_s * 3))
    assert found.origin == "fitted"


def test_workload_of_when_small_then_as_counted_by_hand() -> None:
    work = workload_of(SHAPE, tokens=5, classes=3)
    assert work.int8_macs == 2 * 5 * (4 * 8 * 8 + 2 * 8 * 16) + 8 * 8 + 3 * 8
    assert work.float_macs == 2 * 2 * 5 * 5 * 8
    assert work.glue_elements == 2 * (8 * 5 * 8 + 2 * 5 * 16 + 2 * 2 * 25)
    assert work.gathered_bytes == 3 * 5 * 8  # a word, a position and a segment for each token
    assert work.weight_bytes == 2 * (4 * 8 * 8 + 2 * 8 * 16) + 8 * 8 + 3 * 8


def test_glue_per_layer_when_texts_are_twice_as_long_then_softmax_is_four_times_as_large() -> None:
    linear = 8 * 8 + 2 * 16
    assert glue_per_layer(8, 16, 2, 10) - 10 * linear == 4 * (glue_per_layer(8, 16, 2, 5) - 5 * linear)


def test_parts_of_when_texts_are_longer_then_never_faster() -> None:
    times = [parts_of(workload_of(SHAPE, tokens=n, classes=3), RATES).total for n in (3, 9, 30)]
    assert times == sorted(times)
    assert times[0] < times[-1]


@pytest.mark.parametrize(("share", "expected"), [(0.5, 10.0), (0.8, 10.0), (0.9, 20.0), (1.0, 30.0)])
def test_weighted_quantile_when_ten_texts_then_by_counting(share: float, expected: float) -> None:
    assert weighted_quantile({1: 10.0, 2: 20.0, 3: 30.0}, {1: 8, 2: 1, 3: 1}, share) == expected


def test_static_p50_when_counted_then_cycles_over_clock_else_none() -> None:
    assert static_p50(WORK, load_target("raspberry-pi")) == pytest.approx((1000 * 11.3 / 50.3 + 100 * 15.0 / 50.3) / 1.8e9, rel=1e-4)
    assert static_p50(WORK, load_target("pixel-6")) is None
    assert static_p50(replace(WORK, float_macs=0.0), load_target("raspberry-pi")) is None  # no transformer, so not what was counted
