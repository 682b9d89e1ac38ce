"""A small SVG of panels: a line over a logarithmic x axis, points, and a dashed level. No plotting library, no browser."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT, COLUMNS = 300, 220, 3
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 28, 40
_LINE, _POINT, _LEVEL = "#1f77b4", "#1f77b4", "#c44e52"


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: above it.
        line: (x, y) of the line, x > 0, sorted by x.
        points: (x, y) of single measurements.
        level: y of the dashed line.
    """

    title: str
    line: Sequence[tuple[float, float]]
    points: Sequence[tuple[float, float]]
    level: float


def draw(panels: Sequence[Panel], *, x_label: str, y_label: str, level_label: str) -> str:
    """Return an SVG with the panels in rows of three; all share the x axis, each has a y axis of its own."""
    xs = [x for panel in panels for x, _ in (*panel.line, *panel.points)]
    low, high = min(xs) / 1.15, max(xs) * 1.15
    columns, rows = min(COLUMNS, len(panels)), -(-len(panels) // COLUMNS)
    size = f'width="{columns * WIDTH}" height="{rows * HEIGHT + 20}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
             '<rect width="100%" height="100%" fill="white"/>']
    for number, panel in enumerate(panels):
        at = f"translate({number % COLUMNS * WIDTH},{number // COLUMNS * HEIGHT})"
        parts += [f'<g transform="{at}">', *_panel(panel, low, high), "</g>"]
    legend = f"x: {x_label}; y: {y_label}; dashed: {level_label}"
    parts += [_text(columns * WIDTH / 2, rows * HEIGHT + 10, legend, "middle"), "</svg>"]
    return "\n".join(parts) + "\n"


def _panel(panel: Panel, low: float, high: float) -> list[str]:
    ys = [panel.level, *(y for _, y in (*panel.line, *panel.points))]
    margin = 0.08 * (max(ys) - min(ys)) or 0.01
    bottom, top = min(ys) - margin, max(ys) + margin

    def place(x: float, y: float) -> tuple[float, float]:
        right = (math.log(x) - math.log(low)) / (math.log(high) - math.log(low))
        return (_LEFT + right * (WIDTH - _LEFT - _RIGHT),
                HEIGHT - _BOTTOM - (y - bottom) / (top - bottom) * (HEIGHT - _TOP - _BOTTOM))

    left, base = place(low, bottom)
    right, upper = place(high, top)
    level = place(low, panel.level)[1]
    parts = [_text(WIDTH / 2, 16, panel.title, "middle", weight="bold"),
             f'<path d="M{left:.1f},{upper:.1f}V{base:.1f}H{right:.1f}" fill="none" stroke="#444"/>']
    for x in _ticks(low, high):
        column = place(x, bottom)[0]
        parts += [f'<path d="M{column:.1f},{base:.1f}v4" stroke="#444"/>', _text(column, base + 16, f"{x / 1e6:g}", "middle")]
    for y in (bottom + (top - bottom) * k / 4 for k in range(5)):
        row = place(low, y)[1]
        parts += [f'<path d="M{left:.1f},{row:.1f}h-4" stroke="#444"/>', _text(left - 6, row + 4, f"{y:.3f}", "end")]
    parts.append(f'<path d="M{left:.1f},{level:.1f}H{right:.1f}" stroke="{_LEVEL}" stroke-dasharray="5 3"/>')
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in panel.line))
    parts.append(f'<polyline points="{corners}" fill="none" stroke="{_LINE}" stroke-width="1.5"/>')
    parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{_POINT}" fill-opacity="0.7"/>'
              for x, y in (place(*point) for point in panel.points)]
    return parts


def _ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten between the limits."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [m * 10**p for p in powers for m in (1, 2, 5) if low <= m * 10**p <= high]


def _text(x: float, y: float, words: str, anchor: str, *, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>'
