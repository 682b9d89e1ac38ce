"""Several runs side by side, and which of their differences are real."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from edgedistill.benchmark.statistics import SEPARABLE_RATIO
from edgedistill.document import Document
from edgedistill.errors import UsageError
from edgedistill.host import Host
from edgedistill.report.markdown import plain, table
from edgedistill.report.model import RunReport, TargetReport, VariantReport
from edgedistill.report.paired import two_proportion_p
from edgedistill.report.tables import UNKNOWN, Table
from edgedistill.report.wording import SIGNIFICANT, p_text, range_text, share_text, size_text, time_text, times_text
from edgedistill.results import Variant

Finding = Literal["real", "same", "cannot separate", "not comparable"]
Metric = Literal["size_bytes", "accuracy", "latency_p50_s", "retention"]

METRIC_NAMES: dict[Metric, str] = {
    "size_bytes": "size", "accuracy": "accuracy", "latency_p50_s": "latency p50", "retention": "retention",
}
"""What people call the compared figures."""


class ComparedVariant(Document):
    """One variant for one target in one run."""

    run: str
    target: str
    variant: Variant
    size_bytes: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    test_rows: int
    latency_p50_s: float | None = Field(description="measured on that run's host")
    latency_interval_s: tuple[float, float] | None
    latency_is_noisy: bool
    threads: int | None
    sequence_tokens: int | None
    retention: float | None = Field(description="of the int8 student; null for the other variants")
    retention_ci95: tuple[float, float] | None


class Difference(Document):
    """One figure of a run against the same figure of the first run, and what may be said about it."""

    target: str
    variant: Variant
    metric: Metric
    reference_run: str
    run: str
    reference: float
    value: float
    finding: Finding
    why: str


class Comparison(Document):
    """Runs side by side. The first is the reference of every difference."""

    schema_version: Literal[1] = 1
    runs: tuple[str, ...] = Field(min_length=2)
    figures: tuple[ComparedVariant, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


def compare_reports(reports: Mapping[str, RunReport]) -> Comparison:
    """Compare the variants that runs have in common, target by target, against the first run.

    Accuracies are compared as if of independent rows (pooled two-proportion z test): runs do not keep their rows
    together, and on the same test rows this errs to the careful side. Latencies differ when their intervals do not
    overlap, the ratio is beyond 5 %, and neither host was noisy; those of different hosts are not compared.

    Args:
        reports: two runs or more, by the name to show.

    Raises:
        UsageError: fewer than two runs, or no target in common.
    """
    if len(reports) < 2:
        raise UsageError("one run cannot be compared", hint="edgedistill compare RUN RUN")
    if not set.intersection(*(set(report.targets) for report in reports.values())):
        raise UsageError(f"the runs {', '.join(reports)} have no target in common",
                         hint="compare runs that were made with the same --target")
    figures = tuple(row for run, report in reports.items() for row in _figures(run, report))
    first = next(iter(reports))
    by_place = {(row.run, row.target, row.variant): row for row in figures}
    differences = tuple(
        difference
        for row in figures
        if row.run != first and (first, row.target, row.variant) in by_place
        for difference in _differences(
            by_place[first, row.target, row.variant], row, _is_same_machine(reports[first].host, reports[row.run].host)
        )
    )
    return Comparison(runs=tuple(reports), figures=figures, differences=differences, notes=_notes(reports, figures))


def _figures(run: str, report: RunReport) -> Iterator[ComparedVariant]:
    for target_id, target in report.targets.items():
        for name, variant in target.variants.items():
            yield _figure(run, target_id, target, name, variant)


def _figure(run: str, target_id: str, target: TargetReport, name: Variant, variant: VariantReport) -> ComparedVariant:
    host, kept = variant.latency.host, target.headline.retention
    is_shipped = name == "student_int8"
    return ComparedVariant(
        run=run,
        target=target_id,
        variant=name,
        size_bytes=variant.size_bytes,
        accuracy=variant.accuracy,
        accuracy_ci95=variant.accuracy_ci95,
        test_rows=variant.test_rows,
        latency_p50_s=None if host is None else host.p50_s,
        latency_interval_s=None if host is None else host.p50_interval_s,
        latency_is_noisy=host is not None and host.noisy,
        threads=None if host is None else host.threads,
        sequence_tokens=None if host is None else host.sequence_tokens,
        retention=target.retention if is_shipped else None,
        retention_ci95=(kept.low, kept.high) if is_shipped else None,
    )


@dataclass(frozen=True)
class _Judgement:
    finding: Finding
    why: str


def _differences(a: ComparedVariant, b: ComparedVariant, is_same_machine: bool) -> Iterator[Difference]:
    yield _difference(a, b, "size_bytes", _judge_size(a, b))
    yield _difference(a, b, "accuracy", _judge_accuracy(a, b))
    if a.latency_p50_s is not None and b.latency_p50_s is not None:
        ratio = max(a.latency_p50_s, b.latency_p50_s) / min(a.latency_p50_s, b.latency_p50_s)
        yield _difference(a, b, "latency_p50_s", _judge_latency(a, b, ratio, is_same_machine=is_same_machine))
    if a.retention_ci95 is not None and b.retention_ci95 is not None:
        yield _difference(a, b, "retention", _judge_intervals(a.retention_ci95, b.retention_ci95))


def _difference(a: ComparedVariant, b: ComparedVariant, metric: Metric, judgement: _Judgement) -> Difference:
    reference, value = getattr(a, metric), getattr(b, metric)
    found = _Judgement("same", "the figures are equal") if reference == value else judgement
    return Difference(
        target=a.target, variant=a.variant, metric=metric, reference_run=a.run, run=b.run, reference=reference,
        value=value, finding=found.finding, why=found.why,
    )


def _judge_size(a: ComparedVariant, b: ComparedVariant) -> _Judgement:
    return _Judgement("real", f"bytes are exact: {b.size_bytes - a.size_bytes:+,} B")


def _judge_accuracy(a: ComparedVariant, b: ComparedVariant) -> _Judgement:
    right_a, right_b = round(a.accuracy * a.test_rows), round(b.accuracy * b.test_rows)
    p_value = two_proportion_p(right_a, a.test_rows, right_b, b.test_rows)
    finding: Finding = "real" if p_value < SIGNIFICANT else "cannot separate"
    return _Judgement(finding, f"two-proportion z test, {a.test_rows} and {b.test_rows} rows: {p_text(p_value)}")


def _judge_latency(a: ComparedVariant, b: ComparedVariant, ratio: float, *, is_same_machine: bool) -> _Judgement:
    if not is_same_machine:
        return _Judgement("not comparable", "measured on different machines")
    if (a.threads, a.sequence_tokens) != (b.threads, b.sequence_tokens):
        return _Judgement("not comparable", "measured with other threads or at another length")
    if a.latency_is_noisy or b.latency_is_noisy:
        return _Judgement("cannot separate", "the machine was noisy")
    if a.latency_interval_s is None or b.latency_interval_s is None:
        return _Judgement("cannot separate", "fewer than two rounds: no interval")
    if ratio <= SEPARABLE_RATIO:
        return _Judgement("cannot separate", f"at most {SEPARABLE_RATIO - 1:.0%} apart: memory layout alone does that")
    return _judge_intervals(a.latency_interval_s, b.latency_interval_s)


def _judge_intervals(a: tuple[float, float], b: tuple[float, float]) -> _Judgement:
    if a[1] < b[0] or b[1] < a[0]:
        return _Judgement("real", "the 95 % intervals do not overlap")
    return _Judgement("cannot separate", "the 95 % intervals overlap")


def _is_same_machine(a: Host, b: Host) -> bool:
    """Is it the same kind of machine? The bytes of memory a system leaves over may change from boot to boot."""
    varying = {"ram_bytes", "python"}
    return a.model_dump(exclude=varying) == b.model_dump(exclude=varying)


def _notes(reports: Mapping[str, RunReport], figures: Sequence[ComparedVariant]) -> tuple[str, ...]:
    """Return what a reader must know before trusting the differences."""
    notes = ["Each run is one training with one seed: a real difference of two runs need not be one of their recipes."]
    runs = list(reports)
    if not all(_is_same_machine(reports[runs[0]].host, report.host) for report in reports.values()):
        notes.append("The runs were measured on different machines: latencies are not compared.")
    if len({row.test_rows for row in figures}) > 1:
        notes.append("The test splits differ in size: accuracies may be of different data.")
    if len({report.recipe for report in reports.values()}) > 1:
        notes.append("The runs have different recipes: accuracies may be of different data.")
    for target in sorted({row.target for row in figures}):
        absent = [run for run, report in reports.items() if target not in report.targets]
        if absent:
            notes.append(f"{target} is not part of {', '.join(absent)}.")
    return tuple(notes)


def comparison_markdown(comparison: Comparison) -> str:
    """Return Markdown: the figures by target and variant, then what is real."""
    parts = [f"# {plain(' against '.join(comparison.runs))}", "## Figures", table(figures_table(comparison)),
             f"## Differences from {plain(comparison.runs[0])}", table(differences_table(comparison)),
             "## Read with care", "\n".join(f"- {plain(note)}" for note in comparison.notes)]
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
         _value_text(d.metric, d.value), times_text(d.value / d.reference) if d.reference else UNKNOWN)
        for d in sorted(comparison.differences, key=lambda d: order.index(d.finding))
    )
    headers = ("target", "variant", "run", "figure", "difference", "why", comparison.runs[0], "value", "ratio")
    return Table(headers, rows, words=6)


def _value_text(metric: Metric, value: float) -> str:
    if metric == "size_bytes":
        return size_text(value)
    return time_text(value) if metric == "latency_p50_s" else share_text(value)
