"""A report with a device: measured figures stand where predicted ones stood, and an emulated one's times nowhere."""

import dataclasses
from typing import Any

import pytest

from edgedistill.device.results import DeviceFacts, DeviceMeasurement, DeviceRound, DeviceState
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.report.build import build_report
from edgedistill.report.html import render_html
from edgedistill.report.markdown import render_markdown
from edgedistill.report.model import RunReport, TargetReport
from edgedistill.results import Interval, ParityResult
from edgedistill.run_report import parity_advice_of, parity_problems_of

MIB = 2**20
STATE = DeviceState(governors=(), frequencies_hz={}, temperatures_c={}, throttling=(), load_average=None)


def measurement(**changes: Any) -> DeviceMeasurement:
    rounds = tuple(
        DeviceRound(cpus=(3,), load_s=0.2, first_run_s=0.03, warmup_s=(), samples_s=(p50, p50, p50 * 1.5), peak_rss_bytes=60 * MIB,
                    baseline_rss_bytes=50 * MIB, before=STATE, after=STATE, energy_j=None)
        for p50 in (0.008, 0.0082)
    )
    facts = DeviceFacts(system="Linux", architecture="aarch64", bits=64, model="Raspberry Pi 4", cpu="0xd08", cores=4, features=(),
                        ram_bytes=2**30, python="3.11", numpy="2.0", onnxruntime="1.20.1", is_emulated=False)
    found = DeviceMeasurement(
        address="ssh://pi@board", source="measured", device=facts, model_sha256="0", runtime="onnxruntime 1.20.1",
        protocol=BenchmarkProtocol(), sequence_tokens=8, rounds=rounds, rows=6, accuracy=Interval(value=0.5, low=0.2, high=0.8),
        against_host=ParityResult(reference="host", candidate="device", n=6, top1_agreement=1, decisions_flipped=0, max_abs_error=0.01,
                                  mean_abs_error=0.001, passed=True),
        reconnections=0, warnings=("the governor is 'ondemand'",),
    )
    return found.model_copy(update=changes)


def report_with(parts: Any, device: DeviceMeasurement) -> tuple[RunReport, TargetReport]:
    (name, target), *_ = parts.targets.items()
    changed = dataclasses.replace(parts, targets={name: dataclasses.replace(target, device=device)})
    report = build_report(changed)
    return report, report.targets[name]


def test_report_when_a_device_measured_then_its_figures_stand_where_predictions_stood(parts: Any) -> None:
    report, target = report_with(parts, measurement())
    there = target.variants["student_int8"].latency.target
    assert there is not None
    assert there.source == "measured"
    assert there.p50_s == pytest.approx(0.0082)  # of 8, 8, 12, 8.2, 8.2, 12.3 ms the median
    assert there.interval_s[0] <= there.p50_s <= there.interval_s[1]
    assert (target.headline.memory_bytes, target.headline.target_p50_source) == (10 * MIB, "measured")
    assert target.parity.arm64 is not None
    assert not any("not measured: nothing ran" in sentence or "aarch64" in sentence for sentence in target.not_checked)
    found = target.device
    assert found is not None
    assert found.mad_s == pytest.approx(0.0002)  # of 0, 0.2, 0.2, 0.2, 3.8 and 4.1 ms the middle
    assert found.p50_interval_s is not None
    assert (found.p90_interval_s, found.p99_interval_s) == (None, None)  # six runs
    for page in (render_markdown(report), render_html(report)):
        assert "Raspberry Pi 4" in page
        assert "onnxruntime 1.20.1" in page
    assert RunReport.model_validate_json(report.to_json()) == report


def test_report_when_the_device_answers_otherwise_then_the_verdict_is_fail(parts: Any) -> None:
    gate = measurement().against_host.model_copy(update={"passed": False, "decisions_flipped": 3, "problems": ("3 flipped",)})
    _, target = report_with(parts, measurement(against_host=gate))
    assert target.verdict == "fail"
    assert "parity arm64 failed: 3 flipped" in target.summary


def test_report_when_the_device_was_emulated_then_its_answers_count_and_its_times_do_not(parts: Any) -> None:
    facts = measurement().device.model_copy(update={"is_emulated": True})
    _, target = report_with(parts, measurement(device=facts, source="emulated", rounds=()))
    there = target.variants["student_int8"].latency.target
    assert there is None or there.source == "predicted"
    assert target.parity.arm64 is not None
    assert target.device is not None
    assert (target.device.p50_s, target.device.peak_rss_bytes, target.device.source) == (None, None, "emulated")


@pytest.mark.parametrize(("architecture", "gate"), [("x86_64", "x86_64"), ("AMD64", "x86_64"), ("arm64", "arm64")])
def test_report_when_a_device_of_any_architecture_answers_otherwise_then_its_gate_fails(
    parts: Any, architecture: str, gate: str
) -> None:
    facts = measurement().device.model_copy(update={"architecture": architecture})
    flipped = measurement().against_host.model_copy(update={"passed": False, "decisions_flipped": 2, "problems": ("2 of 6 flipped",)})
    report, target = report_with(parts, measurement(device=facts, against_host=flipped))
    assert [name for name, result in target.parity.gates.items() if not result.passed] == [gate]
    assert target.verdict == "fail"
    assert f"parity {gate} failed: 2 of 6 flipped" in target.summary
    (sentence,) = parity_problems_of(report)  # by which a run ends with exit code 4
    assert "device does not answer as host does: 2 of 6 flipped (100.00 % of 6 test rows agree" in sentence.replace("%", " %")
    assert "parity.int8_min_agreement" in parity_advice_of(report)


def test_report_when_a_device_was_timed_then_says_what_of_power_and_heat_was_not_recorded_where(parts: Any) -> None:
    _, target = report_with(parts, measurement())
    assert "On the host, power draw, heat and clock throttling were not measured." in target.not_checked
    assert "On the device, power draw, heat and clock throttling were not measured." in target.not_checked


@pytest.mark.parametrize(("changes", "said"), [
    ({"frequencies_hz": {"cpu3": 1.8e9}, "temperatures_c": {"battery 1": 30.0}}, ["On the device, heat was not measured."]),
    ({"throttling": ("firmware 0x50005",), "temperatures_c": {"cpu-thermal 0": 50.0}}, []),
])
def test_report_when_a_device_recorded_energy_clocks_or_heat_then_these_are_not_missing(
    parts: Any, changes: dict[str, Any], said: list[str]
) -> None:
    state = STATE.model_copy(update=changes)
    rounds = tuple(r.model_copy(update={"before": state, "after": state, "energy_j": 0.1}) for r in measurement().rounds)
    _, target = report_with(parts, measurement(rounds=rounds))
    assert [line for line in target.not_checked if line.startswith("On the device, ")] == said
