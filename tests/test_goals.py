"""Goals: the least value that meets them, against the teacher or absolute."""

import numpy as np
import pytest

from edgedistill.goals import Constant, check_goals, constant_set, constant_that_passes, standard_error
from edgedistill.recipe import Goal
from edgedistill.results import ClassFigures, Evaluation, Interval, McNemar


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


def test_check_goals_when_a_figure_equals_its_limit_then_met_whatever_the_product_rounds_to() -> None:
    (check,) = check_goals([Goal(value=0.1)], evaluation(0.53, 0.5), evaluation(0.477, 0.5))
    assert check.limit > check.value  # 0.53 * 0.9 is 0.47700000000000004
    assert check.met


def test_standard_error_of_a_loss_is_that_of_the_paired_difference() -> None:
    # of 10 rows 3 are right with the teacher alone and 1 with the student alone; half a row is added to each of the four cells:
    # of 12 rows 3.5 differ by -1 and 1.5 by 1
    mean = -2 / 12
    by_hand = ((3.5 * (-1 - mean) ** 2 + 1.5 * (1 - mean) ** 2 + 7 * mean**2) / 12 / 12) ** 0.5
    pairs = McNemar(only_reference_right=3, only_candidate_right=1, p_value=0.6)
    student = evaluation(0.6, 0.6).model_copy(update={"mcnemar_against_teacher": pairs})
    (check,) = check_goals([Goal(value=0.05)], evaluation(0.8, 0.7), student)
    assert standard_error(check, student) == pytest.approx(by_hand)


def test_standard_error_of_a_floor_is_that_of_a_share() -> None:
    student = evaluation(0.6, 0.6)
    (check,) = check_goals([Goal(type="min-value", value=0.5)], evaluation(0.8, 0.7), student)
    assert standard_error(check, student) == pytest.approx((8 / 14 * 6 / 14 / 14) ** 0.5)  # 6 of 10, and 2 of 4


def test_standard_error_when_few_rows_are_all_right_then_not_0() -> None:
    student = evaluation(1.0, 1.0).model_copy(update={
        "mcnemar_against_teacher": McNemar(only_reference_right=0, only_candidate_right=0, p_value=1.0)})
    for goal in (Goal(type="min-value", value=0.98), Goal(value=0.05)):
        (check,) = check_goals([goal], evaluation(1.0, 1.0), student)
        assert 0.08 < standard_error(check, student) < 0.1  # (12/14 * 2/14 / 14)^0.5 and 1/12


def test_standard_error_of_a_loss_without_pairs_is_none() -> None:
    (check,) = check_goals([Goal(value=0.05)], evaluation(0.8, 0.7), evaluation(0.6, 0.6))
    assert standard_error(check, evaluation(0.6, 0.6)) == 0.0


@pytest.mark.parametrize("goal", [Goal(metric="macro_f1", value=0.05), Goal(metric="macro_f1", type="min-value", value=0.5)])
def test_standard_error_of_macro_f1_is_that_of_its_interval_and_not_of_accuracy(goal: Goal) -> None:
    pairs = McNemar(only_reference_right=3, only_candidate_right=1, p_value=0.6)
    student = evaluation(0.6, 0.6).model_copy(update={
        "mcnemar_against_teacher": pairs, "macro_f1": Interval(value=0.6, low=0.502, high=0.698)})
    (check,) = check_goals([goal], evaluation(0.8, 0.7), student)
    assert standard_error(check, student) == pytest.approx(0.05)  # 0.098 / 1.96


def teacher_of(supports: dict[str, int], *, accuracy: float, macro_f1: float) -> Evaluation:
    classes = tuple(ClassFigures(label=name, support=n, precision=1.0, recall=1.0, f1=1.0) for name, n in supports.items())
    return evaluation(accuracy, macro_f1).model_copy(update={"classes": classes})


IMBALANCED = teacher_of({"no": 95, "yes": 5, "never": 0}, accuracy=0.98, macro_f1=0.85)


def test_constant_that_passes_when_the_largest_class_is_the_accuracy_asked_for_then_says_what_to_type() -> None:
    (told,) = constant_that_passes([Goal(value=0.05)], IMBALANCED)  # 0.98 * 0.95 = 0.931
    assert "always answers 'no' would reach the goal: --set 'goals=[{metric: macro_f1" in told.what
    assert told.why == "95.0% of the validation rows are 'no', and accuracy 0.9310 is asked for"


@pytest.mark.parametrize(("goals", "teacher"), [
    ([Goal(value=0.03)], IMBALANCED),  # 0.9506
    ([Goal(metric="macro_f1", value=0.05)], IMBALANCED),  # two classes' F1 of 2 * 0.95 / 1.95 and 0: 0.487
    ([Goal(value=0.05), Goal(metric="macro_f1", type="min-value", value=0.4872)], IMBALANCED),
    ([], IMBALANCED),
    ([Goal(value=0.05)], teacher_of({"no": 50, "yes": 50}, accuracy=0.98, macro_f1=0.98)),
    ([Goal(value=0.05)], evaluation(0.9, 0.9)),  # without classes nothing is known
])
def test_constant_that_passes_when_a_constant_would_miss_a_goal_then_silent(goals: list[Goal], teacher: Evaluation) -> None:
    assert constant_that_passes(goals, teacher) == ()


def test_constant_set_is_the_most_frequent_one_and_what_it_reaches() -> None:
    labels = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 0], [0, 0, 0]])
    found = constant_set(labels, ["rude", "threat", "never"])
    assert (found.answer, found.accuracy) == ("'rude' and 'threat'", 0.5)
    assert found.macro_f1 == pytest.approx((2 * 0.75 / 1.75 + 2 * 0.5 / 1.5) / 2)  # "never" does not occur
    assert constant_set(np.array([[0, 0], [0, 0], [1, 0]]), ["a", "b"]) == Constant("no label", 2 / 3, 0.0)


def test_constant_that_passes_when_no_label_is_right_often_enough_then_says_so() -> None:
    several = evaluation(0.93, 0.6).model_copy(update={"micro_f1": Interval(value=0.6, low=0.6, high=0.6)})
    assert constant_that_passes([Goal(value=0.05)], several) == ()  # nobody says how often
    (told,) = constant_that_passes([Goal(value=0.05)], several, Constant("no label", 0.9, 0.0))
    assert "always answers no label would reach the goal" in told.what
    assert constant_that_passes([Goal(metric="macro_f1", value=0.05)], several, Constant("no label", 0.9, 0.0)) == ()


def test_constant_that_passes_when_macro_f1_is_asked_for_but_too_little_of_it_then_says_so() -> None:
    (told,) = constant_that_passes([Goal(metric="macro_f1", type="min-value", value=0.487)], IMBALANCED)
    assert "macro-F1 0.4870 is asked for" in told.why
