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
    require_known_labels,
    require_logits,
    set_numbers,
)
from edgedistill.errors import ArtifactError, DataError
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS, ProblemType

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


def test_is_right_and_is_same_of_several_labels_when_an_answer_is_no_number_then_false() -> None:
    broken = np.array([[np.nan, -1.0], [-1.0, -2.0]])
    assert is_right(broken, np.array([[0, 0], [0, 0]])).tolist() == [False, True]
    assert is_same(broken, np.array([[-1.0, -1.0], [-3.0, -0.1]]), SEVERAL_LABELS).tolist() == [False, True]


def test_require_logits_when_several_answers_are_probabilities_then_refused() -> None:
    shares = np.array([[0.2, 0.9], [0.1, 0.0]])
    require_logits(shares, ONE_LABEL, place="model")  # the largest probability is the largest logit
    require_logits(shares[:1], SEVERAL_LABELS, place="model")  # one row may be so by chance
    require_logits(shares - 0.01, SEVERAL_LABELS, place="model")
    with pytest.raises(ArtifactError, match="model: all of its answers lie within 0 and 1"):
        require_logits(shares, SEVERAL_LABELS, place="model")


@pytest.mark.parametrize(("labels", "problem", "message"), [
    (np.array([[0], [1]]), ONE_LABEL, r"labels of the shape \(2, 1\) for a model of 3 classes"),
    (np.array([0, 1]), SEVERAL_LABELS, r"labels of the shape \(2,\)"),
    (np.zeros((2, 5), int), SEVERAL_LABELS, r"labels of the shape \(2, 5\)"),
    (np.array([[0, 1, 2]]), SEVERAL_LABELS, "the label 2 is neither 0 nor 1"),
    (np.array([0, 3]), ONE_LABEL, "the label 3 is no class; the model has 3"),
])
def test_require_known_labels_when_they_are_not_the_models_then_one_error(
    labels: np.ndarray, problem: ProblemType, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        require_known_labels(labels, problem, classes=3, place="rows.npz")


def test_require_known_labels_of_both_forms_then_taken() -> None:
    require_known_labels(np.array([0, 2, -1]), ONE_LABEL, classes=3, place="rows")
    require_known_labels(np.array([[0, 1, 1], [-1, -1, -1]]), SEVERAL_LABELS, classes=3, place="rows")
