"""Decisions: the class of the largest logit, or every class above 0."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgedistill.decisions import (
    is_labelled,
    is_right,
    is_same,
    log_probabilities,
    problem_of_folder,
    problem_of_labels,
    set_numbers,
)
from edgedistill.errors import ArtifactError
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS

LOGITS = np.array([[2.0, -1.0, 1.0], [-1.0, -2.0, -3.0], [0.5, 0.4, -0.1]], np.float32)


def test_is_right_of_one_label_is_the_class_of_the_largest_logit() -> None:
    assert is_right(LOGITS, np.array([0, 0, 1])).tolist() == [True, True, False]


def test_is_right_of_several_labels_wants_all_of_a_row() -> None:
    labels = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 0]])
    assert is_right(LOGITS, labels).tolist() == [True, True, False]


def test_is_right_where_nobody_labelled_is_false() -> None:
    assert is_right(LOGITS[:1], np.array([-1])).tolist() == [False]
    assert is_right(LOGITS[:1], np.array([[-1, -1, -1]])).tolist() == [False]


def test_is_labelled_of_several_labels_is_one_answer_a_row() -> None:
    assert is_labelled(np.array([[0, 0], [-1, -1], [1, 0]])).tolist() == [True, False, True]
    assert is_labelled(np.array([0, -1])).tolist() == [True, False]


def test_is_same_of_several_labels_compares_sets_and_of_one_the_first_choice() -> None:
    other = np.array([[3.0, -1.0, 2.5], [-1.0, -0.5, -3.0], [0.1, 0.2, -0.1]], np.float32)
    assert is_same(LOGITS, other, SEVERAL_LABELS).tolist() == [True, True, True]
    assert is_same(LOGITS, other, ONE_LABEL).tolist() == [True, False, False]


def test_set_numbers_are_equal_where_the_sets_are() -> None:
    numbers = set_numbers(np.array([[1, 0], [0, 1], [1, 0], [0, 0]]))
    assert numbers[0] == numbers[2]
    assert len(set(numbers.tolist())) == 3
    assert set_numbers(np.array([4, 2])).tolist() == [4, 2]


def test_log_probabilities_of_several_labels_are_those_of_yes_and_of_no() -> None:
    found = np.exp(log_probabilities(np.array([[0.0, np.log(3.0)]]), SEVERAL_LABELS))
    np.testing.assert_allclose(found, [[0.5, 0.75, 0.5, 0.25]], rtol=1e-12)


def test_log_probabilities_of_one_label_sum_to_one_and_of_huge_logits_stay_numbers() -> None:
    found = np.exp(log_probabilities(np.array([[1e4, 0.0], [np.log(3.0), 0.0]]), ONE_LABEL))
    np.testing.assert_allclose(found, [[1.0, 0.0], [0.75, 0.25]], rtol=1e-12)
    assert np.isfinite(log_probabilities(np.array([[1e4, -1e4]]), SEVERAL_LABELS)).all()


@pytest.mark.parametrize("name", ["config.json", "labels.json"])
def test_problem_of_folder_when_a_file_says_it_then_that(name: str, tmp_path: Path) -> None:
    assert problem_of_folder(tmp_path) == ONE_LABEL
    (tmp_path / name).write_text(json.dumps({"problem_type": SEVERAL_LABELS}))
    assert problem_of_folder(tmp_path) == SEVERAL_LABELS


def test_problem_of_folder_when_config_is_damaged_then_names_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"config\.json"):
        problem_of_folder(tmp_path)


def test_problem_of_labels_is_told_by_their_shape() -> None:
    assert problem_of_labels(np.zeros(3, int)) == ONE_LABEL
    assert problem_of_labels(np.zeros((3, 2), int)) == SEVERAL_LABELS
