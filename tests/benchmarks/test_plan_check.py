"""The summaries of plan_check, on rows that can be counted by hand."""

import plan_check


def _bytes(name, predicted, made):
    return {"predicted_bytes": predicted, "made_bytes": made, "settings": {"shape": {"id": name}}}


def _time(predicted, measured):
    return {"predicted_p50_s": predicted, "predicted_interval_s": [predicted / 2, predicted * 2],
            "rounds_s": [[measured] * 3] * 2, "warnings": []}


def test_bytes_when_one_rung_is_off_then_names_it():
    text = plan_check.summarize_bytes([_bytes("a", 100, 100), _bytes("b", 103, 100), _bytes("c", 99, 100)])
    assert text == "bytes: 3 rungs, median error 1.00%, largest 3.00% (b): BEYOND 2%"


def test_bytes_when_all_are_near_then_says_within():
    assert plan_check.summarize_bytes([_bytes("a", 101, 100)]).endswith("(a): within 2%")


def test_times_when_two_neighbours_are_swapped_then_the_rank_correlation_is_that_of_the_formula():
    # 1 - 6 * (1 + 1) / (5 * 24) = 0.9
    rows = [_time(p, m) for p, m in ((1, 1), (2, 2), (3, 4), (4, 3), (5, 15))]
    text = plan_check.summarize_times(rows)
    assert "Spearman 0.900 (BELOW 0.95)" in text
    assert "largest 66.7% (60% within 25%)" in text  # 0, 0, 1/4, 1/3 and 2/3 off
    assert "80% inside the interval, 0 rows noisy" in text
