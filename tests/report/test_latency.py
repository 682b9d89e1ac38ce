"""The p50 that is shown lies inside the interval that is shown with it, and what is no independent sample does not narrow it."""

from typing import Any

import numpy as np
import pytest

from edgedistill.report.latency import device_latency, device_report, host_latency, speed_ratio_on_host
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


def test_latency_when_there_are_several_processes_then_the_interval_is_over_them_and_not_over_their_rounds(make: Any) -> None:
    # processes of 2 and 4 ms, three rounds each: their logs have the mean ln sqrt(8), half of the interval is
    # t(0.975, 1) x sd / sqrt(2) = 12.7062 x ln(2) / sqrt(2) / sqrt(2) = 4.4036; the teacher takes 8 ms in both
    student, teacher = (
        make.measurement("student_int8", 0.001).model_copy(update={"rounds_s": tuple((s, s) for s in seconds)})
        for seconds in ((2e-3,) * 3 + (4e-3,) * 3, (8e-3,) * 6)
    )
    protocol = student.protocol.model_copy(update={"rounds": 3, "processes": 2})
    student, teacher = (one.model_copy(update={"protocol": protocol}) for one in (student, teacher))
    factor, middle = np.exp(4.4036), 8**0.5
    assert host_latency(student).p50_interval_s == pytest.approx((1e-3 * middle / factor, 1e-3 * middle * factor), rel=1e-4)
    ratio = speed_ratio_on_host(teacher, student)
    assert ratio is not None
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx((8 / middle / factor, 8 / middle, 8 / middle * factor), rel=1e-4)
