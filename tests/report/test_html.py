"""The page: complete, escaped, small enough, and without anything to fetch."""

import base64
import gzip
import json
import re

import pytest

from edgedistill.report import chart_list, charts, charts_answers, charts_search, figure, tables, tables_answers
from edgedistill.report.build import build_report
from edgedistill.report.html import render_html
from edgedistill.report.page import script_json
from edgedistill.results import TrainingLog, TrainingPoint


@pytest.fixture
def source(parts):
    return render_html(build_report(parts))


@pytest.fixture
def page(source, read_page):
    return read_page(source)


def test_frontier_when_drawn_then_every_student_that_was_trained_has_its_mark(page):
    figure = page.figures()["t0-frontier-figure"]
    marks = {trace["name"]: (trace["x"], trace["y"]) for trace in figure["data"]}
    assert {name: marks[name] for name in ("misses the goal", "chosen")} == {
        "misses the goal": ([1.0], [0.84]), "chosen": ([2.0], [0.93])}
    assert marks["not trained"][0] == [6.0]  # 6x384 was considered
    assert any(shape.get("y0") == 0.95 for shape in figure["layout"]["shapes"])


def test_frontier_when_shown_then_the_table_has_every_trial_and_its_verdict(page):
    shown = " ".join(" ".join(page.text).split())
    for text in ("Students tried", "chosen, keeps the goal", "misses the goal", "given up", "<i>5x", "84.0 %"):
        assert text in shown


def test_frontier_when_the_trials_were_ranked_by_macro_f1_then_table_and_chart_show_it(target_parts, with_target):
    ranked = tuple(row.model_copy(update={"metric": "macro_f1", "teacher_macro_f1": 0.9, "int8_macro_f1": figure})
                   for row, figure in zip(target_parts.frontier, (0.7, 0.6, None), strict=True))
    target = build_report(with_target(frontier=ranked)).targets["made-up-board"]
    table = tables.frontier(target)
    assert [row[table.headers.index("int8 macro-F1")] for row in table.rows] == ["70.0 %", "60.0 %", "–"]
    data = json.loads(charts_search.frontier_over_size(target).figure_json)
    assert {y for trace in data["data"] if trace["name"] in ("chosen", "misses the goal") for y in trace["y"]} == {0.7, 0.6}
    assert "macro-F1" in data["layout"]["yaxis"]["title"]["text"]


def test_frontier_when_a_trial_keeps_the_goal_by_chance_then_neither_kept_nor_missed(target_parts, with_target):
    rows = target_parts.frontier
    by_chance = rows[1].model_copy(update={"met_goal": False, "is_kept_by_chance": True, "is_chosen": False})
    target = build_report(with_target(frontier=(rows[0], by_chance, rows[2]))).targets["made-up-board"]
    assert [row[2] for row in tables.frontier(target).rows] == ["chosen, keeps the goal", "keeps the goal by chance", "given up"]
    marks = {trace["name"]: trace["y"] for trace in json.loads(charts_search.frontier_over_size(target).figure_json)["data"]}
    assert marks["keeps it by chance"] == [by_chance.int8_accuracy]
    assert "misses the goal" not in marks
    assert list(charts_search.kinds(target)) == ["chosen", "keeps it by chance", "not trained"]


def test_frontier_when_the_recipe_has_no_goal_then_no_student_is_said_to_keep_one(with_target):
    target = build_report(with_target(goals=())).targets["made-up-board"]
    assert [row[2] for row in tables.frontier(target).rows] == ["chosen, fits", "over a budget", "given up"]
    names = [trace["name"] for trace in json.loads(charts_search.frontier_over_size(target).figure_json)["data"]]
    assert {"over a budget", "chosen"} <= set(names)
    assert not any("goal" in name for name in (*names, *charts_search.kinds(target)))


def test_frontier_when_drawn_over_latency_then_has_the_predicted_milliseconds(page):
    marks = {trace["name"]: trace for trace in page.figures()["t0-frontier-latency-figure"]["data"]}
    assert marks["chosen"]["x"] == [2.0]
    assert marks["not trained"]["x"] == [20.0]
    assert "latency p50 on the target, predicted" in page.figures()["t0-frontier-latency-figure"]["layout"]["xaxis"]["title"]["text"]


def test_front_when_a_larger_student_is_worse_then_it_is_not_on_the_line(with_target, target_parts):
    worse = target_parts.frontier[0].model_copy(
        update={"trial": 4, "int8_bytes": 3 * 2**20, "int8_accuracy": 0.9, "is_chosen": False})
    target = build_report(with_target(frontier=(*target_parts.frontier, worse))).targets["made-up-board"]
    data = json.loads(charts_search.frontier_over_size(target).figure_json)["data"]
    (line,) = [trace for trace in data if trace.get("mode") == "lines"]
    assert (line["x"], line["y"]) == ([1.0, 2.0], [0.84, 0.93])


def test_marks_when_filtered_then_carry_shape_fit_accuracy_and_trial(page):
    marks = {trace["name"]: trace["customdata"] for trace in page.figures()["t0-frontier-figure"]["data"] if "meta" in trace}
    assert marks["chosen"] == [["6x192", True, 0.93, 1]]
    assert marks["not trained"] == [["6x384", False, None]]
    boxes = [a["value"] for tag, a in page.elements if tag == "input" and a.get("name") == "kind"]
    assert boxes == ["chosen", "misses the goal", "not trained"]


def test_ticks_when_a_shape_was_tried_then_not_called_untrained(parts):
    target = build_report(parts).targets["made-up-board"]
    figure = json.loads(charts.accuracy_over_size(target).figure_json)
    (ticks,) = [trace for trace in figure["data"] if trace["name"] == "considered, not trained"]
    assert len(ticks["x"]) == 1  # 6x384; 4x128 was tried


def test_page_when_there_was_no_search_then_says_so_and_draws_no_frontier(with_target, read_page):
    page = read_page(render_html(build_report(with_target(frontier=()))))
    assert "No search was made." in " ".join(page.text)
    assert "t0-frontier-figure" not in page.figures()


def test_page_when_a_goal_is_missed_then_shows_the_advice(with_target, read_page):
    assert "raise <it> & rest" in " ".join(read_page(render_html(build_report(with_target(advice="raise <it> & rest")))).text)


def test_page_when_texts_hold_markup_shows_them_as_text(page):
    shown = " ".join(page.text)
    assert "</script><img src=x onerror=alert(1)>" in shown
    assert "<script>alert('label')</script>" in shown
    assert "brighter & warmer" in shown
    assert page.count("img") == 0
    assert page.count("script") == len(page.figures()) + 2  # the library and the page's own


def test_page_when_texts_hold_markup_never_writes_it_raw(source):
    assert "<script>alert" not in source
    assert "<img src=x" not in source


def test_script_json_when_text_ends_a_script_keeps_its_meaning():
    text = json.dumps({"a": "</script><!-- & \u2028"}, ensure_ascii=False)
    safe = str(script_json(text))
    assert not set("<>&\u2028") & set(safe)
    assert json.loads(safe) == json.loads(text)


def test_page_when_a_rung_is_named_like_markup_escapes_it_in_the_chart(with_target, target_parts, read_page):
    rows = (target_parts.predictions[0].model_copy(update={"rung": "<b>x</b></script>"}), *target_parts.predictions[1:])
    figure = read_page(render_html(build_report(with_target(predictions=rows)))).figures()["t0-size-figure"]
    (ticks,) = [trace for trace in figure["data"] if trace["name"] == "considered, not trained"]
    assert ticks["hovertext"][0].startswith("&lt;b&gt;x&lt;/b&gt;&lt;/script&gt; (not trained)")


def test_page_when_opened_refers_to_nothing_outside(page):
    assert page.outside() == []
    policy = next(a["content"] for t, a in page.elements if t == "meta" and a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")


def test_page_when_charts_offer_buttons_has_none_that_uploads(source):
    own = source.split("<script>")[-1]
    assert "showSendToCloud: false" in own
    assert "sendChartToCloud" not in own


def test_page_when_complete_is_under_six_megabytes(source):
    assert len(source.encode()) < 6_000_000


def test_page_when_it_packs_plotly_then_unpacks_to_the_same_bytes(page):
    from plotly.offline import get_plotlyjs

    (packed,) = [body for attributes, body in page.scripts if attributes.get("id") == "plotly"]
    assert gzip.decompress(base64.b64decode("".join(packed))).decode() == get_plotlyjs()


def test_page_when_three_targets_have_150_classes_is_under_six_megabytes_and_says_what_it_leaves_out(many_classes_parts, read_page):
    report = build_report(many_classes_parts)
    source = render_html(report)
    assert len(source.encode()) < 3_500_000  # thumbnails of sixty photographs, 9 kB each at most, stay far from 6 MB
    pairs = {(t, a) for matrix in (report.targets["board-0"].confusion, report.targets["board-0"].teacher_confusion)
             for t, row in enumerate(matrix) for a, n in enumerate(row) if n and t != a}
    assert f"The table has the 300 most frequent of {len(pairs):,} pairs, report.json all." in " ".join(read_page(source).text)


def test_classes_when_hundreds_then_the_worst_are_listed_and_the_rest_counted(parts):
    target = build_report(parts).targets["made-up-board"]
    figures = target.classes[0]
    many = target.model_copy(update={"classes": tuple(
        figures.model_copy(update={"label": f"c{i}", "f1": (i + 1) / 1000}) for i in reversed(range(999)))})
    rows = tables_answers.classes(many).rows
    assert [rows[0][0], rows[-1][0], len(rows)] == ["c0", "c299", 300]
    assert tables_answers.classes_title(many) == (
        "The int8 student by class, the worst first; 300 of 999, report.json has all")
    assert tables_answers.classes_title(target) == "The int8 student by class, the worst first"


def test_classes_when_one_has_no_test_rows_then_it_has_no_figures_and_stands_last(parts):
    target = build_report(parts).targets["made-up-board"]
    figures = target.classes[0].model_copy(update={"f1": 0.5, "support": 10, "recall": 0.5})
    unseen = figures.model_copy(update={"label": "unseen", "support": 0, "precision": 0.0, "recall": 0.0, "f1": 0.0})
    rows = tables_answers.classes(target.model_copy(update={"classes": (unseen, figures)})).rows
    assert [row[0] for row in rows] == [figures.label, "unseen"]
    assert set(rows[-1][2:]) == {tables_answers.UNKNOWN}


def test_page_when_read_has_verdict_five_numbers_and_every_section(page):
    shown = " ".join("".join(page.text).split())
    assert "Ready for Made-up Board <1>: the int8 student is 40.0x smaller" in shown
    for heading in ("Students tried", "What is taken for what", "int8 by layer", "Size", "Speed", "Accuracy kept", "Memory", "Fits?", "Budgets and goals", "Variants",
                    "Training, and what the teacher bought", "Latency and memory", "Where teacher and student differ",
                    "int8 and parity", "Student shapes considered", "What was not checked", "Decisions", "Data"):
        assert heading in shown
    assert "model_bytes 6.00 MiB is over 3.00 MiB (x2.00)" in shown
    assert page.count("h1") == 1


def test_variants_when_latency_on_the_target_is_predicted_then_its_interval_stands_below(page):
    assert "6.00 ms predicted (3.00 ms to 12.0 ms)" in " ".join(" ".join(page.text).split())


def test_frontier_when_zoomed_by_key_then_both_charts_have_named_buttons(page):
    groups = [a["data-zoom"] for tag, a in page.elements if "data-zoom" in a]
    assert groups == ["t0-frontier", "t0-frontier-latency"]
    buttons = [a for tag, a in page.elements if tag == "button" and a["type"] == "button"]
    assert [a["value"] for a in buttons] == ["in", "out", "left", "right", "up", "down", "all"] * 2
    assert all(a.get("aria-label") for a in buttons if a["value"] != "all")
    for group in groups:
        layout = page.figures()[f"{group}-figure"]["layout"]
        assert len(layout["xaxis"]["range"]) == len(layout["yaxis"]["range"]) == 2


def test_page_when_read_has_a_table_for_every_chart(page):
    charted = [a for tag, a in page.elements if "data-figure" in a]
    assert {a["id"] for a in charted} == {f"t0-{n}" for n in
                                          ("size", "latency", "accuracy", "terms", "loss", "distributions", "reliability",
                                           "confusion", "frontier", "frontier-latency")}
    assert all(a["role"] == "img" and a["aria-label"] for a in charted)
    assert page.count("figcaption") >= len(charted)
    assert page.count("summary") >= len(charted)


def test_chart_of_latency_when_sources_differ_looks_different(page):
    traces = {t["name"]: t for t in page.figures()["t0-latency-figure"]["data"]}
    predicted = traces["student_int8, target (predicted)"]
    assert predicted["line"]["dash"] == "dot"
    assert predicted["marker"]["symbol"][1] == "diamond-open"
    assert not traces["student_int8, host (measured)"]["marker"]["symbol"].endswith("-open")


def test_page_when_data_are_missing_says_so_in_the_place_of_every_chart(with_target, target_parts, read_page):
    verdict = target_parts.quantization.model_copy(update={"layers": ()})
    page = read_page(render_html(build_report(with_target(curves={}, measurements={}, quantization=verdict, frontier=(), goals=()))))
    shown = " ".join(" ".join(page.text).split())
    assert "t0-loss-figure" not in page.figures()
    assert "t0-size-figure" in page.figures()
    assert shown.count("No training log came with this run.") == 3
    for sentence in ("Peak memory was not measured.", "The layers were not recorded", "No search was made.",
                     "The recipe sets no goal."):
        assert sentence in shown


def test_page_when_a_log_is_old_says_that_hard_and_soft_loss_are_not_told_apart(with_target, target_parts, read_page):
    points = tuple(TrainingPoint(step=p.step, loss=p.loss, validation_loss=p.validation_loss,
                                 validation_accuracy=p.validation_accuracy) for p in target_parts.curves["student"].points)
    page = read_page(render_html(build_report(with_target(curves={"student": TrainingLog(points=points)}))))
    assert "does not tell the hard from the soft loss" in " ".join(" ".join(page.text).split())
    assert "t0-terms-figure" not in page.figures()


def test_losses_when_both_are_known_then_drawn_for_training_and_validation(page):
    traces = {t["name"]: (t["y"], t["line"].get("dash")) for t in page.figures()["t0-terms-figure"]["data"]}
    assert traces == {
        "hard loss, training": ([1.6, 0.7], None), "hard loss, validation": ([1.3, 0.8], "dash"),
        "soft loss, training": ([1.4, 0.4], None), "soft loss, validation": ([1.1, 0.5], "dash"),
    }


def test_confusion_when_drawn_then_errors_and_diagonal_are_apart(page):
    cells = {(t["meta"], t["colorscale"][0][1]): t["z"] for t in page.figures()["t0-confusion-figure"]["data"]}
    # the int8 student answers 0 0 0 1 0 2 where 0 0 1 1 2 2 is true
    assert cells["int8 student", "#f3c9a5"] == [[None, None, None], [1, None, None], [1, None, None]]
    assert cells["int8 student", "#aab4bf"] == [[2, None, None], [None, 1, None], [None, None, 1]]
    # the teacher answers 0 0 1 1 2 0: rows 2, 4 and 5 differ
    assert cells["teacher against student", "#f3c9a5"] == [[None, None, 1], [1, None, None], [1, None, None]]


def test_confusion_when_there_are_many_classes_shows_those_with_errors(lifelike_parts):
    target = next(iter(build_report(lifelike_parts).targets.values()))
    wide = target.model_copy(update={
        "labels": tuple(f"c{i}" for i in range(40)), "answers_apart": (),
        "confusion": _matrix(40, {(39, 38): 2}), "teacher_confusion": _matrix(40, {(35, 1): 1})})
    chart = charts_answers.confusion(wide)
    shown = json.loads(chart.figure_json)["data"][0]["x"]
    assert len(shown) == 30
    assert {"c1", "c35", "c38", "c39"} <= set(shown)
    assert "Shown are the 30 of 40 classes" in chart.description


def _matrix(n, errors):
    return tuple(tuple(errors.get((i, j), 5 if i == j else 0) for j in range(n)) for i in range(n))


def test_layers_when_recorded_then_int8_and_float_are_told_apart(page):
    shown = " ".join(" ".join(page.text).split())
    assert "encoder.layer.0 5.0 KiB, 80.0 % int8; 3 of 4 nodes" in shown
    assert [a["style"] for t, a in page.elements if "in-float" in a.get("class", "") and "style" in a] == ["width:0.0%", "width:20.0%"]


def test_telling_row_when_shown_then_both_probabilities_of_each_class_stand_side_by_side(page):
    shown = " ".join("".join(page.text).split())
    # 4 against 0 and 0: 1 / (1 + 2 exp(-4)) = 0.9647, the others 0.0177
    assert "lights_off ✓ 96.5 % 1.8 %" in shown


def test_chart_list_when_asked_then_has_a_chart_or_a_reason_for_every_name(with_target):
    bare = build_report(with_target(curves={}, measurements={}, frontier=())).targets["made-up-board"]
    found = chart_list.of_target(bare)
    assert {name for name, chart in found.items() if isinstance(chart, figure.NoChart)} == {
        "frontier", "frontier-latency", "accuracy", "terms", "loss"}
    assert all(chart.reason for chart in found.values() if isinstance(chart, figure.NoChart))


def test_page_when_all_answers_agree_says_so(with_target, target_parts, read_page):
    same = {**target_parts.logits, "student_int8": target_parts.logits["teacher"]}
    shown = " ".join(read_page(render_html(build_report(with_target(logits=same)))).text)
    assert "Teacher and int8 student give the same answer on every test row, and are equally sure of it." in shown


def test_page_when_answers_agree_but_not_how_sure_then_shows_both_distributions(with_target, target_parts, read_page):
    surer = {**target_parts.logits, "student_int8": 1.5 * target_parts.logits["teacher"]}
    page = read_page(render_html(build_report(with_target(logits=surer))))
    shown = " ".join("".join(page.text).split())
    assert "give the same answer on every test row; they are not equally sure of it." in shown
    assert "The 6 most telling test rows" in shown
    assert shown.count("same answer, differently sure; both are right") == 5  # the teacher misses the last row
    # 4 and 6 against 0 and 0: 0.9647 and 1 / (1 + 2 exp(-6)) = 0.9951
    assert "lights_off ✓ 96.5 % 99.5 %" in shown
    assert "The answers that differ most often" not in shown


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def papers_and_inks(source):
    blocks = re.findall(r":root \{([^}]*)\}", source)[:2]
    return [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block)) for block in blocks]


def test_colours_when_light_or_dark_have_the_contrast_of_wcag_aa(source):
    for theme in papers_and_inks(source):
        for ink in ("ink", "muted", "ok", "bad", "accent"):
            assert contrast(theme[ink], theme["paper"]) >= 4.5
        for ink in ("ink", "muted"):
            assert contrast(theme[ink], theme["surface"]) >= 4.5
        assert contrast(theme["ok"], theme["ok-paper"]) >= 4.5
        assert contrast(theme["bad"], theme["bad-paper"]) >= 4.5
        for colour in (*figure.COLOURS.values(), figure.NEUTRAL):
            assert contrast(colour, theme["paper"]) >= 3
