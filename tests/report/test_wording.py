"""Numbers and sentences."""

import pytest

from edgedistill.report import wording
from edgedistill.report.build import build_report
from edgedistill.report.model import DistillationGain
from edgedistill.results import Interval, McNemar


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
    found = wording.summary("a board", target.headline, budgets=(), goals=(), parity=target.parity, gain=gain)
    assert found.startswith("Ready for a board: ")
    assert found.partition("fits every budget.")[2].strip() == said
