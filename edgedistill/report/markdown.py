"""report.md: the report for a pull request, short enough for a comment there."""

from collections.abc import Sequence
from itertools import chain

from edgedistill.report import markdown_answers, tables, tables_int8, tables_marked, wording
from edgedistill.report.markdown_part import ALWAYS, Part
from edgedistill.report.markup import bullets, code, folded_table, plain, table
from edgedistill.report.model import RunReport, TargetReport
from edgedistill.report.tables import Table

LIMIT_BYTES = 60_000
"""A comment of a pull request holds 65,536 characters."""

_OPEN_ROWS = 8
"""A table with more rows than these opens on a click."""


def render_markdown(report: RunReport, limit_bytes: int = LIMIT_BYTES) -> str:
    """Return GitHub-flavoured Markdown. Texts and labels cannot become markup, HTML, links or mentions.

    Args:
        report: the run.
        limit_bytes: of the whole text in UTF-8. Where it would be passed, the parts that matter least are left out, of every
            target alike; where what a verdict needs is too long by itself, the last targets are left out but for their row at
            the top. The end names what is left out. The first target always stays.
    """
    top, targets, run = _top(report), [_target(target) for target in report.targets.values()], _run(report)
    names = [target.name for target in report.targets.values()]
    text = ""
    for shown in range(len(targets), 0, -1):
        text = _within([*top, *chain(*targets[:shown]), *run], limit_bytes, absent=names[shown:])
        if len(text.encode()) <= limit_bytes:
            break
    return text


def _within(parts: Sequence[Part], limit_bytes: int, *, absent: Sequence[str]) -> str:
    """Return as many parts as fit, else those that always stay; `absent` are the names of the targets that are left out."""
    for most in sorted({part.rank for part in parts}, reverse=True):
        text = _joined(parts, most, absent=absent)
        if len(text.encode()) <= limit_bytes:
            return text
    return _joined(parts, ALWAYS, absent=absent)


def _joined(parts: Sequence[Part], most: int, *, absent: Sequence[str]) -> str:
    kept = [part.text for part in parts if part.text and part.rank <= most]
    left_out = dict.fromkeys(part.name for part in parts if part.text and part.rank > most)
    where = "Everything, with charts and every class: `report.html` beside this file; for tools: `report.json`."
    if left_out:
        kept.append(f"Left out here, since a comment holds no more: {', '.join(left_out)}.")
    if absent:
        kept.append(f"Of these targets only the row at the top is here, for the same reason: {', '.join(map(plain, absent))}.")
    return "\n\n".join([*kept, where]) + "\n"


def _top(report: RunReport) -> list[Part]:
    made = f"{report.task}, {report.created:%Y-%m-%d %H:%M %Z}, measured on {plain(report.host.cpu)}"
    several = table(tables_marked.headlines(report)) if len(report.targets) > 1 else ""
    return [
        Part("title", f"# {plain(report.recipe)}\n\n{made}"),
        Part("what accuracy is", plain(wording.accuracy_text(report))),
        Part("targets", several),
    ]


def _target(target: TargetReport) -> list[Part]:
    shapes = tables.ledger(target)
    return [
        *_verdict(target),
        *markdown_answers.answers(target),
        *_int8(target),
        *_conversions(target),
        Part("student shapes considered", folded_table("Student shapes considered, and why not the others", shapes), 8),
        Part("not checked", f"### What was not checked\n\n{bullets(target.not_checked)}"),
    ]


def _verdict(target: TargetReport) -> list[Part]:
    mark = "✅" if target.verdict == "pass" else "❌"
    goals = table(tables.goals(target)) if target.goals else "The recipe sets no goal."
    return [
        Part("verdict", f"## {plain(target.name)}\n\n{mark} **{target.verdict}** {plain(target.summary)}"),
        Part("five numbers", table(tables_marked.headline(target))),
        Part("budgets", f"### Budgets and goals\n\n{table(tables_marked.budgets(target))}\n\n{goals}"),
        Part("advice", plain(target.advice)),
        Part("variants", f"### Variants\n\n{tables_marked.LEGEND}\n\n{table(tables_marked.variants(target))}"),
        Part("what the variants are", "The teacher is measured as its own ONNX fp32 export; teacher_int8 is the teacher merely "
             "quantized; student_no_kd is the same student trained without the teacher.", 1),
        Part("what distillation bought",
             f"### What distillation bought\n\n{plain(wording.gain_text(target.distillation_gain))}"),
        Part("students tried", folded_table(
            f"Students tried: {len(target.frontier)}, judged on the validation split", tables.frontier(target)), 5),
    ]


def _int8(target: TargetReport) -> list[Part]:
    stayed = tables_int8.float_nodes(target)
    in_float = table(stayed) if stayed.rows else "No node on weights stayed in float."
    sentences = (plain(target.quantization.decision), plain(wording.aware_text(target.aware)), tables_int8.coverage_text(target))
    said = "\n\n".join(filter(None, sentences))
    return [
        Part("int8", f"### int8\n\n{said}\n\n{in_float}", 1),
        Part("int8 by variant", _titled("#### What is int8 in each variant", tables_int8.variants(target)), 2),
        Part("nodes in float by variant",
             folded_table("Nodes that stayed in float, by variant", tables_int8.variant_nodes(target)), 7),
        Part("size by part", table(tables_int8.coverage(target)), 2),
        Part("int8 by layer", folded_table("int8 by layer", tables_int8.layers(target)), 7),
        Part("candidates for int8", folded_table("Candidates for int8, and what became of each", tables_int8.schemes(target)), 7),
    ]


def _conversions(target: TargetReport) -> list[Part]:
    return [
        Part("parity", f"### The same answers after each conversion?\n\n{table(tables.parity(target))}"),
        Part("instruction sets",
             _titled("#### The same int8 file on other instruction sets", tables_int8.instruction_sets(target)), 1),
        Part("emulated", _titled("#### On the target's core, under emulation", tables.emulated(target)), 2),
        Part("device", _titled("#### On the device", tables.device(target)), 2),
    ]


def _titled(title: str, data: Table) -> str:
    return f"{title}\n\n{table(data)}" if data.rows else ""


def _run(report: RunReport) -> list[Part]:
    decided = tables.decisions(report)
    shown = table(decided) if len(decided.rows) <= _OPEN_ROWS else folded_table(
        f"{len(decided.rows)} decisions with their reasons", decided)
    again = "" if not report.command else (
        f"### Make it again\n\n```\n{report.command}\n```\n\nTyped in the run's folder: {code('recipe.lock.yaml')} there holds "
        "every setting of the recipe. Equal bytes are promised on one machine with one set of versions."
    )
    return [
        Part("the run", "## The run"),
        Part("decisions", f"### Decisions\n\n{shown}" if decided.rows else "", 4),
        Part("command", again),
        Part("environment", folded_table("Environment", tables.environment(report)), 1),
        Part("data", folded_table("Data", tables.data(report)), 8),
        Part("steps", folded_table("Steps and how long they took", tables.steps(report)), 9),
    ]
