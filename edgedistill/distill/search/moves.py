"""The next move of the search: which shape, with which settings, and why. Guided by what was measured so far.

The shapes that fit are a ladder from cheap to dear. For the smallest student that keeps the goal the ladder is halved
(a dearer shape is taken to be the more accurate), which needs few trials: the logarithm of the rungs. A rung that misses
is diagnosed, and the finding decides whether another rung or another setting is tried next.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from edgedistill.distill.search.trial import SAME_SIZE, LookFor, Rung, State, Trial, TrialSettings
from edgedistill.recipe import FEWEST_STEPS

NEAR = 0.02
"""A rung that misses by no more may get there with other settings; one that misses by more needs another shape first."""

LEARNING_RATE_FACTOR, LEARNING_RATE_REACH = 2.0, 4.0
TRANSFER_FACTOR, MOST_COPIES, MOST_TRANSFER_ROWS, MOST_TRANSFER_WORDS = 2, 100, 2_000_000, 100_000_000
ROWS_SEEN_FACTOR, ROWS_SEEN_REACH = 2, 4
TEMPERATURE_FACTOR, HIGHEST_TEMPERATURE = 2.0, 8.0
ALPHA_STEP, LOWEST_ALPHA = 0.2, 0.3


@dataclass(frozen=True)
class Move:
    """Settings to try, and why."""

    settings: TrialSettings
    because: str


@dataclass(frozen=True)
class Situation:
    """What the next move depends on.

    Attributes:
        look_for: what the recipe wants.
        rungs: the shapes that fit, from the cheapest, at least one.
        base: the recipe's own settings; its rung is the plan's choice.
        schemes: int8 schemes that suit the target, where the recipe leaves them to the tool.
        train_rows: labelled training texts.
        left: trials that may still be made, at least one.
        trials: those made or being made, in the order of their numbers.
        example: what an example is called: "text" or "picture".
    """

    look_for: LookFor
    rungs: tuple[Rung, ...]
    base: TrialSettings
    schemes: tuple[str, ...]
    train_rows: int
    left: int
    trials: tuple[Trial, ...] = ()
    example: str = "text"

    def rank(self, trial: Trial) -> int:
        """Where a trial's rung stands on the ladder, 0 for the cheapest."""
        return self._ranks[trial.settings.rung]

    @cached_property
    def _ranks(self) -> dict[str, int]:
        return {rung.id: rank for rank, rung in enumerate(self.rungs)}

    @cached_property
    def ceiling(self) -> int:
        """The cheapest rung that keeps the goal; one above the ladder while none does.

        In a file over a budget, too: those of dearer rungs are larger still, so that what fits is looked for below.
        """
        ranks = [self.rank(t) for t in self.trials if t.outcome is not None and t.outcome.keeps_the_goals]
        return min(ranks, default=len(self.rungs))

    @cached_property
    def limit(self) -> int:
        """The rung from which on none can be better than what was found; one above the ladder while any can.

        It is above the ceiling where a file that computes in float keeps the goal: the int8 file of a dearer rung may be smaller,
        or be the one that fits.
        """
        return min((self._limit_by(t) for t in self.trials), default=len(self.rungs))

    def _limit_by(self, trial: Trial) -> int:
        outcome = trial.outcome
        if outcome is None or not outcome.keeps_the_goals:
            return len(self.rungs)
        if not outcome.is_float:  # a file with weights alone in int8 too: dearer ones are as they are, and slower
            return self.rank(trial)
        most = outcome.int8_bytes if outcome.is_met else math.inf
        dearer = range(self.rank(trial) + 1, len(self.rungs))
        return next((rank for rank in dearer if self.rungs[rank].int8_bytes >= most), len(self.rungs))

    @cached_property
    def floor(self) -> int:
        """The dearest rung below the ceiling that was tried to its end and misses the goal; -1 for none."""
        ranks = [self.rank(t) for t in self.trials if t.outcome is not None and not t.outcome.keeps_the_goals]
        return max((rank for rank in ranks if rank < self.ceiling), default=-1)


def guided_moves(now: Situation) -> Iterator[Move]:
    """Yield moves, the best first; a move may have been made before. None at all: the sampler's turn."""
    if now.look_for == "best-that-fits":
        yield from _towards_the_best(now)
    else:
        yield from _towards_the_smallest(now)


def is_settled(now: Situation) -> bool:
    """Can nothing better be found, because the cheapest rung of all keeps the goal within the budgets?

    In a float file only where no int8 file of a dearer rung could be smaller.
    """
    is_kept = any(t.outcome is not None and t.outcome.is_met and now.rank(t) == 0 for t in now.trials)
    return now.look_for == "smallest-that-meets-the-goal" and is_kept and now.limit <= 1


def _towards_the_smallest(now: Situation) -> Iterator[Move]:
    top, taken = len(now.rungs) - 1, {now.rank(t) for t in now.trials}
    is_safe = now.ceiling <= top
    if now.left == 1 and not is_safe and top not in taken:
        what = "the only trial" if not now.trials else "the last trial"
        yield _at(now, top, f"{what} goes to the largest that fits, which is the likeliest to keep the goal")
    yield from _calmer_trainings(now, below=now.ceiling)
    for trial in _over_a_budget(now):
        yield from adjustments(trial, now)  # int8 schemes, for which nothing is trained
    open_ranks = [rank for rank in range(now.floor + 1, now.ceiling) if rank not in taken]
    missed = _nearest_miss(now)
    if missed is not None and (not open_ranks or _is_worth_another_setting(missed, now)):
        yield from adjustments(missed, now)
    middle = (now.floor + now.ceiling) // 2
    for rank in sorted(open_ranks, key=lambda r: (abs(r - middle), -r)):
        yield _at(now, rank, _why_this_rung(now, rank))
    is_met = any(t.outcome is not None and t.outcome.is_met for t in now.trials)
    gained = "smaller than the float file that keeps the goal" if is_met else "within the budgets"
    for rank in range(now.ceiling + 1, now.limit):
        if rank not in taken:
            yield _at(now, rank, f"no cheaper shape is left to try, and {now.rungs[rank].id} in int8 would be {gained}")


def _why_this_rung(now: Situation, rank: int) -> str:
    below, above = now.floor, now.ceiling
    if len(now.rungs) == 1:
        return "it is the only shape that may be tried"
    asked = f"the ladder of {len(now.rungs)} shapes that fit is halved"
    if below < 0 and above == len(now.rungs):
        return f"{asked}, from its middle"
    parts = []
    if below >= 0:
        last = _nearest_miss(now)
        found = "" if last is None or last.outcome is None else f" ({last.outcome.diagnosis.text})"
        parts.append(f"{now.rungs[below].id} misses the goal{found}")
    if above < len(now.rungs):
        parts.append(f"{now.rungs[above].id} keeps it{_in_which_file(now)}")
    return f"{asked}: {', '.join(parts)}"


def _in_which_file(now: Situation) -> str:
    """Return a clause on the file that keeps the goal on the ceiling's rung; empty where it is one in int8 that fits."""
    found = [t.outcome for t in _at_the_ceiling(now) if t.outcome is not None]
    if any(outcome.is_met and not outcome.is_float for outcome in found):
        return ""
    return " in float" if any(outcome.is_met for outcome in found) else f" in a file over the {found[0].over}"


def _over_a_budget(now: Situation) -> list[Trial]:
    """Return the trials that keep the goal on the ceiling's rung where the files of all of them are over a budget; else none."""
    found = _at_the_ceiling(now)
    return [] if any(t.outcome is not None and t.outcome.is_met for t in found) else found


def _at_the_ceiling(now: Situation) -> list[Trial]:
    return [t for t in now.trials if t.outcome is not None and t.outcome.keeps_the_goals and now.rank(t) == now.ceiling]


def _towards_the_best(now: Situation) -> Iterator[Move]:
    top = len(now.rungs) - 1
    if not now.trials:
        yield _at(now, top, "the largest that fits, which is likely the most accurate")
        return
    yield from _calmer_trainings(now, below=len(now.rungs))
    if top > 0 and not any(now.rank(t) == top - 1 for t in now.trials):
        yield _at(now, top - 1, f"the next cheaper shape, in case it cannot be told apart from {now.rungs[top].id}")
    finished = [t for t in now.trials if t.outcome is not None and t.outcome.state == "done"]
    if finished:
        within = [t for t in finished if t.outcome is not None and t.outcome.is_within_budgets]
        best = max(within or finished, key=lambda t: (_figure(t), -t.number))
        yield from adjustments(best, now)


def _calmer_trainings(now: Situation, *, below: int) -> Iterator[Move]:
    """Yield what diverged once more at half the rate, on rungs without a student: another shape would diverge as well."""
    for trial in reversed(now.trials):
        rung = trial.settings.rung
        has_student = any(_state(other) == "done" for other in now.trials if other.settings.rung == rung)
        if _state(trial) == "diverged" and not has_student and now.rank(trial) < below:
            yield from adjustments(trial, now)


def _nearest_miss(now: Situation) -> Trial | None:
    """Return the trial that comes nearest to the goal on the dearest rung below the ceiling that misses it."""
    found = [t for t in now.trials if t.outcome is not None and not t.outcome.is_met and now.rank(t) == now.floor]
    return min(found, key=lambda t: (t.outcome.shortfall if t.outcome else 1.0, t.number), default=None)


def _is_worth_another_setting(trial: Trial, now: Situation) -> bool:
    """Should a rung that missed be tried with other settings before another rung? Once at most, if it costs a training."""
    if trial.outcome is None:
        return False
    finding = trial.outcome.diagnosis.finding
    if finding == "lost-in-int8":
        return True  # nothing has to be trained for it
    is_first = sum(t.settings.rung == trial.settings.rung for t in now.trials) == 1
    if finding == "answers-like-a-constant":
        return is_first  # however far it misses: the next rung would learn no more at this rate
    may_mend = finding in ("does-not-generalise", "vocabulary-binds", "copies-the-teacher") or (
        finding == "does-not-fit" and trial.outcome.was_falling_at_the_end)
    return is_first and may_mend and trial.outcome.missed_by <= NEAR


def adjustments(trial: Trial, now: Situation) -> Iterator[Move]:
    """Yield what a trial's diagnosis asks for on the same rung, the likeliest first; nothing beyond reason is yielded."""
    if trial.outcome is None:
        return
    was, base = trial.settings, now.base
    diagnosis = trial.outcome.diagnosis
    options: list[tuple[dict[str, object], str]] = []
    if diagnosis.finding == "lost-in-int8":
        options = [({"scheme": name}, f"int8 scheme {name}") for name in _schemes_left(trial, now)]
    elif diagnosis.finding == "answers-like-a-constant":
        options = [_learning_rate(was, base, up=False), _learning_rate(was, base, up=True)]
    elif diagnosis.finding == "does-not-fit":
        rises = trial.outcome.was_best_at_the_end
        longer = [_longer(was, base)] if trial.outcome.was_falling_at_the_end else []
        options = [*longer, _learning_rate(was, base, up=rises), _learning_rate(was, base, up=not rises)]
    elif diagnosis.finding == "does-not-generalise":
        options = [_transfer(was, now), _temperature(was)]
    elif diagnosis.finding == "copies-the-teacher":
        options = [_alpha(was)]
    elif diagnosis.finding == "diverged":
        options = [_learning_rate(was, base, up=False)]
    elif diagnosis.finding == "vocabulary-binds":
        options = [*_more_tokens(was, now), _transfer(was, now)]
    for change, what in options:
        settings = was.model_copy(update=change)
        if settings != was:
            yield Move(settings, f"{what}, because trial {trial.number + 1} {diagnosis.text}")


def _schemes_left(trial: Trial, now: Situation) -> list[str]:
    """The schemes that this training was not taken to, less those that were found to be no more accurate."""
    judged: set[str] = set()
    for other in now.trials:
        if other.outcome is not None and other.settings.is_same_training(trial.settings):
            judged |= {other.outcome.scheme_used, *other.outcome.schemes_no_better}
    return [name for name in now.schemes if name not in judged]


def _learning_rate(was: TrialSettings, base: TrialSettings, *, up: bool) -> tuple[dict[str, object], str]:
    wanted = was.learning_rate * LEARNING_RATE_FACTOR if up else was.learning_rate / LEARNING_RATE_FACTOR
    limited = min(max(wanted, base.learning_rate / LEARNING_RATE_REACH), base.learning_rate * LEARNING_RATE_REACH)
    value = float(f"{min(limited, 0.9):.3g}")
    text = "a training that gets further" if up else "a calmer training"
    return {"learning_rate": value}, f"learning rate {was.learning_rate:g} -> {value:g} ({text})"


def _more_tokens(was: TrialSettings, now: Situation) -> list[tuple[dict[str, object], str]]:
    """The cheapest rung with more tokens that was not tried; none where there is no such rung.

    None that is clearly cheaper than the one that missed, and for the smallest none that costs more than one that keeps the goal.
    """
    known, taken = {rung.id: rung for rung in now.rungs}, {t.settings.rung for t in now.trials}
    own, most = known[was.rung], len(now.rungs) if now.look_for == "best-that-fits" else now.ceiling
    rungs = [rung for rung in now.rungs[:most] if rung.vocabulary > own.vocabulary and rung.id not in taken
             and SAME_SIZE * rung.int8_bytes >= own.int8_bytes]
    return [({"rung": rung.id}, f"{rung.id}, which has {rung.vocabulary} tokens") for rung in rungs[:1]]


def _longer(was: TrialSettings, base: TrialSettings) -> tuple[dict[str, object], str]:
    """Twice the rows seen, up to four times the recipe's."""
    rows = _more_rows_seen(was, base)
    text = "the loss on validation was still falling when the training ended"
    return {"rows_seen": rows}, f"a longer training, {was.rows_seen} -> {rows} rows seen ({text})"


def _more_rows_seen(was: TrialSettings, base: TrialSettings) -> int:
    """Twice as many, up to four times the recipe's, from what a training sees at least."""
    seen, usual = (max(settings.rows_seen, FEWEST_STEPS * settings.batch_size) for settings in (was, base))
    return max(was.rows_seen, min(ROWS_SEEN_FACTOR * seen, ROWS_SEEN_REACH * usual))


def _transfer(was: TrialSettings, now: Situation) -> tuple[dict[str, object], str]:
    """Twice the set, whichever of its limits holds it, and a training that sees it.

    Nothing where a limit has no room left, and where the recipe has switched the set off.
    """
    if now.base.transfer_rows == 0:
        return {}, ""
    rows = min(MOST_TRANSFER_ROWS, TRANSFER_FACTOR * max(was.transfer_rows, now.train_rows))
    copies = max(was.transfer_copies, min(MOST_COPIES, TRANSFER_FACTOR * was.transfer_copies))
    words = min(MOST_TRANSFER_WORDS, TRANSFER_FACTOR * was.transfer_words)
    has_no_copies_left = copies == was.transfer_copies and now.train_rows * copies <= was.transfer_rows
    if rows == was.transfer_rows or words == was.transfer_words or has_no_copies_left:
        return {}, ""
    seen = _more_rows_seen(was, now.base)
    change: dict[str, object] = {
        "transfer_rows": rows, "transfer_copies": copies, "transfer_words": words, "rows_seen": seen,
    }
    limits = f"{rows} rows and {words} words of text" if now.example == "text" else f"{rows} {now.example}s"
    return change, f"a transfer set twice as large, at most {limits}, and {seen} rows seen"


def _temperature(was: TrialSettings) -> tuple[dict[str, object], str]:
    if was.alpha == 0:  # the soft labels count for nothing
        return {}, ""
    value = max(was.temperature, min(HIGHEST_TEMPERATURE, was.temperature * TEMPERATURE_FACTOR))
    return {"temperature": value}, f"a higher temperature, {was.temperature:g} -> {value:g}"


def _alpha(was: TrialSettings) -> tuple[dict[str, object], str]:
    value = min(was.alpha, round(max(LOWEST_ALPHA, was.alpha - ALPHA_STEP), 3))
    return {"alpha": value}, f"more weight for the hard labels, alpha {was.alpha:g} -> {value:g}"


def _at(now: Situation, rank: int, because: str) -> Move:
    """Return a move to a rung, with what has proved better than the recipe's settings on a rung so far."""
    carried = _calmed(best_settings(now), now)
    return Move(carried.model_copy(update={"rung": now.rungs[rank].id}), because)


def best_settings(now: Situation) -> TrialSettings:
    """Return the settings of the latest rung on which several were compared; the recipe's while there is none.

    The int8 scheme is always the recipe's: which one is good enough is found out for each student anew.
    """
    by_rung: dict[str, list[Trial]] = {}
    for trial in now.trials:
        if trial.outcome is not None:
            by_rung.setdefault(trial.settings.rung, []).append(trial)
    compared: Sequence[list[Trial]] = [trials for trials in by_rung.values() if len(trials) > 1]
    if not compared:
        return now.base
    latest = max(compared, key=lambda trials: trials[-1].number)
    best = max(latest, key=lambda t: (_figure(t), -t.number)).settings
    return best.model_copy(update={"scheme": now.base.scheme})


def _calmed(settings: TrialSettings, now: Situation) -> TrialSettings:
    """Halve a rate at which trainings diverged, where none came to a student at that rate or a higher one."""
    lost = [t.settings.learning_rate for t in now.trials if _state(t) == "diverged"]
    trained = [t.settings.learning_rate for t in now.trials if _state(t) == "done"]
    if not lost or settings.learning_rate < min(lost) or settings.learning_rate <= max(trained, default=0.0):
        return settings
    at_least = settings.model_copy(update={"learning_rate": min(lost)})
    return settings.model_copy(update=_learning_rate(at_least, now.base, up=False)[0])


def _state(trial: Trial) -> State | None:
    return None if trial.outcome is None else trial.outcome.state


def _figure(trial: Trial) -> float:
    return 0.0 if trial.outcome is None else trial.outcome.figure
