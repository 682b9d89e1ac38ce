"""Calibrating a device that is a folder: a profile with the device's own name, and nothing of emulated times."""

from pathlib import Path

import pytest

from edgedistill.calibrate.remote import calibrate_device
from edgedistill.device.session import Device, Session, Work, find_device
from edgedistill.errors import TargetError
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


def test_calibrate_when_emulated_then_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="its times say nothing"):
        calibrate_device(_device(tmp_path, is_emulated=True), rounds=1, seconds=1e-4, open_session=_open)
