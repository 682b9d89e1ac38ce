"""The words and tables of a comparison, for Markdown and the page alike."""

from collections.abc import Mapping, Sequence

from edgedistill.report import tables
from edgedistill.report.compare import ComparedVariant, Comparison, Difference, Finding, Metric
from edgedistill.report.markup import bullets, plain, table
from edgedistill.report.model import RunReport
from edgedistill.report.tables import UNKNOWN, Table
from edgedistill.report.wording import is_kept_known, range_text, share_text, size_text, speed_doubts, time_text, times_text
from edgedistill.results import Interval

METRIC_NAMES: dict[Metric, str] = {
    "size_bytes": "size", "accuracy": "accuracy", "latency_p50_s": "latency p50", "retention": "retention",
}
"""What people call the compared figures."""

def comparison_markdown(comparison: Comparison) -> str:
    """Return Markdown: the figures by target and variant, then what is real."""
    parts = [f"# {plain(' against '.join(comparison.runs))}",
             bullets(sentences(comparison)),
             "## Figures", table(figures_table(comparison)),
             f"## Differences from {plain(comparison.runs[0])}", table(differences_table(comparison)),
             "## Read with care", bullets(comparison.notes)]
    return "\n\n".join(parts) + "\n"


def figures_table(comparison: Comparison) -> Table:
    """Return the figures of all runs, those of one variant together."""
    order = sorted(comparison.figures, key=lambda row: row.target)
    places = list(dict.fromkeys((row.target, row.variant) for row in order))
    rows = tuple(_figure_row(row) for place in places for row in order if (row.target, row.variant) == place)
    headers = ("target", "variant", "run", "size", "accuracy (95 % interval)", "p50 host", "retention")
    return Table(headers, rows, words=3)


def _figure_row(row: ComparedVariant) -> tuple[str, ...]:
    latency = UNKNOWN if row.latency_p50_s is None else time_text(row.latency_p50_s)
    return (
        row.target, row.variant, row.run, size_text(row.size_bytes),
        f"{share_text(row.accuracy)} ({range_text(row.accuracy_ci95)})",
        latency + (" noisy" if row.latency_is_noisy else ""),
        UNKNOWN if row.retention is None else share_text(row.retention),
    )


def differences_table(comparison: Comparison) -> Table:
    """Return the differences, those that are real first."""
    order: tuple[Finding, ...] = ("real", "cannot separate", "not comparable", "same")
    rows = tuple(
        (d.target, d.variant, d.run, METRIC_NAMES[d.metric], d.finding, d.why, _value_text(d.metric, d.reference),
         _value_text(d.metric, d.value), _effect_text(d))
        for d in sorted(comparison.differences, key=lambda d: order.index(d.finding))
    )
    headers = ("target", "variant", "run", "figure", "finding", "why", comparison.runs[0], "value", "difference (95 % interval)")
    return Table(headers, rows, words=6)


def _value_text(metric: Metric, value: float) -> str:
    if metric == "size_bytes":
        return size_text(value)
    return time_text(value) if metric == "latency_p50_s" else share_text(value)


def _effect_text(difference: Difference) -> str:
    """Return by how much the run differs: points, or times; with an interval where there is one."""
    d, effect = difference, difference.effect
    if d.metric in ("accuracy", "retention"):
        points = f"{(d.value - d.reference) * 100:+.1f} points"
        return points if effect is None else f"{points} ({_signed(effect)})"
    if not d.reference:
        return UNKNOWN
    times = times_text(d.value / d.reference)
    return times if effect is None else f"{times} ({times_text(effect.low)} to {times_text(effect.high)})"


def _signed(effect: Interval) -> str:
    return f"{effect.low * 100:+.1f} to {effect.high * 100:+.1f}"


def sentences(comparison: Comparison) -> tuple[str, ...]:
    """Say of every run and target how its int8 student differs from the first run's."""
    places = dict.fromkeys((d.target, d.run) for d in comparison.differences if d.variant == "student_int8")
    return tuple(
        _sentence(target, run, [d for d in comparison.differences
                                if (d.target, d.run, d.variant) == (target, run, "student_int8")])
        for target, run in places
    )


def _sentence(target: str, run: str, differences: Sequence[Difference]) -> str:
    reference = differences[0].reference_run
    real = [f"{METRIC_NAMES[d.metric]} {_effect_text(d)}" for d in differences if d.finding == "real"]
    chance = [METRIC_NAMES[d.metric] for d in differences if d.finding == "cannot separate"]
    other = [METRIC_NAMES[d.metric] for d in differences if d.finding == "not comparable"]
    clauses = [f"really different: {', '.join(real)}" if real else "no figure is really different"]
    if chance:
        clauses.append(f"not separable from chance: {', '.join(chance)}")
    if other:
        clauses.append(f"not comparable: {', '.join(other)}")
    return f"{target}, int8 student of {run} against {reference}: {'; '.join(clauses)}."


def headlines_table(reports: Mapping[str, RunReport]) -> Table:
    """Return the verdict and the five numbers of every run and target."""
    rows = tuple(
        (
            target_id, run, target.verdict, size_text(top.size_bytes),
            UNKNOWN if top.speed_ratio is None else (
                f"{times_text(top.speed_ratio.value)} measured on the host{speed_doubts(target)}"
            ),
            tables.kept_text(target)
            + (f" ({range_text((top.retention.low, top.retention.high))})" if is_kept_known(target) else ""),
            UNKNOWN if top.memory_bytes is None else f"{size_text(top.memory_bytes)} {top.memory_source}",
            "yes" if top.fits else "no",
        )
        for target_id in sorted({t for report in reports.values() for t in report.targets})
        for run, report in reports.items()
        if target_id in report.targets
        for target, top in [(report.targets[target_id], report.targets[target_id].headline)]
    )
    return Table(("target", "run", "verdict", "size", "speed", "accuracy kept", "memory over runtime", "fits?"), rows, words=3)


def budgets_table(reports: Mapping[str, RunReport]) -> Table:
    """Return the budgets of every run and target."""
    rows = tuple(
        (target_id, run, *cells)
        for run, report in reports.items()
        for target_id, target in report.targets.items()
        for cells in tables.budgets(target).rows
    )
    return Table(("target", "run", "budget", "verdict", "source", "value", "limit", "used"), rows, words=5)


def environments_table(reports: Mapping[str, RunReport]) -> Table:
    """Return what the runs ran on and with; a column a run."""
    found: dict[str, dict[str, str]] = {
        run: {row[0]: row[1] for row in tables.environment(report).rows} for run, report in reports.items()
    }
    names = dict.fromkeys(name for rows in found.values() for name in rows)
    rows = tuple((name, *(rows.get(name, UNKNOWN) for rows in found.values())) for name in names)
    return Table(("what", *reports), rows, words=len(reports) + 1)
