"""The answer that is right most often: what it is, and what it reaches."""

import numpy as np
import pytest

from edgedistill.constant import Constant, constant_class, constant_set, quoted


def test_constant_set_is_the_most_frequent_one_and_what_it_reaches() -> None:
    labels = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 0], [0, 0, 0]])
    found = constant_set(labels, ["rude", "threat", "never"])
    assert (found.answer, found.accuracy) == ("'rude' and 'threat'", 0.5)
    assert found.macro_f1 == pytest.approx((2 * 0.75 / 1.75 + 2 * 0.5 / 1.5) / 2)  # "never" does not occur
    assert constant_set(np.array([[0, 0], [0, 0], [1, 0]]), ["a", "b"]) == Constant("no label", 2 / 3, 0.0)


def test_constant_class_is_the_largest_and_what_it_reaches() -> None:
    found = constant_class([5, 95, 0], ["yes", "no", "never"])
    assert (found.answer, found.accuracy) == ("'no'", 0.95)
    assert found.macro_f1 == pytest.approx(0.95 / 1.95)  # 2 * 0.95 / 1.95 and 0 over the two that occur


def test_quoted_when_a_label_is_long_or_of_two_lines_then_on_one_line_and_cut() -> None:
    assert quoted("two\nlines") == r"'two\nlines'"
    assert quoted("L" * 60) == f"'{'L' * 60}'"
    assert quoted("L" * 61) == f"'{'L' * 59}…'"
