"""The page of a comparison: complete, escaped, and without anything to fetch."""

import json

import pytest

from edgedistill.report.build import build_report
from edgedistill.report.compare import compare_reports
from edgedistill.report.compare_page import render_comparison
from edgedistill.report.stage import write_comparison


@pytest.fixture
def reports(parts, with_target, make):
    bigger = {name: make.measurement(name, 0.004) for name in ("teacher", "student_int8")}
    return {"runs/a": build_report(parts), "runs/<b>": build_report(with_target(measurements=bigger))}


@pytest.fixture
def page(reports, read_page):
    return read_page(render_comparison(compare_reports(reports), reports))


def test_page_when_read_has_runs_findings_verdicts_and_environment(page):
    shown = " ".join("".join(page.text).split())
    for text in ("2 runs, which differences are real?", "runs/<b>", "really different: latency p50", "The five numbers of every run",
                 "Read with care", "Hosts and tools of the runs", "Made-up CPU @ 2.0 GHz"):
        assert text in shown
    assert page.count("h1") == 1


def test_page_when_opened_refers_to_nothing_outside_and_is_small_enough(reports, read_page):
    source = render_comparison(compare_reports(reports), reports)
    assert read_page(source).outside() == []
    assert "<b>" not in source
    assert len(source.encode()) < 6_000_000


def test_differences_when_drawn_then_real_ones_are_filled_and_others_open(page):
    traces = page.figures()["c-latencies-figure"]["data"]
    symbols = {(t["name"], t["marker"]["symbol"]) for t in traces}
    assert symbols == {("real", "diamond")}
    assert "c-accuracies-figure" not in page.figures()  # the same answers in both runs
    assert "All figures are equal." in " ".join("".join(page.text).split())


def test_page_when_two_runs_have_logs_then_curves_are_drawn_by_run(page):
    assert [t["name"] for t in page.figures()["c-validation-figure"]["data"]] == ["runs/a", "runs/&lt;b&gt;"]
    assert page.figures()["c-hard-figure"]["data"][0]["y"] == [1.3, 0.8]


def test_runs_when_their_paths_end_alike_then_stay_apart(with_target, make, read_page):
    first, faster = (build_report(with_target(measurements={n: make.measurement(n, p50_s) for n in ("teacher", "student_int8")}))
                     for p50_s in (0.004, 0.002))
    runs = {"on-monday/runs/a-long-name-of-a-recipe": first, "on-tuesday/runs/a-long-name-of-a-recipe": faster, "short": faster}
    names = ["…nday/runs/a-long-name-of-a-recipe", "…sday/runs/a-long-name-of-a-recipe", "short"]
    drawn = read_page(render_comparison(compare_reports(runs), runs)).figures()
    for chart in ("validation", "size"):
        assert [trace["name"] for trace in drawn[f"c-{chart}-figure"]["data"]] == names
    assert {trace["y"][0].split("<br>")[1] for trace in drawn["c-latencies-figure"]["data"]} == set(names[1:])


def test_page_when_no_run_was_timed_says_so(with_target, read_page):
    bare = build_report(with_target(measurements={}, curves={}))
    found = compare_reports({"a": bare, "b": bare})
    page = read_page(render_comparison(found, {"a": bare, "b": bare}))
    shown = " ".join(" ".join(page.text).split())
    for sentence in ("Nothing here can be compared", "No run was timed.", "No training log of these runs has it."):
        assert sentence in shown


def test_write_comparison_when_done_leaves_three_files(reports, tmp_path):
    page = write_comparison(compare_reports(reports), reports, tmp_path / "out")
    assert page.name == "comparison.html"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["comparison.html", "comparison.json", "comparison.md"]
    assert json.loads((tmp_path / "out" / "comparison.json").read_text())["runs"] == ["runs/a", "runs/<b>"]
