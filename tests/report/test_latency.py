"""The p50 that is shown lies inside the interval that is shown with it."""

from typing import Any

import pytest

from edgedistill.report.latency import device_latency, device_report, host_latency
from tests.report.test_device import measurement

# 30 rounds of 1 s and 10 of 1.3 s, twice each: the median of all is 1. The logs of the round medians have the mean ln(1.3) / 4 =
# 0.06559 and the deviation ln(1.3) sqrt(3 / 16 x 40 / 39) = 0.11505; with t(0.975, 39) = 2.0227 half the interval is 0.03680
SECONDS = (1.0,) * 30 + (1.3,) * 10
INTERVAL = (1.0, pytest.approx(1.10782, abs=2e-5))


def test_host_latency_when_the_rounds_lie_above_the_p50_then_the_interval_holds_it(make: Any) -> None:
    rounds = tuple((seconds, seconds) for seconds in SECONDS)
    found = host_latency(make.measurement("student_int8", 0.001).model_copy(update={"rounds_s": rounds}))
    assert (found.p50_s, found.p50_interval_s) == (1.0, INTERVAL)


def test_device_latency_when_the_rounds_lie_above_the_p50_then_the_interval_holds_it_everywhere() -> None:
    one = measurement().rounds[0]
    device = measurement(rounds=tuple(one.model_copy(update={"samples_s": (seconds, seconds)}) for seconds in SECONDS))
    report, latency = device_report(device), device_latency("student_int8", device)
    assert latency is not None
    assert (report.p50_s, report.p50_interval_s) == (latency.p50_s, latency.interval_s) == (1.0, INTERVAL)
