"""The charts of the variants: accuracy, latency, reliability.

Measured, emulated and predicted never look alike: measured is filled, emulated is an open square with a dashed
interval, predicted is an open diamond with a dotted interval.
"""

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from markupsafe import escape

from edgedistill.report import tables, tables_answers
from edgedistill.report.figure import (
    COLOURS,
    MIB,
    NEUTRAL,
    Chart,
    add_limit,
    error_bar,
    figure_json,
    lay_out,
    log_axis,
    mark,
    range_of,
    share_axis,
)
from edgedistill.report.model import HostLatency, TargetLatency, TargetReport
from edgedistill.report.wording import has_several_labels, share_text, size_text, time_text
from edgedistill.results import Source, Variant

_SYMBOLS = {
    "teacher": "star", "teacher_int8": "square", "student_no_kd": "x", "student": "circle",
    "student_onnx": "triangle-up", "student_int8": "diamond", "student_int8_aware": "pentagon",
    "student_int8_post_training": "triangle-down",
}
_SIZES = {"teacher": 14, "student": 15, "student_int8": 14}
_OPEN: dict[Source, tuple[str, str]] = {
    "measured": ("circle", "solid"), "emulated": ("square-open", "dash"), "predicted": ("diamond-open", "dot"),
}
_FOOT = 0.04
"""Where the ticks of untrained shapes stand, as a share of the axis."""


def accuracy_over_size(target: TargetReport) -> Chart:
    """Return every variant's accuracy over its size, the shapes considered as ticks, and the size budget."""
    figure = go.Figure()
    for name, variant in target.variants.items():
        low, high = variant.accuracy_ci95
        figure.add_scatter(
            x=[variant.size_bytes / MIB], y=[variant.accuracy], name=name, mode="markers", marker=_marker(name),
            error_y=error_bar(variant.accuracy, low, high, COLOURS[name]),
            hovertemplate=f"{name}<br>{size_text(variant.size_bytes)}<br>accuracy {share_text(variant.accuracy)} "
                          f"({share_text(low)} to {share_text(high)})<extra></extra>",
        )
    axis = _accuracy_axis(target)
    _add_considered(figure, target, [row.int8_bytes / MIB for row in target.ledger], axis)
    sizes = [v.size_bytes / MIB for v in target.variants.values()] + [row.int8_bytes / MIB for row in target.ledger]
    sizes += _add_limit(figure, target, "model_bytes", 1 / MIB, "size budget")
    lay_out(figure, x=log_axis("model size, MiB", sizes), y=axis)
    return Chart("Accuracy over size", figure_json(figure), "Test accuracy of every variant over its size. Ticks at the foot "
                 "are student shapes that were considered and not trained.", tables.variants(target), 340)


def accuracy_over_latency(target: TargetReport) -> Chart:
    """Return every variant's accuracy over its p50, on the host and on the target."""
    figure = go.Figure()
    times: list[float] = []
    for name, variant in target.variants.items():
        host, there = variant.latency.host, variant.latency.target
        if host is not None:
            times.append(host.p50_s * 1e3)
            figure.add_scatter(
                x=[host.p50_s * 1e3], y=[variant.accuracy], name=f"{name}, host (measured)", mode="markers", marker=_marker(name),
                error_x=_latency_interval(host, name),
                error_y=error_bar(variant.accuracy, *variant.accuracy_ci95, COLOURS[name]),
                hovertemplate=f"{name}<br>p50 {time_text(host.p50_s)}, measured on the host<br>accuracy "
                              f"{share_text(variant.accuracy)}<extra></extra>",
            )
        if there is not None:
            times += [s * 1e3 for s in there.interval_s]
            _add_on_target(figure, there, name, variant.accuracy, f"{name}, target ({there.source})")
    axis = _accuracy_axis(target)
    considered = [row.latency_p50_s * 1e3 for row in target.ledger]
    _add_considered(figure, target, considered, axis)
    times += considered + _add_limit(figure, target, "latency_p50_s", 1e3, "latency budget, target")
    lay_out(figure, x=log_axis("latency p50, ms", times), y=axis)
    return Chart("Accuracy over latency", figure_json(figure), "Test accuracy of every variant over its median latency. "
                 "Filled marks are measured on the host, open marks are emulated or predicted for the target.",
                 tables.latencies(target), 340)


def latency_distributions(target: TargetReport) -> Chart:
    """Return the spread of every variant's latency: boxes where measured, an open mark with its interval where not."""
    figure = go.Figure()
    times: list[float] = []
    for name, variant in target.variants.items():
        host, there = variant.latency.host, variant.latency.target
        if host is not None and host.quantiles_s:
            _add_box(figure, host, name)
            times += [host.quantiles_s[1] * 1e3, host.quantiles_s[-2] * 1e3]
        if there is not None:
            _add_on_target(figure, there, name, f"{name}<br>target, {there.source}", there.source)
            times += [s * 1e3 for s in there.interval_s]
    rows = len(figure.data)
    lay_out(figure, x=log_axis("latency, ms", times),
            y={"autorange": "reversed", "automargin": True, "type": "category"})
    figure.update_layout(showlegend=False)
    return Chart("Latency by variant", figure_json(figure), "Boxes: measured on the host, 25th to 75th percentile; "
                 "whiskers at the 5th and 95th. Open marks with a dotted or dashed line: predicted or emulated for "
                 "the target.", tables.latencies(target), 120 + 46 * max(rows, 2))


def reliability(target: TargetReport) -> Chart:
    """Return how often the teacher and the int8 student are right over how sure they are."""
    figure = go.Figure()
    is_by_label = has_several_labels(target)
    unit, x_title = ("answers", "mean probability of the yes or no") if is_by_label else ("rows", "mean top probability")
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="as sure as right", hoverinfo="skip",
                       line={"color": NEUTRAL, "dash": "dash", "width": 1})
    both: tuple[Variant, ...] = ("teacher", "student_int8")
    for name in both:
        bins = target.reliability[name]
        most = max((b.n for b in bins), default=1)
        figure.add_scatter(
            x=[b.confidence for b in bins], y=[b.accuracy for b in bins], name=_with_error(target, name), mode="lines+markers",
            line={"color": COLOURS[name], "width": 1.5},
            marker={"color": COLOURS[name], "size": [6 + 12 * math.sqrt(b.n / most) for b in bins], "opacity": 0.85},
            hovertext=[
                f"{name}: {b.n} {unit}, sure {share_text(b.confidence)}, right {share_text(b.accuracy)}" for b in bins
            ],
            hoverinfo="text", cliponaxis=False,
        )
    axis: dict[str, object] = {"range": [-0.04, 1.04], "tickformat": ".0%"}
    lay_out(figure, x={"title": {"text": x_title}} | axis, y={"title": {"text": "share right"}} | axis)
    return Chart("Reliability", figure_json(figure), "Share of right answers over the probability that the model gives its "
                 "answer; on the dashed line a model is right as often as it is sure, below it it is too sure. Larger marks: "
                 f"more {unit}. The calibration error is the mean distance from the line (Guo et al. 2017)."
                 + (" An answer is the yes or no to one label of one text." if is_by_label else ""),
                 tables_answers.reliabilities(target))


def _with_error(target: TargetReport, name: Variant) -> str:
    return f"{name}, calibration error {share_text(target.variants[name].calibration_error.value)}"


def _marker(name: str) -> dict[str, object]:
    return mark(COLOURS[name], _SYMBOLS[name], _SIZES.get(name, 11))


def _latency_interval(host: HostLatency, name: str) -> dict[str, object] | None:
    if host.p50_interval_s is None:
        return None
    low, high = host.p50_interval_s
    return error_bar(host.p50_s * 1e3, low * 1e3, high * 1e3, COLOURS[name])


def _add_box(figure: go.Figure, host: HostLatency, name: str) -> None:
    """Add a box from the stored quantiles: 5, 25, 50, 75 and 95 percent."""
    low, q1, middle, q3, high = (host.quantiles_s[place] * 1e3 for place in (1, 5, 10, 15, 19))
    figure.add_box(
        y=[f"{name}<br>host, measured"], q1=[q1], median=[middle], q3=[q3], lowerfence=[low], upperfence=[high],
        orientation="h", name=name,
        marker={"color": COLOURS[name]}, line={"width": 2}, width=0.6,
    )


def _add_on_target(figure: go.Figure, there: TargetLatency, name: str, y: object, label: str) -> None:
    """Add a mark with its interval in the looks of its source."""
    symbol, dash = _OPEN[there.source]
    low, high = (s * 1e3 for s in there.interval_s)
    figure.add_scatter(
        x=[low, there.p50_s * 1e3, high], y=[y, y, y], name=label, mode="lines+markers",
        line={"color": COLOURS[name], "dash": dash, "width": 2},
        marker={"color": COLOURS[name], "symbol": ["line-ns-open", symbol, "line-ns-open"], "size": [9, 13, 9],
                "line": {"width": 2, "color": COLOURS[name]}},
        hovertemplate=f"{name} on the target<br>{there.source}: %{{x:.2f}} ms<extra></extra>",
    )


def _add_considered(figure: go.Figure, target: TargetReport, x: Sequence[float], axis: dict[str, object]) -> None:
    """Add a tick at the foot for every shape that was considered and not trained: its accuracy is unknown."""
    floor, ceiling = range_of(axis)
    foot = floor + _FOOT * (ceiling - floor)
    tried = {row.rung for row in target.frontier}
    places = [(place, row) for place, row in zip(x, target.ledger, strict=True)
              if not row.is_chosen and row.rung not in tried]
    if not places:
        return
    figure.add_scatter(
        x=[place for place, _ in places], y=[foot] * len(places), mode="markers", name="considered, not trained",
        marker={"symbol": "line-ns-open", "size": 16, "color": NEUTRAL, "line": {"width": 2, "color": NEUTRAL}},
        hoverinfo="text",
        hovertext=[
            f"{escape(row.rung)} (not trained)<br>{escape(row.rejected_because or 'fits')}"
            for _, row in places
        ],
    )


def _add_limit(figure: go.Figure, target: TargetReport, budget: str, scale: float, text: str) -> list[float]:
    """Draw a budget as a vertical line; return where, for the range of the axis."""
    limits = [b.limit * scale for b in target.budgets if b.name == budget]
    for limit in limits:
        add_limit(figure, limit, text)
    return limits


def _accuracy_axis(target: TargetReport) -> dict[str, object]:
    return share_axis("test accuracy", [x for v in target.variants.values() for x in v.accuracy_ci95])
