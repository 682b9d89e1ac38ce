"""When the int8 student is replayed on the target's core, and what is said when it is not."""

from pathlib import Path

import pytest

from edgedistill import emulated_step
from edgedistill.catalog import load_target
from edgedistill.emulation.environment import Environment, EnvironmentFacts
from edgedistill.host import Host

FACTS = EnvironmentFacts(emulator="7.2.22", onnxruntime="1.32.0", numpy="2", python="3.11.2", counts_instructions=True,
                         packages=(), vital_files=(), tree_sha256="a" * 64, size_bytes=1)


def host(architecture: str, *features: str) -> Host:
    return Host(system="Linux", architecture=architecture, cpu="a processor", cores=2, features=features, ram_bytes=2**31,
                python="3.11")


VNNI, AVX2, ARM = host("x86_64", "avx512_vnni"), host("x86_64", "avx2"), host("aarch64", "asimddp")


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulated_step, "find", lambda: Environment(Path("/somewhere"), FACTS))


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(("target", "machine", "core"), [
    ("raspberry-pi", VNNI, "cortex-a72"), ("raspberry-pi-5", AVX2, "cortex-a76"), ("laptop-avx2", VNNI, "haswell"),
])
def test_means_when_the_environment_is_there_then_the_targets_core(target: str, machine: Host, core: str) -> None:
    means = emulated_step._means(load_target(target), machine, 100)
    assert not isinstance(means, str)
    assert means.core.name == core


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(("target", "machine"), [("raspberry-pi", ARM), ("laptop-avx2", AVX2), ("laptop-vnni", VNNI)])
def test_means_when_the_host_is_of_the_targets_kind_then_nothing_is_to_be_said(target: str, machine: Host) -> None:
    assert emulated_step._means(load_target(target), machine, 100) == ""


@pytest.mark.usefixtures("built")
def test_means_when_no_emulator_has_the_instructions_then_that_is_said() -> None:
    said = emulated_step._means(load_target("laptop-vnni"), AVX2, 100)
    assert str(said).endswith("x86 with VNNI cannot be emulated.")


@pytest.mark.usefixtures("built")
def test_means_when_switched_off_then_the_key_is_named() -> None:
    assert "parity.emulated_rows is 0" in str(emulated_step._means(load_target("raspberry-pi"), VNNI, 0))


def test_means_without_an_environment_then_the_command_is_named() -> None:
    said = str(emulated_step._means(load_target("raspberry-pi"), VNNI, 100))
    assert "was not checked on the instruction set of Raspberry Pi 4 Model B (64-bit)" in said
    assert "edgedistill arm-env" in said
