"""The report where several labels may apply to a text, or none: four texts that can be counted by hand."""

import dataclasses
import json
import re

import jsonschema
import numpy as np
import pytest
from markdown_it import MarkdownIt
from scipy.spatial.distance import jensenshannon

from edgedistill.evaluate import several_labels
from edgedistill.report import answers, chart_list, tables, tables_answers, tables_marked, wording
from edgedistill.report.build import build_report
from edgedistill.report.compare import compare_reports
from edgedistill.report.figure import NoChart
from edgedistill.report.html import render_html
from edgedistill.report.markdown import render_markdown
from edgedistill.report.model import ClassProbability, RunReport


@pytest.fixture
def report(several_parts):
    return build_report(several_parts)


@pytest.fixture
def target(report):
    return report.targets["made-up-board"]


@pytest.fixture
def perfect(several_parts):
    """The same run with a student that is the teacher, and both always right."""
    board = several_parts.targets["made-up-board"]
    right = (8 * board.gold - 4).astype(np.float32)
    changed = dataclasses.replace(board, logits=dict.fromkeys(board.logits, right))
    return build_report(dataclasses.replace(several_parts, targets={"made-up-board": changed}))


def listed(items):
    return [(item.label, round(item.probability, 6)) for item in items]


def shown(items):
    return [(item.label, round(item.teacher, 6), round(item.student, 6)) for item in items]


def test_right_rows_when_one_label_of_a_text_is_wrong_then_the_text_is(target):
    # right are 1 1 1 0 and 1 0 1 0
    assert (target.variants["teacher"].right_rows, target.variants["student_int8"].right_rows) == ("e0", "a0")
    assert target.retention == pytest.approx(2 / 3)
    assert (target.distillation_gain.student_accuracy, target.distillation_gain.mcnemar.only_candidate_right) == (0.5, 0)


def test_divergence_of_labels_when_compared_with_scipy_is_the_mean_over_the_classes():
    random = np.random.default_rng(0)
    a, b = random.random((20, 5)), random.random((20, 5))
    expected = [np.mean([jensenshannon([p, 1 - p], [q, 1 - q], base=2) ** 2 for p, q in zip(*row, strict=True)])
                for row in zip(a, b, strict=True)]
    assert answers.divergence_of_labels(a, b) == pytest.approx(expected)


def test_divergence_of_labels_when_all_are_opposite_is_one_bit():
    assert answers.divergence_of_labels(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])) == pytest.approx([1])


def test_telling_rows_when_sets_differ_stand_first_with_all_labels_that_are_given(target):
    rows = target.telling_rows
    assert [(row.text, row.true_label, row.right, row.same_answer) for row in rows] == [
        ("it <b>pours</b>", "<wet>", "teacher", False), ("a gale, and rain", "<wet>, windy", "neither", False),
        ("no weather | today", "(no label applies)", "both", True), ("a storm in the sun", "hot, windy", "both", True)]
    assert [row.true_labels for row in rows] == [("<wet>",), ("<wet>", "windy"), (), ("hot", "windy")]
    assert (listed(rows[0].teacher), listed(rows[0].student)) == ([("<wet>", 0.9)], [("<wet>", 0.9), ("hot", 0.75)])
    # the student gives none: its likeliest stands alone
    assert (listed(rows[1].teacher), listed(rows[1].student)) == ([("<wet>", 0.9)], [("<wet>", 0.45)])
    assert rows[0].divergence == pytest.approx(jensenshannon([0.1, 0.9], [0.75, 0.25], base=2) ** 2 / 3)


def test_telling_rows_when_classes_are_paired_then_nothing_is_summed_to_a_rest(target):
    assert [shown(row.classes) for row in target.telling_rows] == [
        [("<wet>", 0.9, 0.9), ("hot", 0.1, 0.75)],
        [("<wet>", 0.9, 0.45), ("windy", 0.25, 0.25)],
        [("windy", 0.1, 0.3), ("hot", 0.1, 0.1)],  # none is given or applies: the likeliest of each
        [("hot", 0.9, 0.75), ("windy", 0.9, 0.9)],
    ]


def test_telling_rows_when_labels_are_not_known_says_so():
    (row,) = answers.telling_rows(["x"], np.full((1, 2), -1, np.int32), ("a", "b"), teacher=np.array([[1.0, 1.0]]),
                                  student=np.array([[1.0, -1.0]]))
    assert (row.true_label, row.true_labels, row.right) == (answers.NO_LABEL_TEXT, (), "neither")


def test_answers_apart_when_sets_differ_names_the_whole_sets(target):
    assert [tuple(pair.model_dump().values()) for pair in target.answers_apart] == [
        ("<wet>", "(no label)", 1, 0, 0), ("<wet>", "hot, <wet>", 1, 1, 0)]


def test_missed_and_added_when_counted_by_hand_agree(target):
    # label, support, missed, added, and the teacher's
    assert [tuple(errors.model_dump().values()) for errors in target.missed_and_added] == [
        ("hot", 1, 0, 1, 0, 0), ("<wet>", 2, 1, 0, 0, 0), ("windy", 2, 1, 0, 1, 0)]
    assert (target.confusion, target.confused_pairs) == ((), ())


def test_missed_and_added_when_each_text_has_one_label_is_empty(parts):
    assert build_report(parts).targets["made-up-board"].missed_and_added == ()


def test_missed_and_added_when_shown_then_with_the_figures_of_the_class_the_most_errors_first(target):
    windy = target.missed_and_added[2].model_copy(update={"missed": 2})
    table = tables_answers.missed_and_added(target.model_copy(update={"missed_and_added": (*target.missed_and_added[:2], windy)}))
    assert table.headers == ("label", "test rows", "missed", "added", "precision", "recall", "F1", "teacher missed", "teacher added")
    assert table.rows == (("windy", "2", "2", "0", "100.0 %", "50.0 %", "66.7 %", "1", "0"),
                          ("hot", "1", "0", "1", "50.0 %", "100.0 %", "66.7 %", "0", "0"),
                          ("<wet>", "2", "1", "0", "100.0 %", "50.0 %", "66.7 %", "0", "0"))


def test_reliability_when_several_labels_may_apply_then_each_yes_or_no_is_an_answer(target):
    # sure 0.55: <wet> of row 3, wrong; 0.7: windy of row 2; 0.75: hot of row 0, and wrong hot of row 1, windy of row 3
    bins = target.reliability["student_int8"]
    assert [(b.n, round(b.low * 15)) for b in bins] == [(1, 8), (1, 10), (3, 11), (7, 13)]
    assert [b.confidence for b in bins] == pytest.approx([0.55, 0.7, 0.75, 0.9])
    assert [b.accuracy for b in bins] == pytest.approx([0, 1, 1 / 3, 1])


def test_reliability_when_bins_are_summed_gives_the_calibration_error_of_all_answers(several_parts, target):
    board, bins = several_parts.targets["made-up-board"], target.reliability["student_int8"]
    summed = sum(b.n / 12 * abs(b.accuracy - b.confidence) for b in bins)
    assert summed == pytest.approx((0.55 + 0.3 + 1.25 + 0.7) / 12)
    assert summed == pytest.approx(several_labels.calibration_interval(board.logits["student_int8"], board.gold, seed=0).value)


def test_calibration_when_several_labels_may_apply_then_right_is_of_the_same_answers(target):
    table = tables_answers.calibration(target)
    assert table.headers[2:] == ("mean probability of a yes or no", "yes or no right")
    assert table.rows[1][2:] == ("81.7 %", "75.0 %")  # 9.8 / 12, 9 / 12
    assert tables_answers.reliabilities(target).headers[2] == "answers"


def test_variants_when_there_is_a_micro_f1_then_it_stands_beside_the_macro_f1(target, parts):
    for made in (tables.variants(target), tables_marked.variants(target)):
        assert made.headers[4].startswith("macro-F1 (95 %")
        assert made.headers[5].startswith("micro-F1 (95 %")
        assert made.rows[0][4:6] == ("81.0 % (71.0 to 91.0)", "77.0 % (67.0 to 87.0)")
        assert {len(row) for row in made.rows} == {len(made.headers)}
    assert not any("micro" in header for header in tables.variants(build_report(parts).targets["made-up-board"]).headers)


def test_report_json_when_several_labels_may_apply_fits_the_schema_and_has_the_micro_f1(report):
    written = json.loads(report.to_json())
    jsonschema.validate(written, RunReport.model_json_schema(), cls=jsonschema.Draft202012Validator)
    target = written["targets"]["made-up-board"]
    assert target["problem_type"] == "multi_label_classification"
    assert (target["variants"]["teacher"]["micro_f1"], target["variants"]["teacher"]["micro_f1_ci95"]) == (0.77, [0.67, 0.87])


def test_report_json_when_an_earlier_version_wrote_it_then_each_text_has_one_label(parts, tmp_path):
    old = json.loads(build_report(parts).to_json())
    target = old["targets"]["made-up-board"]
    for owner, key in ((target, "problem_type"), (target, "missed_and_added"), *((v, "micro_f1") for v in target["variants"].values())):
        del owner[key]
    (tmp_path / "report.json").write_text(json.dumps(old))
    assert RunReport.read_json(tmp_path / "report.json") == build_report(parts)


def test_given_text_when_no_label_is_given_names_the_likeliest():
    likely, unlikely = (ClassProbability(label=label, probability=p) for label, p in (("a", 0.8), ("b", 0.4)))
    assert tables_answers.given_text((likely, likely)) == "a (80.0 %), a (80.0 %)"
    assert tables_answers.given_text((unlikely,)) == "none, likeliest b (40.0 %)"


def test_charts_when_several_labels_may_apply_then_no_confusion_and_no_empty_chart(target):
    charts = chart_list.of_target(target)
    assert "confusion" not in charts
    assert not [name for name, chart in charts.items() if isinstance(chart, NoChart)]
    assert "An answer is the yes or no to one label of one text." in charts["reliability"].description


def test_page_when_several_labels_may_apply_then_whole_and_without_a_confusion(report, read_page):
    page = read_page(render_html(report))
    text = " ".join("".join(page.text).split())
    assert {a["id"] for _, a in page.elements if "data-figure" in a} == {
        f"t0-{n}" for n in ("size", "latency", "accuracy", "terms", "loss", "distributions", "reliability", "frontier",
                            "frontier-latency")}
    assert text.count("all labels are right (exact match)") == 1
    assert text.index("exact match") < text.index("Accuracy kept")
    assert text.count(wording.NO_CONFUSION) == 1
    for sentence in ("What is missed and what is added", "micro-F1 (95 % interval)", "true labels <wet>, windy · neither is right",
                     "teacher: <wet> (90.0 %) · int8 student: none, likeliest <wet> (45.0 %)", "<wet> ✓ 90.0 % 45.0 %",
                     "true label (no label applies) · same answer, differently sure; both are right"):
        assert sentence in text
    for sentence in ("What is taken for what", "answers no row wrongly", "all others", "80 % this"):
        assert sentence not in text
    assert page.outside() == []


def test_page_when_every_label_is_right_then_says_that_none_is_missed(perfect, read_page):
    text = " ".join("".join(read_page(render_html(perfect)).text).split())
    assert "The int8 student misses no label and adds none." in text


def test_markdown_when_several_labels_may_apply_then_whole_and_without_a_confusion(report):
    text = render_markdown(report)
    assert text.count("exact match") == 1
    assert text.index("exact match") < text.index("## Made-up Board")
    assert text.count(wording.NO_CONFUSION) == 1
    assert "micro-F1 (95 %)" in text
    assert "They answer 2 of 4 test rows differently (50.0 %): the teacher is right on 1, the int8 student on 0, neither on 1." in text
    assert "| `it <b>pours</b>` (the teacher is right) | `<wet>` ✓ | **90.0 %** | **90.0 %** |\n|  | `hot` | 10.0 % | **75.0 %** |" in text
    assert "(same answer, differently sure; both are right; no label applies) | `windy` | 10.0 % | 30.0 % |" in text
    assert "What the int8 student misses and adds" in text
    assert "takes for what" not in text


def test_markdown_when_several_labels_may_apply_then_every_table_is_read_as_one(report):
    rendered = MarkdownIt("commonmark").enable("table").render(render_markdown(report))
    assert "|---" not in rendered
    assert "<wet>" not in re.sub(r"<code>.*?</code>", "", rendered)


def test_accuracy_text_when_each_text_has_one_label_is_empty(parts):
    assert wording.accuracy_text(build_report(parts)) == ""


def test_compare_when_several_labels_may_apply_then_pairs_the_rows_and_says_what_accuracy_is(report, perfect):
    found = compare_reports({"a": report, "b": perfect})
    assert [note for note in found.notes if "exact match" in note] == [wording.accuracy_text(report)]
    (accuracy,) = [d for d in found.differences if (d.variant, d.metric) == ("student_int8", "accuracy")]
    assert accuracy.is_paired
    assert accuracy.effect.value == 0.5  # from 1 0 1 0 to 1 1 1 1
