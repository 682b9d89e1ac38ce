"""This machine as a target: what the system says, and what is refused."""

import pytest

from edgedistill.catalog import load_target
from edgedistill.errors import TargetError
from edgedistill.host import Host, this_host
from edgedistill.local_target import local_target


def host(architecture: str, *features: str) -> Host:
    return Host(system="Linux", architecture=architecture, cpu="a processor", cores=4, features=features,
                ram_bytes=2**31, python="3.11")


def test_load_target_when_local_then_this_machine() -> None:
    target = load_target("local")
    assert (target.id, target.cpu.cores) == ("local", this_host().cores)
    assert target.ram_bytes.value == this_host().ram_bytes


@pytest.mark.parametrize(
    ("machine", "path", "mac_per_cycle"),
    [
        (host("x86_64", "avx2", "fma"), "maddubs", 32),
        (host("x86_64", "avx2", "fma", "avx512f", "avx512_vnni"), "vnni", 64),
        (host("aarch64"), "smull", 8),
        (host("arm64", "asimddp", "i8mm"), "sdot", 32),
        (host("x86_64"), "scalar", 1),
    ],
)
def test_local_target_when_the_instruction_set_is_known_then_its_int8_path(
    machine: Host, path: str, mac_per_cycle: float
) -> None:
    cpu = local_target(machine).cpu
    assert cpu.peaks is not None
    assert cpu.peaks.best_int8_path == path
    assert cpu.peaks.int8_ops[path].value == pytest.approx(2 * mac_per_cycle * cpu.clock_hz.value)  # type: ignore[index]


@pytest.mark.parametrize("architecture", ["armv7l", "armv6l", "armhf"])
def test_local_target_when_32_bit_arm_then_refused_with_what_to_do(architecture: str) -> None:
    with pytest.raises(TargetError, match="32-bit ARM, for which PyPI has no onnxruntime; install the board's 64-bit system"):
        local_target(host(architecture))


def test_local_target_when_another_architecture_then_refused() -> None:
    with pytest.raises(TargetError, match=r"this machine \(.*\) is riscv64; targets are"):
        local_target(host("riscv64"))
