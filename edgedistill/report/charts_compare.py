"""The charts of a comparison: what differs and whether it is real, accuracy over size and latency, the students' training.

A difference that is real is filled; one that cannot be told from chance is open and grey.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from markupsafe import escape

from edgedistill.report import compare_text
from edgedistill.report.compare import ComparedVariant, Comparison, Difference, Finding
from edgedistill.report.figure import (
    COLOURS,
    MIB,
    NEUTRAL,
    Chart,
    NoChart,
    error_bar,
    figure_json,
    lay_out,
    log_axis,
    mark,
    share_axis,
)
from edgedistill.report.model import RunReport
from edgedistill.report.tables import Table
from edgedistill.report.wording import share_text, size_text, time_text
from edgedistill.results import TrainingPoint

_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "star", "pentagon", "hexagram", "cross")
_ROW_PX = 34
_NAME_CHARACTERS = 24
_REAL, _UNSURE = COLOURS["student_int8"], NEUTRAL


@dataclass(frozen=True)
class _Curve:
    """One figure of a training, by run."""

    title: str
    attribute: str
    axis: dict[str, object]
    description: str


def of_comparison(comparison: Comparison, reports: Mapping[str, RunReport]) -> dict[str, Chart | NoChart]:
    """Return the charts by the name that the page knows them by."""
    return {
        "accuracies": accuracy_differences(comparison),
        "latencies": latency_ratios(comparison),
        "size": accuracy_over(comparison, "size"),
        "latency": accuracy_over(comparison, "latency"),
        "validation": training_curve(reports, "accuracy"),
        "hard": training_curve(reports, "hard loss"),
    }


def accuracy_differences(comparison: Comparison) -> Chart | NoChart:
    """Return the differences of accuracy in points, with their intervals."""
    title = "Accuracy against the reference"
    rows = [d for d in comparison.differences if d.metric in ("accuracy", "retention")]
    return _forest(comparison, rows, title, "points", lambda d: [100 * x for x in _points(d)])


def latency_ratios(comparison: Comparison) -> Chart | NoChart:
    """Return how many times the reference's p50 every p50 is, with intervals."""
    title = "Latency against the reference"
    rows = [d for d in comparison.differences if d.metric == "latency_p50_s" and d.finding != "not comparable"]
    return _forest(comparison, rows, title, "p50 measured on the host, reference = 1", _times)


def _points(difference: Difference) -> list[float]:
    value, effect = difference.value - difference.reference, difference.effect
    return [value, value, value] if effect is None else [effect.low, value, effect.high]


def _times(difference: Difference) -> list[float]:
    value, effect = difference.value / difference.reference, difference.effect
    return [value, value, value] if effect is None else [effect.low, value, effect.high]


def _forest(
    comparison: Comparison, rows: list[Difference], title: str, unit: str, limits: Callable[[Difference], list[float]]
) -> Chart | NoChart:
    if not rows:
        return NoChart(title, "Nothing here can be compared: the figures were not measured, or not on the same machine.")
    rows = [d for d in rows if d.finding != "same"]
    if not rows:
        return NoChart(title, "All figures are equal.")
    figure, short = go.Figure(), short_names(comparison.runs)
    groups: tuple[tuple[str, str, bool, tuple[Finding, ...]], ...] = (
        ("real", _REAL, True, ("real",)), ("not separable from chance", _UNSURE, False, ("cannot separate",)),
    )
    for name, colour, is_filled, findings in groups:
        for is_first, d in _numbered(d for d in rows if d.finding in findings):
            (low, value, high), row = limits(d), _row_name(d, short)
            figure.add_scatter(
                x=[value], y=[row], name=name, legendgroup=name, showlegend=is_first, mode="markers",
                marker={"color": colour, "symbol": "diamond" if is_filled else "diamond-open", "size": 12, "line": {"width": 2}},
                error_x=error_bar(value, low, high, colour), hoverinfo="text",
                hovertext=f"{row}<br>{value:+.2f} ({low:+.2f} to {high:+.2f}) {unit}<br>{d.finding}: {escape(d.why)}",
            )
    centre = 0.0 if unit == "points" else 1.0
    figure.add_vline(x=centre, line={"color": NEUTRAL, "width": 1.5, "dash": "dash"})
    names = list(dict.fromkeys(_row_name(d, short) for d in rows))
    lay_out(figure, x={"title": {"text": unit}}, y={
        "type": "category", "automargin": True, "categoryorder": "array", "categoryarray": names[::-1]})
    return Chart(title, figure_json(figure), "Filled: a real difference; open and grey: it cannot be told from chance. "
                 "Lines are 95 % intervals; the dashed line is the reference.", compare_text.differences_table(comparison),
                 130 + _ROW_PX * len(names))


def _numbered(rows: Iterator[Difference]) -> Iterator[tuple[bool, Difference]]:
    for place, row in enumerate(rows):
        yield place == 0, row


def _row_name(difference: Difference, short: Mapping[str, str]) -> str:
    what = "retention" if difference.metric == "retention" else difference.variant
    return f"{escape(what)}, {escape(difference.target)}<br>{escape(short[difference.run])}"


def short_names(runs: Sequence[str]) -> dict[str, str]:
    """Return the end of each run's path that fits beside a chart; more of all of them where two would look alike."""
    for characters in range(_NAME_CHARACTERS, max(map(len, runs), default=0)):
        short = {run: run if len(run) <= characters else f"…{run[-characters:]}" for run in runs}
        if len(set(short.values())) == len(short):
            return short
    return {run: run for run in runs}


def accuracy_over(comparison: Comparison, what: str) -> Chart | NoChart:
    """Return every variant of every run: test accuracy over its size, or over its measured p50 (`what`: size, latency)."""
    def place(row: ComparedVariant) -> float | None:
        return row.size_bytes / MIB if what == "size" else None if row.latency_p50_s is None else row.latency_p50_s * 1e3

    rows = [row for row in comparison.figures if place(row) is not None]
    title = f"Accuracy over {what}, all runs"
    if not rows:
        return NoChart(title, "No run was timed.")
    figure, short = go.Figure(), short_names(comparison.runs)
    for index, run in enumerate(comparison.runs):
        own = [row for row in rows if row.run == run]
        if not own:
            continue
        colour = _colour(index)
        figure.add_scatter(
            x=[place(row) for row in own], y=[row.accuracy for row in own], name=str(escape(short[run])), mode="markers",
            marker=mark(colour, _SYMBOLS[index % len(_SYMBOLS)], 12), hoverinfo="text",
            hovertext=[_figure_text(row) for row in own],
            error_y={"type": "data", "symmetric": False, "color": colour, "thickness": 1.2, "width": 4,
                     "array": [row.accuracy_ci95[1] - row.accuracy for row in own],
                     "arrayminus": [row.accuracy - row.accuracy_ci95[0] for row in own]},
        )
    axis = log_axis("model size, MiB" if what == "size" else "latency p50 measured on each run's host, ms",
                    [place(row) or 0.0 for row in rows])
    lay_out(figure, x=axis, y=share_axis("test accuracy", [x for row in rows for x in row.accuracy_ci95]))
    return Chart(title, figure_json(figure), "One mark a variant, one colour and shape a run; lines are 95 % intervals.",
                 compare_text.figures_table(comparison), 340)


def _figure_text(row: ComparedVariant) -> str:
    timed = "" if row.latency_p50_s is None else f", p50 {time_text(row.latency_p50_s)}"
    return (f"{escape(row.run)}<br>{row.variant}, {escape(row.target)}<br>{size_text(row.size_bytes)}{timed}<br>accuracy "
            f"{share_text(row.accuracy)} ({share_text(row.accuracy_ci95[0])} to {share_text(row.accuracy_ci95[1])})")


_CURVES = {
    "accuracy": _Curve("Validation accuracy of the student", "validation_accuracy",
                       {"title": {"text": "validation accuracy"}, "tickformat": ".0%"}, "By run, over the steps."),
    "hard loss": _Curve("Hard loss of the student on validation", "validation_hard_loss",
                        {"title": {"text": "cross-entropy"}, "rangemode": "tozero"},
                        "Cross-entropy with the labels of validation over steps: the loss that all runs have in common."),
}


def training_curve(reports: Mapping[str, RunReport], which: str) -> Chart | NoChart:
    """Return a figure of the student's training over steps, by run and target (`which`: accuracy, hard loss)."""
    wanted = _CURVES[which]
    figure, rows, short = go.Figure(), [], short_names(tuple(reports))
    for index, (run, report) in enumerate(reports.items()):
        for target_id, target in report.targets.items():
            known = _known(target.curves.get("student", ()), wanted.attribute)
            if known:
                name = short[run] if len(report.targets) == 1 else f"{short[run]}, {target_id}"
                figure.add_scatter(x=[s for s, _ in known], y=[v for _, v in known], mode="lines+markers",
                                   name=str(escape(name)), line={"color": _colour(index), "width": 2}, marker={"size": 5})
                rows += [(run, target_id, str(step), f"{value:.4f}") for step, value in known]
    if not rows:
        return NoChart(wanted.title, "No training log of these runs has it.")
    lay_out(figure, x={"title": {"text": "step"}, "rangemode": "tozero"}, y=wanted.axis)
    table = Table(("run", "target", "step", which), tuple(rows), words=2)
    return Chart(wanted.title, figure_json(figure), wanted.description, table)


def _known(points: tuple[TrainingPoint, ...], attribute: str) -> list[tuple[int, float]]:
    found = ((point.step, getattr(point, attribute)) for point in points)
    return [(step, value) for step, value in found if value is not None]


def _colour(index: int) -> str:
    return list(COLOURS.values())[(index * 5 + 3) % len(COLOURS)]
