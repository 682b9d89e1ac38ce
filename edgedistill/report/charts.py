"""The report's charts, as plotly figures: the only file that knows plotly. The page sets the colours of ink and paper.

Measured, emulated and predicted never look alike: measured is filled, emulated is an open square with a dashed
interval, predicted is an open diamond with a dotted interval.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
import plotly.offline
from markupsafe import escape

from edgedistill.report import tables
from edgedistill.report.model import HostLatency, TargetLatency, TargetReport
from edgedistill.report.tables import Table
from edgedistill.report.wording import share_text, size_text, time_text
from edgedistill.results import FrontierRow, Source, TrainingPoint

COLOURS = {
    "teacher": "#7a6fd0",
    "teacher_int8": "#b0529f",
    "student_no_kd": "#a8711a",
    "student": "#2f7fd6",
    "student_onnx": "#16868e",
    "student_int8": "#d1492e",
}
"""Each at least 3:1 against the page's white and its near-black (WCAG 2.2, 1.4.11)."""

NEUTRAL = "#7b8794"
_SYMBOLS = {
    "teacher": "star", "teacher_int8": "square", "student_no_kd": "x", "student": "circle",
    "student_onnx": "triangle-up", "student_int8": "diamond",
}
_SIZES = {"teacher": 14, "student": 15, "student_int8": 14}
_OPEN: dict[Source, tuple[str, str]] = {
    "measured": ("circle", "solid"), "emulated": ("square-open", "dash"), "predicted": ("diamond-open", "dot"),
}
_STEPS_AXIS: dict[str, object] = {"title": {"text": "step"}, "rangemode": "tozero"}
_FOOT = 0.04
"""Where the ticks of untrained shapes stand, as a share of the axis."""

_MIB = 2**20


@dataclass(frozen=True)
class Chart:
    """A figure with what stands in for it where it cannot be seen.

    Attributes:
        title: what it shows.
        figure_json: for Plotly.newPlot: {"data": ..., "layout": ...}.
        description: one sentence for a screen reader.
        table: the same figures.
        height_px: how tall it is drawn, without its legend.
    """

    title: str
    figure_json: str
    description: str
    table: Table
    height_px: int = 320


def library_source() -> str:
    """Return plotly.js, to be embedded once in a page (4.8 MB)."""
    return str(plotly.offline.get_plotlyjs())


def accuracy_over_size(target: TargetReport) -> Chart:
    """Return every variant's accuracy over its size, the shapes considered as ticks, and the size budget."""
    figure = go.Figure()
    for name, variant in target.variants.items():
        low, high = variant.accuracy_ci95
        figure.add_scatter(
            x=[variant.size_bytes / _MIB], y=[variant.accuracy], name=name, mode="markers", marker=_marker(name),
            error_y=_error(variant.accuracy, low, high, COLOURS[name]),
            hovertemplate=f"{name}<br>{size_text(variant.size_bytes)}<br>accuracy {share_text(variant.accuracy)} "
                          f"({share_text(low)} to {share_text(high)})<extra></extra>",
        )
    floor, ceiling = _accuracy_range(target)
    _add_considered(figure, target, [row.int8_bytes / _MIB for row in target.ledger], (floor, ceiling))
    sizes = [v.size_bytes / _MIB for v in target.variants.values()] + [row.int8_bytes / _MIB for row in target.ledger]
    sizes += _add_limit(figure, target, "model_bytes", 1 / _MIB, "size budget")
    _lay_out(figure, x=_log_axis("model size, MiB", sizes), y=_accuracy_axis(floor, ceiling))
    return Chart("Accuracy over size", _json(figure), "Test accuracy of every variant over its size. Ticks at the foot "
                 "are student shapes that were considered and not trained.", tables.variants(target), 340)


def frontier(target: TargetReport) -> Chart:
    """Return the int8 accuracy of every trial on validation over its bytes, the teacher's as a line, the size budget."""
    figure = go.Figure()
    sizes = [row.int8_bytes / _MIB for row in target.frontier]
    accuracies = [row.teacher_accuracy for row in target.frontier]
    for name, colour, symbol, belongs in _FRONTIER_MARKS:
        rows = [row for row in target.frontier if row.int8_accuracy is not None and belongs(row)]
        accuracies += [row.int8_accuracy or 0.0 for row in rows]
        if rows:
            figure.add_scatter(
                x=[row.int8_bytes / _MIB for row in rows], y=[row.int8_accuracy for row in rows], name=name, mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 12, "line": {"color": "#ffffff", "width": 1}},
                hoverinfo="text", hovertext=[_trial_text(row) for row in rows],
            )
    figure.add_hline(y=target.frontier[0].teacher_accuracy, line={"color": COLOURS["teacher"], "dash": "dash", "width": 1.5},
                     annotation={"text": "teacher", "font": {"size": 11}})
    sizes += _add_limit(figure, target, "model_bytes", 1 / _MIB, "size budget")
    margin = max((max(accuracies) - min(accuracies)) * 0.12, 0.005)
    floor, ceiling = max(0.0, min(accuracies) - margin), min(1.0, max(accuracies) + margin)
    axis = _accuracy_axis(floor, ceiling) | {"title": {"text": "validation accuracy, int8"}}
    _lay_out(figure, x=_log_axis("int8 model size, MiB", sizes), y=axis)
    return Chart("Students tried", _json(figure), "Validation accuracy of every int8 student that was trained, over its "
                 "size. The star is the one that was taken; the dashed line is the teacher.", tables.frontier(target), 340)


def _trial_text(row: FrontierRow) -> str:
    return (f"trial {row.trial}: {escape(row.rung)}<br>{size_text(row.int8_bytes)}, accuracy "
            f"{share_text(row.int8_accuracy or 0.0)}<br>{escape(row.finding)}")


_FRONTIER_MARKS: tuple[tuple[str, str, str, Callable[[FrontierRow], bool]], ...] = (
    ("misses the goal", COLOURS["student_no_kd"], "x", lambda row: not row.met_goal and not row.is_chosen),
    ("keeps the goal", COLOURS["student"], "circle", lambda row: row.met_goal and not row.is_chosen),
    ("chosen", COLOURS["student_int8"], "star", lambda row: row.is_chosen),
)


def accuracy_over_latency(target: TargetReport) -> Chart:
    """Return every variant's accuracy over its p50, on the host and on the target."""
    figure = go.Figure()
    times: list[float] = []
    for name, variant in target.variants.items():
        host, there = variant.latency.host, variant.latency.target
        if host is not None:
            times.append(host.p50_s * 1e3)
            figure.add_scatter(
                x=[host.p50_s * 1e3], y=[variant.accuracy], name=f"{name}, host", mode="markers", marker=_marker(name),
                error_x=_latency_error(host, name),
                error_y=_error(variant.accuracy, *variant.accuracy_ci95, COLOURS[name]),
                hovertemplate=f"{name}<br>p50 {time_text(host.p50_s)}, measured on the host<br>accuracy "
                              f"{share_text(variant.accuracy)}<extra></extra>",
            )
        if there is not None:
            times += [s * 1e3 for s in there.interval_s]
            _add_on_target(figure, there, name, variant.accuracy, f"{name}, target ({there.source})")
    floor, ceiling = _accuracy_range(target)
    considered = [row.latency_p50_s * 1e3 for row in target.ledger]
    _add_considered(figure, target, considered, (floor, ceiling))
    times += considered + _add_limit(figure, target, "latency_p50_s", 1e3, "latency budget, target")
    _lay_out(figure, x=_log_axis("latency p50, ms", times), y=_accuracy_axis(floor, ceiling))
    return Chart("Accuracy over latency", _json(figure), "Test accuracy of every variant over its median latency. "
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
    _lay_out(figure, x=_log_axis("latency, ms", times),
             y={"autorange": "reversed", "automargin": True, "type": "category"})
    figure.update_layout(showlegend=False)
    return Chart("Latency by variant", _json(figure), "Boxes: measured on the host, 25th to 75th percentile; "
                 "whiskers at the 5th and 95th. Open marks with a dotted or dashed line: predicted or emulated for "
                 "the target.", tables.latencies(target), 120 + 46 * max(rows, 2))


def training_loss(target: TargetReport) -> Chart:
    """Return training and validation loss over steps, by training."""
    figure = go.Figure()
    for index, (name, points) in enumerate(target.curves.items()):
        colour = _training_colour(name, index)
        _add_curve(figure, points, "loss", f"{name}, training", {"color": colour, "width": 2})
        dashed = {"color": colour, "width": 2, "dash": "dash"}
        _add_curve(figure, points, "validation_loss", f"{name}, validation", dashed)
    _lay_out(figure, x=_STEPS_AXIS, y={"title": {"text": "loss"}, "rangemode": "tozero"})
    return Chart("Loss during training", _json(figure), "Loss over training steps; solid is training, dashed is "
                 "validation. Losses of different trainings have different formulas and are not to be compared.",
                 tables.curves(target))


def training_accuracy(target: TargetReport) -> Chart:
    """Return validation accuracy over steps, by training."""
    figure = go.Figure()
    for index, (name, points) in enumerate(target.curves.items()):
        _add_curve(figure, points, "validation_accuracy", name, {"color": _training_colour(name, index), "width": 2})
    _lay_out(figure, x=_STEPS_AXIS, y={"title": {"text": "validation accuracy"}, "tickformat": ".0%"})
    return Chart("Validation accuracy during training", _json(figure), "Validation accuracy over training steps.",
                 tables.curves(target))


def reliability(target: TargetReport) -> Chart:
    """Return how often the teacher and the int8 student are right over how sure they are."""
    figure = go.Figure()
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="as sure as right", hoverinfo="skip",
                       line={"color": NEUTRAL, "dash": "dash", "width": 1})
    for name in ("teacher", "student_int8"):
        bins = target.reliability[name]
        most = max((b.n for b in bins), default=1)
        figure.add_scatter(
            x=[b.confidence for b in bins], y=[b.accuracy for b in bins], name=name, mode="lines+markers",
            line={"color": COLOURS[name], "width": 1.5},
            marker={"color": COLOURS[name], "size": [6 + 12 * math.sqrt(b.n / most) for b in bins], "opacity": 0.85},
            hovertext=[
                f"{name}: {b.n} rows, sure {share_text(b.confidence)}, right {share_text(b.accuracy)}" for b in bins
            ],
            hoverinfo="text", cliponaxis=False,
        )
    axis: dict[str, object] = {"range": [-0.04, 1.04], "tickformat": ".0%"}
    _lay_out(figure, x={"title": {"text": "mean top probability"}} | axis, y={"title": {"text": "share right"}} | axis)
    return Chart("Reliability", _json(figure), "Share of right answers over the probability that the model gives its "
                 "answer; on the dashed line a model is right as often as it is sure. Larger marks: more rows.",
                 tables.reliabilities(target))


def of_target(target: TargetReport) -> dict[str, Chart]:
    """Return all charts of a target by a name for the page; those without figures are left out."""
    found = {
        "size": accuracy_over_size(target),
        "latency": accuracy_over_latency(target),
        "distributions": latency_distributions(target),
        "reliability": reliability(target),
    }
    if any(row.int8_accuracy is not None for row in target.frontier):
        found["frontier"] = frontier(target)
    if target.curves:
        found |= {"accuracy": training_accuracy(target), "loss": training_loss(target)}
    return found


def _marker(name: str) -> dict[str, object]:
    return {"color": COLOURS[name], "symbol": _SYMBOLS[name], "size": _SIZES.get(name, 11),
            "line": {"color": "#ffffff", "width": 1}}


def _training_colour(name: str, index: int) -> str:
    return COLOURS.get(name, list(COLOURS.values())[index % len(COLOURS)])


def _error(value: float, low: float, high: float, colour: str) -> dict[str, object]:
    return {
        "type": "data", "symmetric": False, "array": [max(high - value, 0)], "arrayminus": [max(value - low, 0)],
        "color": colour, "thickness": 1.2, "width": 4,
    }


def _latency_error(host: HostLatency, name: str) -> dict[str, object] | None:
    if host.p50_interval_s is None:
        return None
    low, high = host.p50_interval_s
    return _error(host.p50_s * 1e3, low * 1e3, high * 1e3, COLOURS[name])


def _add_box(figure: go.Figure, host: HostLatency, name: str) -> None:
    """Add a box from the stored quantiles: 5, 25, 50, 75 and 95 percent."""
    low, q1, middle, q3, high = (host.quantiles_s[place] * 1e3 for place in (1, 5, 10, 15, 19))
    figure.add_box(
        y=[name], q1=[q1], median=[middle], q3=[q3], lowerfence=[low], upperfence=[high], orientation="h", name=name,
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


def _add_considered(
    figure: go.Figure, target: TargetReport, x: Sequence[float], accuracies: tuple[float, float]
) -> None:
    """Add a tick at the foot for every shape that was considered and not trained: its accuracy is unknown."""
    floor, ceiling = accuracies
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
        figure.add_vline(x=limit, line={"color": NEUTRAL, "dash": "longdash", "width": 1.5})
        figure.add_annotation(x=math.log10(limit), y=1, yref="paper", yanchor="bottom", text=text, showarrow=False,
                              font={"size": 11})
    return limits


def _add_curve(
    figure: go.Figure, points: Sequence[TrainingPoint], attribute: str, name: str, line: dict[str, object]
) -> None:
    known = [(p.step, getattr(p, attribute)) for p in points if getattr(p, attribute) is not None]
    if known:
        figure.add_scatter(x=[step for step, _ in known], y=[value for _, value in known], mode="lines+markers",
                           name=str(escape(name)), line=line, marker={"size": 5})


def _accuracy_range(target: TargetReport) -> tuple[float, float]:
    low = min(v.accuracy_ci95[0] for v in target.variants.values())
    high = max(v.accuracy_ci95[1] for v in target.variants.values())
    margin = max((high - low) * 0.12, 0.005)
    return max(0.0, low - margin), min(1.0, high + margin)


def _accuracy_axis(floor: float, ceiling: float) -> dict[str, object]:
    return {"title": {"text": "test accuracy"}, "range": [floor, ceiling], "tickformat": ".0%" if ceiling - floor > 0.05
            else ".1%"}


def _log_axis(title: str, values: Sequence[float]) -> dict[str, object]:
    """Return a logarithmic axis over positive values with ticks that read as plain numbers."""
    low, high = (min(values) / 1.3, max(values) * 1.3) if values else (0.1, 10.0)
    steps = (1, 2, 5) if high / low < 300 else (1,)
    ticks = [m * 10.0**e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1) for m in steps]
    shown = [tick for tick in ticks if low <= tick <= high]
    return {
        "title": {"text": title}, "type": "log", "range": [math.log10(low), math.log10(high)],
        "tickvals": shown, "ticktext": [f"{tick:g}" for tick in shown],
    }


def _lay_out(figure: go.Figure, *, x: dict[str, object], y: dict[str, object]) -> None:
    figure.update_layout(
        template=go.layout.Template(), margin={"l": 58, "r": 14, "t": 40, "b": 50}, xaxis=x, yaxis=y,
        legend={"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0}, hovermode="closest",
        dragmode=False,
        showlegend=True,
    )


def _json(figure: go.Figure) -> str:
    return str(figure.to_json(remove_uids=True))
