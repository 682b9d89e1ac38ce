"""report.html: one file that opens offline, on a phone, on paper, light and dark."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from edgedistill.report import charts, tables, wording
from edgedistill.report.charts import Chart
from edgedistill.report.model import RunReport, TargetReport, VariantReport
from edgedistill.report.tables import Table
from edgedistill.report.wording import size_text
from edgedistill.results import BudgetCheck, Source, Variant

_PAGE = "report.html.j2"
_TEXT_CHARACTERS = 300
_BAR_ROOM = 1.15
"""A bar's track ends this far beyond the larger of value and limit."""

_UNSAFE_IN_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True)
class Bar:
    """A bar of the page; shares are of the track's width, 0 to 1.

    Attributes:
        name: what it stands for.
        text: its value in words.
        share: how far it is filled.
        source: how the value is known; decides the filling.
        limit_share: where the limit stands; None for none.
        is_over: is the limit missed?
        note: a sentence under it.
    """

    name: str
    text: str
    share: float
    source: Source
    limit_share: float | None = None
    is_over: bool = False
    note: str = ""


@dataclass(frozen=True)
class TargetView:
    """What the template needs of a target, ready to print."""

    key: str
    report: TargetReport
    charts: dict[str, Chart]
    budgets: tuple[Bar, ...]
    memory: tuple[Bar, ...]
    parts: tuple[Bar, ...]
    gain: str


def render_html(report: RunReport) -> str:
    """Return the page. Everything that came from outside is escaped, in the markup and in the scripts."""
    views = tuple(
        TargetView(
            key=f"t{index}",
            report=target,
            charts=charts.of_target(target),
            budgets=tuple(_budget_bar(budget) for budget in target.budgets),
            memory=_memory_bars(target.variants),
            parts=_part_bars(target.int8_coverage.bytes_by_part),
            gain=wording.gain_text(target.distillation_gain),
        )
        for index, target in enumerate(report.targets.values())
    )
    return _environment().get_template(_PAGE).render(
        report=report, targets=views, plotly=Markup(charts.library_source()), **_run_tables(report)  # noqa: S704
    )


def script_json(text: str) -> Markup:
    """Return JSON that cannot end the script element it stands in, and that means the same."""
    for character, replacement in _UNSAFE_IN_SCRIPT.items():
        text = text.replace(character, replacement)
    return Markup(text)  # noqa: S704 - no character of the text can leave the element any more


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("edgedistill.report", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )
    environment.filters |= {
        "size": wording.size_text, "time": wording.time_text, "share": wording.share_text, "times": wording.times_text,
        "script_json": script_json, "short": short_text, "breakable": breakable,
        "percent": lambda share: f"{share * 100:.1f}",
    }
    environment.globals |= {"tables": tables, "range_text": wording.range_text}
    return environment


def short_text(text: str) -> str:
    """Return a text that fits a card; report.json has the whole."""
    return text if len(text) <= _TEXT_CHARACTERS else text[: _TEXT_CHARACTERS - 1] + "…"


def breakable(text: str) -> Markup:
    """Return escaped text that may break after an underscore, where names of classes and schemes are read."""
    return Markup("_<wbr>").join(escape(part) for part in text.split("_"))


def _run_tables(report: RunReport) -> dict[str, Table]:
    return {
        "decisions": tables.decisions(report),
        "steps": tables.steps(report),
        "environment": tables.environment(report),
        "data": tables.data(report),
    }


def _budget_bar(budget: BudgetCheck) -> Bar:
    whole = max(budget.value, budget.limit) * _BAR_ROOM
    return Bar(
        name=wording.BUDGET_NAMES[budget.name],
        text=f"{wording.amount_text(budget.value, budget.unit)} of {wording.amount_text(budget.limit, budget.unit)}",
        share=budget.value / whole,
        source=budget.source,
        limit_share=budget.limit / whole,
        is_over=not budget.met,
        note=budget.why,
    )


def _memory_bars(variants: Mapping[Variant, VariantReport]) -> tuple[Bar, ...]:
    known = {name: v.peak_rss_bytes for name, v in variants.items() if v.peak_rss_bytes is not None}
    over = {name: max(rss.value - rss.baseline, 0) for name, rss in known.items()}
    most = max(over.values(), default=0) or 1
    return tuple(
        Bar(name, f"{size_text(value)} over {size_text(known[name].baseline)}", value / most, known[name].source)
        for name, value in over.items()
    )


def _part_bars(bytes_by_part: dict[str, int]) -> tuple[Bar, ...]:
    whole = sum(bytes_by_part.values()) or 1
    return tuple(
        Bar(name, f"{size_text(count)}, {wording.share_text(count / whole)}", count / whole, "measured")
        for name, count in bytes_by_part.items()
    )
