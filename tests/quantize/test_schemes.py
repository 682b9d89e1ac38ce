"""Which int8 schemes a target wants, by its instruction set."""

from pathlib import Path
from typing import get_args

import pytest

from edgedistill.errors import UsageError
from edgedistill.int8_settings import Int8Scheme, Quantization
from edgedistill.quantize.instruction_rules import shares_path
from edgedistill.quantize.scheme_names import all_schemes
from edgedistill.quantize.schemes import check_scheme, schemes_for
from edgedistill.target import Target, read_target

FULL, REDUCED = "dynamic_wi8_afp32", "dynamic_wi8_afp32_reduced_range"
COLUMNS, COLUMNS_REDUCED = "dynamic_wi8_afp32_per_channel", "dynamic_wi8_afp32_per_channel_reduced_range"
RASPBERRY_PI = Path(__file__).parents[2] / "targets" / "raspberry-pi.yaml"


def target_with(architecture: str, *features: str) -> Target:
    target = read_target(RASPBERRY_PI)
    return target.model_copy(update={"cpu": target.cpu.model_copy(update={"architecture": architecture, "features": features})})


@pytest.mark.parametrize(
    ("architecture", "features", "expected"),
    [
        ("aarch64", ["neon"], (COLUMNS, FULL, REDUCED)),
        ("aarch64", ["neon", "asimddp", "i8mm"], (COLUMNS, FULL, REDUCED)),
        ("x86_64", ["avx2", "fma"], (COLUMNS_REDUCED, REDUCED)),
        ("x86_64", ["avx2", "fma", "avx512"], (COLUMNS_REDUCED, REDUCED)),
        ("x86_64", ["avx2", "avx_vnni"], (COLUMNS, FULL, REDUCED)),
        ("x86_64", ["avx2", "avx512", "avx512_vnni"], (COLUMNS, FULL, REDUCED)),
    ],
)
def test_schemes_for_a_target_without_vnni_keep_weights_to_seven_bits(
    architecture: str, features: list[str], expected: tuple[str, ...]
) -> None:
    choice = schemes_for(target_with(architecture, *features), wanted="auto")
    assert choice.schemes == expected
    assert "cortex" in choice.why


def test_schemes_for_a_recipe_that_names_one_is_that_one() -> None:
    assert schemes_for(target_with("x86_64", "avx2"), wanted=FULL).schemes == (FULL,)


@pytest.mark.parametrize(
    ("architecture", "features", "expected"),
    [
        ("aarch64", ["neon"], "static_wi8_ai8_per_channel"),  # S8S8
        ("x86_64", ["avx2", "avx512_vnni"], "static_wi8_au8_per_channel"),  # U8S8 in 32 bits
        ("x86_64", ["avx2"], "static_wi8_au8_per_channel_reduced_range"),  # U8S8 in 16 bits
    ],
)
def test_static_schemes_follow_the_instruction_set(architecture: str, features: list[str], expected: str) -> None:
    assert schemes_for(target_with(architecture, *features), wanted="auto").static[0] == expected


def test_a_target_that_saturates_is_offered_no_full_range_u8s8() -> None:
    choice = schemes_for(target_with("x86_64", "avx2"), wanted="auto")
    assert all("reduced_range" in name or "wu8_au8" in name for name in (*choice.schemes, *choice.static))


def test_every_shipped_target_falls_under_a_rule_whose_schemes_a_recipe_can_name() -> None:
    for path in sorted(RASPBERRY_PI.parent.glob("*.yaml")):
        choice = schemes_for(read_target(path), wanted="auto")
        for name in (*choice.schemes, *choice.static):
            assert Quantization.model_validate({"scheme": name}).scheme == name


def test_a_recipe_can_name_every_scheme_that_can_be_made() -> None:
    assert set(get_args(Int8Scheme)) == {"auto", *(scheme.name for scheme in all_schemes())}


@pytest.mark.parametrize(
    ("target", "architecture", "features", "expected"),
    [
        (("aarch64", "neon"), "x86_64", ("avx2",), False),
        (("x86_64", "avx2"), "x86_64", ("avx2",), True),
        (("x86_64", "avx2"), "x86_64", ("avx2", "avx512_vnni"), False),
        (("x86_64", "avx2", "avx_vnni"), "x86_64", ("avx2", "avx512_vnni"), True),
        (("aarch64", "neon", "asimddp"), "aarch64", ("asimddp",), True),
        (("aarch64", "neon", "asimddp"), "aarch64", ("asimddp", "i8mm"), False),
    ],
)
def test_shares_path_only_of_machines_with_the_same_int8_products(
    target: tuple[str, ...], architecture: str, features: tuple[str, ...], expected: bool
) -> None:
    cpu = target_with(*target).cpu
    assert shares_path(cpu, architecture=architecture, features=features) is expected


@pytest.mark.parametrize("name", ["auto", FULL, COLUMNS, REDUCED, COLUMNS_REDUCED])
def test_check_scheme_returns_a_known_name(name: str) -> None:
    assert check_scheme(name) == name


def test_check_scheme_of_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(UsageError, match="static_int4") as failure:
        check_scheme("static_int4")
    assert REDUCED in failure.value.hint
    assert "static_wi8_ai8" in failure.value.hint
