"""The choice among finished trials: the cheapest that keeps the goal, or the best that fits."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistill.distill.search.trial import SAME_SIZE, LookFor, Rung, Trial, TrialOutcome
from edgedistill.goals import standard_error_of


@dataclass(frozen=True)
class Choice:
    """The trial that is taken, and why."""

    trial: Trial
    why: str


def pack_rows(is_right: NDArray[np.bool_]) -> str:
    """Return booleans as hexadecimal digits, eight a pair, the last pair filled up with false."""
    return np.packbits(is_right).tobytes().hex()


def _unpack(text: str) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8)).astype(bool)


def choose(
    trials: Sequence[Trial], rungs: Mapping[str, Rung], *, look_for: LookFor, is_one_metric: bool = True
) -> Choice | None:
    """Choose among the trials that were done to their end; None when there is none.

    `smallest-that-meets-the-goal`: of those that keep every goal on validation the cheapest (int8 bytes, then predicted
    p50), of one shape the best; if none keeps them, the best int8 student, or, where the goals are of several metrics, the one
    whose worst goal is missed by least. `best-that-fits`: the cheapest of those that cannot be told apart from the best, among
    those that keep every goal where any does. The best is it by the metric of the recipe's first goal.
    Of students that cost about the same and cannot be told apart by it, the one that is closest to its teacher is taken:
    every row says how far its distribution is from the teacher's, where few rows say who is right.
    """
    done = [t for t in trials if t.outcome is not None and t.outcome.state == "done"]
    met = [t for t in done if t.outcome is not None and t.outcome.is_met]
    if look_for == "smallest-that-meets-the-goal" and met:
        taken, note = _closest(_of_one_size(met, rungs), min(met, key=lambda t: (_cost(t, rungs), -_figure(t), t.number)))
        return Choice(taken, f"the cheapest student that keeps every goal on validation ({len(met)} of {len(done)} do): "
                             f"{_name(taken)} {_figure(taken):.4f} in {_outcome(taken).form}{note}")
    within = [t for t in done if t.outcome is not None and t.outcome.is_within_budgets] or done
    if not within:
        return None
    best = max(within, key=lambda t: (_figure(t), [-part for part in _cost(t, rungs)], -t.number))
    if look_for == "smallest-that-meets-the-goal":
        taken = best if is_one_metric else min(within, key=lambda t: (_outcome(t).shortfall, -_figure(t), t.number))
        what = "this has the best" if taken is best else "this comes nearest to all of them, with an"
        is_close = any(_outcome(t).is_kept_by_chance for t in within)
        by_how_much = " by more than may be chance (search.margin)" if is_close else ""
        if not _outcome(taken).is_within_budgets:
            return Choice(taken, f"no trial has a file within the budgets; {what} {_named(taken)} on validation, "
                                 f"{_figure(taken):.4f}")
        over = _over_a_budget(done)
        fits = " whose file fits" if over else ""
        return Choice(taken, f"no trial{fits} keeps every goal on validation{by_how_much}{over}; {what} {_named(taken)} "
                             f"there, {_figure(taken):.4f}")
    kept = [t for t in within if _outcome(t).is_met] or within
    passed_over = "" if best in kept else " of those that keep every goal"
    within, best = kept, max(kept, key=lambda t: (_figure(t), [-part for part in _cost(t, rungs)], -t.number))
    alike = [t for t in within if _cannot_be_told_apart(_outcome(best), _outcome(t))]
    taken, note = _closest(_of_one_size(alike, rungs), min(alike, key=lambda t: (_cost(t, rungs), -_figure(t), t.number)))
    if taken is best:
        return Choice(best, f"the best {_named(best)} on validation{passed_over}, {_figure(best):.4f}{note}")
    cheaper = ", and cheaper" if _cost(taken, rungs) < _cost(best, rungs) else ""
    return Choice(taken, f"{_named(taken)} {_figure(taken):.4f} on validation, within one standard error of trial "
                         f"{best.number + 1}'s {_figure(best):.4f}{cheaper}{note}")


def _over_a_budget(done: Sequence[Trial]) -> str:
    """Name the trials that keep every goal in a file that does not fit, in a clause; empty for none."""
    found = [t for t in done if _outcome(t).keeps_the_goals and not _outcome(t).is_within_budgets]
    if not found:
        return ""
    if len(found) == 1:
        return f", as trial {found[0].number + 1} does, which is over the {_outcome(found[0]).over}"
    return f", as trials {', '.join(str(t.number + 1) for t in found)} do, which are over a budget"


def _of_one_size(trials: Sequence[Trial], rungs: Mapping[str, Rung]) -> list[Trial]:
    """Return those that cost about as much as the cheapest."""
    least = min(_cost(t, rungs)[0] for t in trials)
    return [t for t in trials if _cost(t, rungs)[0] <= SAME_SIZE * least]


def _closest(same: Sequence[Trial], otherwise: Trial) -> tuple[Trial, str]:
    """Return which of several trials of one size is taken, and a clause; `otherwise` where their distances say nothing."""
    best = max(same, key=lambda t: (_figure(t), -t.number))
    near = {t.number: kl for t in same if (kl := _outcome(t).kl_nats) is not None
            and _cannot_be_told_apart(_outcome(best), _outcome(t))}
    if best.number not in near or len(set(near.values())) < 2:  # int8 schemes of one training are equally close
        return otherwise, ""
    taken = min((t for t in same if t.number in near), key=lambda t: (near[t.number], -_figure(t), t.number))
    return taken, (f"; of {len(near)} that cost about the same and cannot be told apart, the closest to its teacher "
                   f"(KL {near[taken.number]:.3f} nats)")


def _cannot_be_told_apart(best: TrialOutcome, other: TrialOutcome) -> bool:
    """Is the other within one standard error of the best, as `are_alike` has it?

    Where macro-F1 ranks, it must be within the standard error of the best one's as well, from its bootstrap interval and not
    paired, which is the rule as Breiman et al. have it.
    """
    if best.metric == "macro_f1" and best.int8_macro_f1 is not None and (
        best.figure - other.figure > standard_error_of(best.int8_macro_f1)
    ):
        return False
    first, second = _unpack(best.right_rows), _unpack(other.right_rows)
    if len(first) != len(second) or not len(first):
        return best.right_rows == other.right_rows
    return are_alike(first, second)


def are_alike(best: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
    """Is another student's accuracy within one standard error of the best one's, paired by row?

    Args:
        best: which rows the best answers right, shape (n,).
        other: the same of the other.

    Reference: the one-standard-error rule, Breiman et al. 1984, "Classification and Regression Trees", section 3.4.3;
    the error of a difference of paired shares is sqrt(b + c - (b - c)^2 / n) / n, with b and c the rows on which only the
    one and only the other is right (Agresti 2002, "Categorical Data Analysis", equation 10.2). One row is allowed for
    continuity, as in McNemar's test: a single row tells nothing apart.
    """
    only_best, only_other = int((best & ~other).sum()), int((other & ~best).sum())
    gap = only_best - only_other
    return gap - 1 <= math.sqrt(max(0.0, only_best + only_other - gap**2 / len(best)))


def _outcome(trial: Trial) -> TrialOutcome:
    if trial.outcome is None:
        raise ValueError(f"trial {trial.number} is not finished")
    return trial.outcome


def _figure(trial: Trial) -> float:
    return _outcome(trial).figure


def _name(trial: Trial) -> str:
    return _outcome(trial).figure_name


def _named(trial: Trial) -> str:
    """Return `int8 accuracy`, or `float accuracy` where no int8 file did."""
    return f"{_outcome(trial).form} {_name(trial)}"


def _cost(trial: Trial, rungs: Mapping[str, Rung]) -> tuple[float, float]:
    """Bytes and p50 as the plan has them: measured bytes of one shape differ by less than they say.

    A float file that stands in the place of an int8 one has the bytes that it has, and the p50 that is predicted of it.
    """
    rung, outcome = rungs[trial.settings.rung], _outcome(trial)
    p50 = rung.latency_p50_s if outcome.float_p50_s is None else outcome.float_p50_s
    return float(outcome.int8_bytes if outcome.is_float else rung.int8_bytes), p50
