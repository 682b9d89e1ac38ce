"""Calibrating a device that is a folder: the device's own name, nothing of emulated times, and an end in time."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgedistill.calibrate import remote
from edgedistill.calibrate.micro_graphs import micro_graphs
from edgedistill.calibrate.remote import calibrate_device
from edgedistill.device.session import Device, Session, Work, find_device
from edgedistill.device.transport import Answer
from edgedistill.errors import TargetError
from edgedistill.latency.workload import Workload
from edgedistill.local_target import described_target
from edgedistill.target import read_target
from tests.device.conftest import FolderTransport


def _device(home: Path, **changes: object) -> Device:
    found = find_device(FolderTransport(home))
    facts = found.facts.model_copy(update={"model": "Raspberry Pi 4 Model B Rev 1.4"} | changes)
    return Device(found.transport, found.python, facts)


def _open(device: Device, work: Work) -> Session:
    return Session(device, work, (0.0,), sleep=lambda seconds: None)


def test_calibrate_when_over_a_transport_then_the_profile_is_the_devices_and_reads_back(tmp_path: Path) -> None:
    device = _device(tmp_path, max_clock_hz=1.5e9)
    found = calibrate_device(device, rounds=1, seconds=1e-4, open_session=_open)
    assert found.id == "raspberry-pi-4-model-b-rev-1-4"
    assert found.cpu.clock_hz.value == 1.5e9
    assert found.latency is not None
    assert found.latency.origin == "calibrated"
    assert found.latency.int8_macs_per_s.source.startswith("measured on Raspberry Pi 4 Model B Rev 1.4: ")
    assert found.cpu.sources.features.how == "seen"
    assert found.runtime.sources.oldest.source == f"the system: onnxruntime {device.facts.onnxruntime} is installed"
    (tmp_path / "x.yaml").write_text(found.to_yaml())
    assert read_target(tmp_path / "x.yaml") == found
    assert not list(tmp_path.rglob("graphs.npz"))


@pytest.mark.parametrize(("cpu", "name"), [
    ("0xd08", "cortex-a72"), ("0xD0B", "cortex-a76"), ("0xfff", "0xfff"), ("0x48 0xd40", "0x48 0xd40"), ("Intel(R) Xeon(R)", "Intel(R) Xeon(R)"),
])
def test_machine_when_the_system_gives_a_part_number_then_the_name_of_arm_s_core(cpu: str, name: str, tmp_path: Path) -> None:
    found = remote._machine(_device(tmp_path, cpu=cpu, model=None))
    assert described_target(found).cpu.microarchitecture == name
    assert found.name.startswith(f"{name} at ")
    assert found.id == re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
    assert remote._machine(_device(tmp_path, cpu=cpu)).id == "raspberry-pi-4-model-b-rev-1-4"


def test_calibrate_when_emulated_then_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="its times say nothing"):
        calibrate_device(_device(tmp_path, is_emulated=True), rounds=1, seconds=1e-4, open_session=_open)


def _takes_s(work: Workload) -> float:
    """A device that the model of rates describes exactly."""
    return (1e-5 + work.int8_macs / 2e9 + work.float_macs / 1e9 + work.glue_elements / 3e8 + work.nodes * 1e-6
            + (work.weight_bytes + work.gathered_bytes) / 4e9)


STATE = {"governors": [], "frequencies_hz": {}, "temperatures_c": {}, "throttling": [], "load_average": None}


@dataclass
class SlowTransport(FolderTransport):
    """A device on which the graphs of a round take `takes_s` on one thread and on two together; only its clock says so."""

    takes_s: Sequence[float] = ()
    p50_s: dict[str, float] = field(default_factory=dict)
    now_s: float = 1000.0
    asked: list[str] = field(default_factory=list)

    def run(self, command: str, *, timeout_s: float) -> Answer:
        if "part graphs-" not in command:
            return super().run(command, timeout_s=timeout_s)
        name = command.rpartition("/")[2]
        self.asked.append(name)
        self.now_s += self.takes_s[int(name.split("-")[1])] / 2
        found = {"cpus": [0], "p50_s": self.p50_s, "before": STATE, "after": STATE}
        return Answer(0, json.dumps(found).encode(), "")


@pytest.fixture
def slow_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SlowTransport]:
    """A function that makes a device; the graphs are those with few bytes, because 60 MB take seconds to pack."""
    small = tuple(graph for graph in micro_graphs() if len(graph.model) < 300_000)
    monkeypatch.setattr(remote, "micro_graphs", lambda **_: small)
    p50_s = {graph.name: _takes_s(graph.work) for graph in small}
    return lambda takes_s: SlowTransport(tmp_path, takes_s=takes_s, p50_s=p50_s)


@pytest.mark.parametrize(("takes_s", "rounds"), [
    ([12] * 5, 5), ([20] * 5, 5),  # 100 s are allowed
    ([21] * 5, 4), ([40] * 5, 2), ([60] * 5, 1), ([300] * 5, 1),
    ([5, 60, 5, 5, 5], 2),  # 65 s have gone, and a round may take 60
    ([0, 0, 45, 45, 45], 4),  # two were finished before the connection was lost
])
def test_calibrate_when_rounds_take_long_then_as_many_as_end_in_time(
    tmp_path: Path, takes_s: list[float], rounds: int, caplog: pytest.LogCaptureFixture,
    slow_device: Callable[..., SlowTransport],
) -> None:
    transport = slow_device(takes_s)
    facts = _device(tmp_path, cores=4).facts
    found = calibrate_device(Device(transport, transport.pythons[0], facts), rounds=5, seconds=0.1, open_session=_open,
                             clock=lambda: transport.now_s)
    assert transport.asked == [f"graphs-{index}-{threads}" for index in range(rounds) for threads in (1, 2)]
    assert transport.now_s - 1000 <= 120 or rounds == 1
    assert found.latency is not None
    assert (f"in {rounds} of 5 rounds" in found.latency.int8_macs_per_s.source) == (rounds < 5)
    assert (f"{rounds} of 5 are timed" in caplog.text) == (rounds < 5)
    assert ["timed once" in warning for warning in found.latency.warnings] == [True] * (rounds == 1)
    assert found.latency.spread.value == (2 if rounds == 1 else 1.25)
    assert not list(tmp_path.rglob("graphs.npz"))


def test_calibrate_when_the_device_has_one_core_then_nothing_is_timed_on_two(
    tmp_path: Path, slow_device: Callable[..., SlowTransport]
) -> None:
    transport = slow_device([1] * 5)
    facts = _device(tmp_path, cores=1).facts
    found = calibrate_device(Device(transport, transport.pythons[0], facts), rounds=2, seconds=0.1, open_session=_open,
                             clock=lambda: transport.now_s)
    assert transport.asked == ["graphs-0-1", "graphs-1-1"]
    assert found.latency is not None
    assert found.latency.thread_exponent is None
