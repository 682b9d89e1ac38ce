"""The account of a search: its trials in words."""

from edgedistill.distill.search.trial import Trial, TrialOutcome, TrialSettings
from edgedistill.manifest import Decision

_FARTHER = ("does-not-fit", "does-not-generalise", "vocabulary-binds", "copies-the-teacher")
"""Findings of a student that keeps the goal, where the best that fits is looked for: why it is not its teacher's equal."""


def trial_decisions(
    trial: Trial, *, example: str = "text", has_goals: bool = True, is_own: bool = False
) -> tuple[Decision, ...]:
    """Return what was tried and why, and what came of it and why.

    Args:
        trial: of the study.
        example: what an example is called: "text" or "picture".
        has_goals: does the recipe ask for anything?
        is_own: is it this run's own?
    """
    settings = described(trial.settings, example=example)
    made = Decision(step="search", what=f"trial {trial.number + 1}: {settings}", why=trial.because)
    if trial.outcome is None:
        why = "it was left unfinished, and search.trials allows no more" if is_own else f"it is being made in {trial.run}"
        still = Decision(step="search", what=f"trial {trial.number + 1} is not counted", why=why)
        return made, still
    result = f"trial {trial.number + 1} {result_of(trial.outcome, has_goals=has_goals)}"
    why = trial.outcome.diagnosis.text
    if trial.outcome.is_met and trial.outcome.diagnosis.finding in _FARTHER:
        why = f"to come nearer to its teacher: {why}"
    return made, Decision(step="search", what=result, why=why)


def described(settings: TrialSettings, *, example: str = "text") -> str:
    """Return the settings of a trial in words; `example` is what an example is called: "text" or "picture"."""
    words = f"rows and {settings.transfer_words} words of text" if example == "text" else f"{example}s"
    return (f"student {settings.rung}, temperature {settings.temperature:g}, alpha {settings.alpha:g}, learning rate "
            f"{settings.learning_rate:g}, batch {settings.batch_size}, {settings.rows_seen} rows seen, transfer set of at most "
            f"{settings.transfer_rows} {words}, int8 {settings.scheme}")


def result_of(outcome: TrialOutcome, *, has_goals: bool = True) -> str:
    """Return what came of a trial in words; without goals none is kept."""
    if outcome.int8_accuracy is None:
        return "came to no student"
    got = f"validation accuracy {outcome.int8_accuracy:.4f} in {outcome.form}, the teacher's is {outcome.teacher_accuracy:.4f}"
    if outcome.metric != "accuracy":
        got += f"; {outcome.figure_name} {outcome.figure:.4f}"
    if outcome.is_met:
        return f"{'keeps the goal' if has_goals else 'is within the size budget'}: {got}"
    if not outcome.is_within_budgets:
        missed = f", and misses the goal by {100 * outcome.missed_by:.1f} points" if has_goals and outcome.missed_by > 0 else ""
        return f"is over the {outcome.over}{missed}: {got}"
    asked = f"{100 * outcome.margin:.1f} points (search.margin)"
    if outcome.is_kept_by_chance:
        return f"keeps the goal by {100 * -outcome.missed_by:.1f} points, which may be chance, as less than {asked}: {got}"
    return f"misses the goal by {100 * outcome.missed_by:.1f} points, and is asked to exceed it by {asked}: {got}"
