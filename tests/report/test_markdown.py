"""The Markdown for a pull request, read back with a Markdown parser."""

import pytest
from markdown_it import MarkdownIt

from edgedistill.report.build import build_report
from edgedistill.report.markdown import code, plain, render_markdown, table
from edgedistill.report.tables import Table


@pytest.fixture
def text(parts):
    return render_markdown(build_report(parts))


def as_html(markdown):
    return MarkdownIt("commonmark").enable("table").render(markdown)


def test_markdown_when_read_holds_verdict_and_figures(text):
    assert text.startswith("# made-up\n")
    assert "✅ **pass** Ready for Made-up Board &lt;1&gt;: the int8 student is 40.0x smaller" in text
    assert "| model size | met | measured | 2.00 MiB | 3.00 MiB | 66.7 % |" in text
    assert "6.00 ms predicted" in text
    assert "- Latency on Made-up Board &lt;1&gt; is predicted, not measured: nothing ran on the device." in text


def test_markdown_when_a_budget_is_missed_says_fail(with_target, make):
    text = render_markdown(build_report(with_target(budgets=make.budgets(size_limit_mib=1))))
    assert "❌ **fail** Not ready for" in text


def test_markdown_when_texts_hold_markup_renders_none_of_it(text):
    rendered = as_html(text)
    assert "<script" not in rendered
    assert "<img" not in rendered
    assert "&lt;script&gt;alert('label')&lt;/script&gt;" in rendered


def test_tables_when_rendered_have_as_many_cells_as_headers(text):
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        if lines:
            html = as_html("\n".join(lines))
            assert html.count("<th") - html.count("<thead") == (html.count("<td")) / max(html.count("<tr>") - 1, 1)


@pytest.mark.parametrize("hostile", ["a|b", "*a* _b_ `c`", "[x](http://y)", "<b>&amp;", "back\\slash", "two\nlines"])
def test_plain_when_rendered_shows_the_text_itself(hostile):
    inner = as_html(plain(hostile)).removeprefix("<p>").removesuffix("</p>\n")
    expected = " ".join(hostile.split())
    assert inner == expected.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@pytest.mark.parametrize("hostile", ["a|b", "`tick`", "``two`` ticks", "<script>", "@someone"])
def test_code_when_rendered_in_a_table_shows_the_text_itself(hostile):
    rendered = as_html(f"| a |\n|---|\n| {code(hostile)} |")
    expected = hostile.replace("<", "&lt;").replace(">", "&gt;")
    assert f"<code>{expected}</code>" in rendered


def test_plain_when_text_mentions_someone_calls_nobody():
    assert plain("ask @alice") == "ask @\u2060alice"
    assert plain("CPU @ 2.0 GHz") == "CPU @ 2.0 GHz"


def test_table_when_figures_follow_words_sets_them_right():
    assert table(Table(("a", "b"), (("x", "1"),))) == "| a | b |\n|---|--:|\n| x | 1 |"


def test_markdown_when_students_were_tried_then_has_a_row_a_trial(parts):
    text = render_markdown(build_report(parts))
    assert "### Students tried" in text
    rows = [line for line in text.splitlines() if line.startswith(("| 1 |", "| 2 |", "| 3 |"))]
    assert [row.split(" | ")[1:4] for row in rows] == [
        ["6x192", "chosen, keeps the goal", "none"], ["4x128", "misses the goal", "does-not-fit"],
        ["&lt;i&gt;5x", "given up", "given-up"],
    ]
