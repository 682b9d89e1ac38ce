"""The tables of report.md in which every cost carries a mark that says how it is known. Plain text in cells."""

from edgedistill.report.model import HostLatency, RunReport, TargetLatency, TargetReport, VariantReport
from edgedistill.report.tables import UNKNOWN, Table, answer_cells, answer_headers, kept_text
from edgedistill.report.wording import (
    BUDGET_NAMES,
    apart_text,
    is_kept_known,
    memory_place,
    range_text,
    size_text,
    speed_doubts,
    time_range_text,
    time_text,
    times_text,
    used_text,
)
from edgedistill.results import Source

MARKS: dict[Source, str] = {"measured": "■", "emulated": "▨", "predicted": "◇"}
LEGEND = "■ measured, ▨ emulated, ◇ predicted. Sizes, accuracies and agreements are all measured, on the test rows."


def marked(text: str, source: Source) -> str:
    """Return a figure with the mark and the word of its source."""
    return f"{text} {MARKS[source]} {source}"


def headlines(report: RunReport) -> Table:
    """Return a row for each target: the verdict and the five numbers in short."""
    rows = tuple(
        (target.name, target.verdict, size_text(target.headline.size_bytes),
         UNKNOWN if target.headline.speed_ratio is None else times_text(target.headline.speed_ratio.value) + speed_doubts(target),
         kept_text(target),
         UNKNOWN if target.headline.memory_bytes is None else size_text(target.headline.memory_bytes),
         "yes" if target.headline.fits else "no")
        for target in report.targets.values()
    )
    return Table(("target", "verdict", "size", "speed here", "accuracy kept", "memory", "fits?"), rows, words=2)


def headline(target: TargetReport) -> Table:
    """Return the five numbers, each with its interval and how it is known."""
    figures = target.headline
    ratio = figures.size_ratio
    smaller = f"{times_text(ratio)} smaller" if ratio >= 1 else f"{times_text(1 / ratio)} bigger"
    met = sum(budget.met for budget in target.budgets)
    rows = (
        ("size", size_text(figures.size_bytes), f"{smaller} than the teacher"),
        ("speed", *_speed(target)),
        ("accuracy kept", kept_text(target), _kept(target)),
        ("memory", *_memory(target)),
        ("fits?", "yes" if figures.fits else "no", f"{met} of {len(target.budgets)} budgets met"),
    )
    return Table(("", target.name, ""), rows, words=3)


def _kept(target: TargetReport) -> str:
    if not is_kept_known(target):
        return "not known: the teacher is right on no test row"
    kept = target.headline.retention
    return f"of the teacher's; 95 % interval {range_text((kept.low, kept.high))} %; ■ measured on the same test rows"


def _speed(target: TargetReport) -> tuple[str, str]:
    figures = target.headline
    there = "" if figures.target_p50_s is None or figures.target_p50_source is None else (
        f"; on the target p50 {marked(time_text(figures.target_p50_s), figures.target_p50_source)}"
    )
    ratio = figures.speed_ratio
    if ratio is None:
        return UNKNOWN, f"not measured{there}"
    return (times_text(ratio.value), f"the teacher's speed; 95 % interval {times_text(ratio.low)} to {times_text(ratio.high)}; "
            f"{MARKS['measured']} measured on the host{speed_doubts(target)}{there}")


def _memory(target: TargetReport) -> tuple[str, str]:
    figures = target.headline
    if figures.memory_bytes is None or figures.memory_source is None:
        return UNKNOWN, "not measured"
    return size_text(figures.memory_bytes), (
        f"over the bare runtime; {MARKS[figures.memory_source]} {figures.memory_source} on the {memory_place(target)}"
    )


def budgets(target: TargetReport) -> Table:
    """Return the target's budgets against what the int8 student costs, and why each limit is what it is."""
    rows = tuple(
        (BUDGET_NAMES[b.name], "met" if b.met else "missed", b.why or UNKNOWN, marked(value, b.source), limit,
         used_text(b.value, b.limit))
        for b in target.budgets
        for value, limit in [apart_text(b.value, b.limit, b.unit)]
    )
    return Table(("budget", "verdict", "why the limit", "value", "limit", "used"), rows, words=3)


def variants(target: TargetReport) -> Table:
    """Return the variants with their intervals; every cost is marked."""
    headers = (*answer_headers(target, "(95 %)"), "p50 host (95 %)", "p90 host", "p50 on the target (interval)",
               "memory over runtime")
    return Table(headers, tuple(_variant_row(name, variant) for name, variant in target.variants.items()))


def _variant_row(name: str, variant: VariantReport) -> tuple[str, ...]:
    host, there, memory = variant.latency.host, variant.latency.target, variant.peak_rss_bytes
    return (
        *answer_cells(name, variant),
        UNKNOWN if host is None else _host_p50(host),
        UNKNOWN if host is None else f"{time_text(host.p90_s)} {MARKS['measured']}",
        UNKNOWN if there is None else _target_p50(there),
        UNKNOWN if memory is None else f"{size_text(memory.value - memory.baseline)} {MARKS[memory.source]}",
    )


def _host_p50(host: HostLatency) -> str:
    noisy = ", noisy" if host.noisy else ""
    return f"{time_range_text(host.p50_s, host.p50_interval_s)} {MARKS['measured']}{noisy}"


def _target_p50(there: TargetLatency) -> str:
    return f"{time_range_text(there.p50_s, there.interval_s)} {MARKS[there.source]}"
