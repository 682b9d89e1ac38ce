"""The ledger in words: what the shapes span, which budget binds the chosen one, and what would loosen it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edgedistill.plan import Plan, predict
from edgedistill.results import Prediction
from edgedistill.shape import StudentShape
from edgedistill.target import Target

_MOST_MORE_LAYERS = 2
_LEAST_VOCABULARY = 1_000
_VOCABULARY_STEP = 100
_PART_NAMES = {
    "int8": "products with the weights", "attention": "attention's own products", "glue": "softmax, normalisation and GELU",
    "memory": "reading the weights", "nodes": "the runtime's cost of its nodes",
}


@dataclass(frozen=True)
class Span:
    """Smallest, middle and largest of a figure over the ledger.

    Attributes:
        least: over all shapes.
        middle: the median.
        most: over all shapes.
    """

    least: float
    middle: float
    most: float


@dataclass(frozen=True)
class Binding:
    """The budget that the chosen shape is closest to.

    Attributes:
        name: model_bytes, peak_memory_bytes or latency_p50_s.
        used: predicted value over the limit; above 1 it is broken.
        words: a sentence: which budget, what makes most of it, and what would loosen it.
    """

    name: str
    used: float
    words: str


def values_of(row: Prediction) -> dict[str, float]:
    """Return what a row holds against each budget, by the budget's name."""
    return {
        "model_bytes": float(row.int8_bytes),
        "peak_memory_bytes": float(row.peak_memory_bytes),
        "latency_p50_s": row.latency_p50_s,
    }


def spans_of(ledger: Sequence[Prediction]) -> dict[str, Span]:
    """Return the span of each budgeted figure over the ledger, and of the float bytes."""
    columns = {name: [values_of(row)[name] for row in ledger] for name in values_of(ledger[0])}
    columns["float_bytes"] = [float(row.float_bytes) for row in ledger]
    return {name: Span(min(column), median(column), max(column)) for name, column in columns.items()}


def binding_of(plan: Plan) -> Binding:
    """Say which budget stands in the way of a larger student.

    That is the budget the next larger shape breaks by most; where the largest shape fits, the one it fills most.
    """
    row = plan.chosen
    judged = _next_larger(plan) or row
    used = {name: value / plan.budgets[name].limit for name, value in values_of(judged).items()}
    name = max(used, key=lambda key: used[key])
    own = values_of(row)[name] / plan.budgets[name].limit
    opening = f"{name} binds: {row.rung} takes {own:.0%} of it"
    if judged is not row:
        opening += f", the next larger, {judged.rung}, would take {used[name]:.0%}"
    elif own <= 1:
        opening = f"nothing binds: the largest shape fits; it is closest to {name}, {own:.0%} of it"
    words = _time_words(plan) if name == "latency_p50_s" else _byte_words(plan)
    return Binding(name, own, f"{opening}; {words}")


def may_miss(plan: Plan) -> str:
    """Say how sure the chosen shape's latency is: empty when its whole interval is within the budget."""
    row, limit = plan.chosen, plan.budgets["latency_p50_s"].limit
    low, high = row.latency_interval_s
    if low > limit:
        return f"the whole interval is over latency_p50_s ({limit * 1e3:.2f} ms): it cannot be expected to be met"
    if high > limit:
        return f"the interval reaches {high * 1e3:.2f} ms, over latency_p50_s ({limit * 1e3:.2f} ms): measure on the device"
    return ""


def calibration_words(target: Target) -> str:
    """Say what a calibration found, and how far it can be trusted; empty for a profile without rates of its own."""
    own = target.latency
    if own is None:
        return ""
    words = (f"{own.int8_macs_per_s.value / 1e9:.1f} G int8 and {own.float_macs_per_s.value / 1e9:.1f} G float multiply-"
             f"accumulates a second on one thread, {own.node_overhead_s.value * 1e6:.2f} us a node")
    if own.residual_error is not None:
        words += f"; the rates explain half of the graphs' times to {own.residual_error:.1%}"
    return words + f"; predictions are given as p50 / {own.spread.value:.2f} to p50 x {own.spread.value:.2f}"


def _next_larger(plan: Plan) -> Prediction | None:
    larger = [row for row in plan.ledger if row.int8_bytes > plan.chosen.int8_bytes and row.rejected_because]
    return larger[-1] if larger else None


def _byte_words(plan: Plan) -> str:
    parts = plan.chosen.int8_bytes_by_part
    part = max(parts, key=lambda name: parts[name])
    verb = "are" if part.endswith("s") else "is"
    words = f"the {part} {verb} {parts[part] / plan.chosen.int8_bytes:.0%} of the bytes"
    if part != "embedding":
        return f"{words}: fewer layers or a smaller width would make room"
    shape = plan.shape
    larger = _deeper(plan, shape) if isinstance(shape, StudentShape) else None
    if larger is None or not isinstance(shape, StudentShape):  # no other kind of shape has an embedding
        return f"{words}: a smaller vocabulary would make room"
    more = larger.layers - shape.layers
    return f"{words}: a vocabulary of {larger.vocabulary:,} would allow {_count(more)} more {'layer' if more == 1 else 'layers'}"


def _deeper(plan: Plan, chosen: StudentShape) -> StudentShape | None:
    """Return the chosen shape with more layers and as much less vocabulary as they need, None when none fits."""
    least = max(_LEAST_VOCABULARY, chosen.vocabulary // 2)
    for more in range(_MOST_MORE_LAYERS, 0, -1):
        for vocabulary in range(chosen.vocabulary - _VOCABULARY_STEP, least - 1, -_VOCABULARY_STEP):
            shape = chosen.model_copy(update={"layers": chosen.layers + more, "vocabulary": vocabulary})
            row = predict(shape, plan.recipe, plan.target, plan.facts)
            if all(value <= plan.budgets[name].limit for name, value in values_of(row).items()):
                return shape
    return None


def _time_words(plan: Plan) -> str:
    row = plan.chosen
    part = max(row.latency_by_part_s, key=lambda name: row.latency_by_part_s[name])
    words = f"{_PART_NAMES[part]}: {row.latency_by_part_s[part] / row.latency_p50_s:.0%} of the predicted time"
    shape = plan.shape.shallower()
    if shape is not None:
        saved = row.latency_p50_s - predict(shape, plan.recipe, plan.target, plan.facts).latency_p50_s
        words += f"; a layer costs {saved * 1e3:.2f} ms"
    return words


def _count(number: int) -> str:
    return {1: "one", 2: "two"}.get(number, str(number))
