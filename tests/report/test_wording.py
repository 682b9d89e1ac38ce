"""Numbers and sentences."""

import pytest
from markupsafe import escape

from edgedistill.report import compare_text, tables, tables_marked, wording
from edgedistill.report.bars import budget_bar
from edgedistill.report.build import build_report
from edgedistill.report.compare import compare_reports
from edgedistill.report.html import render_html
from edgedistill.report.model import DistillationGain
from edgedistill.results import BudgetCheck, Interval, McNemar


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3145728, "3.00 MiB"), (8 * 2**30, "8.00 GiB")],
)
def test_size_text_when_given_bytes_uses_binary_units(size_bytes, expected):
    assert wording.size_text(size_bytes) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.000123, "123 µs"), (0.00999, "9.99 ms"), (0.0101, "10.1 ms"), (0.25, "250 ms"), (2.5, "2.50 s")],
)
def test_time_text_when_given_seconds_keeps_three_digits(seconds, expected):
    assert wording.time_text(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "interval_s", "expected"),
    [
        (0.00123, (0.00098, 0.0015), "1.23 ms (0.98 to 1.50)"), (0.0000451, (0.0000449, 0.0000502), "45.1 µs (44.9 to 50.2)"),
        (0.123, (0.1201, 0.1304), "123 ms (120 to 130)"), (2.5, None, "2.50 s"),
    ],
)
def test_time_range_text_when_given_an_interval_then_it_has_the_unit_and_the_decimals_of_the_figure(
    seconds, interval_s, expected
):
    assert wording.time_range_text(seconds, interval_s) == expected


@pytest.mark.parametrize(("per_second", "expected"), [(0.4, "0.40"), (3.14159, "3.14"), (81.3, "81.3"), (12_345.6, "12346")])
def test_rate_text_when_less_than_one_a_second_is_not_nothing(per_second, expected):
    assert wording.rate_text(per_second) == expected


@pytest.mark.parametrize(("value", "limit", "unit", "expected"), [
    (0.1004, 0.1, "share", ("10.040 %", "10.000 %")), (0.12, 0.1, "share", ("12.0 %", "10.0 %")),
    (0.1 + 1e-15, 0.1, "share", ("10.0 %", "10.0 %")), (0.02000004, 0.02, "s", ("20.00004 ms", "20.00000 ms")),
    (8388612, 8388608, "bytes", ("8,388,612 B", "8,388,608 B")), (8388608, 8388608, "bytes", ("8.00 MiB", "8.00 MiB")),
])
def test_apart_text_when_a_figure_and_its_limit_would_read_alike_then_has_more_digits(value, limit, unit, expected):
    assert wording.apart_text(value, limit, unit) == expected


def test_budget_when_narrowly_missed_then_neither_summary_nor_tables_contradict_themselves(target_parts, with_target):
    loss = BudgetCheck(name="accuracy_loss", limit=0.1, value=0.10004, unit="share", source="measured", met=False)
    target = build_report(with_target(budgets=(*target_parts.budgets, loss))).targets["made-up-board"]
    assert "accuracy lost 10.004 % (measured) is over the budget of 10.000 % (1.0004x)" in target.summary
    assert tables.budgets(target).rows[-1][3:] == ("10.004 %", "10.000 %", "100.040 %")
    assert tables_marked.budgets(target).rows[-1][-2:] == ("10.000 %", "100.040 %")
    assert budget_bar(loss).text == "10.004 % of 10.000 %"


def test_p_text_when_tiny_is_bounded():
    assert wording.p_text(1e-9) == "p < 0.001"
    assert wording.p_text(0.0412) == "p = 0.041"


def test_gain_text_when_there_is_no_baseline_says_what_is_unknown():
    assert "cannot be said what distillation bought" in wording.gain_text(None)


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((-0.012, -0.021, -0.003), "But the same student trained without the teacher is better, by 1.2 percentage points "
                                   "(95 % interval 0.3 to 2.1)."),
        ((0.002, -0.003, 0.007), "What the teacher bought is within chance: +0.2 percentage points over the same student without it "
                                 "(95 % interval -0.3 to +0.7)."),
        ((0.012, 0.003, 0.021), ""),
    ],
)
def test_summary_when_the_teacher_bought_nothing_says_so(parts, interval, said):
    target = build_report(parts).targets["made-up-board"]
    value, low, high = interval
    gain = DistillationGain(n=1000, student_accuracy=0.9, student_no_kd_accuracy=0.9 - value,
                            difference=Interval(value=value, low=low, high=high),
                            mcnemar=McNemar(only_reference_right=1, only_candidate_right=1, p_value=1.0))
    found = wording.summary(target.model_copy(update={"distillation_gain": gain}))
    assert found.startswith("Ready for Made-up Board <1>: ")
    assert found.partition("fits every budget.")[2].strip() == said


def test_summary_when_there_is_a_doubt_then_it_stands_behind_the_verdict(parts):
    target = build_report(parts).targets["made-up-board"].model_copy(update={"distillation_gain": None})
    assert wording.summary(target, doubt="But why?").endswith("and fits every budget. But why?")
    missed = target.model_copy(update={"goals": (target.goals[0].model_copy(update={"met": False}),)})
    assert wording.summary(missed, doubt="But why?").endswith("%). But why?")


def with_speed(parts, value, low, high):
    """The made-up target, whose student is so many times as fast as its teacher; nothing is said of a gain."""
    target = build_report(parts).targets["made-up-board"]
    headline = target.headline.model_copy(update={"speed_ratio": Interval(value=value, low=low, high=high)})
    return target.model_copy(update={"headline": headline, "distillation_gain": None})


def noisy(target, *names):
    changed = dict(target.variants)
    for name in names:
        host = changed[name].latency.host.model_copy(update={"noisy": True})
        changed[name] = changed[name].model_copy(update={"latency": changed[name].latency.model_copy(update={"host": host})})
    return target.model_copy(update={"variants": changed})


@pytest.mark.parametrize(
    ("speed", "said"),
    [
        ((1.04, 1.03, 1.05), "smaller than the teacher, cannot be told from it in speed (1.04x its speed, 95 % interval 1.03x to "
                             "1.05x; measured on the host), keeps 80.0 % of its accuracy"),  # nearer than 5 %
        ((1.30, 0.95, 1.78), "smaller than the teacher, cannot be told from it in speed (1.30x its speed, 95 % interval 0.95x to "
                             "1.78x; measured on the host), keeps"),
        ((0.97, 0.96, 0.98), "smaller than the teacher, cannot be told from it in speed (0.97x its speed,"),
        ((1.06, 1.02, 1.10), "smaller and 1.06x faster than the teacher (measured on the host), keeps"),
        ((0.50, 0.45, 0.55), "smaller but 2.00x slower than the teacher (measured on the host), keeps"),
    ],
)
def test_summary_when_the_host_cannot_tell_the_speeds_apart_then_claims_no_difference(parts, speed, said):
    assert said in wording.summary(with_speed(parts, *speed))


@pytest.mark.parametrize(
    ("names", "said"),
    [(("teacher",), "the teacher's time"), (("student_int8",), "the student's time"),
     (("teacher", "student_int8"), "the teacher's and the student's time")],
)
def test_summary_when_a_side_was_noisy_then_says_so_wherever_the_ratio_stands(parts, names, said):
    report = build_report(parts)
    target = noisy(with_speed(parts, 37, 30, 44), *names)
    assert f"and 37.0x faster than the teacher (measured on the host; noisy: {said}), keeps" in wording.summary(target)
    shown = report.model_copy(update={"targets": {"a": target, "b": target}})
    assert tables_marked.headlines(shown).rows[0][3] == f"37.0x; noisy: {said}"
    assert f"measured on the host; noisy: {said}; on the target" in tables_marked.headline(target).rows[1][2]
    assert compare_text.headlines_table({"one": shown}).rows[0][4] == f"37.0x measured on the host; noisy: {said}"
    assert f"(30.0x to 44.0x); noisy: {escape(said)}" in render_html(shown)


def test_doubts_when_the_speeds_are_told_apart_and_nothing_was_noisy_then_none(parts):
    assert wording.speed_doubts(noisy(with_speed(parts, 37, 30, 44), "teacher_int8")) == ""
    assert wording.speed_doubts(with_speed(parts, 1.02, 1.01, 1.03)) == "; cannot be told from the teacher's"


def test_summary_when_the_float_model_ships_then_does_not_call_it_int8(with_target, target_parts):
    verdict = target_parts.quantization.model_copy(update={"scheme": "float"})
    target = build_report(with_target(quantization=verdict)).targets["made-up-board"]
    assert "the float student is 40.0x smaller and 20.0x faster" in target.summary
    assert "int8 student" not in target.summary


def test_summary_when_the_teacher_is_never_right_then_what_is_kept_is_unknown(parts):
    target = build_report(parts).targets["made-up-board"]
    wrong = target.variants["teacher"].model_copy(update={"accuracy": 0.0})
    never = target.model_copy(update={"variants": {**target.variants, "teacher": wrong}})
    found = wording.summary(never)
    assert "keeps an unknown share of its accuracy (the teacher is right on no test row), and fits" in found
    reports = dict.fromkeys("ab", build_report(parts).model_copy(update={"targets": {"made-up-board": never}}))
    assert tables_marked.headlines(reports["a"]).rows[0][4] == "–"
    assert tables_marked.headline(never).rows[2] == ("accuracy kept", "–", "not known: the teacher is right on no test row")
    assert '<dd>–</dd><dd class="note">not known: the teacher is right on no test row</dd>' in render_html(reports["a"])
    assert compare_text.headlines_table(reports).rows[0][5] == "–"
    compared = compare_reports(reports)
    assert {row.retention for row in compared.figures} == {None}
    assert "retention" not in {difference.metric for difference in compared.differences}
