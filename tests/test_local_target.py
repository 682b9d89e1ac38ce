"""This machine as a target: what the system says, and what is refused."""

import pytest

from edgedistill.catalog import load_target
from edgedistill.errors import TargetError
from edgedistill.host import Host, this_host
from edgedistill.local_target import Machine, described_target, local_target


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


def machine(runtime: str | None) -> Machine:
    return Machine("board", "a board", host("aarch64"), 1.5e9, runtime)


def test_described_target_when_a_runtime_is_there_then_the_sources_say_that_it_was_seen() -> None:
    runtime = described_target(machine("1.21.1+cpu")).runtime
    assert (runtime.oldest, runtime.max_opset, runtime.max_ir_version) == ("1.21", 20, 9)  # never above the shipped profiles'
    assert (runtime.sources.oldest.source, runtime.sources.oldest.how) == ("the system: onnxruntime 1.21.1+cpu is installed", "seen")
    assert runtime.sources.max_opset.how == "derived"


def test_described_target_when_no_runtime_is_there_then_the_sources_say_that_it_is_a_judgement() -> None:
    runtime = described_target(machine(None)).runtime
    assert (runtime.oldest, runtime.sources.oldest.how) == ("1.17", "assumed")
    assert "judgement" in runtime.sources.oldest.source


def test_described_target_when_the_runtime_is_old_then_its_own_ceilings() -> None:
    # microsoft/onnxruntime docs/reference/compatibility.md: 1.14 reads opset 18 and IR version 8
    runtime = described_target(machine("1.14.1")).runtime
    assert (runtime.max_opset, runtime.max_ir_version) == (18, 8)


def test_described_target_when_the_runtime_is_older_than_any_model_then_refused() -> None:
    with pytest.raises(TargetError, match=r"onnxruntime 1\.5\.2 is older than 1\.6"):
        described_target(machine("1.5.2"))


def test_local_target_when_the_system_names_no_instruction_set_then_the_features_are_a_judgement() -> None:
    assert local_target(host("x86_64")).cpu.sources.features.how == "assumed"
    assert local_target(host("x86_64", "avx2")).cpu.sources.features.how == "seen"


@pytest.mark.parametrize("architecture", ["armv7l", "armv6l", "armhf"])
def test_local_target_when_32_bit_arm_then_refused_with_what_to_do(architecture: str) -> None:
    with pytest.raises(TargetError, match="32-bit ARM, for which PyPI has no onnxruntime; install the board's 64-bit system"):
        local_target(host(architecture))


def test_local_target_when_another_architecture_then_refused() -> None:
    with pytest.raises(TargetError, match=r"this machine \(.*\) is riscv64; targets are"):
        local_target(host("riscv64"))


def test_local_target_when_the_system_does_not_tell_its_memory_then_refuses_with_a_sentence() -> None:
    with pytest.raises(TargetError, match="does not tell how much memory it has"):
        local_target(host("x86_64").model_copy(update={"ram_bytes": 0}))
