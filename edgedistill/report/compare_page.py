"""The page of a comparison: the same looks and rules as report.html, for several runs."""

from collections.abc import Mapping

from edgedistill.report import charts_compare, compare_text
from edgedistill.report.compare import Comparison
from edgedistill.report.model import RunReport
from edgedistill.report.page import render_page

_PAGE = "compare.html.j2"


def render_comparison(comparison: Comparison, reports: Mapping[str, RunReport]) -> str:
    """Return the page of a comparison. Everything that came from outside is escaped, in the markup and in the scripts.

    Args:
        comparison: what `compare_reports` found.
        reports: the reports that it was made from, by the same names.
    """
    return render_page(
        _PAGE, comparison=comparison, reports=reports, charts=charts_compare.of_comparison(comparison, reports),
        sentences=compare_text.sentences(comparison), headlines=compare_text.headlines_table(reports),
        figures=compare_text.figures_table(comparison), differences=compare_text.differences_table(comparison),
        budgets=compare_text.budgets_table(reports), environments=compare_text.environments_table(reports),
    )
