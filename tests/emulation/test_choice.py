"""On which cores a target's int8 file is replayed, and what is said of the others."""

from pathlib import Path

import pytest

from edgedistill.catalog import load_target
from edgedistill.emulation import choice
from edgedistill.emulation.choice import choose_replays
from edgedistill.emulation.environment import Environment, EnvironmentFacts
from edgedistill.host import Host
from edgedistill.recipe import Parity

FACTS = EnvironmentFacts(emulator="7.2.22", onnxruntime="1.32.0", numpy="2", python="3.11.2", counts_instructions=True,
                         packages=(), vital_files=(), tree_sha256="a" * 64, size_bytes=1)


def host(architecture: str, *features: str) -> Host:
    return Host(system="Linux", architecture=architecture, cpu="a processor", cores=2, features=features, ram_bytes=2**31,
                python="3.11")


VNNI, AVX2, ARM = host("x86_64", "avx512_vnni"), host("x86_64", "avx2"), host("aarch64", "asimddp")


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find", lambda: Environment(Path("/somewhere"), FACTS))


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(("target", "machine", "own", "others"), [
    ("raspberry-pi", VNNI, "cortex-a72", ["cortex-a53", "cortex-a76"]),
    ("raspberry-pi-5", AVX2, "cortex-a76", ["cortex-a53", "cortex-a72"]),
    ("jetson-nano", VNNI, "cortex-a57", ["cortex-a53", "cortex-a76"]),  # an A57 makes int8 products as an A72 does
    ("graviton2", VNNI, "neoverse-n1", ["cortex-a53", "cortex-a72"]),
    ("laptop-avx2", VNNI, "haswell", []),
])
def test_choose_when_the_environment_is_there_then_the_targets_core_on_more_rows_and_others_that_differ(
    target: str, machine: Host, own: str, others: list[str]
) -> None:
    found = choose_replays(load_target(target), machine, Parity(emulated_rows=500, emulated_other_rows=60))
    assert [(order.core.name, order.rows_limit, order.is_target) for order in found.orders] == [
        (own, 500, True), *((name, 60, False) for name in others)]
    assert found.unchecked == ()


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(("target", "machine", "others"), [
    ("raspberry-pi", ARM, ["cortex-a53", "cortex-a76"]), ("laptop-avx2", AVX2, []), ("laptop-vnni", VNNI, ["haswell"]),
])
def test_choose_when_the_host_is_of_the_targets_kind_then_its_own_core_is_not_replayed(
    target: str, machine: Host, others: list[str]
) -> None:
    found = choose_replays(load_target(target), machine, Parity())
    assert [order.core.name for order in found.orders] == others
    assert not any(order.is_target for order in found.orders)
    assert found.unchecked == ()


@pytest.mark.usefixtures("built")
def test_choose_when_no_emulator_has_the_instructions_then_that_is_said_and_the_hosts_own_kind_is_no_other_core() -> None:
    found = choose_replays(load_target("laptop-vnni"), AVX2, Parity())
    (line,) = found.unchecked
    assert (line.core, line.not_checked, line.is_target) == ("x86 with VNNI", "x86 with VNNI cannot be emulated", True)
    assert line.hint == "edgedistill verify BUNDLE, on the device itself"
    assert found.orders == ()


@pytest.mark.usefixtures("built")
def test_choose_when_switched_off_then_every_line_names_the_key() -> None:
    found = choose_replays(load_target("raspberry-pi"), VNNI, Parity(emulated_rows=0))
    assert found.orders == ()
    assert [(line.not_checked, line.hint) for line in found.unchecked] == 3 * [
        ("parity.emulated_rows is 0", "--set parity.emulated_rows=1000")]


@pytest.mark.usefixtures("built")
def test_choose_when_the_others_are_switched_off_then_the_targets_core_is_replayed_alone() -> None:
    found = choose_replays(load_target("raspberry-pi"), VNNI, Parity(emulated_other_rows=0))
    assert [order.core.name for order in found.orders] == ["cortex-a72"]
    assert [(line.core, line.hint) for line in found.unchecked] == [
        (name, "--set parity.emulated_other_rows=100") for name in ("cortex-a53", "cortex-a76")]


@pytest.mark.usefixtures("built")
def test_choose_when_fewer_rows_are_wanted_on_the_targets_core_then_others_get_no_more() -> None:
    found = choose_replays(load_target("raspberry-pi"), VNNI, Parity(emulated_rows=20))
    assert [order.rows_limit for order in found.orders] == [20, 20, 20]


def test_choose_without_an_environment_then_the_command_is_named_for_each_core() -> None:
    found = choose_replays(load_target("raspberry-pi"), VNNI, Parity())
    assert found.orders == ()
    assert [(line.core, line.is_target) for line in found.unchecked] == [
        ("cortex-a72", True), ("cortex-a53", False), ("cortex-a76", False)]
    assert {line.hint for line in found.unchecked} == {"edgedistill arm-env; then the same command again"}
