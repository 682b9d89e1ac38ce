"""Several runs side by side, and which of their differences are real."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgedistill.benchmark.statistics import SEPARABLE_RATIO
from edgedistill.document import Document
from edgedistill.errors import UsageError
from edgedistill.evaluate.intervals import mcnemar, paired_difference
from edgedistill.host import Host
from edgedistill.report.model import RunReport, TargetReport, VariantReport
from edgedistill.report.paired import retention_difference, two_proportion_p
from edgedistill.report.right_rows import unpack
from edgedistill.report.wording import SIGNIFICANT, accuracy_text, is_kept_known, p_text
from edgedistill.results import Interval, Variant

Finding = Literal["real", "same", "cannot separate", "not comparable"]
Metric = Literal["size_bytes", "accuracy", "latency_p50_s", "retention"]


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
    retention: float | None = Field(
        description="of the int8 student; null for the other variants, and where the teacher is right on no test row"
    )
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
    effect: Interval | None = Field(
        None, description="accuracy, retention: value minus reference; latency: value / reference; with a 95 % interval"
    )
    is_paired: bool = Field(False, description="are the same test rows compared one by one?")


class Comparison(Document):
    """Runs side by side. The first is the reference of every difference."""

    schema_version: Literal[1] = 1
    runs: tuple[str, ...] = Field(min_length=2)
    figures: tuple[ComparedVariant, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


def compare_reports(reports: Mapping[str, RunReport]) -> Comparison:
    """Compare the variants that runs have in common, target by target, against the first run.

    On the same test rows, accuracies are compared row by row (McNemar's exact test, Newcombe's interval), and so are
    retentions. Where the rows differ or were not kept, accuracies are compared as if of independent rows (pooled
    two-proportion z test), retentions by their intervals. Latencies differ when their intervals do not overlap, the ratio
    is beyond 5 %, and neither host was noisy; those of different hosts are not compared.

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
        for difference in _differences(by_place[first, row.target, row.variant], row, _Pair(reports[first], reports[row.run]))
    )
    return Comparison(runs=tuple(reports), figures=figures, differences=differences, notes=_notes(reports, figures))


def _figures(run: str, report: RunReport) -> Iterator[ComparedVariant]:
    for target_id, target in report.targets.items():
        for name, variant in target.variants.items():
            yield _figure(run, target_id, target, name, variant)


def _figure(run: str, target_id: str, target: TargetReport, name: Variant, variant: VariantReport) -> ComparedVariant:
    host, kept = variant.latency.host, target.headline.retention
    has_kept = name == "student_int8" and is_kept_known(target)
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
        retention=target.retention if has_kept else None,
        retention_ci95=(kept.low, kept.high) if has_kept else None,
    )


@dataclass(frozen=True)
class _Judgement:
    finding: Finding
    why: str
    effect: Interval | None = None
    is_paired: bool = False


@dataclass(frozen=True)
class _Pair:
    """Two runs."""

    a: RunReport
    b: RunReport

    @property
    def is_same_machine(self) -> bool:
        return _is_same_machine(self.a.host, self.b.host)

    def rows(self, target: str, variant: Variant) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
        """Return which rows both answer right; None where they are not known to be the same rows."""
        both = self.a.targets[target], self.b.targets[target]
        if both[0].test_sha256 is None or both[0].test_sha256 != both[1].test_sha256:
            return None
        found = [report.variants.get(variant) for report in both]
        known = [unpack(v.right_rows, v.test_rows) for v in found if v is not None and v.right_rows]
        return (known[0], known[1]) if len(known) == 2 else None


def _differences(a: ComparedVariant, b: ComparedVariant, pair: _Pair) -> Iterator[Difference]:
    yield _difference(a, b, "size_bytes", _judge_size(a, b))
    yield _difference(a, b, "accuracy", _judge_accuracy(a, b, pair))
    if a.latency_p50_s is not None and b.latency_p50_s is not None:
        yield _difference(a, b, "latency_p50_s", _judge_latency(a, b, is_same_machine=pair.is_same_machine))
    if a.retention_ci95 is not None and b.retention_ci95 is not None:
        yield _difference(a, b, "retention", _judge_retention(a, b, pair))


def _difference(a: ComparedVariant, b: ComparedVariant, metric: Metric, judgement: _Judgement) -> Difference:
    reference, value = getattr(a, metric), getattr(b, metric)
    is_same = reference == value
    return Difference(
        target=a.target, variant=a.variant, metric=metric, reference_run=a.run, run=b.run, reference=reference,
        value=value, finding="same" if is_same else judgement.finding,
        why="the figures are equal" if is_same else judgement.why, effect=judgement.effect, is_paired=judgement.is_paired,
    )


def _judge_size(a: ComparedVariant, b: ComparedVariant) -> _Judgement:
    return _Judgement("real", f"bytes are exact: {b.size_bytes - a.size_bytes:+,} B")


def _judge_accuracy(a: ComparedVariant, b: ComparedVariant, pair: _Pair) -> _Judgement:
    rows = pair.rows(a.target, a.variant)
    if rows is None:
        right_a, right_b = round(a.accuracy * a.test_rows), round(b.accuracy * b.test_rows)
        p_value = two_proportion_p(right_a, a.test_rows, right_b, b.test_rows)
        finding: Finding = "real" if p_value < SIGNIFICANT else "cannot separate"
        return _Judgement(finding, f"two-proportion z test, {a.test_rows} and {b.test_rows} rows: {p_text(p_value)}")
    test, effect = mcnemar(*rows), paired_difference(rows[1], rows[0])
    is_real = test.p_value < SIGNIFICANT and not effect.low <= 0 <= effect.high
    why = (f"the same {len(rows[0])} rows: {test.only_candidate_right} right only in the run, "
           f"{test.only_reference_right} only in the reference; McNemar {p_text(test.p_value)}")
    return _Judgement("real" if is_real else "cannot separate", why, effect, is_paired=True)


def _judge_retention(a: ComparedVariant, b: ComparedVariant, pair: _Pair) -> _Judgement:
    teachers, students = pair.rows(a.target, "teacher"), pair.rows(a.target, "student_int8")
    if a.retention_ci95 is None or b.retention_ci95 is None:
        raise ValueError("a retention without an interval")
    effect = None if teachers is None or students is None else retention_difference(
        reference_teacher=teachers[0], reference_student=students[0], teacher=teachers[1], student=students[1]
    )
    if effect is None:
        return _judge_intervals(a.retention_ci95, b.retention_ci95)
    is_real = not effect.low <= 0 <= effect.high
    why = f"paired by row, the 95 % interval of the difference {'leaves out' if is_real else 'holds'} 0"
    return _Judgement("real" if is_real else "cannot separate", why, effect, is_paired=True)


def _judge_latency(a: ComparedVariant, b: ComparedVariant, *, is_same_machine: bool) -> _Judgement:
    if a.latency_p50_s is None or b.latency_p50_s is None:
        raise ValueError("a latency that was not measured")
    if not is_same_machine:
        return _Judgement("not comparable", "measured on different machines")
    if (a.threads, a.sequence_tokens) != (b.threads, b.sequence_tokens):
        return _Judgement("not comparable", "measured with other threads or at another length")
    effect = _latency_ratio(a, b)
    if a.latency_is_noisy or b.latency_is_noisy:
        return _Judgement("cannot separate", "the machine was noisy", effect)
    if a.latency_interval_s is None or b.latency_interval_s is None:
        return _Judgement("cannot separate", "fewer than two rounds: no interval")
    if max(a.latency_p50_s, b.latency_p50_s) / min(a.latency_p50_s, b.latency_p50_s) <= SEPARABLE_RATIO:
        return _Judgement("cannot separate", f"at most {SEPARABLE_RATIO - 1:.0%} apart: memory layout alone does that", effect)
    return replace(_judge_intervals(a.latency_interval_s, b.latency_interval_s), effect=effect)


def _latency_ratio(a: ComparedVariant, b: ComparedVariant) -> Interval | None:
    """Return b's p50 / a's; the widths of both intervals, on the scale of logarithms, are added in squares."""
    if a.latency_interval_s is None or b.latency_interval_s is None or a.latency_p50_s is None or b.latency_p50_s is None:
        return None
    halves = [math.log(high / low) / 2 for low, high in (a.latency_interval_s, b.latency_interval_s)]
    ratio, half = b.latency_p50_s / a.latency_p50_s, math.hypot(*halves)
    return Interval(value=ratio, low=ratio * math.exp(-half), high=ratio * math.exp(half))


def _judge_intervals(a: tuple[float, float], b: tuple[float, float]) -> _Judgement:
    if a[1] < b[0] or b[1] < a[0]:
        return _Judgement("real", "the 95 % intervals do not overlap")
    return _Judgement("cannot separate", "the 95 % intervals overlap")


def _is_same_machine(a: Host, b: Host) -> bool:
    """Is it the same kind of machine?"""
    return a.lasting == b.lasting


def _notes(reports: Mapping[str, RunReport], figures: Sequence[ComparedVariant]) -> tuple[str, ...]:
    """Return what a reader must know before trusting the differences."""
    notes = ["Each run is one training with one seed: a real difference of two runs need not be one of their recipes."]
    notes += dict.fromkeys(filter(None, map(accuracy_text, reports.values())))
    runs = list(reports)
    if not all(_is_same_machine(reports[runs[0]].host, report.host) for report in reports.values()):
        notes.append("The runs were measured on different machines: latencies are not compared.")
    if len({target.test_sha256 for report in reports.values() for target in report.targets.values()} - {None}) > 1:
        notes.append("The test splits differ: accuracies are compared as if of independent rows, and may be of other data.")
    elif any(target.test_sha256 is None for report in reports.values() for target in report.targets.values()):
        notes.append("A report of an earlier version does not keep its rows: accuracies are compared as if of independent rows.")
    if len({report.recipe for report in reports.values()}) > 1:
        notes.append("The runs have different recipes: accuracies may be of different data.")
    for target in sorted({row.target for row in figures}):
        absent = [run for run, report in reports.items() if target not in report.targets]
        if absent:
            notes.append(f"{target} is not part of {', '.join(absent)}.")
    return tuple(notes)
