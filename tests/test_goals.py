"""Goals: the least value that meets them, against the teacher or absolute."""

import pytest

from edgedistill.constant import Constant
from edgedistill.goals import check_goals, constant_that_passes, floors_above_the_teacher, is_no_better, standard_error
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


def test_constant_that_passes_when_no_label_is_right_often_enough_then_says_so() -> None:
    several = evaluation(0.93, 0.6).model_copy(update={"micro_f1": Interval(value=0.6, low=0.6, high=0.6)})
    assert constant_that_passes([Goal(value=0.05)], several) == ()  # nobody says how often
    (told,) = constant_that_passes([Goal(value=0.05)], several, Constant("no label", 0.9, 0.0))
    assert "always answers no label would reach the goal" in told.what
    assert constant_that_passes([Goal(metric="macro_f1", value=0.05)], several, Constant("no label", 0.9, 0.0)) == ()


def test_constant_that_passes_when_macro_f1_is_asked_for_but_too_little_of_it_then_says_so() -> None:
    (told,) = constant_that_passes([Goal(metric="macro_f1", type="min-value", value=0.487)], IMBALANCED)
    assert "macro-F1 0.4870 is asked for" in told.why


def test_constant_that_passes_when_the_target_has_a_budget_of_accuracy_then_says_which_limit_is_whose() -> None:
    (told,) = constant_that_passes([Goal(value=0.05)], IMBALANCED, accuracy_loss=0.10)  # 0.931 and 0.882
    assert told.why == ("95.0% of the validation rows are 'no', and accuracy 0.9310 is asked for, accuracy 0.8820 by the target's "
                        "budget of accuracy")
    assert constant_that_passes([Goal(value=0.05)], IMBALANCED, accuracy_loss=0.01) == ()  # 0.9702


@pytest.mark.parametrize(("goal", "teacher", "constant", "says"), [
    (Goal(value=0.05), IMBALANCED, None, "max-degradation, value: 0.05}]' asks for every class alike"),
    # the constant's macro-F1 is 2 * 0.4 / 1.4 / 3 = 0.1905, 0.95 of the teacher's 0.19
    (Goal(value=0.05), teacher_of({"a": 40, "b": 30, "c": 30}, accuracy=0.4, macro_f1=0.19), None,
     "is 0.1905, the teacher's 0.1900: first give more rows of the other classes"),
    (Goal(value=0.05), evaluation(0.8, 0.0), Constant("no label", 0.8, 0.0), "the teacher's 0.0000: first give more rows of the other classes"),
    (Goal(metric="macro_f1", value=0.5), IMBALANCED, None, "asks for X whatever the teacher has; the constant's macro-F1 is 0.4872"),
    (Goal(value=0.05), teacher_of({"ok": 23, "fraud": 0}, accuracy=1.0, macro_f1=1.0), None,
     "would reach the goal: give validation rows of the other classes"),
])
def test_constant_that_passes_when_it_says_what_helps_then_no_goal_that_a_constant_would_keep_too(
    goal: Goal, teacher: Evaluation, constant: Constant | None, says: str
) -> None:
    (told,) = constant_that_passes([goal], teacher, constant)
    assert told.what.endswith(says)
    assert ("max-degradation" in told.what) == ("max-degradation" in says)


def test_floors_above_the_teacher_when_above_by_more_than_half_its_interval_then_says_so() -> None:
    teacher = evaluation(0.80, 0.60).model_copy(update={"accuracy": Interval(value=0.80, low=0.74, high=0.84)})
    floors = [Goal(type="min-value", value=value) for value in (0.85, 0.8501)]  # half of 0.10
    assert floors_above_the_teacher(floors[:1], teacher) == ()
    assert floors_above_the_teacher([Goal(value=0.0)], teacher) == ()
    (told,) = floors_above_the_teacher(floors, teacher)
    assert told.what == ("the goal asks for more than the teacher has: accuracy 0.8501, and the teacher's is 0.8000 on validation "
                         "(95 % interval 0.7400 to 0.8400)")


@pytest.mark.parametrize(("accuracy", "macro_f1", "is_so"), [
    (0.64, 0.37, True),  # the standard error of 0.6 is (0.24 / 100)^0.5 = 0.049
    (0.65, 0.37, False), (0.64, 0.50, False),  # rare classes are told apart
])
def test_is_no_better_when_within_an_error_of_a_constant_by_both_figures_then_so(
    accuracy: float, macro_f1: float, is_so: bool
) -> None:
    model = evaluation(accuracy, macro_f1).model_copy(update={"n": 100})
    assert is_no_better(model, Constant("'a'", 0.6, 0.375)) == is_so
    assert not is_no_better(evaluation(1.0, 1.0), Constant("'a'", 1.0, 1.0))
