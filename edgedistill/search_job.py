"""A search for a student, as the run gives it: what is looked for, among which shapes, and what a trial hands back."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.constant import Constant, constant_of
from edgedistill.distill.search.study import Owner
from edgedistill.distill.search.trial import LookFor, Rung, Trial, TrialOutcome, TrialSettings, by_cost
from edgedistill.frontier import FrontierRow
from edgedistill.goals import goals_within, is_no_better
from edgedistill.manifest import Decision
from edgedistill.plan import Plan
from edgedistill.recipe import Goal, Metric, Recipe, Student
from edgedistill.results import Evaluation, Fit, QuantizationVerdict, TrainingLog
from edgedistill.tasks.task import Shape


@dataclass(frozen=True)
class Attempt:
    """What the stages of one trial left.

    Attributes:
        log: the course of the training.
        fit: how closely the float student follows the teacher.
        float_student: on validation; None after a training that was given up, like the next three.
        int8_student: the same in int8.
        is_right: is the int8 answer to each validation row right?
        verdict: what the court of int8 said.
        step_seconds: what the work of each step took, whenever it was done, by the step's key.
    """

    log: TrainingLog
    fit: Fit
    float_student: Evaluation | None = None
    int8_student: Evaluation | None = None
    is_right: NDArray[np.bool_] | None = None
    verdict: QuantizationVerdict | None = None
    step_seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """What the work of all its steps took."""
        return sum(self.step_seconds.values())

    @property
    def schemes_no_better(self) -> tuple[str, ...]:
        """Schemes that were before the court as well and of which no candidate was more accurate than what was taken."""
        if self.verdict is None or self.int8_student is None:
            return ()
        best: dict[str, float] = {}
        for row in self.verdict.table:
            if row.accuracy is not None:
                best[row.scheme] = max(row.accuracy, best.get(row.scheme, 0.0))
        taken = max((row.accuracy for row in self.verdict.table if row.outcome == "chosen" and row.accuracy is not None),
                    default=self.verdict.float_accuracy)
        return tuple(name for name, accuracy in best.items() if taken is not None and accuracy <= taken)


Attempter = Callable[[Trial, Path | None], Attempt | None]
"""Makes a trial, or finds it made. Given another run's `.stages`, takes its student over; None when it is not there."""


@dataclass(frozen=True)
class Job:
    """What is searched.

    Attributes:
        recipe: what the user wants.
        plan: its ledger says what fits; its shape is the largest that does, or the one that the recipe names.
        teacher: on validation, from its ONNX export.
        schemes: int8 schemes that suit the target.
        owner: this run.
        study: the file of the study.
        origin: keys of the data, the teacher and its soft labels, versions of the stages that make and judge a trial, and what
            a ladder of the recipe's own holds: trials of one study have them in common.
        most_frequent: set of labels on validation, where an example may have several.
    """

    recipe: Recipe
    plan: Plan
    teacher: Evaluation
    schemes: tuple[str, ...]
    owner: Owner
    study: Path
    origin: tuple[str, ...]
    most_frequent: Constant | None = None

    @property
    def look_for(self) -> LookFor:
        """What is looked for: without a goal, every student would meet it, and the smallest would say nothing."""
        return self.recipe.search.look_for if self.recipe.goals else "best-that-fits"

    @property
    def metric(self) -> Metric:
        """What trials are ranked by: the metric of the recipe's first goal, accuracy without goals."""
        return self.recipe.goals[0].metric if self.recipe.goals else "accuracy"

    @property
    def goals(self) -> tuple[Goal, ...]:
        """What is kept on validation: the recipe's goals, the target's budget of accuracy among them."""
        return goals_within(self.recipe.goals, self.accuracy_loss)

    @property
    def accuracy_loss(self) -> float | None:
        """The target's budget of accuracy, the share of the teacher's that may be lost; None where it has none."""
        budget = self.plan.budgets.get("accuracy_loss")
        return None if budget is None else budget.limit

    @property
    def teacher_doubt(self) -> str:
        """Say that the teacher is no better than one answer to everything; empty where it is, or nobody knows."""
        constant = self.most_frequent or constant_of(self.teacher)
        if constant is None or not is_no_better(self.teacher, constant):
            return ""
        return (f"the teacher itself is no better than a model that always answers {constant.answer} (validation accuracy "
                f"{self.teacher.accuracy.value:.4f} against {constant.accuracy:.4f})")

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The shapes that may be tried, from the cheapest."""
        named = self.recipe.student.rung
        rows = [row for row in self.plan.ledger if (row.rung == named if named else not row.rejected_because)]
        return by_cost(tuple(Rung(row.rung, row.int8_bytes, row.latency_p50_s, row.vocabulary) for row in rows))

    @property
    def base(self) -> TrialSettings:
        """The recipe's own settings, on the plan's shape."""
        wanted = self.recipe.distillation
        return TrialSettings(
            rung=self.plan.shape.id, temperature=wanted.temperature, alpha=wanted.alpha,
            learning_rate=wanted.learning_rate, batch_size=wanted.batch_size, rows_seen=wanted.rows_seen,
            transfer_rows=wanted.transfer_set.rows, transfer_words=wanted.transfer_set.words,
            transfer_copies=wanted.transfer_set.copies, scheme=self.recipe.quantization.scheme,
        )

    @property
    def study_name(self) -> str:
        """Recipe, target, and a hash of all that trials have in common: others do not mix with them."""
        recipe = self.recipe
        parts = [
            *TrialSettings.model_fields,  # a journal of a version whose trials had other settings is another study
            *self.origin, recipe.distillation.without_baseline().to_json(), _without_ladder(recipe.student),
            recipe.quantization.post_training.to_json(), recipe.parity.to_json(), *(goal.to_json() for goal in recipe.goals),
            self.look_for, str(recipe.search.margin), str(recipe.seed), str(recipe.teacher.max_tokens),
            json.dumps([(rung.id, rung.int8_bytes) for rung in self.rungs]),
            json.dumps({name: budget.limit for name, budget in self.plan.budgets.items()}, sort_keys=True),
        ]
        if not recipe.search.pruning:
            parts.append("nothing is given up")  # what was given up before is trained to its end
        if self.metric != "accuracy":
            parts.append(f"ranked by {self.metric}")  # journals of a version that ranked by accuracy alone stand apart
        return f"{recipe.id}/{self.plan.target.id}/{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        trial: the chosen one.
        rows: one a trial, in the order of their numbers.
        decisions: what was done, and why.
        is_out_of_time: did the limit of time end it?
        teacher_doubt: says that the teacher is no better on validation than one answer to everything; empty where it is.
    """

    trial: Trial
    rows: tuple[FrontierRow, ...]
    decisions: tuple[Decision, ...]
    is_out_of_time: bool = False
    teacher_doubt: str = ""

    @property
    def chosen(self) -> TrialOutcome:
        """The outcome of the chosen trial."""
        if self.trial.outcome is None:
            raise ValueError("the chosen trial is not finished")
        return self.trial.outcome


def _without_ladder(student: Student) -> str:
    """The section as it was before it could name a ladder: what a ladder holds counts, and not where it lies (`origin`)."""
    return student.model_dump_json(indent=2, exclude={"ladder"}) + "\n"


def recipe_of(recipe: Recipe, settings: TrialSettings) -> Recipe:
    """Return a recipe with a trial's settings in place of its own."""
    wanted = recipe.distillation
    transfer = wanted.transfer_set.model_copy(
        update={"rows": settings.transfer_rows, "words": settings.transfer_words, "copies": settings.transfer_copies}
    )
    return recipe.model_copy(update={
        "distillation": wanted.model_copy(update={
            "temperature": settings.temperature, "alpha": settings.alpha, "learning_rate": settings.learning_rate,
            "batch_size": settings.batch_size, "rows_seen": settings.rows_seen, "transfer_set": transfer,
        }),
        "quantization": recipe.quantization.model_copy(update={"scheme": settings.scheme}),
    })


def plan_of(plan: Plan, shape: Shape) -> Plan:
    """Return a plan with another shape as the chosen one."""
    ledger = tuple(row.model_copy(update={"is_chosen": row.rung == shape.id}) for row in plan.ledger)
    return dataclasses.replace(plan, shape=shape, ledger=ledger)
