"""Numbers and findings in words: every figure with its unit, every verdict as a sentence."""

from collections.abc import Sequence

from edgedistill.benchmark.statistics import SEPARABLE_RATIO
from edgedistill.frontier import FrontierRow
from edgedistill.problem_type import SEVERAL_LABELS
from edgedistill.report.model import DistillationGain, RunReport, TargetReport, VariantReport
from edgedistill.results import AwareGain, BudgetCheck, GoalCheck, Interval, ParityReport, ParityResult

_KIB, _MIB, _GIB = 2**10, 2**20, 2**30

BUDGET_NAMES = {"model_bytes": "model size", "peak_memory_bytes": "peak memory", "latency_p50_s": "latency p50",
                "accuracy_loss": "accuracy lost"}
"""What people call the budgets."""

NO_CONFUSION = ("Several labels may apply to a text, so that none is taken for another, and there is no confusion matrix: each "
                "is missed where it applies, or added where it does not.")
"""Said where a report on one label a text shows what is taken for what."""

_MOST_DECIMALS = 6

SIGNIFICANT = 0.05
"""A p value below it is called a real difference."""


def size_text(size_bytes: float) -> str:
    """Return bytes in the binary unit that leaves one to three digits before the point."""
    for unit, name, digits in ((_GIB, "GiB", 2), (_MIB, "MiB", 2), (_KIB, "KiB", 1)):
        if abs(size_bytes) >= unit:
            return f"{size_bytes / unit:.{digits}f} {name}"
    return f"{size_bytes:.0f} B"


def time_text(seconds: float) -> str:
    """Return seconds with three significant digits and a fitting unit."""
    unit, name = _time_unit(seconds)
    value = seconds / unit
    return f"{value:.{_decimals(value)}f} {name}"


def time_range_text(seconds: float, interval_s: tuple[float, float] | None) -> str:
    """Return seconds as `time_text` does, followed by their interval in the same unit, with as many decimals; None: alone."""
    if interval_s is None:
        return time_text(seconds)
    unit = _time_unit(seconds)[0]
    low, high = (f"{bound / unit:.{_decimals(seconds / unit)}f}" for bound in interval_s)
    return f"{time_text(seconds)} ({low} to {high})"


def energy_text(joules: float) -> str:
    """Return an energy in mJ with three significant digits."""
    return f"{joules * 1e3:.3g} mJ"


def _time_unit(seconds: float) -> tuple[float, str]:
    return (1.0, "s") if seconds >= 1.0 else (1e-3, "ms") if seconds >= 1e-3 else (1e-6, "µs")


def _decimals(value: float) -> int:
    """Return how many decimals make three significant digits."""
    return 0 if value >= 100 else 1 if value >= 10 else 2


def share_text(share: float) -> str:
    """Return a share as percent with one decimal."""
    return f"{share * 100:.1f} %"


def range_text(interval: tuple[float, float]) -> str:
    """Return an interval of shares as percent, without the unit."""
    return f"{interval[0] * 100:.1f} to {interval[1] * 100:.1f}"


def times_text(ratio: float) -> str:
    """Return a ratio such as 37.2x."""
    return f"{ratio:.{_decimals(ratio)}f}x"


def rate_text(per_second: float) -> str:
    """Return how many a second with three significant digits: slow devices classify less than one picture a second."""
    return f"{per_second:.{_decimals(per_second)}f}"


def amount_text(value: float, unit: str) -> str:
    """Return a budget's figure with a unit that people read."""
    if unit == "share":
        return share_text(value)
    return time_text(value) if unit == "s" else size_text(value)


def apart_text(value: float, limit: float, unit: str) -> tuple[str, str]:
    """Return a figure and its limit as `amount_text` does, with more digits where they differ and would read alike."""
    plain = amount_text(value, unit), amount_text(limit, unit)
    if plain[0] != plain[1]:
        return plain
    scale, name, fewest = (0.01, "%", 3) if unit == "share" else (*_time_unit(limit), 3) if unit == "s" else (1.0, "B", 0)
    apart = _apart(value / scale, limit / scale, fewest=fewest)
    return plain if apart is None else (f"{apart[0]} {name}", f"{apart[1]} {name}")


def used_text(value: float, limit: float) -> str:
    """Return how much of a limit is used as percent, with more digits where that is not all of it and would read so."""
    return apart_text(value / limit, 1.0, "share")[0]


def _over_text(ratio: float) -> str:
    """Return how many times over a limit something is; a little over it is 1.0002x, not 1.00x."""
    apart = _apart(ratio, 1.0, fewest=_decimals(ratio))
    return f"{apart[0]}x" if apart is not None else times_text(ratio)


def _apart(first: float, second: float, *, fewest: int) -> tuple[str, str] | None:
    """Return two numbers with the fewest decimals that tell them apart, and at least `fewest`; None where six do not."""
    pairs = [(f"{first:,.{n}f}", f"{second:,.{n}f}") for n in range(fewest, _MOST_DECIMALS + 1)]
    return next((pair for pair in pairs if pair[0] != pair[1]), None)


def finding_of(row: FrontierRow, *, has_goals: bool) -> str:
    """Say how a trial with an int8 student stands to what was asked: to the goals, or where there are none to the budgets."""
    if has_goals:
        return "keeps the goal" if row.met_goal else "misses the goal"
    return "fits" if row.met_goal else "over a budget"


def p_text(p_value: float) -> str:
    """Return a p value; the smallest are only bounded."""
    return "p < 0.001" if p_value < 1e-3 else f"p = {p_value:.3f}"


def accuracy_text(report: RunReport) -> str:
    """Say what accuracy is where several labels may apply; empty where each text has one, as then nobody need ask."""
    if not any(has_several_labels(target) for target in report.targets.values()):
        return ""
    return ("Several labels may apply to a text, or none. Accuracy is the share of texts of which all labels are right (exact "
            "match); a label is given where its probability is above 0.5.")


def has_several_labels(target: TargetReport) -> bool:
    """May several labels apply to a test row?"""
    return target.problem_type == SEVERAL_LABELS


def summary(target: TargetReport, *, doubt: str = "") -> str:
    """Return the verdict in a sentence, or two when something is missed; one more where the teacher bought nothing.

    Args:
        target: as reported.
        doubt: a sentence on a student that does no more than give one answer (`one_answer`); it stands behind the verdict.
    """
    gains = _gains_text(target)
    added = (f" {doubt}" if doubt else "") + _nothing_bought_text(target.distillation_gain)
    missed = misses(target.budgets, target.goals, target.parity)
    if not missed:
        return f"Ready for {target.name}: {gains}, and fits every budget.{added}"
    return f"Not ready for {target.name}: {'; '.join(missed)}. Otherwise {gains}.{added}"


def _nothing_bought_text(gain: DistillationGain | None) -> str:
    """Say where the student is no better than the same one without a teacher; empty where it is, or nobody knows."""
    if gain is None or gain.difference.low > 0:
        return ""
    points = gain.difference
    if points.high < 0:
        return (f" But the same student trained without the teacher is better, by {-points.value * 100:.1f} percentage points "
                f"(95 % interval {-points.high * 100:.1f} to {-points.low * 100:.1f}).")
    return (f" What the teacher bought is within chance: {_points(points)} percentage points over the same student without it "
            f"(95 % interval {points.low * 100:+.1f} to {points.high * 100:+.1f}).")


def is_kept_known(target: TargetReport) -> bool:
    """Can it be said what share of the teacher's accuracy is kept? Not of a teacher that is right on no test row."""
    return target.variants["teacher"].accuracy > 0


def _gains_text(target: TargetReport) -> str:
    ratio, kept = target.headline.size_ratio, target.headline.retention
    smaller = f"{times_text(ratio)} smaller" if ratio >= 1 else f"{times_text(1 / ratio)} bigger"
    keeps = f"keeps {share_text(kept.value)} of its accuracy (95 % interval {range_text((kept.low, kept.high))} %)"
    if not is_kept_known(target):
        keeps = "keeps an unknown share of its accuracy (the teacher is right on no test row)"
    return f"the {shipped_name(target.variants['student_int8'])} is {smaller}{_speed_clause(target)}, {keeps}"


def shipped_name(student: VariantReport) -> str:
    """Return what to call the student that ships, the variant `student_int8`: the court may have shipped the float model."""
    return "float student" if student.int8 is not None and student.int8.scheme == "float" else "int8 student"


def _speed_clause(target: TargetReport) -> str:
    """Say how fast the student is beside the teacher: a difference only where this host can tell the two apart."""
    speed = target.headline.speed_ratio
    if speed is None:
        return " than the teacher"
    where = "; ".join(filter(None, ("measured on the host", noise_text(target))))
    if not is_told_apart(speed):
        return (f" than the teacher, cannot be told from it in speed ({times_text(speed.value)} its speed, 95 % interval "
                f"{times_text(speed.low)} to {times_text(speed.high)}; {where})")
    faster = f"and {times_text(speed.value)} faster" if speed.value >= 1 else f"but {times_text(1 / speed.value)} slower"
    return f" {faster} than the teacher ({where})"


def is_told_apart(speed: Interval) -> bool:
    """Is one of two models faster, by the rule of a benchmark: 1 is outside the interval, and more than 5 % away?"""
    return (speed.low > 1 and speed.value > SEPARABLE_RATIO) or (speed.high < 1 and speed.value < 1 / SEPARABLE_RATIO)


def noise_text(target: TargetReport) -> str:
    """Say whose time on the host was flagged noisy, of the teacher and the student that ships; empty where neither was."""
    sides = {"the teacher's": target.variants["teacher"], "the student's": target.variants["student_int8"]}
    noisy = [name for name, side in sides.items() if side.latency.host is not None and side.latency.host.noisy]
    return f"noisy: {' and '.join(noisy)} time" if noisy else ""


def speed_doubts(target: TargetReport) -> str:
    """Return what must stand beside the ratio of speeds, each after a semicolon; empty where nothing must."""
    speed = target.headline.speed_ratio
    if speed is None:
        return ""
    doubts = ("" if is_told_apart(speed) else "cannot be told from the teacher's", noise_text(target))
    return "".join(f"; {doubt}" for doubt in doubts if doubt)


def misses(budgets: Sequence[BudgetCheck], goals: Sequence[GoalCheck], parity: ParityReport) -> tuple[str, ...]:
    """Return what does not hold, one clause each, with by how much."""
    over = [
        f"{BUDGET_NAMES[b.name]} {value} ({b.source}) is over the budget of {limit} ({_over_text(b.value / b.limit)})"
        for b in budgets
        if not b.met
        for value, limit in [apart_text(b.value, b.limit, b.unit)]
    ]
    under = [
        f"{g.metric.replace('_', '-')} {value} is below the goal of {limit}"
        for g in goals
        if not g.met
        for value, limit in [apart_text(g.value, g.limit, "share")]
    ]
    gates = [
        f"parity {gate} failed: "
        + (", ".join(result.problems) or f"{result.decisions_flipped} of {result.n} decisions flipped")
        for gate, result in parity_gates(parity).items()
        if not result.passed
    ]
    return tuple(over + under + gates)


def parity_gates(parity: ParityReport) -> dict[str, ParityResult]:
    """Return the gates that were run, by name."""
    return parity.gates


def memory_place(target: TargetReport) -> str:
    """Return where the memory of the headline was found: on the device, else on the host."""
    device = target.device
    return "device" if device is not None and device.peak_rss_bytes is not None else "host"


def gain_text(gain: DistillationGain | None) -> str:
    """Say what the teacher bought, and whether it is more than chance."""
    if gain is None:
        return "No student was trained without the teacher, so it cannot be said what distillation bought."
    points = gain.difference
    test = gain.mcnemar
    kind = "a real difference" if test.p_value < SIGNIFICANT else "not separable from chance on these rows"
    return (
        f"Distillation changed the student's accuracy by {_points(points)} percentage points "
        f"(95 % interval {points.low * 100:+.1f} to {points.high * 100:+.1f}; McNemar {p_text(test.p_value)}: {kind}). "
        f"Of {gain.n} rows, {test.only_candidate_right} are right only with the teacher's help, "
        f"{test.only_reference_right} only without.{_seen_text(gain)}"
    )


def _seen_text(gain: DistillationGain) -> str:
    """Say how long the two were trained."""
    if gain.student_rows_seen is None or gain.student_no_kd_rows_seen is None:
        return ""
    return (f" The student with the teacher saw {gain.student_rows_seen:,} rows in training, the one without "
            f"{gain.student_no_kd_rows_seen:,}, repeats counted.")


def aware_text(gain: AwareGain | None) -> str:
    """Say what quantization-aware fine-tuning bought; empty where there was none."""
    if gain is None:
        return ""
    fate = "ships as student_int8" if gain.is_shipped else "does not ship"
    return (f"Fine-tuned for {gain.scheme} in {gain.steps} steps with its rounding, student_int8_aware {fate}. "
            f"{gain.text[:1].upper()}{gain.text[1:]}.")


def _points(interval: Interval) -> str:
    return f"{interval.value * 100:+.1f}"
