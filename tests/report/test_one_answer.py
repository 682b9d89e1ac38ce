"""A student that does no more than give one answer is told so."""

import dataclasses

import numpy as np
import pytest

from edgedistill.report.build import build_report
from edgedistill.report.html import render_html
from edgedistill.report.markdown import render_markdown
from edgedistill.report.one_answer import doubt_text

NAMES = ("ok", "fraud")


def logits_of(answers):
    return np.eye(2, dtype=np.float32)[np.asarray(answers)]


def classes_of(ok, fraud):
    return np.repeat([0, 1], [ok, fraud]).astype(np.int32)


def test_doubt_when_all_test_rows_are_of_one_class_then_nothing_is_known_of_the_others():
    assert doubt_text(logits_of([0] * 30), classes_of(30, 0), NAMES, macro_f1=1.0) == (
        "But all test rows have one right answer, 'ok', which it gives to each of them: whether it tells the classes apart is unknown.")
    assert "one right answer, 'ok': whether" in doubt_text(logits_of([1] * 30), classes_of(30, 0), NAMES, macro_f1=0.0)


def test_doubt_when_every_row_gets_one_answer_then_says_which():
    assert doubt_text(logits_of([0] * 20), classes_of(12, 8), NAMES, macro_f1=0.375) == (
        "But it gives one answer to all test rows, 'ok': it tells nothing apart.")


@pytest.mark.parametrize(("won", "lost", "is_doubted"), [
    (1, 0, True),  # 1/40 = 0.025, and (2 - 1/42)^0.5 / 42 = 0.033
    (2, 0, False),  # 2/40 = 0.050, and (3 - 4/42)^0.5 / 42 = 0.041
    (4, 2, True),  # 2/40 = 0.050, and (7 - 4/42)^0.5 / 42 = 0.063
])
def test_doubt_when_not_better_than_the_largest_class_by_an_error_then_says_so(won, lost, is_doubted):
    gold = classes_of(30, 10)
    answers = np.zeros(40, int)
    answers[:lost], answers[40 - won:] = 1, 1
    said = doubt_text(logits_of(answers), gold, NAMES, macro_f1=0.6)
    assert bool(said) == is_doubted
    if lost:  # 32 of 40 rows right; always 'ok' has an F1 of 2 * 0.75 / 1.75 and one of 0
        assert said == ("But by accuracy it is no better than a model that always answers 'ok' (80.0 % of the test rows against "
                        "75.0 %; macro-F1 60.0 % against 42.9 %).")


def test_doubt_when_rows_have_no_label_then_they_are_not_counted():
    gold = np.array([-1, -1, 0, 0, 0], np.int32)
    assert "all test rows have one right answer, 'ok': whether" in doubt_text(logits_of([1, 1, 0, 0, 1]), gold, NAMES, macro_f1=0.5)
    assert doubt_text(logits_of([0, 1]), np.array([-1, -1], np.int32), NAMES, macro_f1=0.0) == ""


def test_doubt_when_several_labels_may_apply_and_none_is_given_then_says_so():
    gold = np.array([[0, 0], [0, 0], [0, 1], [1, 1]], np.int32)
    none = np.full((4, 2), -1, np.float32)
    assert "one answer to all test rows, no label: it tells" in doubt_text(none, gold, NAMES, macro_f1=0.0)
    some = np.where([[0, 1], [0, 0], [0, 0], [0, 0]], 1, -1).astype(np.float32)  # 1 of 4 sets is right, none would be 2
    assert "always answers no label (25.0 % of the test rows against 50.0 %" in doubt_text(some, gold, NAMES, macro_f1=0.0)
    assert doubt_text(np.where(gold == 1, 1, -1).astype(np.float32), gold, NAMES, macro_f1=1.0) == ""


def test_summary_when_the_student_gives_one_answer_then_the_report_says_so_at_its_top(with_target, target_parts, make):
    logits = {**target_parts.logits, "student_int8": make.logits([2] * 6)}
    report = build_report(with_target(logits=logits))
    target = report.targets["made-up-board"]
    assert "fits every budget. But it gives one answer to all test rows, \"<script>alert('label')</script>\": " in target.summary
    assert target.verdict == "pass"
    assert "But it gives one answer to all test rows" in render_markdown(report)
    assert "<script>alert('label')" not in render_html(report)


def test_not_checked_when_classes_have_no_rows_then_they_are_named(parts, with_target, target_parts):
    assert not any("without a" in said for said in build_report(parts).targets["made-up-board"].not_checked)
    student = target_parts.evaluations["student_int8"]
    classes = (student.classes[0].model_copy(update={"support": 0}), *student.classes[1:])
    evaluations = {**target_parts.evaluations, "student_int8": student.model_copy(update={"classes": classes})}
    data = {"validation": {"rows_by_class": {f"c{i}": i // 12 for i in range(13)}}}
    report = build_report(dataclasses.replace(with_target(evaluations=evaluations), data=data))
    said = report.targets["made-up-board"].not_checked
    assert "Classes without a test row: 'lights_on'. Nothing here says how they are answered." in said
    listed = ", ".join(f"'c{i}'" for i in range(10))
    assert f"Classes without a validation row: {listed} and 2 more. They had no part in the choice of the student." in said
