"""Which differences between runs are called real."""


import numpy as np
import pytest

from edgedistill.errors import ArtifactError, UsageError
from edgedistill.report.build import build_report
from edgedistill.report.compare import Comparison, compare_reports
from edgedistill.report.compare_text import comparison_markdown, sentences
from edgedistill.report.right_rows import pack


@pytest.fixture
def base(parts):
    return build_report(parts)


def changed(report, *, variant="student_int8", host=None, **changes):
    """A copy of a report with figures of one variant replaced."""
    target = report.targets["made-up-board"]
    replaced = target.variants[variant].model_copy(update=changes)
    target = target.model_copy(update={"variants": {**target.variants, variant: replaced}})
    return report.model_copy(update={"targets": {"made-up-board": target}, "host": host or report.host})


def latency(report, p50_s, interval_s, **changes):
    old = report.targets["made-up-board"].variants["student_int8"].latency
    return old.model_copy(update={"host": old.host.model_copy(
        update={"p50_s": p50_s, "p50_interval_s": interval_s, **changes})})


def finding(comparison, metric, variant="student_int8"):
    (found,) = [d for d in comparison.differences if d.metric == metric and d.variant == variant]
    return found


def test_compare_when_runs_are_equal_finds_nothing(base):
    assert {d.finding for d in compare_reports({"a": base, "b": base}).differences} == {"same"}


def test_size_when_a_byte_differs_is_real(base):
    other = changed(base, size_bytes=2 * 2**20 - 1)
    assert finding(compare_reports({"a": base, "b": other}), "size_bytes").finding == "real"


@pytest.mark.parametrize(("accuracy", "expected"), [(0.94, "cannot separate"), (0.90, "real")])
def test_accuracy_when_rows_are_many_is_judged_by_the_z_test(base, accuracy, expected):
    # 0.95 against 0.94 of 800: z = 0.89; against 0.90: z = 3.81
    a = changed(base, accuracy=0.95, test_rows=800, right_rows="")
    b = changed(base, accuracy=accuracy, test_rows=800, right_rows="")
    assert finding(compare_reports({"a": a, "b": b}), "accuracy").finding == expected


@pytest.mark.parametrize(
    ("p50_s", "interval_s", "noisy", "expected"),
    [
        (0.002, (0.0019, 0.0021), False, "real"),
        (0.002, (0.0019, 0.0021), True, "cannot separate"),
        (0.00103, (0.00102, 0.00104), False, "cannot separate"),
        (0.0012, (0.0009, 0.0015), False, "cannot separate"),
        (0.002, None, False, "cannot separate"),
    ],
)
def test_latency_when_noise_allows_it_is_judged_by_intervals(base, p50_s, interval_s, noisy, expected):
    a = changed(base, latency=latency(base, 0.001, (0.00099, 0.00101)))
    b = changed(base, latency=latency(base, p50_s, interval_s, noisy=noisy))
    assert finding(compare_reports({"a": a, "b": b}), "latency_p50_s").finding == expected


def test_latency_when_hosts_differ_is_not_compared(base):
    host = base.host.model_copy(update={"cpu": "Another CPU"})
    other = changed(base, host=host, latency=latency(base, 0.002, (0.0019, 0.0021)))
    comparison = compare_reports({"a": base, "b": other})
    assert finding(comparison, "latency_p50_s").finding == "not comparable"
    assert any("different machines" in note for note in comparison.notes)


def test_retention_when_intervals_overlap_cannot_be_separated(base):
    target = base.targets["made-up-board"].model_copy(update={"retention": 0.9})
    other = base.model_copy(update={"targets": {"made-up-board": target}})
    found = finding(compare_reports({"a": base, "b": other}), "retention")
    assert (found.finding, found.reference, found.value) == ("cannot separate", pytest.approx(0.8), 0.9)


def test_compare_when_there_is_one_run_refuses(base):
    with pytest.raises(UsageError, match="one run cannot be compared"):
        compare_reports({"a": base})


def test_compare_when_no_target_is_shared_refuses(base):
    other = base.model_copy(update={"targets": {"another": base.targets["made-up-board"]}})
    with pytest.raises(UsageError, match="no target in common"):
        compare_reports({"a": base, "b": other})


def test_compare_when_three_runs_are_given_takes_the_first_as_reference(base):
    comparison = compare_reports({"a": base, "b": base, "c": base})
    assert {(d.reference_run, d.run) for d in comparison.differences} == {("a", "b"), ("a", "c")}


def test_markdown_when_differences_are_real_puts_them_first(base):
    other = changed(base, size_bytes=2**20)
    text = comparison_markdown(compare_reports({"old": base, "new": other}))
    rows = [line for line in text.split("## Differences from old")[1].splitlines() if line.startswith("| made-up")]
    assert "| student_int8 | new | size | real | bytes are exact: -1,048,576 B |" in rows[0]
    assert rows[0].endswith("| 2.00 MiB | 1.00 MiB | 0.50x |")
    assert "## Read with care" in text


def test_comparison_when_written_reads_back_equal(base, tmp_path):
    comparison = compare_reports({"a": base, "b": base})
    (tmp_path / "comparison.json").write_text(comparison.to_json(), encoding="utf-8")
    assert Comparison.read_json(tmp_path / "comparison.json") == comparison


def test_compare_when_a_variant_is_missing_compares_the_rest(base, with_target, target_parts):
    rest = {name: e for name, e in target_parts.evaluations.items() if name != "student_no_kd"}
    other = build_report(with_target(evaluations=rest))
    assert "student_no_kd" not in {d.variant for d in compare_reports({"a": base, "b": other}).differences}


def with_rows(report, is_right, **changes):
    """A copy of a report whose int8 student is right on these rows; the teacher keeps its own where there are as many."""
    is_right = np.asarray(is_right, dtype=bool)
    if len(is_right) != report.targets["made-up-board"].variants["teacher"].test_rows:
        report = changed(report, variant="teacher", right_rows="")
    return changed(report, accuracy=float(is_right.mean()), test_rows=len(is_right), right_rows=pack(is_right), **changes)


def test_accuracy_when_rows_are_the_same_is_compared_in_pairs(base):
    # the run has 8 rows right that the reference has not, and none the other way: McNemar exact p = 2 * 0.5^8 = 0.0078,
    # where the z test of 392 against 400 of 400 rows would pair nothing
    reference = np.arange(400) >= 8
    found = finding(compare_reports({"a": with_rows(base, reference), "b": with_rows(base, np.ones(400, bool))}), "accuracy")
    assert (found.finding, found.is_paired) == ("real", True)
    assert found.effect.value == pytest.approx(0.02)
    assert 0 < found.effect.low < 0.02 < found.effect.high
    assert "8 right only in the run, 0 only in the reference; McNemar p = 0.008" in found.why


def test_accuracy_when_the_same_rows_are_wrong_elsewhere_cannot_be_separated(base):
    a, b = np.ones(400, bool), np.ones(400, bool)
    a[:10], b[10:21] = False, False
    found = finding(compare_reports({"a": with_rows(base, a), "b": with_rows(base, b)}), "accuracy")
    assert (found.finding, found.is_paired) == ("cannot separate", True)


def test_accuracy_when_test_rows_differ_is_not_paired(base):
    other = base.targets["made-up-board"].model_copy(update={"test_sha256": "0" * 64})
    elsewhere = with_rows(base.model_copy(update={"targets": {"made-up-board": other}}), [1, 0, 0, 1, 0, 1])
    comparison = compare_reports({"a": with_rows(base, [1, 1, 0, 1, 0, 1]), "b": elsewhere})
    found = finding(comparison, "accuracy")
    assert (found.is_paired, found.effect) == (False, None)
    assert "two-proportion z test" in found.why
    assert any("The test splits differ" in note for note in comparison.notes)


def test_retention_when_rows_are_the_same_is_compared_in_pairs(base):
    better = np.ones(6, bool)
    target = base.targets["made-up-board"].model_copy(update={"retention": 1.2})
    other = with_rows(base.model_copy(update={"targets": {"made-up-board": target}}), better)
    found = finding(compare_reports({"a": base, "b": other}), "retention")
    # the teachers have 5 of 6 right; the students 4 and 6: 1.2 - 0.8
    assert found.is_paired
    assert found.effect.value == pytest.approx(0.4)


def test_compare_when_the_kept_rows_are_damaged_says_so(base):
    with pytest.raises(ArtifactError, match="do not fit its 6 test rows"):
        compare_reports({"a": base, "b": changed(base, accuracy=0.5, right_rows="zz")})


def test_latency_when_ratio_has_an_interval_then_it_is_reported(base):
    a = changed(base, latency=latency(base, 0.001, (0.001 / 1.1, 0.0011)))
    b = changed(base, latency=latency(base, 0.002, (0.002 / 1.1, 0.0022)))
    effect = finding(compare_reports({"a": a, "b": b}), "latency_p50_s").effect
    # both half widths are ln 1.1, so the ratio's is sqrt(2) ln 1.1
    assert (effect.value, effect.high) == (pytest.approx(2.0), pytest.approx(2.0 * 1.1 ** 2 ** 0.5))


def test_sentences_when_read_then_say_what_is_real_and_what_is_not(base):
    other = changed(base, size_bytes=2**20)
    (sentence,) = sentences(compare_reports({"old": base, "new": other}))
    assert sentence == "made-up-board, int8 student of new against old: really different: size 0.50x."
