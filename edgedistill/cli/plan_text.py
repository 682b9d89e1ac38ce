"""The plan as text: budgets, every student shape with its cost and interval, what binds, what was chosen."""

import json
import textwrap
from collections.abc import Sequence

from edgedistill.cli.terminal import mebibytes, milliseconds, table
from edgedistill.ledger import Span, binding_of, may_miss, spans_of
from edgedistill.plan import Misfit, Plan
from edgedistill.results import Prediction
from edgedistill.target import Target
from edgedistill.tasks.registry import task_named

_WIDTH = 100
_SHORT = {"model_bytes": "model", "peak_memory_bytes": "memory", "latency_p50_s": "p50", "float_bytes": "float file"}
_SOURCES = {
    "fitted": "fitted on published latencies; the interval is meant to hold 80 % of devices; docs/plan.md says how often it did",
    "given": "rates given by the profile",
    "calibrated": "calibrated on the device",
}


def plan_text(plan: Plan) -> str:
    """Return the plan of one target, at most 100 columns wide where the names allow it."""
    return "\n".join([
        *_opening(plan),
        _parts(plan),
        "",
        _spans(plan),
        "",
        *_wrapped("p50", _latency_words(plan, plan.chosen)),
        *_wrapped("binding", binding_of(plan).words),
        *(_wrapped("unsure", words) if (words := may_miss(plan)) else []),
        *_wrapped("chosen", f"{plan.decision.what}: {plan.decision.why}"),
        *_wrapped("steps", ", ".join(plan.steps)),
    ])


def misfit_text(misfit: Misfit) -> str:
    """Return what was considered for a target that nothing fits, in the form of a plan, and the student that comes nearest."""
    return "\n".join([
        *_opening(misfit),
        _spans(misfit),
        "",
        *_wrapped("p50", _latency_words(misfit, misfit.nearest)),
        *_wrapped("nearest", f"{misfit.nearest.rung}: {misfit.nearest.rejected_because}"),
    ])


def as_json_text(found: Sequence[Plan | Misfit]) -> str:
    """Return one JSON object, a key a target: the same keys whether a student fits or not, null or empty where there is none.

    `nearest` and `misses` stand there where nothing fits: the student that comes nearest, and by how much it misses what.
    """
    return json.dumps({item.target.id: {
        **(_choice(item) if isinstance(item, Plan) else _no_choice(item)),
        "stored": [decision.model_dump(mode="json") for decision in item.settled],
        "spans": {name: vars(span) for name, span in spans_of(item.ledger).items()},
        "lengths_are_the_students": item.facts.has_students_lengths,
        "lengths": [{"tokens": n, "texts": count} for n, count in item.facts.lengths.items()],
        "runtime": item.target.runtime.model_dump(mode="json"),
        "ledger": [row.model_dump(mode="json") for row in item.ledger],
    } for item in found})


def _choice(plan: Plan) -> dict[str, object]:
    return {"chosen": plan.shape.id, "why": plan.decision.why, "steps": plan.steps, "binding": vars(binding_of(plan)),
            "unsure": may_miss(plan)}


def _no_choice(misfit: Misfit) -> dict[str, object]:
    return {"chosen": None, "why": misfit.words, "steps": (), "binding": None, "unsure": "", "nearest": misfit.nearest.rung,
            "misses": misfit.nearest.rejected_because}


def _opening(considered: Plan | Misfit) -> list[str]:
    """Return the lines up to the ledger, which any target has."""
    return [
        f"{considered.recipe.id} on {considered.target.name}",
        *_wrapped("budgets", ", ".join(f"{n} {_amount(n, b.limit)}" for n, b in considered.budgets.items())),
        *_wrapped("data", task_named(considered.recipe.task).facts_in_words(considered.facts)),
        *(line for decision in considered.settled for line in _wrapped("stored", f"{decision.what}: {decision.why}")),
        *_wrapped("runtime", runtime_words(considered.target)),
        "",
        _ledger(considered),
        "",
    ]


def runtime_words(target: Target) -> str:
    """Return which versions of onnxruntime a target takes and which it must not have."""
    runtime = target.runtime
    words = f"onnxruntime {runtime.oldest} or newer"
    for denied in runtime.denied:
        words += f", not {denied.version}: {denied.reason} ({denied.reference})"
    return words


def _wrapped(name: str, text: str) -> list[str]:
    return textwrap.wrap(f"{name + ':':<9}{text}", _WIDTH, subsequent_indent=" " * 9, break_on_hyphens=False,
                         break_long_words=False)


def _amount(name: str, value: float) -> str:
    if name == "accuracy_loss":
        return f"{100 * value:g}% of the teacher's"
    return milliseconds(value) if name.endswith("_s") else mebibytes(value)


def _ledger(plan: Plan | Misfit) -> str:
    header = ("student", "int8", "memory", "p50", "interval, ms", "fits, or over by")
    return table(header, [
        (
            ("* " if row.is_chosen else "  ") + row.rung, mebibytes(row.int8_bytes),
            mebibytes(row.peak_memory_bytes), milliseconds(row.latency_p50_s),
            f"{row.latency_interval_s[0] * 1e3:.1f} to {row.latency_interval_s[1] * 1e3:.1f}", _verdict(plan, row),
        )
        for row in plan.ledger
    ])


def _verdict(plan: Plan | Misfit, row: Prediction) -> str:
    if not row.rejected_because:
        return "fits" if row.latency_interval_s[1] <= plan.budgets["latency_p50_s"].limit else "fits, p50 unsure"
    broken = [part.split() for part in row.rejected_because.split("; ")]
    return ", ".join(f"{_SHORT.get(words[0], words[0])} {words[-1].strip('()')}" for words in broken)


def _parts(plan: Plan) -> str:
    row = plan.chosen
    names = list(row.int8_bytes_by_part)
    return table((row.rung, *names, "bytes"), [
        (kind, *(f"{parts[n]:,} ({parts[n] / total:.0%})" for n in names), f"{total:,}")
        for kind, parts, total in (("int8", row.int8_bytes_by_part, row.int8_bytes),
                                   ("float", row.float_bytes_by_part, row.float_bytes))
    ])


def _spans(plan: Plan | Misfit) -> str:
    spans = spans_of(plan.ledger)

    def cells(name: str, span: Span) -> tuple[str, ...]:
        """Return a line of the table: smallest, median, largest, and the limit where there is one."""
        limit = plan.budgets.get(name)
        return (_SHORT[name], *(_amount(name, v) for v in (span.least, span.middle, span.most)),
                "-" if limit is None else _amount(name, limit.limit))

    return table((f"{len(plan.ledger)} shapes", "smallest", "median", "largest", "limit"),
                 [cells(name, span) for name, span in spans.items()])


def _latency_words(considered: Plan | Misfit, row: Prediction) -> str:
    example, count = task_named(considered.recipe.task).example, len(considered.facts.lengths)
    words = f"predicted, one thread, {_SOURCES[row.latency_source]}"
    if not considered.facts.has_students_lengths:
        words += ("; for the teacher's tokens: the student gets a vocabulary of its own and reads texts in more or fewer; "
                  "the report of a run predicts for these too")
    if row.latency_p90_text_s is not None and row.latency_mean_s is not None and count > 1:
        words += (f"; over the data's lengths: median {example} {milliseconds(row.latency_p50_s)}, mean "
                  f"{milliseconds(row.latency_mean_s)}, nine {example}s in ten within {milliseconds(row.latency_p90_text_s)}")
    if row.latency_p50_threads_s is not None:
        words += f"; on {row.threads} threads {milliseconds(row.latency_p50_threads_s)}"
    if row.static_latency_p50_s is not None:
        low, high = row.latency_interval_s
        is_outside = not low <= row.static_latency_p50_s <= high
        words += (f"; second opinion, counted instructions through a cycle model: {milliseconds(row.static_latency_p50_s)}"
                  + (", outside the interval: calibrate the device" if is_outside else ""))
    return words
