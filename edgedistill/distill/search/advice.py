"""What a person can do when no student keeps the goal: how far off it is, why, and what to change."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgedistill.distill.search.trial import Finding
from edgedistill.recipe import Goal
from edgedistill.results import GoalCheck, Prediction

_FINDING_ADVICE: dict[Finding, str] = {
    "answers-like-a-constant": "another learning rate (--set distillation.learning_rate={half_the_rate:g}), or more rows of the "
                               "rare classes",
    "does-not-fit": "train longer (--set distillation.rows_seen={twice_the_rows})",
    "vocabulary-binds": "room for more tokens (a larger budgets.model_bytes)",
    "does-not-generalise": "give more labelled data, or a teacher that knows the field",
    "copies-the-teacher": "give a better teacher or more labelled data: a student does not outgrow soft labels that are "
                          "wrong",
    "lost-in-int8": "choose another int8 scheme (--set quantization.scheme=NAME; edgedistill quantize --help has the names)",
}

_BETTER_TEACHER = ("check the labels, give more rows of the rare classes, or another teacher (decisions of teach say how it was "
                   "trained): a student learns what its teacher says")

_MOST_OF_THE_ROOM = 0.75
"""A margin of more of what a goal lets a student lose would ask students to equal their teacher."""


@dataclass(frozen=True)
class Shortage:
    """What is known when the goal is missed.

    Attributes:
        goals: the goals on the test split, with what was reached.
        asked: the same goals as the recipe has them.
        rows_seen: by the chosen student, at most.
        learning_rate: of the chosen student.
        teacher: the teacher's figure on the test split, by metric.
        kept_on_validation: did the chosen student keep every goal there? False without goals.
        margin: by how much a goal had to be exceeded there.
        finding: what the diagnosis of the chosen student calls it.
        finding_text: the same with its figures.
        trials: trials that were made.
        trials_allowed: trials that the recipe allows.
        budget: the target's budget of accuracy as a goal, on the test split; None where it has none.
        time_limit_s: what the trials were allowed to take, where that ended the search; else None.
        named_rung: the only shape that the recipe allows; empty where it leaves the choice to the tool.
        is_smallest_wanted: is the smallest looked for that keeps the goals, so that a margin changes what is chosen?
        teacher_doubt: says that the teacher is no better on validation than one answer to everything; empty where it is.
    """

    goals: Sequence[GoalCheck]
    asked: Sequence[Goal]
    rows_seen: int
    learning_rate: float
    teacher: dict[str, float]
    kept_on_validation: bool
    margin: float
    finding: Finding
    finding_text: str
    trials: int
    trials_allowed: int
    budget: GoalCheck | None = None
    time_limit_s: float | None = None
    named_rung: str = ""
    is_smallest_wanted: bool = True
    teacher_doubt: str = ""


def advise(shortage: Shortage, ledger: Sequence[Prediction], budgets: dict[str, float]) -> str:
    """Say why no student keeps the goal and what to change.

    Args:
        shortage: what is known.
        ledger: every student shape with what it costs; one has `is_chosen`.
        budgets: the limits by name.

    Returns:
        sentences; empty when every goal is met.
    """
    asked = [*shortage.goals, *([] if shortage.budget is None else [shortage.budget])]
    missed = [goal for goal in asked if not goal.met]
    if not missed:
        return ""
    worst = max(missed, key=lambda goal: goal.limit - goal.value)
    metric = worst.metric.replace("_", "-")
    points = 100 * (worst.limit - worst.value)
    far = f"{metric} {worst.value:.4f} on the test rows is {points:.1f} points short of {worst.limit:.4f}"
    if shortage.kept_on_validation:
        why = ("on validation the goal was kept, so the test rows are harder or validation is too small to tell: "
               f"{_of_the_margin(worst, shortage)}")
    elif shortage.finding == "none":
        why = shortage.finding_text
    else:
        why = f"the best student {shortage.finding_text}"
    larger = _of_the_named_rung(shortage, ledger) or _of_the_budgets(ledger, budgets)
    options = [*_of_the_finding(shortage), *larger, _of_the_goals(missed, shortage)]
    if shortage.teacher_doubt:  # no other student would do better
        far, options = f"{shortage.teacher_doubt}; {far}", [_BETTER_TEACHER]
    return f"{far}; {why}. What may help: {'; '.join(option for option in options if option)}."


def _of_the_margin(goal: GoalCheck, shortage: Shortage) -> str:
    """Ask for a larger margin on validation, where it leaves room for a student that is no better than its teacher."""
    more = max(0.02, math.ceil(2000 * shortage.margin) / 1000)
    teacher = shortage.teacher.get(goal.metric)
    room = math.inf if teacher is None or goal.type == "min-value" else teacher - goal.limit
    if shortage.is_smallest_wanted and more <= _MOST_OF_THE_ROOM * room:
        return f"ask for more there (--set search.margin={more:g})"
    return "give more validation rows (data.validation, or a larger data.validation_share)"


def _of_the_named_rung(shortage: Shortage, ledger: Sequence[Prediction]) -> list[str]:
    """Say how many larger shapes would fit, had the recipe not named one."""
    chosen = next((row for row in ledger if row.is_chosen), None)
    if not shortage.named_rung or chosen is None:
        return []
    larger = sum(not row.rejected_because and row.int8_bytes > chosen.int8_bytes for row in ledger)
    count = f": {larger} larger shape{'s fit' if larger != 1 else ' fits'}" if larger else ""
    return [f"another shape than the one that the recipe names (leave student.rung out{count})"]


def _of_the_finding(shortage: Shortage) -> list[str]:
    options = []
    for goal in shortage.goals:
        teacher = shortage.teacher.get(goal.metric)
        if teacher is not None and goal.limit > teacher:
            options.append(f"a better teacher: the goal asks for {goal.limit:.4f}, the teacher itself has {teacher:.4f}")
    advice = "" if shortage.kept_on_validation else _FINDING_ADVICE.get(shortage.finding, "").format(
        half_the_rate=shortage.learning_rate / 2, twice_the_rows=2 * shortage.rows_seen)
    if advice and not (options and shortage.finding == "copies-the-teacher"):
        options.append(advice)
    if shortage.trials >= shortage.trials_allowed:
        options.append(f"more trials (--trials {max(8, 2 * shortage.trials_allowed)})")
    if shortage.time_limit_s is not None:
        options.append(f"more time (--time-limit {math.ceil(2 * shortage.time_limit_s / 60)})")
    return options


def _of_the_budgets(ledger: Sequence[Prediction], budgets: dict[str, float]) -> list[str]:
    """Name the next larger shape that does not fit, and what each budget must be raised to for it."""
    chosen = next((row for row in ledger if row.is_chosen), None)
    larger = [row for row in ledger if row.rejected_because and chosen is not None and row.int8_bytes > chosen.int8_bytes]
    if not larger:
        return []
    row = min(larger, key=lambda r: r.int8_bytes)
    needed = {"model_bytes": float(row.int8_bytes), "peak_memory_bytes": float(row.peak_memory_bytes),
              "latency_p50_s": row.latency_p50_s}
    raised = [f"--set budgets.{name}={_rounded_up(value)}" for name, value in needed.items() if value > budgets[name]]
    return [f"room for the larger shape {row.rung} ({' '.join(raised)})"]


def _rounded_up(value: float) -> str:
    """Return a figure with two digits that is no less."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    up = math.ceil(value / unit) * unit
    return f"{up:.0f}" if up >= 100 else f"{up:.6g}"


def _of_the_goals(missed: Sequence[GoalCheck], shortage: Shortage) -> str:
    """Say what would have been met, all that was missed at once."""
    goals = [_loosened(goal, check, shortage) if check in missed else goal
             for goal, check in zip(shortage.asked, shortage.goals, strict=True)]
    settings = []
    if goals != list(shortage.asked):
        listed = ", ".join(f"{{metric: {goal.metric}, type: {goal.type}, value: {goal.value:g}}}" for goal in goals)
        settings.append(f"--set 'goals=[{listed}]'")
    teacher = shortage.teacher.get("accuracy")
    if shortage.budget in missed and shortage.budget is not None and teacher:
        settings.append(f"--set budgets.accuracy_loss={_loss(shortage.budget, teacher):g}")
    return f"ask for less ({' '.join(settings)})" if settings else ""


def _loosened(goal: Goal, check: GoalCheck, shortage: Shortage) -> Goal:
    """Return the goal that would have been met, in three digits; unchanged where nobody knows."""
    if goal.type == "min-value":
        return goal.model_copy(update={"value": math.floor(check.value * 1000) / 1000})
    teacher = shortage.teacher.get(goal.metric)
    return goal.model_copy(update={"value": _loss(check, teacher)}) if teacher else goal


def _loss(check: GoalCheck, teacher: float) -> float:
    return math.ceil((1 - check.value / teacher) * 1000) / 1000
