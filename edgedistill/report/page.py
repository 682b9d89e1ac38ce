"""What the report's pages share: templates, and text that is safe where it stands."""

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from edgedistill.report import tables, tables_answers, tables_int8, wording
from edgedistill.report.figure import packed_library

_TEXT_CHARACTERS = 300

_UNSAFE_IN_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def render_page(template: str, **values: object) -> str:
    """Return a page of a template; everything in `values` is escaped where the template prints it."""
    return environment().get_template(template).render(plotly=packed_library(), **values)


def script_json(text: str) -> Markup:
    """Return JSON that cannot end the script element it stands in, and that means the same."""
    for character, replacement in _UNSAFE_IN_SCRIPT.items():
        text = text.replace(character, replacement)
    return Markup(text)  # noqa: S704 - no character of the text can leave the element any more


@cache
def environment() -> Environment:
    """Return the templates, with the words and numbers that they print."""
    found = Environment(
        loader=PackageLoader("edgedistill.report", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )
    found.filters |= {
        "size": wording.size_text, "time": wording.time_text, "share": wording.share_text, "times": wording.times_text,
        "script_json": script_json, "short": short_text, "breakable": breakable,
        "with_interval": with_interval,
        "percent": lambda share: f"{share * 100:.1f}",
    }
    found.globals |= {"tables": tables, "answered": tables_answers, "quantized": tables_int8, "range_text": wording.range_text,
                      "memory_place": wording.memory_place, "aware_text": wording.aware_text,
                      "speed_doubts": wording.speed_doubts, "accuracy_text": wording.accuracy_text,
                      "has_several_labels": wording.has_several_labels, "no_confusion": wording.NO_CONFUSION}
    return found


def short_text(text: str) -> str:
    """Return a text that fits a card; report.json has the whole."""
    return text if len(text) <= _TEXT_CHARACTERS else text[: _TEXT_CHARACTERS - 1] + "…"


def with_interval(text: str) -> Markup:
    """Return an escaped figure whose interval, in brackets after it, stands below it."""
    figure, bracket, interval = text.partition(" (")
    return Markup('{} <span class="between">({}</span>').format(figure, interval) if bracket else escape(text)


def breakable(text: str) -> Markup:
    """Return escaped text that may break after underscores and the slashes of paths: names of classes, schemes and nodes."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=_)|(?<=\w/)(?=\w)", text))
