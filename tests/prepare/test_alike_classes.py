"""Classes that are spelled in several ways are warned of."""

import logging

import pytest

from edgedistill.prepare.alike_classes import alike_classes


def test_alike_classes_when_names_differ_otherwise_then_silent() -> None:
    assert list(alike_classes(["neg", "pos", "LABEL_1", "LABEL_11", "c", "c++"])) == []


def test_alike_classes_when_names_differ_in_capitals_or_blanks_then_one_warning_names_them(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        (warning,) = alike_classes(["NEG", "Neg", "a b", "ab", "neg", "pos"])
    assert warning.what == "classes that differ in capitals or blanks alone: 'NEG' and 'Neg' and 'neg'; 'a b' and 'ab'"
    assert warning.what in caplog.text


def test_alike_classes_when_there_are_many_then_says_how_many_more() -> None:
    (warning,) = alike_classes([name for i in range(5) for name in (f"a{i}", f"A{i}")])
    assert warning.what.endswith("'a2' and 'A2' and 2 more")
