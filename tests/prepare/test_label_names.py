"""Spellings of labels: whole numbers with a point, truth values, and the classes they mean."""

import pytest

from edgedistill.prepare.label_names import class_numbers, is_flag, shortened


@pytest.mark.parametrize(("labels", "expected"), [
    (["1.0", "0.00", "-2.0"], {"1.0": "1", "0.00": "0", "-2.0": "-2"}),
    (["0", "1", "12", "007"], {}),
    (["1.0", "2", "+3"], {"1.0": "1"}),
    (["1.0", "1.1", "2.0"], {}),
    (["1.0", "1.1", "1"], {"1.0": "1"}),
    (["1.0", "v1"], {}),
    (["1" * 5000 + ".0", "2.0"], {"2.0": "2"}),
])
def test_shortened_when_all_are_whole_numbers_or_the_short_one_is_there_then_renamed(
    labels: list[str], expected: dict[str, str]
) -> None:
    assert shortened(labels) == expected


@pytest.mark.parametrize(("label", "classes", "expected"), [
    ("1", ("1.0", "2.0"), 0),
    ("2.0", ("1", "2"), 1),
    ("false", ("True", "False"), 1),
    ("TRUE", ("True", "False"), 0),
    ("True", ("true", "True"), 1),
    ("TRUE", ("true", "True"), None),
    ("7", ("007", "x"), None),
    ("Yes", ("yes", "no"), None),
    ("1.10", ("1.1", "1"), None),
])
def test_class_numbers_when_a_label_is_spelled_otherwise_then_the_only_class_that_it_can_mean(
    label: str, classes: tuple[str, ...], expected: int | None
) -> None:
    assert class_numbers([label], classes).get(label) == expected


@pytest.mark.parametrize(("label", "expected"), [("0", True), ("1.0", True), ("True", True), ("FALSE", True), ("2", False), ("a", False)])
def test_is_flag_when_zero_or_one_then_true(label: str, expected: bool) -> None:
    assert is_flag(label) == expected
