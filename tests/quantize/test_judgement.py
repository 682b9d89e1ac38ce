"""What a candidate is judged by, against hand counts and scipy."""

import numpy as np
import pytest
from scipy.stats import entropy

from edgedistill.problem_type import SEVERAL_LABELS
from edgedistill.quantize.judgement import Goal, divergence, judge_answers, may_be_chance, misses
from edgedistill.results import Coverage

GOAL = Goal(min_agreement=0.9, max_accuracy_loss=0.01, min_coverage=0.7)
FULL = Coverage(weight_bytes_share=1.0, nodes_share=1.0, float_nodes=(), bytes_by_part={})


def answers(*classes: int) -> np.ndarray:
    return np.eye(3, dtype=np.float32)[list(classes)] * 5


def test_judge_answers_by_hand() -> None:
    found = judge_answers(answers(0, 1, 2, 0), answers(0, 1, 1, 1), np.array([0, 1, 2, 1]), size_bytes=7, coverage=FULL)
    assert (found.agreement, found.accuracy, found.accuracy_loss, found.size_bytes) == (0.5, 0.75, 0.0, 7)
    assert found.loss_error == pytest.approx(np.sqrt(2) / 4)  # one lost, one won: sqrt(1 + 1 - 0) / n


def test_judge_answers_of_a_tuned_model_agrees_with_either_float_and_keeps_the_accuracy_of_the_one_before() -> None:
    labels, before, own = np.array([0, 1, 2, 0]), answers(0, 1, 1, 1), answers(0, 1, 2, 0)
    found = judge_answers(before, own, labels, size_bytes=1, coverage=FULL, own=own)
    assert (found.agreement, found.accuracy_loss, found.kl_nats) == (1.0, -0.5, 0.0)  # it went on learning
    found = judge_answers(before, before, labels, size_bytes=1, coverage=FULL, own=own)
    assert (found.agreement, found.accuracy_loss, found.kl_nats) == (1.0, 0.0, 0.0)  # it stayed with the student before
    found = judge_answers(before, answers(2, 2, 2, 1), labels, size_bytes=1, coverage=FULL, own=own)
    assert (found.agreement, found.accuracy_loss) == (0.25, 0.25)  # it is neither


def test_judge_answers_leaves_rows_without_a_label_out_of_the_accuracy() -> None:
    found = judge_answers(answers(0, 1, 2), answers(0, 1, 1), np.array([0, -1, 2]), size_bytes=1, coverage=FULL)
    assert (found.accuracy, found.accuracy_loss) == (0.5, 0.5)


def test_judge_answers_without_labels_knows_no_accuracy() -> None:
    found = judge_answers(answers(0), answers(0), None, size_bytes=1, coverage=FULL)
    assert (found.accuracy, found.accuracy_loss, found.agreement) == (None, None, 1.0)


def test_judge_answers_when_no_row_has_a_label_then_knows_no_accuracy() -> None:
    found = judge_answers(answers(0, 1), answers(0, 1), np.array([-1, -1]), size_bytes=1, coverage=FULL)
    assert (found.accuracy, found.accuracy_loss, found.loss_error) == (None, None, 0.0)


@pytest.mark.parametrize("right", [500, 610, 900, 1000])
def test_misses_when_exactly_the_allowed_accuracy_is_lost_then_nothing(right: int) -> None:
    labels = np.zeros(1000, np.int64)
    was, now = (answers(*[0] * kept, *[1] * (1000 - kept)) for kept in (right, right - 8))
    found = judge_answers(was, now, labels, size_bytes=1, coverage=FULL)
    assert misses(found, Goal(min_agreement=0.9, max_accuracy_loss=0.008, min_coverage=0.7)) == ()
    assert misses(found, Goal(min_agreement=0.9, max_accuracy_loss=0.0079, min_coverage=0.7)) != ()


def test_divergence_is_scipys() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=(20, 4)).astype(np.float32), random.normal(size=(20, 4)).astype(np.float32)
    p, q = (np.exp(x) / np.exp(x).sum(1, keepdims=True) for x in (first.astype(float), second.astype(float)))
    assert divergence(first, second) == pytest.approx(entropy(p, q, axis=1).mean())
    assert divergence(first, first) == 0.0


def test_divergence_of_answers_that_are_no_numbers_is_infinite_and_missed() -> None:
    broken = answers(0, 1)
    broken[1] = np.nan
    found = judge_answers(answers(0, 1), broken, None, size_bytes=1, coverage=FULL)
    assert found.kl_nats == np.inf
    assert "answers that are no numbers" in misses(found, GOAL)


def test_misses_names_each_figure() -> None:
    half = FULL.model_copy(update={"nodes_share": 0.5})
    found = judge_answers(answers(0, 1, 2, 0), answers(1, 1, 2, 0), np.array([0, 1, 2, 0]), size_bytes=1, coverage=half)
    missed = " | ".join(misses(found, GOAL))
    for figure in ("75.00%", "25.00 points", "50.0% of the nodes"):
        assert figure in missed


def test_a_weight_only_scheme_is_held_to_its_bytes_alone() -> None:
    none = FULL.model_copy(update={"nodes_share": 0.1})
    found = judge_answers(answers(0), answers(0), None, size_bytes=1, coverage=none, needs_int8_nodes=False)
    assert misses(found, GOAL) == ()


@pytest.mark.parametrize(("wrong", "expected"), [(1, True), (9, False)])
def test_a_loss_may_be_chance_only_within_two_standard_errors(wrong: int, expected: bool) -> None:
    truth = np.zeros(100, np.int64)
    given = answers(*([1] * wrong + [0] * (100 - wrong)))
    goal = Goal(0.9, 0.008, 0.7)
    found = judge_answers(answers(*truth), given, truth, size_bytes=1, coverage=FULL)
    assert misses(found, goal)
    assert may_be_chance(found, goal) is expected


def test_judge_answers_of_several_labels_wants_whole_sets_and_adds_up_the_classes_divergences() -> None:
    reference = np.array([[2.0, -2.0], [1.0, 1.0], [-1.0, -1.0]], np.float32)
    candidate = np.array([[2.0, -2.0], [1.0, -0.1], [-1.0, -1.0]], np.float32)
    found = judge_answers(reference, candidate, np.array([[1, 0], [1, 1], [0, 1]]), size_bytes=1, coverage=FULL,
                          problem=SEVERAL_LABELS)
    assert (found.agreement, found.accuracy, found.accuracy_loss) == pytest.approx((2 / 3, 1 / 3, 1 / 3))
    p, q = 1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(0.1))
    assert found.kl_nats == pytest.approx((p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))) / 3, rel=1e-5)
