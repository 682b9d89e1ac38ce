"""The side of the pictures, where the recipe leaves it open: the largest at which a student of weight fits the targets."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from edgedistill.errors import GoalMissedError
from edgedistill.manifest import Decision
from edgedistill.plan import DataFacts, PictureSize, make_plan
from edgedistill.recipe import Recipe
from edgedistill.results import Prediction
from edgedistill.target import Target
from edgedistill.tasks.task import Shape

STEPS = (32, 48, 64, 96)
"""The sides that are considered, pixels. All are multiples of the patches of the shipped ViTs."""

LEAST_SHARE = 0.25
"""Of the weights of the student that fits at the smallest side, a larger side must leave as many. Twice the side costs four
times the work, and so does twice the width, which has four times the weights: one doubling of the side may be paid with half
the width, no more. That both should grow together is Tan & Le 2019 (EfficientNet, section 3.3); the share was not tuned."""


@dataclass(frozen=True)
class Fit:
    """The largest student that fits a target at a side.

    Attributes:
        side: pixels.
        row: what it is predicted to cost; None where none fits.
        broken: which budget the smallest student, or the one that the recipe names, breaks, as a clause; empty where one fits.
    """

    side: int
    row: Prediction | None
    broken: str

    @property
    def weights(self) -> int:
        """Trained numbers of the student; 0 where none fits."""
        return 0 if self.row is None else self.row.parameters


@dataclass(frozen=True)
class SideChoice:
    """The side for one target.

    Attributes:
        side: pixels.
        decision: the choice as a sentence.
    """

    side: int
    decision: Decision


def small_pictures(side: int) -> Decision:
    """Return the decision for pictures that the smallest side holds."""
    return Decision(step="plan", what=f"pictures of {_square(side)} pixels",
                    why="it holds the median picture, and no smaller side is considered")


def size_at(facts: DataFacts, side: int) -> DataFacts:
    """Return the facts of the same pictures stored at another side."""
    if facts.picture is None:
        raise ValueError("the facts say nothing of pictures")
    return dataclasses.replace(facts, median_tokens=side**2, picture=PictureSize(side, facts.picture.channels))


def choose_side(recipe: Recipe, targets: Sequence[Target], facts: DataFacts, rungs: Sequence[Shape]) -> SideChoice:
    """Choose the side at which pictures are stored for a run: one for all of its targets, so the smallest of theirs.

    Args:
        recipe: its budgets replace the targets', its `student.rung` forces the shape.
        targets: the device classes, at least one.
        facts: the data at the side that holds the median picture: no larger one is considered.
        rungs: the ladder.
    """
    choices = [_for_target(recipe, target, facts, rungs) for target in targets]
    return min(choices, key=lambda choice: choice.side)


def _for_target(recipe: Recipe, target: Target, facts: DataFacts, rungs: Sequence[Shape]) -> SideChoice:
    """Take the largest side at which a student fits that has a share of the weights of the one at the smallest side."""
    natural = _side(facts)
    sides = [side for side in STEPS if side < natural] + [natural]
    fits = [_fit(recipe, target, size_at(facts, side), rungs) for side in sides]
    least = LEAST_SHARE * fits[0].weights
    good = [fit for fit in fits if fit.row is not None and fit.weights >= least]
    chosen = good[-1] if good else fits[0]
    larger = next((fit for fit in fits if fit.side > chosen.side), None)
    if larger is None:
        why = "it holds the median picture"
    elif larger.row is None:
        why = f"at {_square(larger.side)} {larger.broken}"
    else:
        why = (f"at {_square(larger.side)} no larger student than {larger.row.rung} fits {target.id}, with less than a "
               f"quarter of the weights of the one that fits at {_square(fits[0].side)}")
    if chosen.row is not None:
        why += f"; at {_square(chosen.side)} {chosen.row.rung} fits, predicted p50 {chosen.row.latency_p50_s * 1e3:.1f} ms"
    return SideChoice(chosen.side, Decision(step="plan", what=f"pictures of {_square(chosen.side)} pixels", why=why))


def _fit(recipe: Recipe, target: Target, facts: DataFacts, rungs: Sequence[Shape]) -> Fit:
    try:
        row = make_plan(recipe, target, facts, rungs).chosen
    except GoalMissedError as missed:
        return Fit(_side(facts), None, missed.message)
    if row.rejected_because:  # a rung that the recipe names is chosen whether it fits or not
        return Fit(_side(facts), None, f"{row.rung} does not fit {target.id}: {row.rejected_because}")
    return Fit(_side(facts), row, "")


def _side(facts: DataFacts) -> int:
    if facts.picture is None:
        raise ValueError("the facts say nothing of pictures")
    return facts.picture.side


def _square(side: int) -> str:
    return f"{side} x {side}"
