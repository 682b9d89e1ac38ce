"""The frontier plot is well-formed and puts things where they belong."""

import re
from xml.etree import ElementTree

from svg_plot import HEIGHT, WIDTH, Panel, draw

_NAMES = {"svg": "http://www.w3.org/2000/svg"}


def _drawn(*panels: Panel) -> ElementTree.Element:
    return ElementTree.fromstring(draw(panels, x_label="bytes", y_label="accuracy", level_label="teacher"))


def test_draw_then_is_xml_with_a_line_points_and_a_dashed_level_a_panel() -> None:
    line = [(1e6, 0.9), (3e6, 0.95)]
    svg = _drawn(*(Panel(f"task {n} <&>", line, [*line, (1e6, 0.91)], 0.96) for n in range(4)))
    assert len(svg.findall("svg:g", _NAMES)) == 4
    assert len(svg.findall(".//svg:polyline", _NAMES)) == 4
    assert len(svg.findall(".//svg:circle", _NAMES)) == 12
    assert len(svg.findall(".//svg:path[@stroke-dasharray]", _NAMES)) == 4
    assert svg.get("width") == str(3 * WIDTH)
    assert svg.get("height") == str(2 * HEIGHT + 20)


def test_draw_then_more_bytes_are_further_right_and_more_accuracy_is_higher() -> None:
    svg = _drawn(Panel("task", [(1e6, 0.90), (2e6, 0.92), (4e6, 0.95)], [], 0.96))
    corners = svg.find(".//svg:polyline", _NAMES)
    assert corners is not None
    places = [tuple(map(float, pair.split(","))) for pair in corners.attrib["points"].split()]
    (x1, y1), (x2, y2), (x3, y3) = places
    assert x1 < x2 < x3
    assert y1 > y2 > y3  # SVG counts downwards
    assert abs((x2 - x1) - (x3 - x2)) < 0.2  # doubling is one step on a logarithmic axis
    level = svg.find(".//svg:path[@stroke-dasharray]", _NAMES)
    assert level is not None
    height = float(re.findall(r"M[\d.]+,([\d.]+)", level.attrib["d"])[0])
    assert height < y3


def test_draw_when_all_is_one_value_then_still_draws() -> None:
    svg = _drawn(Panel("task", [(1e6, 0.9)], [(1e6, 0.9)], 0.9))
    assert len(svg.findall(".//svg:circle", _NAMES)) == 1
