"""report.html: one file that opens offline, on a phone, on paper, light and dark."""

from dataclasses import dataclass

from edgedistill.report import chart_list, charts_search, tables, wording
from edgedistill.report.bars import Bar, LayerBar, budget_bar, layer_bars, memory_bars, part_bars
from edgedistill.report.figure import Chart, NoChart
from edgedistill.report.model import RunReport, TargetReport
from edgedistill.report.page import render_page
from edgedistill.report.tables import Table

_PAGE = "report.html.j2"


@dataclass(frozen=True)
class TargetView:
    """What the template needs of a target, ready to print.

    Attributes:
        key: unique on the page; begins the ids of the target's elements.
        report: the target's part of the report.
        charts: a chart by its name, or why there is none.
        budgets: as bars against their limits.
        memory: peak memory by variant.
        parts: bytes by part of the int8 model.
        layers: int8 and float bytes by layer.
        gain: what distillation bought, in words.
        kinds: what the filter of the trials knows them as.
        rungs: the shapes that were tried.
    """

    key: str
    report: TargetReport
    charts: dict[str, Chart | NoChart]
    budgets: tuple[Bar, ...]
    memory: tuple[Bar, ...]
    parts: tuple[Bar, ...]
    layers: tuple[LayerBar, ...]
    gain: str
    kinds: tuple[str, ...]
    rungs: tuple[str, ...]


def render_html(report: RunReport) -> str:
    """Return the page. Everything that came from outside is escaped, in the markup and in the scripts."""
    views = tuple(_view(f"t{index}", target) for index, target in enumerate(report.targets.values()))
    return render_page(_PAGE, report=report, targets=views, **_run_tables(report))


def _view(key: str, target: TargetReport) -> TargetView:
    return TargetView(
        key=key,
        report=target,
        charts=chart_list.of_target(target),
        budgets=tuple(budget_bar(budget) for budget in target.budgets),
        memory=memory_bars(target.variants),
        parts=part_bars(target.int8_coverage.bytes_by_part),
        layers=layer_bars(target.quantization.layers),
        gain=wording.gain_text(target.distillation_gain),
        kinds=tuple(charts_search.kinds(target)),
        rungs=charts_search.rungs_of(target),
    )


def _run_tables(report: RunReport) -> dict[str, Table]:
    return {
        "decisions": tables.decisions(report),
        "steps": tables.steps(report),
        "environment": tables.environment(report),
        "data": tables.data(report),
    }
