"""The frontier: every student that was tried, its accuracy over its size and over its predicted latency.

All traces carry in `meta` which filter of the page they obey, and in `customdata` of each mark what the filter asks.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from markupsafe import escape

from edgedistill.frontier import FrontierRow
from edgedistill.goals import METRIC_NAMES
from edgedistill.report import tables
from edgedistill.report.figure import (
    COLOURS,
    MIB,
    NEUTRAL,
    Chart,
    NoChart,
    add_limit,
    figure_json,
    lay_out,
    log_axis,
    mark,
    range_of,
    share_axis,
)
from edgedistill.report.model import TargetReport
from edgedistill.report.wording import finding_of, share_text, size_text, time_text
from edgedistill.results import Prediction

_FOOT = 0.04
_TITLES = {"model_bytes": "Students tried, over size", "latency_p50_s": "Students tried, over latency"}

KINDS = ("chosen", "keeps the goal", "fits", "keeps it by chance", "misses the goal", "over a budget", "not trained")
"""What the filter of the page knows a student as; where the recipe has no goal, it fits or is over a budget."""

_MARKS = (
    ("misses the goal", COLOURS["student_no_kd"], "x"),
    ("over a budget", COLOURS["student_no_kd"], "x"),
    ("keeps it by chance", COLOURS["student_onnx"], "diamond"),
    ("keeps the goal", COLOURS["student"], "circle"),
    ("fits", COLOURS["student"], "circle"),
    ("chosen", COLOURS["student_int8"], "star"),
)
"""Kind, colour and symbol, in the order in which they are drawn."""


@dataclass(frozen=True)
class _Axis:
    """What the accuracy is drawn over.

    Attributes:
        budget: the budget that limits it.
        title: of the axis, with its unit.
        scale: what a value is multiplied with for the axis.
        of_trial: its value of a trial, in the budget's unit.
        of_shape: its value of a shape that was only considered.
    """

    budget: str
    title: str
    scale: float
    of_trial: Callable[[FrontierRow], float]
    of_shape: Callable[[Prediction], float]


_SIZE = _Axis("model_bytes", "int8 model size, MiB", 1 / MIB, lambda row: row.int8_bytes, lambda row: row.int8_bytes)
_LATENCY = _Axis("latency_p50_s", "latency p50 on the target, predicted, ms", 1e3,
                 lambda row: row.latency_p50_s, lambda row: row.latency_p50_s)


def frontier_over_size(target: TargetReport) -> Chart | NoChart:
    """Return the int8 accuracy of every trial on validation over its bytes, and the budget."""
    return _frontier(target, _SIZE)


def frontier_over_latency(target: TargetReport) -> Chart | NoChart:
    """Return the int8 accuracy of every trial on validation over its predicted p50, and the budget."""
    return _frontier(target, _LATENCY)


def _frontier(target: TargetReport, axis: _Axis) -> Chart | NoChart:
    known = [row for row in target.frontier if row.figure is not None]
    if not known:
        return NoChart(_TITLES[axis.budget], "No student was tried to its end, so there is nothing to draw.")
    figure = go.Figure()
    metric = METRIC_NAMES[known[0].metric]
    shares = share_axis(f"validation {metric}, int8", [row.figure or 0.0 for row in known] + [known[0].teacher_figure])
    _add_front(figure, known, axis)
    for name, colour, symbol in _MARKS:
        rows = [row for row in known if kind_of(row, has_goals=bool(target.goals)) == name]
        if rows:
            figure.add_scatter(
                x=[axis.of_trial(row) * axis.scale for row in rows], y=[row.figure for row in rows], name=name,
                mode="markers", marker=mark(colour, symbol, 12), hoverinfo="text",
                hovertext=[_trial_text(row) for row in rows], meta=name,
                customdata=[[row.rung, _fits_trial(target, row), row.int8_accuracy, row.trial] for row in rows],
            )
    values = [axis.of_trial(row) * axis.scale for row in known]
    values += _add_untried(figure, target, axis, range_of(shares))
    figure.add_hline(y=known[0].teacher_figure, line={"color": COLOURS["teacher"], "dash": "dash", "width": 1.5},
                     annotation={"text": "teacher", "font": {"size": 11}})
    for limit in (b.limit * axis.scale for b in target.budgets if b.name == axis.budget):
        add_limit(figure, limit, "budget")
        values.append(limit)
    lay_out(figure, x=log_axis(axis.title, values), y=shares)
    return Chart(_TITLES[axis.budget], figure_json(figure), f"Validation {metric} of every int8 student that was trained. "
                 "The star is the one that was taken; the dashed line is the teacher; no student lies above and left of "
                 "the thin line. Ticks at the foot were considered and not trained.", tables.frontier(target), 340, can_zoom=True)


def _add_front(figure: go.Figure, rows: Sequence[FrontierRow], axis: _Axis) -> None:
    """Add the line that no trial lies above and left of."""
    best: list[FrontierRow] = []
    for row in sorted(rows, key=lambda row: (axis.of_trial(row), -(row.figure or 0.0))):
        if not best or (row.figure or 0.0) > (best[-1].figure or 0.0):
            best.append(row)
    figure.add_scatter(
        x=[axis.of_trial(row) * axis.scale for row in best], y=[row.figure for row in best], mode="lines",
        line={"color": NEUTRAL, "width": 1.5, "shape": "hv"}, name="best so far, from left to right", hoverinfo="skip",
    )


def _add_untried(
    figure: go.Figure, target: TargetReport, axis: _Axis, accuracies: tuple[float, float]
) -> list[float]:
    """Add a tick for every shape that was only considered: its accuracy is unknown. Return where they stand."""
    rows = untried(target)
    if not rows:
        return []
    floor, ceiling = accuracies
    places = [axis.of_shape(row) * axis.scale for row in rows]
    figure.add_scatter(
        x=places, y=[floor + _FOOT * (ceiling - floor)] * len(rows), mode="markers", name="not trained", meta="not trained",
        marker={"symbol": "line-ns-open", "size": 16, "color": NEUTRAL, "line": {"width": 2, "color": NEUTRAL}},
        hoverinfo="text",
        hovertext=[
            f"{escape(row.rung)} (not trained)<br>{size_text(row.int8_bytes)}, p50 {time_text(row.latency_p50_s)} predicted"
            f"<br>{escape(row.rejected_because or 'fits')}" for row in rows
        ],
        customdata=[[row.rung, not row.rejected_because, None] for row in rows],
    )
    return places


def untried(target: TargetReport) -> list[Prediction]:
    """Return the shapes of the plan's ledger that no trial has."""
    tried = {row.rung for row in target.frontier}
    return [row for row in target.ledger if row.rung not in tried and not row.is_chosen]


def rungs_of(target: TargetReport) -> tuple[str, ...]:
    """Return the shapes that were tried, in the order of their size."""
    sizes = {row.rung: row.int8_bytes for row in target.frontier}
    return tuple(sorted(sizes, key=lambda rung: sizes[rung]))


def kind_of(row: FrontierRow, *, has_goals: bool) -> str:
    """Return what the filter of the page knows a trial as."""
    if row.is_chosen:
        return "chosen"
    return "keeps it by chance" if row.is_kept_by_chance and not row.met_goal else finding_of(row, has_goals=has_goals)


def kinds(target: TargetReport) -> Iterator[str]:
    """Yield what the students of a target are known as, those that are drawn."""
    drawn = (row for row in target.frontier if row.figure is not None)
    found = {kind_of(row, has_goals=bool(target.goals)) for row in drawn} | ({"not trained"} if untried(target) else set())
    yield from (kind for kind in KINDS if kind in found)


def _fits_trial(target: TargetReport, row: FrontierRow) -> bool:
    limits = {b.name: b.limit for b in target.budgets}
    return row.int8_bytes <= limits.get("model_bytes", row.int8_bytes) and (
        row.latency_p50_s <= limits.get("latency_p50_s", row.latency_p50_s)
    )


def _trial_text(row: FrontierRow) -> str:
    float_text = "" if row.float_accuracy is None else f", {share_text(row.float_accuracy)} in float"
    f1_text = "" if row.metric == "accuracy" else f", macro-F1 {share_text(row.int8_macro_f1 or 0.0)}"
    return (f"trial {row.trial}: {escape(row.rung)}<br>{size_text(row.int8_bytes)}, p50 {time_text(row.latency_p50_s)} "
            f"predicted<br>validation accuracy {share_text(row.int8_accuracy or 0.0)}{float_text}{f1_text}<br>"
            f"{escape(row.finding)}")
