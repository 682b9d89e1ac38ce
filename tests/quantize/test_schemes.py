"""Which int8 schemes a target wants, by its instruction set."""

from pathlib import Path

import pytest

from edgedistill.errors import UsageError
from edgedistill.quantize.schemes import check_scheme, is_per_channel, is_reduced_range, schemes_for
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


def test_is_reduced_range_only_of_the_seven_bit_scheme() -> None:
    assert is_reduced_range(REDUCED)
    assert not is_reduced_range(FULL)


def test_is_per_channel_of_the_schemes_with_a_scale_a_column() -> None:
    assert [is_per_channel(name) for name in (FULL, COLUMNS, REDUCED, COLUMNS_REDUCED)] == [False, True, False, True]
    assert is_reduced_range(COLUMNS_REDUCED)


@pytest.mark.parametrize("name", ["auto", FULL, COLUMNS, REDUCED, COLUMNS_REDUCED])
def test_check_scheme_returns_a_known_name(name: str) -> None:
    assert check_scheme(name) == name


def test_check_scheme_of_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(UsageError, match="static_wi8_ai8") as failure:
        check_scheme("static_wi8_ai8")
    assert REDUCED in failure.value.hint
