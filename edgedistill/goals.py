"""The recipe's goals against what was reached: on validation while a student is looked for, on the test split at the end."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistill.decisions import set_numbers
from edgedistill.manifest import Decision
from edgedistill.recipe import Goal, Metric
from edgedistill.results import Evaluation, GoalCheck, Interval

METRIC_NAMES: Mapping[Metric, str] = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
"""What people call the metrics."""

_ADDED_ROWS, _ADDED_PAIRS = 4, 0.5
"""Made-up rows that keep the error of a share away from 0 where few rows are all right; see `standard_error`."""

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


@dataclass(frozen=True)
class Constant:
    """The answer that is right most often when it is given to everything.

    Attributes:
        answer: in words, for messages.
        accuracy: of a model that always gives it.
        macro_f1: of that model; of the classes that it never gives the F1 is 0.
    """

    answer: str
    accuracy: float
    macro_f1: float


def constant_set(labels: NDArray[np.integer], names: Sequence[str]) -> Constant:
    """Return the most frequent set of labels of examples that may have several, none among them.

    Args:
        labels: 0 and 1, shape (n, classes), n >= 1.
        names: of the classes.
    """
    numbers = set_numbers(labels)
    most = int(np.bincount(numbers).argmax())
    row = labels[int((numbers == most).argmax())]
    said = [repr(name) for name, is_in in zip(names, row, strict=True) if is_in]
    shares = labels.mean(axis=0)
    occur = shares > 0
    f1 = np.where(row > 0, 2 * shares / (1 + shares), 0.0)[occur]
    return Constant(" and ".join(said) or "no label", float((numbers == most).mean()), float(f1.mean()) if occur.any() else 0.0)


def _constant_class(teacher: Evaluation) -> Constant | None:
    """Return the largest class of a split, by what an evaluation says of its rows; None where it does not say."""
    rows = {figures.label: figures.support for figures in teacher.classes if figures.support}
    if not rows or teacher.micro_f1 is not None:  # of several labels: how often one stands alone is not said
        return None
    label = max(rows, key=lambda name: rows[name])
    share = rows[label] / sum(rows.values())
    return Constant(repr(label), share, 2 * share / (1 + share) / len(rows))


def constant_that_passes(goals: Sequence[Goal], teacher: Evaluation, constant: Constant | None = None) -> tuple[Decision, ...]:
    """Say that a model which always gives one answer would keep every goal; nothing where it would not, or none is asked for.

    Args:
        goals: what is asked for.
        teacher: on the split that the goals are looked at on; how many rows each class has there is read from it.
        constant: the most frequent answer there, where an example may have several labels.
    """
    constant = constant or _constant_class(teacher)
    if not goals or constant is None:
        return ()
    reached = {"accuracy": constant.accuracy, "macro_f1": constant.macro_f1}
    limits = [(goal.metric, _limit(goal, teacher)) for goal in goals]
    if any(reached[metric] < limit for metric, limit in limits):
        return ()
    asked = " and ".join(f"{METRIC_NAMES[metric]} {limit:.4f}" for metric, limit in limits)
    return (Decision(
        step="search", what=f"a model that always answers {constant.answer} would reach the goal: --set "
        "'goals=[{metric: macro_f1, type: max-degradation, value: 0.05}]' asks for every class alike",
        why=f"{constant.accuracy:.1%} of the {teacher.split} rows are {constant.answer}, and {asked} is asked for",
    ),)


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
    lost, won = pairs.only_reference_right + _ADDED_PAIRS, pairs.only_candidate_right + _ADDED_PAIRS
    n = student.n + 4 * _ADDED_PAIRS
    return math.sqrt(lost + won - (lost - won) ** 2 / n) / n
