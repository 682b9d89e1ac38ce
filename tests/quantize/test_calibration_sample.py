"""Which rows are calibrated on."""

import numpy as np
import pytest

from edgedistill.errors import UsageError
from edgedistill.problem_type import SEVERAL_LABELS
from edgedistill.quantize.calibration_sample import entropy, select_rows


def test_random_rows_are_distinct_ascending_and_repeatable() -> None:
    found = select_rows("random", 10, rows=100, seed=1)
    assert len(set(found.tolist())) == 10
    assert found.tolist() == sorted(found.tolist())
    assert found.tolist() == select_rows("random", 10, rows=100, seed=1).tolist()
    assert found.tolist() != select_rows("random", 10, rows=100, seed=2).tolist()


def test_more_rows_than_there_are_gives_all() -> None:
    assert select_rows("random", 10, rows=3, seed=1).tolist() == [0, 1, 2]


def test_balanced_rows_take_turns_and_take_all_of_a_rare_class() -> None:
    labels = np.array([0] * 90 + [1] * 8 + [2] * 2)
    found = select_rows("class-balanced", 12, rows=100, seed=1, labels=labels)
    assert np.bincount(labels[found]).tolist() == [5, 5, 2]


def test_informative_rows_are_those_the_teacher_is_least_sure_of() -> None:
    logits = np.array([[9.0, 0.0], [1.0, 1.0], [0.0, 5.0], [1.2, 1.0], [7.0, 0.0]])
    assert select_rows("informative", 2, rows=5, seed=1, logits=logits).tolist() == [1, 3]


def test_entropy_of_an_even_answer_is_the_logarithm_of_the_classes() -> None:
    assert entropy([[5.0, 5.0, 5.0, 5.0], [1000.0, 0.0, 0.0, 0.0]]) == pytest.approx([np.log(4), 0.0])


@pytest.mark.parametrize("selection", ["class-balanced", "informative"])
def test_a_selection_without_what_it_goes_by_is_refused(selection: str) -> None:
    with pytest.raises(UsageError, match="calibration set needs"):
        select_rows(selection, 2, rows=5, seed=1)


def test_entropy_of_several_labels_adds_up_those_of_yes_and_no() -> None:
    assert entropy([[0.0, 0.0], [1000.0, 0.0]], SEVERAL_LABELS) == pytest.approx([2 * np.log(2), np.log(2)])


def test_select_rows_class_balanced_of_several_labels_takes_each_set_in_turn() -> None:
    labels = np.array([[1, 0]] * 8 + [[1, 1]] * 2 + [[0, 0]])
    chosen = select_rows("class-balanced", 4, rows=11, seed=0, labels=labels)
    assert sorted(map(tuple, labels[chosen].tolist())) == [(0, 0), (1, 0), (1, 1), (1, 1)] or (
        sorted(map(tuple, labels[chosen].tolist())) == [(0, 0), (1, 0), (1, 0), (1, 1)])
