"""A trial of the search: the settings that were tried, and what came of them."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from edgedistill.document import Document
from edgedistill.goals import METRIC_NAMES
from edgedistill.recipe import Metric
from edgedistill.results import Interval, Milestone

LookFor = Literal["smallest-that-meets-the-goal", "best-that-fits"]

Finding = Literal[
    "none", "answers-like-a-constant", "does-not-fit", "vocabulary-binds", "does-not-generalise", "copies-the-teacher",
    "lost-in-int8", "given-up", "diverged",
]
"""What a diagnosis may say; `none`: nothing is missing."""

State = Literal["done", "given-up", "diverged"]

SAME_SIZE = 1.02
"""Shapes whose bytes differ by less cost the same: one may have more tokens, the other more width."""


class TrialSettings(Document):
    """What a trial may change of the recipe. Equal settings are the same trial."""

    rung: str
    temperature: float
    alpha: float
    learning_rate: float
    batch_size: int
    rows_seen: int
    transfer_rows: int
    transfer_words: int
    transfer_copies: int
    scheme: str

    def is_same_shape_and_data(self, other: "TrialSettings") -> bool:
        """Do the two train the same shape on the same texts for as long?"""
        names = ("rung", "rows_seen", "transfer_rows", "transfer_words", "transfer_copies")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def is_same_training(self, other: "TrialSettings") -> bool:
        """Do the two differ in nothing but the int8 scheme, so that they are one training?"""
        return self.model_copy(update={"scheme": other.scheme}) == other


class Diagnosis(Document):
    """A finding and the figures it comes from, as a sentence."""

    finding: Finding
    text: str


class TrialOutcome(Document):
    """What came of a trial. All accuracies are on validation."""

    state: State
    parameters: int
    int8_bytes: int = Field(description="of the file; predicted where there is none")
    float_accuracy: float | None = None
    int8_accuracy: float | None = None
    int8_macro_f1: Interval | None = None
    metric: Metric = Field("accuracy", description="by which trials are ranked: that of the recipe's first goal")
    teacher_accuracy: float
    scheme_used: str = Field("", description="the int8 scheme that was taken; empty without an int8 file")
    schemes_no_better: tuple[str, ...] = Field((), description="schemes that were judged too and are no more accurate")
    shortfall: float = Field(description="by how much the worst goal is missed on validation; 0 or less: all are kept")
    margin: float = Field(0.0, ge=0, description="by how much that goal had to be exceeded, for chance; counted in")
    miss: float | None = Field(None, description="by how much the worst goal is missed without a margin, which may be another "
                               "goal; None in older studies")
    is_within_size: bool = Field(description="is the int8 file within the size budget?")
    is_within_latency: bool = Field(True, description="of a file that computes in float: is its predicted "
                                    "p50 within the budget? The plan has looked at that of int8")
    is_within_memory: bool = Field(True, description="the same of its predicted peak memory")
    float_p50_s: float | None = Field(None, description="that p50; None where int8 products are made, or nothing was predicted")
    kl_nats: float | None = Field(None, description="mean KL(teacher || float student) on validation; None in older studies")
    right_rows: str = Field("", description="a bit a validation row, packed, hexadecimal: is the int8 answer right?")
    course: tuple[Milestone, ...] = Field((), description="validation accuracy during the training")
    was_best_at_the_end: bool = Field(False, description="was validation still improving when the training ended?")
    was_falling_at_the_end: bool = Field(False, description="was the loss on validation still clearly falling then?")
    diagnosis: Diagnosis
    duration_s: float = Field(ge=0, description="work of the trial's steps, wherever and whenever it was done")
    step_seconds: dict[str, float] = Field(default_factory=dict, description="that work by the key of each step; trials may "
                                           "share some")

    @property
    def figure(self) -> float:
        """What the trial is ranked by: its int8 student's figure, 0 without one."""
        if self.metric == "macro_f1":
            return 0.0 if self.int8_macro_f1 is None else self.int8_macro_f1.value
        return self.int8_accuracy or 0.0

    @property
    def figure_name(self) -> str:
        """What people call that figure."""
        return METRIC_NAMES[self.metric]

    @property
    def is_float(self) -> bool:
        """Did no int8 file do, so that the float one stands in its place?"""
        return self.scheme_used == "float"

    @property
    def form(self) -> str:
        """What the file that would ship computes with, in a word: "float" or "int8"."""
        return "float" if self.is_float else "int8"

    @property
    def missed_by(self) -> float:
        """By how much the worst goal is missed on validation, the margin not counted; 0 or less: it is kept."""
        return self.shortfall - self.margin if self.miss is None else self.miss

    @property
    def is_kept_by_chance(self) -> bool:
        """Is every goal kept on validation, but not by the margin that is asked for?"""
        return self.state == "done" and self.missed_by <= 0 < self.shortfall

    @property
    def is_within_budgets(self) -> bool:
        """Does the file that would ship fit?"""
        return self.is_within_size and self.is_within_latency and self.is_within_memory

    @property
    def over(self) -> str:
        """Which budget that file is over; empty where it fits."""
        if self.is_within_budgets:
            return ""
        if not self.is_within_size:
            return "size budget"
        return "latency budget, in float" if self.is_within_memory else "memory budget, in float"

    @property
    def keeps_the_goals(self) -> bool:
        """Does the student keep every goal on validation, in a file that fits or not?"""
        return self.state == "done" and self.shortfall <= 0

    @property
    def is_met(self) -> bool:
        """Does the int8 student keep every goal on validation, within the budgets?"""
        return self.keeps_the_goals and self.is_within_budgets


@dataclass(frozen=True)
class Trial:
    """One trial of a study.

    Attributes:
        number: its place in the study, from 0.
        settings: what was tried.
        because: why.
        run_id: of the run folder that does it; empty in a study of the run folder's own.
        run: where that folder is (host:path).
        stages: where that run keeps the results of its steps, as it sees it.
        milestones: what its training had to reach.
        outcome: None while it is being done.
    """

    number: int
    settings: TrialSettings
    because: str
    run_id: str
    run: str
    stages: str
    milestones: tuple[Milestone, ...] = ()
    outcome: TrialOutcome | None = None


@dataclass(frozen=True)
class Rung:
    """A student shape within the budgets, with what it costs on the target as the plan predicts it."""

    id: str
    int8_bytes: int
    latency_p50_s: float
    vocabulary: int


def by_cost(rungs: tuple[Rung, ...]) -> tuple[Rung, ...]:
    """Return rungs from the cheapest: by int8 bytes, of equal ones by p50."""
    return tuple(sorted(rungs, key=lambda rung: (rung.int8_bytes, rung.latency_p50_s, rung.id)))
