"""Which core stands for a target."""

import pytest

from edgedistill.catalog import load_target, target_ids
from edgedistill.emulation.cores import CORES, core_for, core_named, other_cores
from edgedistill.errors import UsageError


@pytest.mark.parametrize(("target", "core"), [
    ("raspberry-pi-zero-2w", "cortex-a53"), ("raspberry-pi-3", "cortex-a53"), ("raspberry-pi", "cortex-a72"),
    ("raspberry-pi-5", "cortex-a76"), ("jetson-nano", "cortex-a57"), ("graviton2", "neoverse-n1"),
    ("android-midrange", "cortex-a76"),  # an A78: SDOT, as the A76 has
    ("laptop-avx2", "haswell"),
])
def test_core_for_a_shipped_target_then_has_its_int8_instructions(target: str, core: str) -> None:
    found = core_for(load_target(target).cpu)
    assert found is not None
    assert found.name == core


@pytest.mark.parametrize("target", ["laptop-vnni", "intel-n100"])
def test_core_for_x86_with_vnni_then_there_is_none(target: str) -> None:
    assert core_for(load_target(target).cpu) is None


def test_core_for_every_arm_target_then_dot_products_are_shown_as_the_target_has_them() -> None:
    arm = [cpu for cpu in (load_target(name).cpu for name in target_ids()) if cpu.architecture == "aarch64"]
    assert len(arm) > 10
    for cpu in arm:
        core = core_for(cpu)
        assert core is not None
        assert ("asimddp" in core.features.split()) == cpu.has_int8_dot_product


def test_core_named_in_capitals_then_is_found() -> None:
    assert core_named("Cortex-A53") is CORES["cortex-a53"]


def test_core_named_when_unknown_then_the_hint_lists_the_known() -> None:
    with pytest.raises(UsageError, match="cortex-a99") as refused:
        core_named("cortex-a99")
    assert "cortex-a72" in refused.value.hint
    assert "haswell" in refused.value.hint


@pytest.mark.parametrize(("target", "others"), [
    ("raspberry-pi", ["cortex-a53", "cortex-a76"]), ("raspberry-pi-3", ["cortex-a72", "cortex-a76"]),
    ("jetson-nano", ["cortex-a53", "cortex-a76"]), ("laptop-avx2", []), ("laptop-vnni", ["haswell"]),
])
def test_other_cores_then_those_that_make_int8_products_otherwise(target: str, others: list[str]) -> None:
    assert [core.name for core in other_cores(load_target(target).cpu)] == others
