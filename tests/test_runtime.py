"""The runtime of a target: what each release of onnxruntime reads, and the names of its execution providers."""

import onnxruntime
import pytest

from edgedistill.runtime import NEWEST, Ceiling, Runtime, RuntimeSources, ceiling_of, is_older


@pytest.mark.parametrize(
    ("version", "opset", "ir_version"),
    [  # microsoft/onnxruntime docs/reference/compatibility.md
        ("1.6", 13, 7), ("1.8.2", 14, 7), ("1.10", 15, 8), ("1.12", 17, 8), ("1.15.1", 19, 8), ("1.16", 19, 9), ("1.17.3", 20, 9),
        ("1.18", 21, 10), ("1.20.1", 21, 10),
        # what the release itself says
        ("1.21.0", 22, 10), ("1.22", 22, 10), ("1.23.0", 23, 11), ("1.24.1", 25, 13), ("1.25", 26, 13), ("1.31", 26, 13),
    ],
)
def test_ceiling_when_a_release_is_in_the_table_then_as_published(version: str, opset: int, ir_version: int) -> None:
    assert ceiling_of(version) == Ceiling(opset, ir_version)


def test_ceiling_when_a_release_is_newer_than_the_table_then_that_of_the_newest_known() -> None:
    assert ceiling_of("1.99") == ceiling_of("2.0") == NEWEST


@pytest.mark.parametrize("version", ["1.5.2", "0.9"])
def test_ceiling_when_a_release_is_older_than_the_models_then_none(version: str) -> None:
    assert ceiling_of(version) is None


def test_execution_providers_when_the_installed_onnxruntime_lists_its_own_then_all_are_accepted() -> None:
    said = {"source": "a test says so", "how": "assumed"}
    sources = RuntimeSources.model_validate(dict.fromkeys(RuntimeSources.model_fields, said))
    names = tuple(onnxruntime.get_all_providers())
    assert Runtime.model_validate(
        {"oldest": "1.17", "max_ir_version": 9, "max_opset": 20, "execution_providers": names, "sources": sources}
    ).execution_providers == names


@pytest.mark.parametrize(("installed", "oldest", "expected"), [
    ("1.9.0", "1.17", True), ("1.16.3", "1.17", True), ("1.17.0", "1.17.3", True), ("1.17", "1.17", False), ("1.17.1+cu12", "1.17", False),
    ("1.20.0.dev20241101", "1.17", False), ("2.0", "1.17", False), ("somebody's", "1.17", False),
])
def test_is_older_when_versions_are_compared_then_as_numbers(installed: str, oldest: str, expected: bool) -> None:
    assert is_older(installed, oldest) == expected
