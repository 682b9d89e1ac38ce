"""The report's tables: plain text in cells, for Markdown and HTML alike."""

from dataclasses import dataclass

from edgedistill.frontier import FrontierRow
from edgedistill.report.model import HostLatency, RunReport, TargetReport, VariantReport
from edgedistill.report.wording import (
    BUDGET_NAMES,
    apart_text,
    energy_text,
    finding_of,
    is_kept_known,
    p_text,
    parity_gates,
    range_text,
    share_text,
    size_text,
    time_range_text,
    time_text,
    used_text,
)
from edgedistill.results import TrainingPoint

UNKNOWN = "–"
"""What stands where nobody knows."""

_MOST_ENTRIES = 12


@dataclass(frozen=True)
class Table:
    """Rows of cells under headers. Columns before `words` hold words, the rest figures (set to the right).

    Attributes:
        headers: one a column.
        rows: as many cells each as there are headers.
        words: how many columns, from the left, hold words.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


def variants(target: TargetReport) -> Table:
    """Return the variants with what they weigh, how well they answer and what they cost."""
    headers = (*answer_headers(target, "(95 % interval)"), "p50 host (95 % interval)", "p90 host", "p50 target (interval)",
               "memory over runtime")
    return Table(headers, tuple(_variant_row(name, variant) for name, variant in target.variants.items()))


def answer_headers(target: TargetReport, interval: str) -> tuple[str, ...]:
    """Return what stands over `answer_cells`; `interval` is what the intervals are called."""
    micro_f1 = (f"micro-F1 {interval}",) if any(v.micro_f1 is not None for v in target.variants.values()) else ()
    return ("variant", "parameters", "size", f"accuracy {interval}", f"macro-F1 {interval}", *micro_f1, "as the teacher")


def answer_cells(name: str, variant: VariantReport) -> tuple[str, ...]:
    """Return the cells of a variant that hold what it weighs and how well it answers; a micro-F1 has each variant or none."""
    of_all = () if variant.micro_f1 is None or variant.micro_f1_ci95 is None else (
        f"{share_text(variant.micro_f1)} ({range_text(variant.micro_f1_ci95)})",
    )
    return (
        name,
        f"{variant.parameters / 1e6:.2f} M",
        size_text(variant.size_bytes),
        f"{share_text(variant.accuracy)} ({range_text(variant.accuracy_ci95)})",
        f"{share_text(variant.macro_f1)} ({range_text(variant.macro_f1_ci95)})",
        *of_all,
        UNKNOWN if variant.agreement_with_teacher is None else share_text(variant.agreement_with_teacher),
    )


def _variant_row(name: str, variant: VariantReport) -> tuple[str, ...]:
    host, there, memory = variant.latency.host, variant.latency.target, variant.peak_rss_bytes
    return (
        *answer_cells(name, variant),
        UNKNOWN if host is None else _p50_text(host),
        UNKNOWN if host is None else time_text(host.p90_s),
        UNKNOWN if there is None else (
            f"{time_text(there.p50_s)} {there.source} ({' to '.join(time_text(s) for s in there.interval_s)})"
        ),
        UNKNOWN if memory is None else size_text(memory.value - memory.baseline),
    )


def _p50_text(host: HostLatency) -> str:
    noisy = " noisy" if host.noisy else ""
    return time_range_text(host.p50_s, host.p50_interval_s) + noisy


def budgets(target: TargetReport) -> Table:
    """Return the target's budgets against what the int8 student costs."""
    rows = tuple(
        (
            BUDGET_NAMES[b.name],
            "met" if b.met else "missed",
            b.source,
            *apart_text(b.value, b.limit, b.unit),
            used_text(b.value, b.limit),
        )
        for b in target.budgets
    )
    return Table(("budget", "verdict", "source", "value", "limit", "used"), rows, words=3)


def kept_text(target: TargetReport) -> str:
    """Return the share of the teacher's accuracy that the int8 student keeps."""
    return share_text(target.headline.retention.value) if is_kept_known(target) else UNKNOWN


def goals(target: TargetReport) -> Table:
    """Return the recipe's goals."""
    rows = tuple(
        (g.metric, g.type, "met" if g.met else "missed", *apart_text(g.value, g.limit, "share")) for g in target.goals
    )
    return Table(("goal", "type", "verdict", "value", "at least"), rows, words=3)


def device(target: TargetReport) -> Table:
    """Return what was found on a device; no rows when nothing ran on one."""
    found = target.device
    if found is None:
        return Table(("on the device", "found"), (), words=2)
    memory = found.peak_rss_bytes
    times = (("p50 (95 % interval)", found.p50_s, found.p50_interval_s), ("MAD", found.mad_s, None),
             ("p90 (95 % interval)", found.p90_s, found.p90_interval_s),
             ("p99 (95 % interval)", found.p99_s, found.p99_interval_s), ("load", found.load_s, None),
             ("first run", found.first_run_s, None))
    rows = [
        ("device", f"{found.device.model or found.device.cpu}, {found.device.cores} cores, {found.device.architecture}"),
        ("reached at", found.address), ("source", found.source), ("runtime", found.runtime),
        ("answers otherwise than on the host", f"{found.against_host.decisions_flipped} of {found.rows} rows"),
        ("accuracy", UNKNOWN if found.accuracy is None else share_text(found.accuracy.value)),
        *((name, time_range_text(value, interval)) for name, value, interval in times if value is not None),
        ("memory over runtime", UNKNOWN if memory is None else size_text(memory.value - memory.baseline)),
        *(("warning", sentence) for sentence in found.warnings),
    ]
    if found.energy_per_run_j is not None:
        rows.append(("energy a run, whole package", energy_text(found.energy_per_run_j)))
    return Table(("on the device", "found"), tuple(rows), words=2)


def parity(target: TargetReport) -> Table:
    """Return the gates of the conversions that were run."""
    rows = tuple(
        (
            f"{result.reference} → {result.candidate}" + (f" ({gate}, {result.source})" if gate in ("arm64", "x86_64") else ""),
            "passed" if result.passed else "failed",
            f"{result.decisions_flipped} of {result.n}",
            f"{result.top1_agreement * 100:.2f} %",
            f"{result.max_abs_error:.2g}",
            f"{result.mean_abs_error:.2g}",
        )
        for gate, result in parity_gates(target.parity).items()
    )
    headers = ("conversion", "verdict", "decisions flipped", "same answer", "largest logit error", "mean logit error")
    return Table(headers, rows, words=2)


def emulated(target: TargetReport) -> Table:
    """Return what the int8 student costs on the target's emulated core; no rows when it was not replayed."""
    check = target.emulated
    if check is None:
        return Table(("int8 student", "emulated"), ())
    rows = [("core, emulator, runtime", f"{check.core}, {check.emulator}, {check.runtime}")]
    if check.accuracy is not None and check.host_accuracy is not None:
        there, here = (f"{share_text(found.value)} ({range_text((found.low, found.high))})"
                       for found in (check.accuracy, check.host_accuracy))
        rows.append((f"accuracy there, {check.labelled_rows} rows (95 % interval)", there))
        rows.append(("accuracy of the same rows on the host", here))
    if check.peak_rss_bytes is not None and check.baseline_rss_bytes is not None:
        rows.append(("memory over the runtime", size_text(check.peak_rss_bytes - check.baseline_rss_bytes)))
    counted = check.instructions
    if counted is not None:
        shape = " x ".join(map(str, counted.row_shape))
        rows += [("instructions an inference", f"{counted.total:,} (input {shape}, one thread)"),
                 ("int8 products by", (counted.int8_path or "none of the known instructions").upper())]
        rows += [(f"of these {name}", share_text(count / counted.total))
                 for name, count in sorted(counted.by_class.items(), key=lambda item: -item[1]) if count]
    return Table(("int8 student", "emulated"), tuple(rows), words=2)


def latencies(target: TargetReport) -> Table:
    """Return the latency of every variant on the host, and on the target where it is known; energy where it was read."""
    hosts = [variant.latency.host for variant in target.variants.values()]
    energy = ("energy a run",) if any(host is not None and host.energy_per_run_j is not None for host in hosts) else ()
    headers = ("variant", "where", "source", "p50 (interval)", "MAD", "p90 (interval)", "p99 (interval)", "load", "first run",
               "runs", *energy)
    rows = []
    for name, variant in target.variants.items():
        host, there = variant.latency.host, variant.latency.target
        if host is not None:
            source = "measured, noisy" if host.noisy else "measured"
            rows.append((name, "host", source, *_host_figures(host)[: len(headers) - 3]))
        if there is not None:
            between = time_range_text(there.p50_s, there.interval_s)
            rows.append((name, target.name, there.source, between, *[UNKNOWN] * (len(headers) - 4)))
    return Table(headers, tuple(rows), words=3)


def _host_figures(host: HostLatency) -> tuple[str, ...]:
    return (
        time_range_text(host.p50_s, host.p50_interval_s), UNKNOWN if host.mad_s is None else time_text(host.mad_s),
        time_range_text(host.p90_s, host.p90_interval_s), time_range_text(host.p99_s, host.p99_interval_s),
        time_text(host.load_s), time_text(host.first_run_s), str(host.n),
        UNKNOWN if host.energy_per_run_j is None else energy_text(host.energy_per_run_j),
    )


def ledger(target: TargetReport) -> Table:
    """Return every student shape that the plan considered, and why it was not taken."""
    tried = {row.rung for row in target.frontier}
    rows = tuple(
        (
            row.rung,
            "chosen" if row.is_chosen else row.rejected_because or ("fits, tried" if row.rung in tried else "fits, not tried"),
            f"{row.parameters / 1e6:.2f} M",
            size_text(row.int8_bytes),
            size_text(row.peak_memory_bytes),
            time_range_text(row.latency_p50_s, row.latency_interval_s),
        )
        for row in target.ledger
    )
    headers = ("rung", "verdict", "parameters", "int8 size", "memory (predicted)", "p50 (predicted)")
    return Table(headers, rows, words=2)


def frontier(target: TargetReport) -> Table:
    """Return the trials of the search; macro-F1 where they were ranked by it."""
    by_macro_f1 = any(row.metric == "macro_f1" for row in target.frontier)
    rows = tuple(
        (
            str(row.trial), row.rung, _verdict_of(row, has_goals=bool(target.goals)), row.finding, size_text(row.int8_bytes),
            time_text(row.latency_p50_s), *(_share_or_unknown(x) for x in (row.float_accuracy, row.int8_accuracy)),
            share_text(row.teacher_accuracy),
            *(_share_or_unknown(x) for x in ((row.int8_macro_f1, row.teacher_macro_f1) if by_macro_f1 else ())),
            f"{row.temperature:g}", f"{row.alpha:g}", f"{row.learning_rate:g}",
            str(row.batch_size), UNKNOWN if row.rows_seen is None else str(row.rows_seen), str(row.transfer_rows),
        )
        for row in target.frontier
    )
    headers = ("trial", "rung", "verdict", "finding", "int8 size", "p50 (predicted)", "float accuracy", "int8 accuracy",
               "teacher's", *(("int8 macro-F1", "teacher's macro-F1") if by_macro_f1 else ()), "temperature", "alpha",
               "learning rate", "batch", "rows seen at most", "transfer rows")
    return Table(headers, rows, words=4)


def _share_or_unknown(value: float | None) -> str:
    return UNKNOWN if value is None else share_text(value)


def _verdict_of(row: FrontierRow, *, has_goals: bool) -> str:
    verdict = "given up" if row.is_pruned else "diverged" if row.int8_accuracy is None else (
        "keeps the goal by chance" if row.is_kept_by_chance else finding_of(row, has_goals=has_goals)
    )
    place = "" if row.run is None else f" (made in {row.run})"
    return f"{'chosen, ' if row.is_chosen else ''}{verdict}{place}"


def memory(target: TargetReport) -> Table:
    """Return the peak memory of every variant that was measured."""
    rows = tuple(
        (name, rss.source, size_text(rss.value - rss.baseline), size_text(rss.baseline), size_text(rss.value))
        for name, variant in target.variants.items()
        if (rss := variant.peak_rss_bytes) is not None
    )
    return Table(("variant", "source", "over the runtime", "bare runtime", "peak RSS"), rows, words=2)


def curves(target: TargetReport) -> Table:
    """Return the course of every training."""
    rows = tuple((name, *_point_row(point)) for name, points in target.curves.items() for point in points)
    return Table(("training", "step", "loss", "validation loss", "validation accuracy"), rows)


def _point_row(point: TrainingPoint) -> tuple[str, ...]:
    accuracy = point.validation_accuracy
    losses = (UNKNOWN if x is None else f"{x:.4f}" for x in (point.loss, point.validation_loss))
    return (str(point.step), *losses, UNKNOWN if accuracy is None else share_text(accuracy))


def student_losses(target: TargetReport) -> Table:
    """Return the hard and the soft loss of the student's training."""
    rows = tuple(
        (str(point.step), *(UNKNOWN if x is None else f"{x:.4f}" for x in (
            point.hard_loss, point.soft_loss, point.validation_hard_loss, point.validation_soft_loss)))
        for point in target.curves.get("student", ())
    )
    return Table(("step", "hard, training", "soft, training", "hard, validation", "soft, validation"), rows)


def decisions(report: RunReport) -> Table:
    """Return what was decided during the run, and why."""
    return Table(("step", "what", "why"), tuple((d.step, d.what, d.why) for d in report.decisions), words=3)


def steps(report: RunReport) -> Table:
    """Return how long the steps took, in the run that did them: a run that finds them done keeps its report to the byte."""
    return Table(("step", "took, when it was done"), tuple((s.step, f"{s.duration_s:.1f} s") for s in report.steps))


def environment(report: RunReport) -> Table:
    """Return the host and the tools."""
    host = report.host
    rows = (
        ("CPU", host.cpu),
        ("system", f"{host.system} {host.architecture}, Python {host.python}"),
        ("cores", str(host.cores)),
        ("instruction sets", ", ".join(host.features) or UNKNOWN),
        ("memory", size_text(host.ram_bytes)),
        *report.tools.items(),
    )
    return Table(("what", "value"), rows, words=2)


def data(report: RunReport) -> Table:
    """Return the data report, flattened: dotted keys, long lists counted."""
    return Table(("what", "value"), tuple(_flatten("", report.data or {})), words=2)


def _flatten(prefix: str, value: object) -> list[tuple[str, str]]:
    if isinstance(value, dict) and len(value) <= _MOST_ENTRIES:
        return [row for key, inner in value.items() for row in _flatten(f"{prefix}.{key}" if prefix else key, inner)]
    if isinstance(value, dict):
        return [(prefix, f"{len(value)} entries")]
    if isinstance(value, list | tuple):
        is_short = len(value) <= _MOST_ENTRIES and not any(isinstance(item, dict | list) for item in value)
        return [(prefix, (", ".join(map(str, value)) or "none") if is_short else f"{len(value)} entries")]
    return [(prefix, UNKNOWN if value is None else str(value))]


def gain(target: TargetReport) -> Table:
    """Return the student with and without the teacher; no rows when there was no baseline."""
    found = target.distillation_gain
    if found is None:
        return Table(("student", "accuracy"), ())
    points = found.difference
    return Table(
        ("student", "accuracy"),
        (
            (f"with the teacher{_seen(found.student_rows_seen)}", share_text(found.student_accuracy)),
            (f"without{_seen(found.student_no_kd_rows_seen)}", share_text(found.student_no_kd_accuracy)),
            ("difference", f"{points.value * 100:+.1f} points ({points.low * 100:+.1f} to {points.high * 100:+.1f})"),
            ("McNemar", p_text(found.mcnemar.p_value)),
        ),
    )


def _seen(rows: int | None) -> str:
    return "" if rows is None else f", {rows:,} rows seen"
