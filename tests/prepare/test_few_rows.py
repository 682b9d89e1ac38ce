"""Small splits are warned of, with what a figure on them is worth."""

import logging

import pytest

from edgedistill.prepare.data_report import SplitName, WrittenSplit
from edgedistill.prepare.few_rows import few_rows


def splits_of(validation: int, test: int) -> dict[SplitName, WrittenSplit]:
    sizes: dict[SplitName, int] = {"train": 10, "validation": validation, "test": test}
    return {name: WrittenSplit(source="a.csv", is_made_here=True, rows=n, rows_by_class={"a": n}) for name, n in sizes.items()}


def test_few_rows_when_both_have_a_hundred_then_silent() -> None:
    assert list(few_rows(splits_of(100, 100))) == []


def test_few_rows_when_test_has_twenty_then_says_how_much_an_accuracy_of_it_is_worth(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        (warning,) = few_rows(splits_of(150, 20))
    assert warning.what == "test has 20 rows, and the report's figures are of it"
    assert "an accuracy of 0.90 on so few may as well be 0.70 or 0.97" in warning.why  # Wilson's interval of 18 of 20
    assert "data.test_share" in warning.why
    assert warning.what in caplog.text
