"""The Markdown for a pull request, read back with a Markdown parser."""

import dataclasses
import re

import pytest
from markdown_it import MarkdownIt

from edgedistill.emulation.findings import EmulatedCheck
from edgedistill.evaluate.intervals import wilson
from edgedistill.manifest import Decision
from edgedistill.report import tables, tables_int8
from edgedistill.report.build import build_report
from edgedistill.report.html import render_html
from edgedistill.report.markdown import LIMIT_BYTES, render_markdown
from edgedistill.report.markup import code, cut, plain, table
from edgedistill.report.tables import Table
from edgedistill.results import Coverage, InstructionSetCheck


@pytest.fixture
def text(parts):
    return render_markdown(build_report(parts))


def as_html(markdown):
    return MarkdownIt("commonmark").enable("table").render(markdown)


def test_emulated_when_rows_were_labelled_then_accuracy_there_and_here(parts):
    target = build_report(parts).targets["made-up-board"]
    alike = target.parity.int8.model_copy(update={"source": "emulated"})
    check = EmulatedCheck(core="cortex-a72", architecture="aarch64", emulator="qemu 7.2", runtime="onnxruntime 1.32.0", model_sha256="a" * 64,
                          parity=alike, peak_rss_bytes=None, baseline_rss_bytes=None, instructions=None)
    bare = dict(tables.emulated(target.model_copy(update={"emulated": check})).rows)
    assert list(bare) == ["core, emulator, runtime"]
    known = check.model_copy(update={"labelled_rows": 40, "accuracy": wilson(30, 40), "host_accuracy": wilson(31, 40)})
    rows = dict(tables.emulated(target.model_copy(update={"emulated": known})).rows)
    assert rows["accuracy there, 40 rows (95 % interval)"].startswith("75.0 % (")
    assert rows["accuracy of the same rows on the host"].startswith("77.5 % (")


def test_instruction_sets_then_a_line_for_each_core_replayed_or_not(parts):
    alike = build_report(parts).targets["made-up-board"].parity.int8.model_copy(
        update={"source": "emulated", "decisions_flipped": 3, "n": 60, "problems": ("parity.emulated_min_agreement: no",)})
    own = EmulatedCheck(core="cortex-a72", architecture="aarch64", emulator="qemu 7.2", runtime="onnxruntime 1.32.0", model_sha256="a" * 64,
                        parity=alike, labelled_rows=60, accuracy=wilson(30, 60), host_accuracy=wilson(33, 60),
                        peak_rss_bytes=None, baseline_rss_bytes=None, instructions=None)
    dead = own.model_copy(update={"core": "cortex-a76", "accuracy": None, "host_accuracy": None, "parity": alike.model_copy(
        update={"decisions_flipped": 60, "problems": ("it does not run there: ended with SIGILL",)})})
    left_out = InstructionSetCheck(core="cortex-a53", is_target=False, not_checked="there is no emulated environment for it here",
                                   hint="edgedistill arm-env")
    board = dataclasses.replace(parts.targets["made-up-board"], emulated=own, emulated_others=(dead,), not_emulated=(left_out,))
    report = build_report(dataclasses.replace(parts, targets={"made-up-board": board}))
    rows = tables_int8.instruction_sets(report.targets["made-up-board"]).rows
    assert [row[:3] for row in rows] == [
        ("cortex-a72 (the target's)", "emulated", "3 of 60 decisions flipped"),
        ("cortex-a76", "emulated", "60 of 60 decisions flipped; it does not run there: ended with SIGILL"),
        ("cortex-a53", "not checked", "not checked on this instruction set: there is no emulated environment for it here "
                                      "(edgedistill arm-env)"),
    ]
    assert [row[3][:6] for row in rows] == ["50.0 %", "–", "–"]
    text = render_markdown(report)
    assert "#### The same int8 file on other instruction sets" in text
    assert "| cortex-a53 | not checked | not checked on this instruction set: there is no emulated environment" in text
    page = render_html(report)
    assert "The same int8 file on other instruction sets" in page
    assert "not checked on this instruction set" in page
    assert report.targets["made-up-board"].verdict == "pass"  # a target's core that decides otherwise is in parity.arm64


def test_markdown_when_read_holds_verdict_and_figures(text):
    assert text.startswith("# made-up\n")
    assert "✅ **pass** Ready for Made-up Board &lt;1&gt;: the int8 student is 40.0x smaller" in text
    assert "| model size | met | fits a poor link | 2.00 MiB ■ measured | 3.00 MiB | 66.7 % |" in text
    assert "| peak memory | met | – | 14.00 MiB ▨ emulated | 48.00 MiB | 29.2 % |" in text
    assert "| speed | 20.0x | the teacher's speed;" in text
    assert "on the target p50 6.00 ms ◇ predicted |" in text
    assert "| fits? | yes | 3 of 3 budgets met |" in text
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
    inner = as_html(plain(hostile)).removeprefix("<p>").removesuffix("</p>\n").replace("\u2060", "")
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


def test_plain_when_text_names_an_issue_or_an_address_links_nowhere():
    assert plain("#12 of https://a.b, www.c.d, C#") == "#\u206012 of https:\u2060//a.b, www\u2060.c.d, C#"


def test_table_when_figures_follow_words_sets_them_right():
    assert table(Table(("a", "b"), (("x", "1"),))) == "| a | b |\n|---|--:|\n| x | 1 |"


def test_markdown_when_students_were_tried_then_has_a_row_a_trial(parts):
    text = render_markdown(build_report(parts))
    assert "<summary>Students tried: 3, judged on the validation split</summary>" in text
    rows = [line for line in text.splitlines() if line.startswith(("| 1 |", "| 2 |", "| 3 |"))]
    assert [row.split(" | ")[1:4] for row in rows] == [
        ["6x192", "chosen, keeps the goal", "none"], ["4x128", "misses the goal", "does-not-fit"],
        ["&lt;i&gt;5x", "given up", "given-up"],
    ]


def section(text, title):
    """What stands between a heading and the next one of its kind or above."""
    return re.split(r"^##", text.split(f"### {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.fixture
def lifelike(lifelike_parts):
    return build_report(lifelike_parts)


def test_variants_when_shown_then_each_cost_is_marked_and_has_its_interval(text):
    (row,) = [line for line in section(text, "Variants").splitlines() if line.startswith("| student_int8 |")]
    cells = row.strip("| ").split(" | ")
    assert cells[2] == "2.00 MiB"
    # the median of 0.9, 1.0, 1.1 ms and their slower rounds; what the plan predicted; 62 MiB less 60
    assert re.fullmatch(r"1\.00 ms \([\d.]+ to [\d.]+\) ■", cells[6])
    assert re.fullmatch(r"6\.00 ms \(.* to .*\) ◇", cells[8])
    assert cells[9] == "2.00 MiB ■"


def test_differences_when_shown_then_three_are_open_and_ten_there_with_both_distributions(lifelike):
    target = next(iter(lifelike.targets.values()))
    found = section(render_markdown(lifelike), "Where teacher and student differ")
    shown, rest = found.split("<details><summary>The next 7</summary>")
    assert (shown.count("` (the "), rest.count("` (the ")) == (
        sum(row.right != "neither" for row in target.telling_rows[:3]), sum(row.right != "neither" for row in target.telling_rows[3:10]))
    assert not any(row.same_answer for row in target.telling_rows[:10])
    first = target.telling_rows[0]
    for item in first.classes:
        name = "all others" if item.label is None else f"`{item.label}`" + (" ✓" if item.label == first.true_label else "")
        assert f"| {name} | {item.teacher * 100:.1f} % | {item.student * 100:.1f} % |" in shown


def test_differences_when_counted_then_say_who_is_right(text):
    # of the six rows the answers differ on 2, 4 and 5; teacher right on 2 and 4, int8 student on 5
    assert ("They answer 3 of 6 test rows differently (50.0 %): the teacher is right on 2, the int8 student on 1, neither on 0."
            in section(text, "Where teacher and student differ"))


def test_differences_when_answers_agree_but_not_how_sure_then_marked(with_target, target_parts):
    surer = {**target_parts.logits, "student_int8": 1.5 * target_parts.logits["teacher"]}
    found = section(render_markdown(build_report(with_target(logits=surer))), "Where teacher and student differ")
    assert "They give the same answer on every test row, not equally sure." in found
    assert "(same answer, differently sure; both are right) | `lights_on` ✓ | 96.5 % | 99.5 % |" in found


def test_classes_when_many_then_the_ten_with_the_lowest_f1_and_where_all_are(lifelike_parts):
    board = lifelike_parts.targets["raspberry-pi"]
    evaluation = board.evaluations["student_int8"]
    changed = tuple(c.model_copy(update={"f1": i / 100}) for i, c in enumerate(reversed(evaluation.classes)))
    board = dataclasses.replace(board, evaluations={**board.evaluations, "student_int8": evaluation.model_copy(update={"classes": changed})})
    text = render_markdown(build_report(dataclasses.replace(lifelike_parts, targets={"raspberry-pi": board})))
    found = section(text, "By class")
    assert f"The 10 of {len(changed)} classes with the lowest F1; `report.html` has all." in found
    rows = [line.split("`")[1] for line in found.split("<details>")[0].splitlines() if line.startswith("| `")]
    assert rows == [c.label for c in changed[:10]]


def test_int8_when_nodes_stayed_in_float_then_are_grouped_by_reason(with_target, target_parts):
    coverage = Coverage(
        weight_bytes_share=0.5, nodes_share=0.25, float_nodes=("a|b", "c", "old"), bytes_by_part={"head": 10}, runtime_nodes_share=0.2,
        float_reasons={"a|b": "the recipe keeps it", "c": "the recipe keeps it"},
    )
    quantization = target_parts.quantization.model_copy(update={"coverage": coverage})
    found = section(render_markdown(build_report(with_target(quantization=quantization))), "int8")
    assert "50.0 % of the weight bytes and 25.0 % of the nodes on weights are int8; of the nodes as onnxruntime fuses them here, 20.0 %." in found
    assert "| the recipe keeps it | a\\|b, c | 2 |" in found
    assert "| not recorded: an earlier version quantized this model | old | 1 |" in found


def test_int8_when_no_node_is_in_float_says_so(text):
    assert "No node on weights stayed in float." in section(text, "int8")


def test_decisions_when_many_then_open_on_a_click(parts):
    few = section(render_markdown(build_report(parts)), "Decisions")
    assert "| plan | student 6x192 | the largest that fits |" in few
    many = dataclasses.replace(parts, decisions=tuple(Decision(step="s", what=str(i), why="w") for i in range(30)))
    assert "<details><summary>30 decisions with their reasons</summary>" in render_markdown(build_report(many))


def test_command_when_known_then_stands_in_a_fence(parts):
    made = dataclasses.replace(parts, command="edgedistill run --recipe recipe.lock.yaml --target a -o again")
    assert "```\nedgedistill run --recipe recipe.lock.yaml --target a -o again\n```" in render_markdown(build_report(made))
    assert "Make it again" not in render_markdown(build_report(parts))


def test_details_when_rendered_then_hold_tables_and_are_closed(lifelike):
    rendered = as_html(render_markdown(lifelike))
    assert rendered.count("<details>") == rendered.count("</details>") > 10
    assert rendered.count("</summary>\n<table>") == rendered.count("</summary>")
    assert "|---" not in rendered  # every table was read as one


def test_report_when_of_two_targets_then_fits_a_comment_whole_and_begins_with_both_verdicts(lifelike):
    text = render_markdown(lifelike)
    assert len(text.encode()) < LIMIT_BYTES
    assert "Left out here" not in text
    assert text.index("| Raspberry Pi Zero 2 W | fail |") < text.index("## Raspberry Pi 4")


def test_report_when_too_long_then_leaves_out_what_matters_least_and_says_so(lifelike_parts):
    board = lifelike_parts.targets["raspberry-pi"]
    many = dataclasses.replace(lifelike_parts, targets={f"t{i}": dataclasses.replace(board, name=f"Board {i}") for i in range(6)})
    text = render_markdown(build_report(many))
    assert len(text.encode()) <= LIMIT_BYTES
    (said,) = [line for line in text.splitlines() if line.startswith("Left out here")]
    assert "steps" in said
    assert "Steps and how long they took" not in text
    assert "Of these targets" not in text
    for kept in ("### Budgets and goals", "### Variants", "### What was not checked", "### What distillation bought"):
        assert text.count(kept) == 6


def test_report_when_all_verdicts_are_too_long_then_the_last_targets_have_their_row_alone(lifelike_parts):
    board = lifelike_parts.targets["raspberry-pi"]
    four = dataclasses.replace(lifelike_parts, targets={f"t{i}": dataclasses.replace(board, name=f"Board {i}") for i in range(4)})
    report = build_report(four)
    text = render_markdown(report, limit_bytes=10_000)
    assert len(text.encode()) <= 10_000
    assert [f"\n## Board {i}\n" in text for i in range(4)] == [True, True, False, False]
    assert all(f"| Board {i} | pass |" in text for i in range(4))
    assert "\n\nOf these targets only the row at the top is here, for the same reason: Board 2, Board 3.\n\n" in text
    assert "\n## Board 0\n" in render_markdown(report, limit_bytes=1)


def test_steps_then_say_how_long_they_took_when_they_were_done(parts):
    assert "| step | took, when it was done |\n|---|--:|\n| prepare | 0.4 s |\n| teach | 41.0 s |" in render_markdown(build_report(parts))


def test_report_when_texts_and_names_are_very_long_then_cells_are_cut(with_target, parts):
    long = dataclasses.replace(with_target(texts=("word " * 5000,) * 6), decisions=(Decision(step="s", what="w" * 9000, why="y"),))
    text = render_markdown(build_report(long))
    assert max(len(line) for line in text.splitlines()) < 1000
    assert "…" in text


def test_cut_when_too_long_ends_with_an_ellipsis_and_has_the_length():
    assert (cut("abcdef", 4), cut("abcd", 4), cut("a\n b", 4)) == ("abc…", "abcd", "a b")
