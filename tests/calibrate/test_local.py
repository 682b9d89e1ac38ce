"""Calibrating this machine: it runs, the profile has the same form each time, and reads back."""

import dataclasses
import os
from pathlib import Path

import pytest

import edgedistill
from edgedistill.benchmark.machine import choose_cores
from edgedistill.calibrate import local
from edgedistill.calibrate.fit import FittedRates
from edgedistill.calibrate.micro_graphs import micro_graphs
from edgedistill.calibrate.profile import calibrated_profile
from edgedistill.calibrate.timing import time_graphs
from edgedistill.cli.app import run_command_line
from edgedistill.latency.rates import rates_of
from edgedistill.local_target import local_target
from edgedistill.target import Target, read_target

RATES = FittedRates({"int8_macs": 1e-10, "float_macs": 2e-10, "glue_elements": 1e-9, "bytes": 0.0, "nodes": 1e-6, "call": 2e-6},
                    residual_error=0.07, noise=0.1, spread=2.0, warnings=("no time was left for bytes",))


def test_calibrate_when_run_twice_then_a_profile_of_the_same_form_that_reads_back(tmp_path: Path) -> None:
    found = [edgedistill.calibrate(tmp_path / f"{i}.yaml", rounds=1, seconds=1e-4) for i in range(2)]
    assert read_target(tmp_path / "0.yaml") == found[0]
    keys = [[line.split(":")[0] for line in (tmp_path / f"{i}.yaml").read_text().splitlines() if line.startswith("  ")
             and ":" in line and not line.strip().startswith("-")] for i in range(2)]
    required = {"  int8_macs_per_s", "  float_macs_per_s", "  glue_elements_per_s", "  node_overhead_s", "  residual_error"}
    assert required <= set(keys[0]) & set(keys[1])
    assert found[0].latency is not None
    assert found[0].latency.origin == "calibrated"
    assert found[0].latency.residual_error is not None


def test_calibrated_profile_when_a_rate_is_unknown_then_it_does_not_count_and_the_warning_stays() -> None:
    target = calibrated_profile(local_target(), RATES, graphs=40, runtime="onnxruntime 1.32.0", exponent=None)
    rates = rates_of(target)
    assert (rates.int8_mac_s, rates.node_s, rates.call_s) == pytest.approx((1e-10, 1e-6, 2e-6))
    assert rates.byte_s <= 1e-13
    assert target.latency is not None
    assert target.latency.warnings == ("no time was left for bytes",)
    assert (rates.low, rates.high) == (0.5, 2.0)


def test_calibrated_profile_when_a_fit_leaves_next_to_nothing_then_the_profile_can_still_be_read(tmp_path: Path) -> None:
    odd = dataclasses.replace(RATES, seconds=RATES.seconds | {"int8_macs": 1e-30, "nodes": 0.0, "call": 1e-20}, spread=1e9)
    target = calibrated_profile(local_target(), odd, graphs=40, runtime="onnxruntime 1.32.0", exponent=0.01)
    (tmp_path / "a.yaml").write_text(target.to_yaml())
    latency = read_target(tmp_path / "a.yaml").latency
    assert latency is not None
    assert (latency.int8_macs_per_s.value, latency.node_overhead_s.value, latency.call_overhead_s) == (1e13, 1e-13, None)
    assert latency.spread.value == 1000


def test_time_graphs_when_the_clock_is_ours_then_the_seconds_are_its_ticks() -> None:
    ticks = iter(range(10_000))
    (timed,) = time_graphs(micro_graphs()[:1], rounds=2, seconds=0, clock=lambda: float(next(ticks)))
    assert timed.rounds_s == (1.0, 1.0)  # a tick before, a tick after
    assert timed.noise == 0


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not keep processes to cores")
def test_time_graphs_when_timing_then_on_the_cores_of_a_benchmark_and_free_afterwards() -> None:
    before, seen = os.sched_getaffinity(0), []

    def clock() -> float:
        seen.append(os.sched_getaffinity(0))
        return float(len(seen))

    time_graphs(micro_graphs()[:1], rounds=1, seconds=0, clock=clock)
    assert set(map(frozenset, seen)) == {frozenset(choose_cores(1))}
    assert len(seen[0]) == 1
    assert os.sched_getaffinity(0) == before


def test_targets_calibrate_when_nothing_is_named_then_asks_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["targets", "calibrate", "-o", str(tmp_path / "a.yaml")]) == 2
    assert "--local" in capsys.readouterr().err
    assert not (tmp_path / "a.yaml").exists()


@pytest.mark.parametrize(("given", "address"), [
    (["--local"], None),
    (["--ssh", "pi@board:2222"], "ssh://pi@board:2222"), (["--ssh", "ssh://pi@board"], "ssh://pi@board"),
    (["--adb", "R58M"], "adb:R58M"), (["--adb", "adb:R58M"], "adb:R58M"), (["--ssh", ""], "ssh://"),
])
def test_targets_calibrate_when_a_device_is_named_then_by_its_address(
    given: list[str], address: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def calibrate(out: Path, *, on: str | None) -> Target:
        asked.append(on)
        return calibrated_profile(local_target(), RATES, graphs=40, runtime="onnxruntime 1.32.0", exponent=0.8)

    monkeypatch.setattr(edgedistill, "calibrate", calibrate)
    assert run_command_line(["targets", "calibrate", *given, "-o", str(tmp_path / "a.yaml")]) == 0
    assert asked == [address]


def test_targets_calibrate_when_the_fit_is_noisy_then_warns_and_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy = calibrated_profile(local_target(), RATES, graphs=40, runtime="onnxruntime 1.32.0", exponent=0.8)
    monkeypatch.setattr(local, "calibrate_this_machine", lambda **_: noisy)
    assert run_command_line(["targets", "calibrate", "--local", "-o", str(tmp_path / "a.yaml")]) == 0
    said = capsys.readouterr()
    assert "warning: no time was left for bytes" in said.err
    assert "to 7.0%" in said.out
    assert read_target(tmp_path / "a.yaml").latency == noisy.latency
