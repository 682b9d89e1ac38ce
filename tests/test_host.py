"""The host: what is read from the system, and what follows from it."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from edgedistill import host
from edgedistill.host import Host, available_cores, this_host, tool_version

X86 = """\
processor\t: 0
model name\t: Example CPU @ 2.00GHz: special
flags\t\t: fpu avx2 fma avx512f avx512_vnni avx512_bf16

processor\t: 1
model name\t: Example CPU @ 2.00GHz: special
flags\t\t: fpu avx2 fma avx512f avx512_vnni avx512_bf16
power management:
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm bf16\nCPU part\t: 0xd0b\n\nHardware\t: Board\n"


def host_with(*features: str, architecture: str = "x86_64") -> Host:
    return this_host().model_copy(update={"features": features, "architecture": architecture})


@pytest.mark.parametrize(("named", "target"), [("AMD64", "x86_64"), ("arm64", "aarch64"), ("aarch64", "aarch64"), ("armv7l", "armv7l")])
def test_target_architecture_then_that_of_the_profiles(named: str, target: str) -> None:
    assert host_with(architecture=named).target_architecture == target


def test_lasting_when_memory_and_python_changed_then_equal_but_not_of_another_processor() -> None:
    now = this_host()
    assert now.lasting == now.model_copy(update={"ram_bytes": now.ram_bytes - 4096, "python": "3.11.99"}).lasting
    assert now.lasting != now.model_copy(update={"cores": now.cores + 1}).lasting


def test_this_host_when_asked_twice_then_read_once_and_as_the_system_says() -> None:
    found = this_host()
    assert this_host() is found
    assert (found.architecture, found.system) == (platform.machine(), platform.system())
    assert found.ram_bytes == psutil.virtual_memory().total
    assert Host.model_validate_json(found.to_json()) == found


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_available_cores_when_tied_to_one_core_then_one() -> None:
    code = (
        "import os; from edgedistill.host import available_cores;"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(available_cores())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "1"
    assert available_cores() == len(os.sched_getaffinity(0))


def test_tool_version_when_installed_or_not_then_version_or_none() -> None:
    assert tool_version("numpy") == np.__version__
    assert tool_version("no-such-package-anywhere") is None


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (X86, "Example CPU @ 2.00GHz: special", {"avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16"}),
        (ARM, "cortex-a76", {"asimddp", "i8mm", "bf16"}),
        ("", platform.machine(), set()),
    ],
)
def test_cpu_info_when_the_system_has_cpuinfo_then_name_and_features(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, name: str, expected: set[str]
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(host, "Path", lambda _: tmp_path / "cpuinfo")
    found, features = host._cpu_info()
    assert found == name
    assert expected <= features


def test_cpu_info_when_there_is_no_cpuinfo_then_a_name_and_no_features(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(host, "Path", lambda _: tmp_path / "nowhere")
    name, features = host._cpu_info()
    assert name
    assert not features


def test_host_when_asked_for_bf16_and_saturation_then_by_instruction_set() -> None:
    assert host_with("avx512_bf16").has_bf16
    assert host_with("amx_bf16").has_bf16
    assert not host_with("avx2", "avx512f").has_bf16
    assert host_with("avx2").saturates_u8s8
    assert not host_with("avx2", "avx512_vnni").saturates_u8s8
    assert not host_with("avx2", "avx_vnni").saturates_u8s8
    assert not host_with("asimddp", architecture="aarch64").saturates_u8s8
