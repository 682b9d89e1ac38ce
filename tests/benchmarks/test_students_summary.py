"""Tables over hand-made rows: what is joined with what, and what is left out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ablation_table import ablation_table
from result_rows import read_folder, select
from students_judged import judged_table, verdicts
from students_summary import Students, frontier_svg, frontier_table, rivals_table, speed_table
from students_table import filled, parts_of
from suite_files import StudentsSuite, read_suite_file
from teachers_table import teachers_table

from edgedistill.errors import ArtifactError, UsageError

Write = Callable[..., dict[str, Any]]
_ALL, _SEVEN, _SIX, _HALF = [1] * 8, [1] * 7 + [0], [1] * 6 + [0, 0], [1, 1, 1, 1, 0, 0, 0, 0]


def _students(rows: list[dict[str, Any]]) -> Students:
    suite = read_suite_file(StudentsSuite, "students")
    return Students(suite, rows, dict.fromkeys(suite.tasks, "same"))


@pytest.fixture
def students(tmp_path: Path, write_row: Write) -> Students:
    """A teacher that is always right, two seeds of a student (7 and 6 of 8), and each without a teacher (4 of 8)."""
    teacher = write_row("students", kind="teacher", right=_ALL, seed=13, validation=0.95)
    for seed, right in ((13, _SEVEN), (14, _SIX)):
        write_row("students", kind="student", size="1/80", seed=seed, right=right, teacher_row=teacher["key"])
        write_row("students", kind="no_kd", size="1/80", seed=seed, right=_HALF, teacher_row=teacher["key"], rows_seen=200_000)
    return _students(read_folder(tmp_path / "results" / "students"))


def _cells(table: str, line: int) -> list[str]:
    return [cell.strip() for cell in table.splitlines()[line].strip("|").split("|")]


def test_judged_table_then_has_retention_and_gain_of_the_task_and_of_the_mean(students: Students) -> None:
    table = judged_table(students)
    first, last = _cells(table, 2), _cells(table, 3)
    assert first[:5] == ["1/80", "trec6", "1.00 MB (1/90)", "1.0000", "0.8125 (2 seeds)"]
    assert first[5].startswith("0.8125 (")  # (7/8 + 6/8) / 2 over 1
    assert first[6].startswith("+31.2 (")  # 0.8125 - 0.5
    assert first[6].endswith("McNemar p < 0.05 in 0 of 2; 200 k rows seen against 250 k")
    assert first[7] == "-"
    assert first[8:] == ["0.2 + 1.0 = 1.2 min of 15, met; threads: 2"]
    assert last[1] == "**mean of 1**"
    assert last[5].startswith("**0.8125 (")


def test_verdicts_then_say_met_or_missed_of_each_thing_asked_for_and_what_is_missing(students: Students) -> None:
    cells = _cells(verdicts(students), 2)
    assert cells == [
        "1/80", "0.8125 of 0.98, missed", "trec6 0.8125 of 0.965, missed", "met", "met", "met",
        "not known",
        "trec6 (2 of 3 seeds, one of two shapes); sst2_sentence (no row); clinc150 (no row); snips (no row); agnews_10k (no row); sst2_glue (no row)",
    ]


def test_verdicts_when_every_task_is_there_then_the_mean_may_be_met_and_a_single_task_not(write_row: Write, tmp_path: Path) -> None:
    suite = read_suite_file(StudentsSuite, "students")
    tasks = dict.fromkeys(("trec6", "snips"))
    suite = suite.model_copy(update={"tasks": {t: suite.tasks[t].model_copy(update={"seeds": (13,)}) for t in tasks},
                                     "rungs": (suite.rung_of("1/80").model_copy(update={"goal": 0.9, "alternatives": ()}),)})
    for task, right, seconds in (("trec6", _ALL, 60.0), ("snips", _SEVEN, 900.0)):
        teacher = write_row("students", task=task, kind="teacher", right=_ALL)
        write_row("students", task=task, kind="student", size="1/80", right=right, teacher_row=teacher["key"], distill_s=seconds)
        write_row("students", task=task, kind="no_kd", size="1/80", right=_SEVEN, teacher_row=teacher["key"])
    rows = read_folder(tmp_path / "results" / "students")
    cells = _cells(verdicts(Students(suite, rows, dict.fromkeys(tasks, "same"))), 2)
    assert cells[1:3] == ["0.9375 of 0.9, met", "snips 0.8750 of 0.885, missed"]
    assert cells[4:6] == ["missed: snips", "missed: snips"]  # 910 s, and no better than without a teacher
    assert cells[-1] == "nothing"


def test_limit_then_is_an_hour_for_the_large_task_and_a_quarter_for_the_others() -> None:
    suite = read_suite_file(StudentsSuite, "students")
    assert {task: suite.limit_of(task) / 60 for task in suite.tasks if task.startswith("sst2")} == {"sst2_sentence": 15, "sst2_glue": 60}


def test_judged_table_when_file_is_over_the_limit_then_says_so(students: Students, write_row: Write, tmp_path: Path) -> None:
    key = students.everything[0]["key"]
    write_row("students", kind="student", size="1/30", right=_ALL, teacher_row=key, int8_bytes=3_000_001)
    again = _students(read_folder(tmp_path / "results" / "students"))
    assert "3.00 MB (1/30), over the limit" in judged_table(again)


def test_judged_table_when_a_training_was_interrupted_then_its_seconds_do_not_count(write_row: Write, tmp_path: Path) -> None:
    teacher = write_row("students", kind="teacher", right=_ALL)
    write_row("students", kind="student", size="1/80", right=_ALL, teacher_row=teacher["key"], distill_s_is_whole=False)
    rows = read_folder(tmp_path / "results" / "students")
    assert "interrupted" in judged_table(_students(rows))
    assert _cells(verdicts(_students(rows)), 2)[4] == "not known"


@pytest.mark.parametrize(("threads", "seconds", "cell", "verdict"), [
    ([1, 1], 1000.0, "not known for two; threads: 1", "not known"),
    ([2, 2], 1000.0, "missed; threads: 2", "missed: trec6"),
    ([1, 1], 1900.0, "missed; threads: 1", "missed: trec6"),  # two threads are not more than twice as fast
    ([1, 1], 800.0, "met; threads: 1", "met"),
])
def test_time_when_one_thread_took_too_long_then_two_are_not_judged_by_it(
    threads: list[int], seconds: float, cell: str, verdict: str, write_row: Write, tmp_path: Path
) -> None:
    teacher = write_row("students", kind="teacher", right=_ALL)
    write_row("students", kind="student", size="1/80", right=_ALL, teacher_row=teacher["key"], distill_s=seconds, threads=threads)
    rows = read_folder(tmp_path / "results" / "students")
    assert cell in judged_table(_students(rows))
    assert _cells(verdicts(_students(rows)), 2)[4] == verdict


def test_rows_when_most_are_of_other_settings_then_todays_stand_and_the_rest_is_said(
    students: Students, write_row: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(13, 23):
        write_row("students", kind="student", size="1/80", seed=seed, right=[0] * 8, base="older", teacher_row=students.everything[0]["key"])
    again = _students(read_folder(tmp_path / "results" / "students"))
    assert judged_table(again) == judged_table(students)
    assert "older settings" not in judged_table(again)
    assert "students, trec6, 1/80: 10 rows of other settings are left out" in capsys.readouterr().err


def test_tables_when_a_size_has_only_older_rows_then_the_newest_stand_marked(
    students: Students, write_row: Write, tmp_path: Path
) -> None:
    key = students.everything[0]["key"]
    for base, right, made in (("first", _SIX, "2026-01-02"), ("second", _HALF, "2026-01-03"), ("zeroth", _ALL, "2026-01-01")):
        write_row("students", kind="student", size="1/30", right=right, base=base, teacher_row=key, note=made)
    rows = read_folder(tmp_path / "results" / "students")
    again = _students([{**row, "made": row["settings"].get("note", row["made"])} for row in rows])
    assert _cells(judged_table(again), 2)[:2] == ["1/30", "trec6, older settings"]
    assert _cells(judged_table(again), 4)[:2] == ["1/80", "trec6"]
    assert [row["base"] for row in again.rows if row["size"] == "1/30"] == ["second"]
    assert "(0.812)" in frontier_table(again)
    assert "1.00 MB: 0.5000 (0.500), older settings" in frontier_table(again)
    assert ">trec6, older settings<" in frontier_svg(again)


def test_gain_when_the_comparison_had_another_teacher_then_none_and_the_best_compared_teacher_stands(
    students: Students, write_row: Write, tmp_path: Path
) -> None:
    other = write_row("students", kind="teacher", right=_SEVEN, note="other machine")
    write_row("students", kind="student", size="1/80", right=_ALL, teacher_row=other["key"])  # newer, and better
    write_row("students", kind="student", size="1/30", right=_ALL, teacher_row=other["key"])
    write_row("students", kind="no_kd", size="1/30", right=_HALF, teacher_row=students.everything[0]["key"])
    again = _students(read_folder(tmp_path / "results" / "students"))
    wide, narrow = _cells(judged_table(again), 2), _cells(judged_table(again), 4)
    assert narrow[4:7] == _cells(judged_table(students), 2)[4:7]
    assert (wide[0], wide[6]) == ("1/30", "-")


def test_judged_table_when_teachers_row_is_missing_then_refused(write_row: Write, tmp_path: Path) -> None:
    write_row("students", kind="student", size="1/80", right=_ALL, teacher_row="none")
    rows = read_folder(tmp_path / "results" / "students")
    with pytest.raises(ArtifactError, match="the row of teacher none is missing"):
        judged_table(_students(rows))


def test_select_when_two_rows_have_one_seed_then_refused(write_row: Write) -> None:
    rows = [write_row("students", kind="student", size="1/80", right=right, note=note) for right, note in ((_ALL, 1), (_SIX, 2))]
    with pytest.raises(ArtifactError, match="two rows of seed 13"):
        select(rows, kind="student")


def test_frontier_then_has_a_cell_and_a_point_for_each_size(students: Students) -> None:
    assert "1.00 MB: 0.8125 (0.812)" in frontier_table(students)
    svg = frontier_svg(students)
    assert svg.count("<circle") == 2  # two seeds
    assert ">trec6<" in svg


def test_rivals_table_when_rival_has_one_seed_then_stands_against_each_of_ours(students: Students, write_row: Write, tmp_path: Path) -> None:
    write_row("rivals", kind="rival", name="model2vec", size="1/80", right=_HALF, int8_bytes=1_200_000)
    table = rivals_table(students, read_folder(tmp_path / "results" / "rivals"), current=lambda row: "same")
    cells = _cells(table, 2)
    assert cells[:7] == ["trec6", "1/80", "model2vec", "1.20 MB, over the limit", "0.5000 (1 seed)", "1.00 MB", "0.8125"]
    assert cells[7].startswith("+31.2 (")


def test_ablation_table_then_says_the_difference_to_the_first_line(write_row: Write, tmp_path: Path) -> None:
    for name, right in (("all of it", _ALL), ("no transfer set", _SIX)):
        write_row("ablation", kind="ablation", size="1/80", name=name, right=right)
    table = ablation_table(tmp_path / "results" / "ablation", {"trec6": "same"})
    assert _cells(table, 2) == ["all of it", "1.000 (1 seed)"]
    assert _cells(table, 3)[1].startswith("0.750, -25.0 (")


def test_ablation_table_when_lines_are_of_two_teachers_then_each_is_held_against_its_own_first_line(
    write_row: Write, tmp_path: Path
) -> None:
    for teacher, base, name, right in (("old", "before", "all of it", _SEVEN), ("old", "before", "no transfer set", _HALF),
                                       ("new", "same", "all of it", _ALL), ("new", "same", "decoupled", _SIX)):
        write_row("ablation", kind="ablation", size="1/80", name=name, right=right, base=base, teacher_row=teacher)
    table = ablation_table(tmp_path / "results" / "ablation", {"trec6": "same"})
    assert _cells(table, 2) == ["all of it", "1.000 (1 seed)"]
    older, newer = _cells(table, 3), _cells(table, 4)
    assert (older[0], older[1][:22], older[1][-14:]) == ("no transfer set", "0.500 of 0.875, -37.5 ", "older settings")
    assert (newer[0], newer[1][:12]) == ("decoupled", "0.750, -25.0")


def test_teachers_table_then_the_hand_that_is_best_on_validation_stands_against_the_teacher_of_the_students(
    students: Students, write_row: Write, tmp_path: Path
) -> None:
    rows = [write_row("teachers", kind="hand-tuned", seed=seed, right=right, learning_rate=rate, validation=validation)
            for seed, right, rate, validation in ((1, _SIX, 5e-5, 0.8), (2, _SEVEN, 1e-4, 0.9), (3, _HALF, 2e-4, 0.99))]
    keys = dict.fromkeys(students.suite.tasks, frozenset(row["key"] for row in rows[:2]))  # the last is of an older suite
    cells = _cells(teachers_table(students, rows, keys=keys, is_todays=lambda row: True), 2)
    assert cells[:1] + cells[2:6] == ["trec6", "1.0000", "0.9000", "0.8750", "0.0001 of 2"]
    assert cells[6].startswith("+12.5 (")
    assert cells[7] == "met"
    assert teachers_table(students, [], keys=keys, is_todays=lambda row: True) == ""
    assert _cells(teachers_table(students, rows, keys=keys, is_todays=lambda row: False), 2)[0] == "trec6, older settings"


def test_speed_table_then_compares_within_a_repetition(write_row: Write, tmp_path: Path) -> None:
    for loop, seconds, soft, right in (("ours", 10.0, 5.0, _SIX), ("ours_default", 12.0, 5.0, _SIX), ("plain", 60.0, 0.0, _SEVEN)):
        write_row("speed", kind="speed", loop=loop, seed=0, right=right, samples=600, train_s=seconds, tokenize_s=1.0,
                  soft_labels_s=soft, threads=2)
    table = speed_table(read_folder(tmp_path / "results" / "speed"), current=lambda row: "same")
    assert _cells(table, 2)[:5] == ["ours", "trec6", "2", "60 (60 to 60)", "38 (38 to 38)"]
    # 60 / 10, and (60 + 1) / (10 + 1 + 5)
    assert _cells(table, 4)[5:8] == ["6.0x", "3.8x", "5.0x"]
    assert _cells(table, 3)[0] == "ours_default"
    assert _cells(table, 3)[5] == "1.2x"
    assert _cells(table, 4)[9].startswith("-12.5 (")  # 6 of 8 against 7 of 8


def test_parts_when_nothing_is_measured_then_name_the_commands(tmp_path: Path) -> None:
    parts = parts_of(tmp_path)
    assert {"make bench-students", "make bench-ablation", "make bench-other-family", "make bench-rivals", "make bench-teachers",
            "make bench-speed"} == {
        text.split("`")[1] for text in parts.values()
    }


def test_filled_then_replaces_what_stands_between_the_markers_and_nothing_else() -> None:
    page = "before\n<!-- a -->\nold\n<!-- /a -->\nafter\n"
    assert filled(page, {"a": "new"}) == "before\n<!-- a -->\nnew\n<!-- /a -->\nafter\n"
    with pytest.raises(UsageError, match="no place for b"):
        filled(page, {"b": "new"})


def test_published_page_then_is_what_the_rows_say() -> None:
    from script_options import RESULTS
    from students_table import PAGE

    text = PAGE.read_text(encoding="utf-8")
    assert filled(text, parts_of(RESULTS)) == text
