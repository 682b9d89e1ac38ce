"""Is a teacher any good: warned of, refused, or in another order than the data."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgedistill.errors import TeacherError
from edgedistill.examples import read_examples, write_examples
from edgedistill.teach.judgement import Answers, best_order, judge_taken, judged_rows, warn_of_accuracy

NAMES = ("a", "b", "c", "d")


def folder_with(tmp_path: Path, names: tuple[str, ...]) -> Path:
    config = {"architectures": ["BertForSequenceClassification"], "id2label": dict(enumerate(names))}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def numbered(tmp_path: Path, classes: int = 4) -> Path:
    return folder_with(tmp_path, tuple(f"LABEL_{i}" for i in range(classes)))


def test_warn_of_accuracy_when_within_an_error_of_the_largest_class_then_said_on_the_terminal_and_in_the_report(
    caplog: pytest.LogCaptureFixture
) -> None:
    truth = np.repeat([0, 1], [60, 40]).astype(np.int32)  # standard error sqrt(0.6 * 0.4 / 100) = 0.049
    decisions = warn_of_accuracy(0.64, truth)
    assert decisions[0].what == ("the teacher answers no better than the largest class would (0.64 against 0.60 right on 100 rows "
                                 "of validation)")
    assert "learning_rate" in decisions[0].why
    assert "0.64 against 0.60" in caplog.text
    assert warn_of_accuracy(0.66, truth) == ()


@pytest.mark.parametrize(("truth", "said"), [
    (np.zeros(9, np.int32), "all 9 rows of validation are of one class"),
    (np.tile([[0, 1]], (9, 1)).astype(np.int32), "all 9 rows of validation have the same set of labels"),
])
def test_warn_of_accuracy_when_all_rows_are_of_one_class_then_says_that_they_judge_nothing(
    truth: NDArray[np.int32], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    (told,) = warn_of_accuracy(1.0, truth)
    assert told.what == f"nothing can be said of the teacher: {said}"
    assert "give rows of the other classes there" in told.why
    assert said in caplog.text


def test_judge_taken_when_validation_holds_one_class_then_a_mistake_there_refuses_nobody(tmp_path: Path) -> None:
    decided = np.repeat([0, 1], [9, 1])
    (told,) = judge_taken(folder_with(tmp_path, ("a", "b")), Answers(np.zeros(10, np.int64), decided, ("a", "b")))
    assert "nothing can be said of the teacher" in told.what


def test_judge_taken_when_worse_than_the_largest_class_then_refused(tmp_path: Path) -> None:
    truth = np.repeat([0, 1], [80, 20])
    with pytest.raises(TeacherError, match="0.20 of its answers on validation are right, always 'a' would be 0.80"):
        judge_taken(folder_with(tmp_path, ("a", "b")), Answers(truth, np.ones(100, np.int64), ("a", "b")))


def test_judge_taken_when_it_tells_rare_classes_apart_then_a_warning_only(tmp_path: Path) -> None:
    truth = np.repeat([0, 1], [95, 5])
    decided = np.concatenate([np.repeat([0, 1], [83, 12]), np.ones(5, np.int64)])  # every rare one found, 0.88 right in all
    decisions = judge_taken(folder_with(tmp_path, ("a", "b")), Answers(truth, decided, ("a", "b")))
    assert "0.88 against 0.95" in decisions[0].what


def test_judge_taken_when_it_is_good_then_nothing_is_said(tmp_path: Path) -> None:
    truth = np.arange(100) % 4
    assert judge_taken(numbered(tmp_path), Answers(truth, np.where(np.arange(100) < 80, truth, 0), NAMES)) == ()


def test_judge_taken_when_numbered_classes_stand_in_another_order_then_refused_with_that_order(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 4, 200)
    decided = np.array([2, 0, 1, 3])[truth]
    decided[:30] = random.integers(0, 4, 30)
    with pytest.raises(TeacherError, match="by number alone") as caught:
        judge_taken(numbered(tmp_path), Answers(truth, decided, NAMES))
    assert '"id2label": {"0": "b", "1": "c", "2": "a", "3": "d"}' in caught.value.hint


def test_judge_taken_when_many_classes_are_answered_at_random_then_no_order_is_made_up(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    names = tuple(f"class {i}" for i in range(50))
    answers = Answers(random.integers(0, 50, 200), random.integers(0, 50, 200), names)
    assert (best_order(answers)[answers.decided] == answers.truth).mean() > 0.1, "some order fits any answers"
    try:
        judge_taken(numbered(tmp_path, 50), answers)
    except TeacherError as refused:
        assert "another order" not in refused.message


def test_answers_of_logits_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    write_examples(tmp_path / "rows.arrow", ["1"], ["text"], [0])
    with pytest.raises(TeacherError, match="NaN"):
        Answers.of(np.array([[np.nan, 0]], np.float32), read_examples(tmp_path / "rows.arrow"), ("a", "b"))


def test_judged_rows_of_a_large_split_are_evenly_spread(tmp_path: Path) -> None:
    write_examples(tmp_path / "rows.arrow", [str(i) for i in range(5000)], ["t"] * 5000, [0] * 5000)
    rows = judged_rows(read_examples(tmp_path / "rows.arrow"))
    assert [rows.ids[0], rows.ids[1], rows.ids[-1], len(rows)] == ["0", "3", "4998", 1667]
