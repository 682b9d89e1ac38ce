"""The plan: which student fits the target, and why the others do not. Made without torch, without a network."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgedistill.errors import GoalMissedError, RecipeError
from edgedistill.manifest import Decision
from edgedistill.recipe import Budgets, Recipe
from edgedistill.results import Prediction
from edgedistill.shape import StudentShape, macs_of, weigh
from edgedistill.target import Budget, Target

STEPS = (
    "prepare", "teach", "soft-labels", "distill", "baseline", "export", "quantize", "evaluate", "verify", "benchmark",
    "package", "report",
)
"""The steps of a run, in their order."""

RUNTIME_COPIES = 2.2
"""Resident bytes per byte of int8 model: the file as read, and the weights packed for the kernels."""

ARENA_BYTES = 6 * 2**20
"""Resident bytes of a session besides the weights: graph, kernels, activations of a short text."""


@dataclass(frozen=True)
class DataFacts:
    """What the plan needs to know of the data.

    Attributes:
        classes: number of labels.
        train_rows: labelled training examples.
        median_tokens: tokens of the median text, special tokens counted.
    """

    classes: int
    train_rows: int
    median_tokens: int


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
    """

    recipe: Recipe
    target: Target
    budgets: dict[str, Budget]
    facts: DataFacts
    ledger: tuple[Prediction, ...]
    shape: StudentShape
    steps: tuple[str, ...] = STEPS

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


def make_plan(recipe: Recipe, target: Target, facts: DataFacts, rungs: Sequence[StudentShape]) -> Plan:
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
        GoalMissedError: no rung fits the budgets; the message names the budget that is furthest off.
    """
    budgets = effective_budgets(recipe.budgets, target)
    shapes = sorted(rungs, key=lambda s: predict(s, recipe, target, facts).int8_bytes, reverse=True)
    reasons = {s.id: _rejection(predict(s, recipe, target, facts), budgets) for s in shapes}
    if recipe.student.rung is not None:
        chosen = next((s for s in shapes if s.id == recipe.student.rung), None)
        if chosen is None:
            raise RecipeError(f"student.rung: no rung {recipe.student.rung!r}",
                              hint=f"choose one of {', '.join(s.id for s in shapes)}")
    else:
        chosen = next((s for s in shapes if not reasons[s.id]), None)
        if chosen is None:
            smallest = shapes[-1]
            raise GoalMissedError(f"{target.id} cannot be met: even the smallest student, {smallest.id}, "
                                  f"{reasons[smallest.id]}",
                                  hint="raise that budget in the recipe (budgets:), or choose another --target")
    ledger = tuple(
        predict(s, recipe, target, facts).model_copy(
            update={"is_chosen": s.id == chosen.id, "rejected_because": reasons[s.id]}
        )
        for s in shapes
    )
    return Plan(recipe, target, budgets, facts, ledger, chosen)


def effective_budgets(wanted: Budgets, target: Target) -> dict[str, Budget]:
    """Return the budgets by name: the recipe's where given, else the target's."""
    names = ("model_bytes", "peak_memory_bytes", "latency_p50_s")
    return {
        name: Budget(limit=getattr(wanted, name), why="the recipe sets it")
        if getattr(wanted, name) is not None
        else getattr(target.budgets, name)
        for name in names
    }


def predict(shape: StudentShape, recipe: Recipe, target: Target, facts: DataFacts) -> Prediction:
    """Predict what a student costs on a target; bytes are exact, memory and time are estimates.

    Time is a roofline (Williams et al. 2009): products over the rate of the instruction set, plus the weights' bytes
    over the memory's rate, plus the nodes' overhead; one thread, one text of the median length.
    """
    weight = weigh(shape, classes=facts.classes, positions=recipe.teacher.max_tokens)
    work = macs_of(shape, tokens=facts.median_tokens, classes=facts.classes)
    model = target.latency
    seconds = (
        work.on_weights / model.int8_macs_per_s.value
        + work.in_attention / model.float_macs_per_s.value
        + (weight.encoder + weight.head) / model.read_bytes_per_s.value
        + weight.nodes * model.node_overhead_s.value
    )
    return Prediction(
        rung=shape.id,
        parameters=weight.parameters,
        int8_bytes=weight.int8_bytes,
        float_bytes=weight.float_bytes,
        peak_memory_bytes=int(RUNTIME_COPIES * weight.int8_bytes) + ARENA_BYTES,
        latency_p50_s=seconds,
        latency_interval_s=(seconds / model.spread.value, seconds * model.spread.value),
        sequence_tokens=facts.median_tokens,
        is_chosen=False,
    )


def _rejection(row: Prediction, budgets: dict[str, Budget]) -> str:
    """Say which budgets a shape breaks and by how much; empty when it fits."""
    values = {
        "model_bytes": float(row.int8_bytes),
        "peak_memory_bytes": float(row.peak_memory_bytes),
        "latency_p50_s": row.latency_p50_s,
    }
    broken = [
        f"{name} {_amount(name, value)} is over {_amount(name, budgets[name].limit)}"
        f" (x{value / budgets[name].limit:.2f})"
        for name, value in values.items()
        if value > budgets[name].limit
    ]
    return "; ".join(broken)


def _amount(name: str, value: float) -> str:
    return f"{value * 1e3:.2f} ms" if name.endswith("_s") else f"{value / 2**20:.2f} MiB"
