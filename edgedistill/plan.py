"""The plan: which student fits the target, and why the others do not. Made without torch, without a network."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgedistill.errors import GoalMissedError, RecipeError
from edgedistill.latency.estimate import MOST_THREADS, estimate, parts_of, static_p50, weighted_quantile
from edgedistill.latency.rates import rates_of
from edgedistill.manifest import Decision
from edgedistill.recipe import Budgets, Recipe
from edgedistill.results import Prediction
from edgedistill.target import Budget, Target
from edgedistill.tasks.registry import task_named
from edgedistill.tasks.task import Shape

if TYPE_CHECKING:
    from edgedistill.catalog import LocatedRecipe

STEPS = (
    "prepare", "teach", "soft-labels", "distill", "baseline", "export", "quantize", "evaluate", "verify", "benchmark",
    "package", "report",
)
"""The steps of a run, in their order; a recipe may leave out `baseline`."""

RUNTIME_COPIES = 1.45
"""Resident bytes per byte of int8 model: the file as read, and the weights packed for the kernels."""

ARENA_BYTES = 12_300_000
"""Resident bytes of a session besides the weights: code that the first run touches, graph, activations of a short text.

Both are fitted on the 17 rungs at 12 and 64 tokens (benchmarks/results/plan_check.json).
"""


@dataclass(frozen=True)
class PictureSize:
    """Pictures of one size: `side` pixels high and wide, `channels` 1 (grey) or 3 (RGB)."""

    side: int
    channels: int


_SHORTER = (256, 128, 64, 32)
"""Tokens to which texts might be cut where no student is fast enough for whole ones."""


@dataclass(frozen=True)
class DataFacts:
    """What the plan needs to know of the data.

    Attributes:
        classes: number of labels.
        train_rows: labelled training examples.
        median_tokens: tokens of the median text, special tokens counted; of pictures, which are all alike, the pixels.
        picture: side and channels of the pictures; None for texts.
        length_counts: (tokens, texts of that many) for the texts that were looked at; empty when only the median is known.
        unread_share: of the tokens of texts, those that the teacher's tokenizer does not know, 0 to 1.
        has_students_lengths: does a student read as many tokens of a text? Not where it gets a vocabulary of its own.
    """

    classes: int
    train_rows: int
    median_tokens: int
    length_counts: tuple[tuple[int, int], ...] = ()
    picture: PictureSize | None = None
    unread_share: float = 0.0
    has_students_lengths: bool = True

    @property
    def lengths(self) -> dict[int, int]:
        """How many texts have each length."""
        return dict(self.length_counts) or {self.median_tokens: 1}


@dataclass(frozen=True)
class Plan:
    """What a run will do for one target.

    Attributes:
        recipe: what the user wants.
        target: the device class.
        budgets: the limits that count: the recipe's where it has them, else the target's.
        facts: the data.
        ledger: every student shape considered, largest first.
        shape: the chosen one.
        steps: the steps in order.
        settled: what the data are prepared for, and why, where the recipe left it open.
    """

    recipe: Recipe
    target: Target
    budgets: dict[str, Budget]
    facts: DataFacts
    ledger: tuple[Prediction, ...]
    shape: Shape
    steps: tuple[str, ...] = STEPS
    settled: tuple[Decision, ...] = ()

    @property
    def chosen(self) -> Prediction:
        """The ledger's row of the chosen shape."""
        return next(row for row in self.ledger if row.is_chosen)

    @property
    def decision(self) -> Decision:
        """The choice as a sentence."""
        larger = [row for row in self.ledger if row.rejected_because and row.int8_bytes > self.chosen.int8_bytes]
        why = "the recipe names it" if self.recipe.student.rung else (
            f"the largest that fits {self.target.id}: {self.chosen.int8_bytes / 2**20:.2f} MiB, predicted p50 "
            f"{self.chosen.latency_p50_s * 1e3:.1f} ms"
        )
        if larger and not self.recipe.student.rung:
            why += f"; the next larger, {larger[-1].rung}, {larger[-1].rejected_because}"
        return Decision(step="plan", what=f"student {self.shape.id}", why=why)


@dataclass(frozen=True)
class Misfit:
    """What was considered for a target that no student fits; `GoalMissedError` carries it.

    Attributes:
        recipe: what the user wants.
        target: the device class.
        budgets: the limits that count.
        facts: the data.
        ledger: every student shape considered, largest first; none is chosen.
        nearest: the row whose worst budget is exceeded by the smallest factor.
        settled: what the data would be prepared for, and why, where the recipe left it open.
    """

    recipe: Recipe
    target: Target
    budgets: dict[str, Budget]
    facts: DataFacts
    ledger: tuple[Prediction, ...]
    nearest: Prediction
    settled: tuple[Decision, ...] = ()

    @property
    def words(self) -> str:
        """Which student comes nearest, and what it misses."""
        return (f"{self.target.id} cannot be met: no student of the ladder fits, the nearest, {self.nearest.rung}, "
                f"{self.nearest.rejected_because}")


def memory_bytes(int8_bytes: int) -> int:
    """Predict the peak resident memory of a session over the bare runtime's, in bytes.

    Args:
        int8_bytes: of the model file.
    """
    return int(RUNTIME_COPIES * int8_bytes) + ARENA_BYTES


def rungs_of(located: "LocatedRecipe") -> Sequence[Shape]:
    """Return the student shapes that a recipe chooses from: those of its own ladder, else the shipped ones.

    Raises:
        RecipeError: the ladder cannot be read, a shape in it is impossible, or the rung that the recipe names is not there.
    """
    rungs = task_named(located.recipe.task).ladder(located.ladder)
    _require_rung(located.recipe.student.rung, [shape.id for shape in rungs])
    return rungs


def _require_rung(wanted: str | None, known: Sequence[str]) -> None:
    if wanted is not None and wanted not in known:
        raise RecipeError(f"student.rung: no rung {wanted!r}", hint=f"choose one of {', '.join(known)}")


def make_plan(recipe: Recipe, target: Target, facts: DataFacts, rungs: Sequence[Shape]) -> Plan:
    """Choose the student for a target.

    Args:
        recipe: what the user wants; its budgets replace the target's, its `student.rung` forces the shape.
        target: the device class.
        facts: the data.
        rungs: the ladder.

    Returns:
        the plan, with a row for every rung.

    Raises:
        RecipeError: the recipe names a rung that does not exist.
        GoalMissedError: no rung fits the budgets; the message names the nearest and what it misses, and the error carries
            the whole ledger as a `Misfit`.
    """
    budgets = effective_budgets(recipe.budgets, target)
    predicted = {shape.id: predict(shape, recipe, target, facts) for shape in rungs}
    shapes = sorted(rungs, key=lambda shape: predicted[shape.id].int8_bytes, reverse=True)
    rows = [predicted[shape.id].model_copy(update={"rejected_because": _rejection(predicted[shape.id], budgets)})
            for shape in shapes]
    wanted = recipe.student.rung
    _require_rung(wanted, [shape.id for shape in shapes])
    chosen = next((row.rung for row in rows if row.rung == wanted or (wanted is None and not row.rejected_because)), None)
    if chosen is None:
        nearest = min(reversed(rows), key=lambda row: max(_used(row, budgets).values()))
        misfit = Misfit(recipe, target, budgets, facts, tuple(rows), nearest)
        hint = "raise that budget in the recipe (budgets:), or choose another --target"
        if shorter := _fits_when_shorter(misfit, rungs):
            hint = f"{shorter}; or {hint}"
        raise GoalMissedError(misfit.words, hint=hint, misfit=misfit)
    ledger = tuple(row.model_copy(update={"is_chosen": row.rung == chosen}) for row in rows)
    steps = tuple(step for step in STEPS if step != "baseline" or recipe.distillation.baseline)
    return Plan(recipe, target, budgets, facts, ledger, next(shape for shape in shapes if shape.id == chosen), steps)


def _fits_when_shorter(misfit: Misfit, rungs: Sequence[Shape]) -> str:
    """Say to how many tokens texts would have to be cut for a shape to fit; empty where that does not help."""
    recipe, facts = misfit.recipe, misfit.facts
    if facts.picture is not None or _used(misfit.nearest, misfit.budgets)["latency_p50_s"] <= 1:
        return ""
    for most in (n for n in _SHORTER if n < recipe.teacher.max_tokens):
        counts: dict[int, int] = {}
        for length, texts in facts.lengths.items():
            counts[min(length, most)] = counts.get(min(length, most), 0) + texts
        cut = replace(facts, median_tokens=min(facts.median_tokens, most), length_counts=tuple(counts.items()))
        rows = [predict(shape, recipe, misfit.target, cut) for shape in rungs]
        fitting = [row for row in rows if not _rejection(row, misfit.budgets)]
        if fitting:
            largest = max(fitting, key=lambda row: row.int8_bytes)
            return f"--set teacher.max_tokens={most} cuts longer texts, and {largest.rung} fits"
    return ""


def effective_budgets(wanted: Budgets, target: Target) -> dict[str, Budget]:
    """Return the budgets by name: the recipe's where given, else the target's.

    `accuracy_loss` is missing where neither has one. It rejects no shape: accuracy is not predicted.
    """
    names = ("model_bytes", "peak_memory_bytes", "latency_p50_s", "accuracy_loss")
    found = {
        name: Budget(limit=getattr(wanted, name), why="the recipe sets it")
        if getattr(wanted, name) is not None
        else getattr(target.budgets, name)
        for name in names
    }
    return {name: budget for name, budget in found.items() if budget is not None}


def predict(shape: Shape, recipe: Recipe, target: Target, facts: DataFacts) -> Prediction:
    """Predict what a student costs on a target; bytes are exact, memory and time are estimates.

    The p50 is that of the median text on one thread, by `edgedistill.latency`; as a longer text is never faster, it is
    also the median over the texts. Its interval is meant to cover 80 %; docs/plan.md says how often it did.
    """
    task = task_named(recipe.task)
    weight = task.weigh(shape, recipe, facts)
    work = task.workload(shape, facts, length=facts.median_tokens)
    rates = rates_of(target)
    found = estimate(work, rates)
    threads = min(target.cpu.cores, MOST_THREADS)
    times = {n: parts_of(task.workload(shape, facts, length=n), rates).total for n in facts.lengths}
    return Prediction(
        rung=shape.id,
        parameters=weight.parameters,
        int8_bytes=weight.int8_bytes,
        float_bytes=weight.float_bytes,
        peak_memory_bytes=memory_bytes(weight.int8_bytes),
        latency_p50_s=found.p50_s,
        latency_interval_s=found.interval_s,
        sequence_tokens=facts.median_tokens,
        vocabulary=shape.vocabulary,
        is_chosen=False,
        int8_bytes_by_part=dict(weight.int8_bytes_by_part),
        float_bytes_by_part=dict(weight.float_bytes_by_part),
        latency_source=found.origin,
        threads=threads,
        latency_p50_threads_s=estimate(work, rates, threads=threads).p50_s if threads > 1 else None,
        latency_by_part_s=vars(found.parts),
        latency_p90_text_s=weighted_quantile(times, facts.lengths, 0.9),
        latency_mean_s=sum(times[n] * count for n, count in facts.lengths.items()) / sum(facts.lengths.values()),
        static_latency_p50_s=static_p50(work, target),
    )


def _rejection(row: Prediction, budgets: dict[str, Budget]) -> str:
    """Say which budgets a shape breaks and by how much; empty when it fits."""
    return "; ".join(
        f"{name} {_amount(name, used * budgets[name].limit)} is over {_amount(name, budgets[name].limit)} (x{_factor(used)})"
        for name, used in _used(row, budgets).items()
        if used > 1
    )


def _used(row: Prediction, budgets: dict[str, Budget]) -> dict[str, float]:
    """Return what a shape takes of each budget, by the budget's name; above 1 it is broken."""
    values = {"model_bytes": row.int8_bytes, "peak_memory_bytes": row.peak_memory_bytes, "latency_p50_s": row.latency_p50_s}
    return {name: value / budgets[name].limit for name, value in values.items()}


def _factor(used: float) -> str:
    return f"{used:.2f}" if used < 100 else f"{used:.0f}"


def _amount(name: str, value: float) -> str:
    return f"{value * 1e3:.2f} ms" if name.endswith("_s") else f"{value / 2**20:.2f} MiB"
