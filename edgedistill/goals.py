"""The recipe's goals against what was reached: on validation while a student is looked for, on the test split at the end."""

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
