"""What the report's charts share: a chart with its stand-ins, colours, axes, intervals. The page sets ink and paper.

This file and the `chart...` files beside it are the only ones that know plotly.
"""

import base64
import gzip
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import plotly.graph_objects as go
import plotly.offline

from edgedistill.report.tables import Table

COLOURS = {
    "teacher": "#7a6fd0",
    "teacher_int8": "#b0529f",
    "student_no_kd": "#a8711a",
    "student": "#2f7fd6",
    "student_onnx": "#16868e",
    "student_int8": "#d1492e",
    "student_int8_aware": "#c2417a",
    "student_int8_post_training": "#7d7a2a",
}
"""Each at least 3:1 against the page's white and its near-black (WCAG 2.2, 1.4.11)."""

NEUTRAL = "#7b8794"
MIB = 2**20


@dataclass(frozen=True)
class Chart:
    """A figure with what stands in for it where it cannot be seen.

    Attributes:
        title: what it shows.
        figure_json: for Plotly.newPlot: {"data": ..., "layout": ...}.
        description: one sentence for a screen reader.
        table: the same figures.
        height_px: how tall it is drawn, without its legend.
        least_width_px: below it the chart is scrolled sideways; 0 where it may be as narrow as it gets.
        choices: names of which one is shown at a time; a trace belongs to the choice that its `meta` names.
        can_zoom: do buttons stand above it that zoom and move it, for who has no pointer? Both axes then need a range.
    """

    title: str
    figure_json: str
    description: str
    table: Table
    height_px: int = 320
    least_width_px: int = 0
    choices: tuple[str, ...] = ()
    can_zoom: bool = False


@dataclass(frozen=True)
class NoChart:
    """Why a chart cannot be drawn; the page says it in the chart's place."""

    title: str
    reason: str


@cache
def packed_library() -> str:
    """Return plotly.js (4.8 MB, MIT licence) as base64 of gzip (1.9 MB), to be embedded once in a page and unpacked there."""
    source = str(plotly.offline.get_plotlyjs()).encode()
    return base64.b64encode(gzip.compress(source, compresslevel=9, mtime=0)).decode()


def mark(colour: str, symbol: str, size: int = 11) -> dict[str, object]:
    """Return a filled mark."""
    return {"color": colour, "symbol": symbol, "size": size, "line": {"color": "#ffffff", "width": 1}}


def error_bar(value: float, low: float, high: float, colour: str) -> dict[str, object]:
    """Return the interval of one value."""
    return {
        "type": "data", "symmetric": False, "array": [max(high - value, 0)], "arrayminus": [max(value - low, 0)],
        "color": colour, "thickness": 1.2, "width": 4,
    }


def add_limit(figure: go.Figure, limit: float, text: str) -> None:
    """Draw a budget as a vertical line on a logarithmic axis."""
    figure.add_vline(x=limit, line={"color": NEUTRAL, "dash": "longdash", "width": 1.5})
    figure.add_annotation(x=math.log10(limit), y=1, yref="paper", yanchor="bottom", text=text, showarrow=False,
                          font={"size": 11})


def share_axis(title: str, values: Sequence[float], *, most: float = 1.0) -> dict[str, object]:
    """Return an axis of shares around some values, with a margin."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    margin = max((high - low) * 0.12, 0.005)
    floor, ceiling = max(0.0, low - margin), min(most, high + margin)
    return {"title": {"text": title}, "range": [floor, ceiling], "tickformat": ".0%" if ceiling - floor > 0.05 else ".1%"}


def range_of(axis: dict[str, object]) -> tuple[float, float]:
    """Return where an axis of `share_axis` begins and ends."""
    limits = axis["range"]
    if not isinstance(limits, list):
        raise TypeError(f"an axis without a range: {axis}")
    return float(limits[0]), float(limits[1])


def log_axis(title: str, values: Sequence[float]) -> dict[str, object]:
    """Return a logarithmic axis over positive values with ticks that read as plain numbers."""
    low, high = (min(values) / 1.3, max(values) * 1.3) if values else (0.1, 10.0)
    steps = (1, 2, 5) if high / low < 300 else (1,)
    ticks = [m * 10.0**e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1) for m in steps]
    shown = [tick for tick in ticks if low <= tick <= high]
    return {
        "title": {"text": title}, "type": "log", "range": [math.log10(low), math.log10(high)],
        "tickvals": shown, "ticktext": [f"{tick:g}" for tick in shown],
    }


def lay_out(
    figure: go.Figure, *, x: dict[str, object], y: dict[str, object], hover: Literal["closest", "x unified"] = "closest"
) -> None:
    """Set axes, legend and margins; the page adds the colours of ink and paper."""
    for axis in (x, y):  # next to the ticks, whatever room the legend makes below
        if isinstance(title := axis.get("title"), dict):
            axis["title"] = title | {"standoff": 8}
    figure.update_layout(
        template=go.layout.Template(), margin={"l": 58, "r": 14, "t": 40, "b": 50}, xaxis=x, yaxis=y,
        legend={"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0}, hovermode=hover,
        dragmode=False,
        showlegend=True,
    )


def figure_json(figure: go.Figure) -> str:
    """Return what Plotly.newPlot takes, without the ids that would differ from page to page."""
    return str(figure.to_json(remove_uids=True))
