"""Goals: the least value that meets them, against the teacher or absolute."""

import pytest

from edgedistill.goals import check_goals, standard_error
from edgedistill.recipe import Goal
from edgedistill.results import Evaluation, Interval, McNemar


def evaluation(accuracy: float, macro_f1: float) -> Evaluation:
    def around(value: float) -> Interval:
        return Interval(value=value, low=value, high=value)

    return Evaluation(
        variant="student_int8", model_sha256="0", parameters=1, size_bytes=1, split="validation", n=10,
        accuracy=around(accuracy), macro_f1=around(macro_f1), calibration_error=around(0.0), agreement_with_teacher=None,
        mcnemar_against_teacher=None, classes=(), confusion=(),
    )


@pytest.mark.parametrize(("goal", "limit", "met"), [
    (Goal(value=0.05), 0.76, True),  # 0.80 * 0.95
    (Goal(value=0.01), 0.792, False),
    (Goal(type="min-value", value=0.77), 0.77, True),
    (Goal(type="min-value", value=0.771), 0.771, False),
    (Goal(metric="macro_f1", value=0.5), 0.35, True),  # 0.70 * 0.5
])
def test_check_goals_when_compared_then_limit_and_verdict_are_those_by_hand(goal: Goal, limit: float, met: bool) -> None:
    (check,) = check_goals([goal], evaluation(0.80, 0.70), evaluation(0.77, 0.60))
    assert check.limit == pytest.approx(limit)
    assert check.met is met


def test_standard_error_of_a_loss_is_that_of_the_paired_difference() -> None:
    # of 10 rows 3 are right with the teacher alone and 1 with the student alone: differences -1 three times, 1 once, else 0
    differences = [-1, -1, -1, 1, 0, 0, 0, 0, 0, 0]
    mean = sum(differences) / 10
    by_hand = (sum((d - mean) ** 2 for d in differences) / 10 / 10) ** 0.5
    pairs = McNemar(only_reference_right=3, only_candidate_right=1, p_value=0.6)
    student = evaluation(0.6, 0.6).model_copy(update={"mcnemar_against_teacher": pairs})
    (check,) = check_goals([Goal(value=0.05)], evaluation(0.8, 0.7), student)
    assert standard_error(check, student) == pytest.approx(by_hand)


def test_standard_error_of_a_floor_is_that_of_a_share() -> None:
    student = evaluation(0.6, 0.6)
    (check,) = check_goals([Goal(type="min-value", value=0.5)], evaluation(0.8, 0.7), student)
    assert standard_error(check, student) == pytest.approx((0.6 * 0.4 / 10) ** 0.5)


def test_standard_error_of_a_loss_without_pairs_is_none() -> None:
    (check,) = check_goals([Goal(value=0.05)], evaluation(0.8, 0.7), evaluation(0.6, 0.6))
    assert standard_error(check, evaluation(0.6, 0.6)) == 0.0
