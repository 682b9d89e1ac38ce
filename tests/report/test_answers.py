"""What logits show, on distributions whose figures are known."""

import numpy as np
import pytest

from edgedistill.report import answers


def test_divergence_when_distributions_are_equal_is_zero():
    same = np.array([[0.2, 0.8], [1.0, 0.0]])
    assert answers.divergence(same, same) == pytest.approx([0, 0])


def test_divergence_when_distributions_are_disjoint_is_one_bit():
    assert answers.divergence(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])) == pytest.approx([1])


def test_divergence_when_compared_with_scipy_agrees():
    from scipy.spatial.distance import jensenshannon

    random = np.random.default_rng(0)
    a, b = random.dirichlet(np.ones(5), 20), random.dirichlet(np.ones(5), 20)
    expected = [jensenshannon(p, q, base=2) ** 2 for p, q in zip(a, b, strict=True)]
    assert answers.divergence(a, b) == pytest.approx(expected)


def test_telling_rows_when_more_than_twenty_differ_keeps_twenty():
    teacher = np.tile([2.0, 0.0], (50, 1))
    rows = answers.telling_rows([str(i) for i in range(50)], np.full(50, -1, np.int32), ("a", "b"), teacher=teacher,
                                student=-teacher)
    assert len(rows) == 20
    assert {row.true_label for row in rows} == {answers.NO_LABEL_TEXT}
    assert {row.right for row in rows} == {"neither"}


def test_telling_rows_when_decisions_are_alike_then_the_least_alike_follow_those_that_differ():
    teacher = np.log([[0.8, 0.2], [0.8, 0.2], [0.8, 0.2], [0.4, 0.6], [0.55, 0.45]])
    student = np.log([[0.9, 0.1], [0.99, 0.01], [0.8, 0.2], [0.8, 0.2], [0.45, 0.55]])
    rows = answers.telling_rows(list("vwxyz"), np.array([0, 1, 0, 1, 0], np.int32), ("a", "b"), teacher=teacher, student=student)
    # y and z differ, y by more; w is 80 % against 99 %, v 80 % against 90 %; x is the same and says nothing
    assert [(row.text, row.same_answer, row.right) for row in rows] == [
        ("y", False, "teacher"), ("z", False, "teacher"), ("w", True, "neither"), ("v", True, "both")]
    assert [(item.label, round(item.teacher, 6), round(item.student, 6)) for item in rows[2].classes] == [
        ("a", 0.8, 0.99), ("b", 0.2, 0.01)]


def test_telling_rows_when_few_differ_then_filled_to_twenty():
    teacher, student = np.tile([2.0, 0.0], (50, 1)), np.tile([1.0, 0.0], (50, 1))
    student[7] = (0.0, 1.0)
    rows = answers.telling_rows([str(i) for i in range(50)], np.zeros(50, np.int32), ("a", "b"), teacher=teacher, student=student)
    assert (len(rows), rows[0].text, [row.same_answer for row in rows]) == (20, "7", [False] + [True] * 19)


def test_reliability_when_bins_are_summed_gives_the_calibration_error():
    from edgedistill.evaluate.metrics import calibration_error, softmax

    random = np.random.default_rng(1)
    logits, gold = random.normal(size=(200, 4)) * 2, random.integers(0, 4, 200).astype(np.int32)
    bins = answers.reliability(logits, gold)
    assert sum(b.n for b in bins) == 200
    weighted = sum(b.n / 200 * abs(b.accuracy - b.confidence) for b in bins)
    sure = softmax(logits)
    assert weighted == pytest.approx(calibration_error(sure.max(axis=1), sure.argmax(axis=1) == gold))


def test_telling_row_when_classes_are_paired_adds_up_to_one_with_the_rest():
    teacher, student = np.zeros((1, 9)), np.zeros((1, 9))
    teacher[0, :3], student[0, 3:6] = (5.0, 4.0, 3.0), (5.0, 4.0, 3.0)
    (row,) = answers.telling_rows(["x"], np.array([8], np.int32), tuple("abcdefghi"), teacher=teacher, student=student)
    shown = [item.label for item in row.classes]
    assert sorted(filter(None, shown)) == list("abcdefi")  # three of each, and the true one
    assert shown[-1] is None
    assert set(shown[:2]) == {"a", "d"}
    assert sum(item.teacher for item in row.classes) == pytest.approx(1)
    assert sum(item.student for item in row.classes) == pytest.approx(1)


def test_telling_row_when_all_classes_are_shown_has_no_rest():
    (row,) = answers.telling_rows(["x"], np.array([-1], np.int32), ("a", "b"), teacher=np.array([[1.0, 0.0]]),
                                  student=np.array([[0.0, 1.0]]))
    assert [item.label for item in row.classes] == ["a", "b"]


def test_answers_apart_when_counted_names_who_is_right():
    truth, teacher, student = np.array([0, 0, 1, 2, 2]), np.eye(3)[[0, 0, 1, 1, 2]], np.eye(3)[[1, 1, 1, 2, 0]]
    found = answers.answers_apart(truth.astype(np.int32), ("a", "b", "c"), teacher=teacher, student=student)
    assert [tuple(pair.model_dump().values()) for pair in found] == [
        ("a", "b", 2, 2, 0), ("b", "c", 1, 0, 1), ("c", "a", 1, 1, 0)]
