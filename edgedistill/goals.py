"""The recipe's goals against what was reached: on validation while a student is looked for, on the test split at the end."""

import math
from collections.abc import Mapping, Sequence

from edgedistill.constant import Constant, constant_of
from edgedistill.manifest import Decision
from edgedistill.recipe import Goal, Metric
from edgedistill.results import Evaluation, GoalCheck, Interval

METRIC_NAMES: Mapping[Metric, str] = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
"""What people call the metrics."""

_ADDED_ROWS, _ADDED_PAIRS = 4, 0.5
"""Made-up rows that keep the error of a share away from 0 where few rows are all right; see `standard_error`."""

_USUAL_LOSS = 0.05
"""The share of the teacher's figure that a goal of type max-degradation lets be lost where nobody says another."""

ROUNDING = 1e-12
"""A limit is a product: a figure that equals it may be a rounding below."""

_HALF_95 = 1.96
"""Standard errors in half of a 95 % interval."""


def figure_of(evaluation: Evaluation, metric: Metric) -> Interval:
    """Return the figure that a goal may ask for, with its 95 % interval."""
    return evaluation.accuracy if metric == "accuracy" else evaluation.macro_f1


def check_goals(goals: Sequence[Goal], teacher: Evaluation, student: Evaluation) -> tuple[GoalCheck, ...]:
    """Compare a student with the recipe's goals.

    Args:
        goals: what is asked for.
        teacher: on some split.
        student: on the same split.

    Returns:
        one check a goal, with the least value that meets it.
    """
    checks = []
    for goal in goals:
        value, limit = figure_of(student, goal.metric).value, _limit(goal, teacher)
        is_met = value >= limit - ROUNDING
        checks.append(GoalCheck(metric=goal.metric, type=goal.type, limit=limit, value=value, met=is_met))
    return tuple(checks)


def _limit(goal: Goal, teacher: Evaluation) -> float:
    return goal.value if goal.type == "min-value" else figure_of(teacher, goal.metric).value * (1 - goal.value)


def constant_that_passes(
    goals: Sequence[Goal], teacher: Evaluation, constant: Constant | None = None, *, accuracy_loss: float | None = None
) -> tuple[Decision, ...]:
    """Say that a model which always gives one answer would keep every goal; nothing where it would not, or none is asked for.

    Args:
        goals: of the recipe.
        teacher: on the split that the goals are looked at on; how many rows each class has there is read from it.
        constant: the most frequent answer there, where an example may have several labels.
        accuracy_loss: the target's budget of accuracy, the share of the teacher's that may be lost; None where it has none.
    """
    constant = constant or constant_of(teacher)
    if not goals or constant is None:
        return ()
    reached = {"accuracy": constant.accuracy, "macro_f1": constant.macro_f1}
    if any(reached[goal.metric] < _limit(goal, teacher) for goal in goals_within(goals, accuracy_loss)):
        return ()
    asked = " and ".join(f"{METRIC_NAMES[goal.metric]} {_limit(goal, teacher):.4f}" for goal in goals)
    budget = "" if accuracy_loss is None else (
        f", accuracy {_limit(accuracy_goal(accuracy_loss), teacher):.4f} by the target's budget of accuracy")
    return (Decision(
        step="search", what=f"a model that always answers {constant.answer} would reach the goal: "
                            f"{_what_asks_for_more(goals, teacher, constant)}",
        why=f"{constant.accuracy:.1%} of the {teacher.split} rows are {constant.answer}, and {asked} is asked for{budget}",
    ),)


def _what_asks_for_more(goals: Sequence[Goal], teacher: Evaluation, constant: Constant) -> str:
    """Say which goal a constant would miss; where none by the teacher's figures is one, what helps instead."""
    if constant.accuracy == 1:
        return f"give {teacher.split} rows of the other classes"
    is_asked = any(goal.metric == "macro_f1" for goal in goals)
    wanted = teacher.macro_f1.value * (1 - _USUAL_LOSS) - standard_error_of(teacher.macro_f1)
    if constant.macro_f1 < wanted and not is_asked:
        return f"--set 'goals=[{{metric: macro_f1, type: max-degradation, value: {_USUAL_LOSS}}}]' asks for every class alike"
    floor = ("--set 'goals=[{metric: macro_f1, type: min-value, value: X}]' asks for X whatever the teacher has; the constant's "
             f"macro-F1 is {constant.macro_f1:.4f}")
    return floor if constant.macro_f1 < wanted else (
        f"{floor}, the teacher's {teacher.macro_f1.value:.4f}: first give more rows of the other classes")


def floors_above_the_teacher(goals: Sequence[Goal], teacher: Evaluation) -> tuple[Decision, ...]:
    """Say of each goal of type min-value that the teacher itself is below it, by more than half the width of its interval.

    Args:
        goals: of the recipe.
        teacher: on the split that the goals are looked at on.
    """
    found = []
    for goal in goals:
        has = figure_of(teacher, goal.metric)
        if goal.type == "min-value" and goal.value > has.value + (has.high - has.low) / 2:
            found.append(Decision(
                step="search", what=f"the goal asks for more than the teacher has: {METRIC_NAMES[goal.metric]} {goal.value:.4f}, "
                f"and the teacher's is {has.value:.4f} on {teacher.split} (95 % interval {has.low:.4f} to {has.high:.4f})",
                why="a student seldom outgrows its teacher: give a better teacher or more labelled data, or lower the goal",
            ))
    return tuple(found)


def is_no_better(model: Evaluation, constant: Constant) -> bool:
    """Is a model no better than a constant, by accuracy and by macro-F1, by more than one standard error?

    False where the constant is right on every example of the split: nothing can be better there, and nothing is judged.
    """
    error = math.sqrt(constant.accuracy * (1 - constant.accuracy) / model.n)
    f1_error = standard_error_of(model.macro_f1)
    is_as_low = model.accuracy.value <= constant.accuracy + error and model.macro_f1.value <= constant.macro_f1 + f1_error
    return constant.accuracy < 1 and is_as_low


def goals_within(goals: Sequence[Goal], accuracy_loss: float | None) -> tuple[Goal, ...]:
    """Return the goals that a search goes by: the recipe's, and the target's budget of accuracy as one more.

    Without goals the search takes the best student that fits, and no budget makes that better.
    """
    if not goals or accuracy_loss is None:
        return tuple(goals)
    return (*goals, accuracy_goal(accuracy_loss))


def accuracy_goal(accuracy_loss: float) -> Goal:
    """Return a target's budget of accuracy, the share of the teacher's that may be lost, as a goal."""
    return Goal(metric="accuracy", type="max-degradation", value=accuracy_loss)


def standard_error_of(figure: Interval) -> float:
    """Return the standard error that a 95 % interval stands for: half its width over 1.96."""
    return (figure.high - figure.low) / (2 * _HALF_95)


def standard_error(check: GoalCheck, student: Evaluation) -> float:
    """Return how far chance alone moves what a goal compares: one standard error, on the split of the evaluation.

    The student that is taken is the cheapest of several that keep a goal, and so often the luckiest on that split.

    Args:
        check: a goal of this student.
        student: its evaluation; one that was compared with the teacher row by row, or the error of a loss is 0.

    Returns:
        of accuracy: for a floor that of the student's accuracy, for a loss against the teacher that of the difference, paired
        by row. Of macro-F1 in both cases that of the student's bootstrap interval (`evaluate.intervals`): which rows were
        right does not say how far it moves. For a loss it is not paired, and so mostly the wider one, on the safe side.

    Few rows that are all right, or on which two models answer alike, are no proof: two right and two wrong rows are added to a
    share (Agresti and Coull 1998, "Approximate is better than 'exact' for interval estimation of binomial proportions"), and half
    a row to each of the four cells of a paired comparison (Agresti and Min 2005, "Simple improved confidence intervals for
    comparing matched proportions").
    """
    if check.metric == "macro_f1":
        return standard_error_of(student.macro_f1)
    if check.type == "min-value":
        rows = student.n + _ADDED_ROWS
        share = (student.accuracy.value * student.n + _ADDED_ROWS / 2) / rows
        return math.sqrt(share * (1 - share) / rows)
    pairs = student.mcnemar_against_teacher
    if pairs is None:
        return 0.0
    return paired_error(pairs.only_reference_right, pairs.only_candidate_right, student.n)


def paired_error(only_first: int, only_second: int, n: int) -> float:
    """Return the standard error of the difference of two accuracies on the same rows, 0 to 1.

    Args:
        only_first: rows that the first model alone has right.
        only_second: the same of the second.
        n: rows; half a row is added to each of the four cells, see `standard_error`.
    """
    lost, won, rows = only_first + _ADDED_PAIRS, only_second + _ADDED_PAIRS, n + 4 * _ADDED_PAIRS
    return math.sqrt(lost + won - (lost - won) ** 2 / rows) / rows
