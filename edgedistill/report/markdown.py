"""report.md: the report for a pull request, in compact tables."""

import re
from collections.abc import Sequence

from edgedistill.report import tables, tables_answers, wording
from edgedistill.report.model import ClassProbability, RunReport, TargetReport
from edgedistill.report.tables import Table
from edgedistill.report.wording import share_text

_TELLING = 5
_CONFUSED = 8
_TEXT_CHARACTERS = 120
_SPECIAL = re.compile(r"([\\`*\[\]|~]|(?<!\w)_|_(?!\w))")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def render_markdown(report: RunReport) -> str:
    """Return GitHub-flavoured Markdown. Texts and labels cannot become markup, HTML or mentions."""
    made = f"{report.task}, {report.created:%Y-%m-%d %H:%M %Z}, {plain(report.host.cpu)}"
    parts = [f"# {plain(report.recipe)}", made]
    for target in report.targets.values():
        parts += _target(target)
    if report.decisions:
        parts += ["## Decisions", table(tables.decisions(report))]
    parts += [folded("Steps", tables.steps(report)), folded("Environment", tables.environment(report))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _target(target: TargetReport) -> list[str]:
    mark = "✅" if target.verdict == "pass" else "❌"
    return [
        f"## {plain(target.name)}",
        f"{mark} **{target.verdict}** {plain(target.summary)}",
        table(tables.headline(target)),
        "### Budgets and goals",
        table(tables.budgets(target)),
        table(tables.goals(target)) if target.goals else "",
        plain(target.advice),
        "### Variants",
        table(tables.variants(target)),
        plain(wording.gain_text(target.distillation_gain)),
        *_frontier(target),
        "### int8 and parity",
        plain(target.quantization.decision),
        plain(wording.aware_text(target.aware)),
        folded("Candidates for int8", tables.schemes(target)),
        table(tables.parity(target)),
        table(tables.emulated(target)) if target.emulated is not None else "",
        *_differences(target),
        *(("### On the device", table(tables.device(target))) if target.device else ()),
        folded("Student shapes considered", tables.ledger(target)),
        "### Not checked",
        "\n".join(f"- {plain(sentence)}" for sentence in target.not_checked),
    ]


def _frontier(target: TargetReport) -> list[str]:
    if not target.frontier:
        return []
    return ["### Students tried", "Accuracies are those on the validation split.", table(tables.frontier(target))]


def _differences(target: TargetReport) -> list[str]:
    if not target.telling_rows:
        return ["### Teacher and student", "They give the same answer on every test row."]
    headers = ("text", "true label", "teacher", "int8 student")
    rows = "\n".join(
        f"| {code(row.text)} | {code(row.true_label)} | {_answers(row.teacher)} | {_answers(row.student)} |"
        for row in target.telling_rows[:_TELLING]
    )
    confused = tables_answers.confused(target)
    shown = Table(confused.headers, confused.rows[:_CONFUSED], confused.words)
    return ["### Where teacher and student differ most", f"{_head(headers, len(headers))}\n{rows}",
            folded("Most confused pairs", shown)]


def _answers(classes: Sequence[ClassProbability]) -> str:
    return ", ".join(f"{code(item.label)} {share_text(item.probability)}" for item in classes[:2])


def table(data: Table) -> str:
    """Return a Markdown table, figures set to the right."""
    rows = ["| " + " | ".join(plain(cell) for cell in row) + " |" for row in data.rows]
    return "\n".join([_head(data.headers, data.words), *rows])


def _head(headers: Sequence[str], words: int) -> str:
    line = "|".join("---" if place < words else "--:" for place in range(len(headers)))
    return "| " + " | ".join(plain(header) for header in headers) + f" |\n|{line}|"


def folded(title: str, data: Table) -> str:
    """Return a table that opens on a click; nothing for a table without rows."""
    if not data.rows:
        return ""
    return f"<details><summary>{title}</summary>\n\n{table(data)}\n\n</details>"


def plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line; an @ cannot call anyone."""
    escaped = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    for character, entity in _ENTITIES.items():
        escaped = escaped.replace(character, entity)
    return re.sub(r"@(?=\w)", "@\u2060", escaped)


def code(text: str) -> str:
    """Return text of the user's as a code span for a table cell: one line, cut, nothing in it is markup."""
    line = " ".join(text.split()) or " "
    line = line if len(line) <= _TEXT_CHARACTERS else line[: _TEXT_CHARACTERS - 1] + "…"
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return fence + space + line.replace("|", "\\|") + space + fence
