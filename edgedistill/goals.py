"""The recipe's goals against what was reached: on validation while a student is looked for, on the test split at the end."""

import math
from collections.abc import Sequence

from edgedistill.recipe import Goal
from edgedistill.results import Evaluation, GoalCheck


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
        reference, value = (
            evaluation.accuracy.value if goal.metric == "accuracy" else evaluation.macro_f1.value
            for evaluation in (teacher, student)
        )
        limit = goal.value if goal.type == "min-value" else reference * (1 - goal.value)
        checks.append(GoalCheck(metric=goal.metric, type=goal.type, limit=limit, value=value, met=value >= limit))
    return tuple(checks)


def goals_within(goals: Sequence[Goal], accuracy_loss: float | None) -> tuple[Goal, ...]:
    """Return the goals that a search goes by: the recipe's, and the target's budget of accuracy as one more.

    Without goals the search takes the best student that fits, and no budget makes that better.
    """
    if not goals or accuracy_loss is None:
        return tuple(goals)
    return (*goals, Goal(metric="accuracy", type="max-degradation", value=accuracy_loss))


def standard_error(check: GoalCheck, student: Evaluation) -> float:
    """Return how far chance alone moves what a goal compares: one standard error, on the split of the evaluation.

    The student that is taken is the cheapest of several that keep a goal, and so often the luckiest on that split.

    Args:
        check: a goal of this student.
        student: its evaluation; one that was compared with the teacher row by row, or the error of a loss is 0.

    Returns:
        for a floor that of the student's accuracy; for a loss against the teacher that of the difference, paired by row.
    """
    if check.type == "min-value":
        return math.sqrt(student.accuracy.value * (1 - student.accuracy.value) / student.n)
    pairs = student.mcnemar_against_teacher
    if pairs is None:
        return 0.0
    lost, won = pairs.only_reference_right, pairs.only_candidate_right
    return math.sqrt(max(0.0, lost + won - (lost - won) ** 2 / student.n)) / student.n
