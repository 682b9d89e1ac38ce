"""Names of int8 schemes and what they say."""

import pytest

from edgedistill.errors import UsageError
from edgedistill.quantize.scheme_names import FLOAT, Scheme, all_schemes, computes_in_float, parse_scheme


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dynamic_wi8_afp32", Scheme("dynamic", "wi8", "afp32")),
        ("dynamic_wi8_afp32_per_channel", Scheme("dynamic", "wi8", "afp32", is_per_channel=True)),
        ("dynamic_wi8_afp32_reduced_range", Scheme("dynamic", "wi8", "afp32", is_reduced_range=True)),
        ("static_wi8_ai8", Scheme("static", "wi8", "ai8")),
        ("static_wi8_au8_per_channel_reduced_range", Scheme("static", "wi8", "au8", True, True)),
        ("static_wu8_au8", Scheme("static", "wu8", "au8")),
        ("weight_only_wi8_afp32", Scheme("weight_only", "wi8", "afp32")),
    ],
)
def test_parse_scheme_when_the_name_is_known_then_says_what_it_means(name: str, expected: Scheme) -> None:
    assert parse_scheme(name) == expected
    assert expected.name == name


def test_parse_scheme_of_every_scheme_is_the_inverse_of_its_name() -> None:
    assert [parse_scheme(scheme.name) for scheme in all_schemes()] == list(all_schemes())


@pytest.mark.parametrize("name", ["int4", "static_wi8_afp32", "dynamic_wi8_ai8", "static_wi8_ai8_reduced_range_per_channel",
                                  "dynamic_wu8_afp32_reduced_range", "weight_only_wi8_afp32_reduced_range", ""])
def test_parse_scheme_when_there_is_none_then_lists_those_there_are(name: str) -> None:
    with pytest.raises(UsageError, match="no int8 scheme") as failure:
        parse_scheme(name)
    assert "static_wi8_ai8" in failure.value.hint


def test_only_the_float_model_and_weight_only_schemes_compute_in_float() -> None:
    assert [scheme.name for scheme in all_schemes() if computes_in_float(scheme.name)] == [
        "weight_only_wi8_afp32", "weight_only_wi8_afp32_per_channel"]
    assert computes_in_float(FLOAT)


def test_only_static_schemes_need_calibration() -> None:
    assert {scheme.kind for scheme in all_schemes() if scheme.needs_calibration} == {"static"}
