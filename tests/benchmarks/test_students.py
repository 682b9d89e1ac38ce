"""Which rows are wanted, and what makes a row another one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import students as script
from result_rows import of_preferred_rungs, preferred_rung
from resumable_rows import Row, RowFile, key_of, pack_bits
from script_options import ScriptOptions, option_parser, read_options
from stage_versions import FIRST_WEIGHTS, has_todays_start
from student_line import KINDS, Line, wanted_tasks
from suite_files import StudentsSuite

from edgedistill.errors import UsageError


def _job(suite: StudentsSuite, *, seed: int = 13, size: str = "1/80", kind: str = "student") -> script.Job:
    return script.Job(seed, suite.rung_of(size), kind)  # type: ignore[arg-type]


def test_jobs_then_judged_sizes_come_first_with_all_seeds_and_comparisons(suite: StudentsSuite) -> None:
    jobs = list(script.jobs_of(suite, "trec6", seeds=None, sizes=None, kinds=KINDS))
    judged = [job for job in jobs if job.rung.is_judged]
    assert jobs[: len(judged)] == judged
    assert len(judged) == 2 * 2 * 3 * 3  # sizes, rungs of each, seeds, kinds
    assert {job.seed for job in judged[:2]} == {13}  # what the rung is chosen by comes before what depends on it
    assert [(job.rung.rung, job.kind) for job in judged[:2]] == [("bert-6x160", "student"), ("bert-6x192s", "student")]
    assert {job.kind for job in jobs if not job.rung.is_judged} == {"student"}


def test_jobs_when_sizes_seeds_and_kinds_are_given_then_only_these(suite: StudentsSuite) -> None:
    jobs = list(script.jobs_of(suite, "sst2_glue", seeds=(5,), sizes=("1.9 MB",), kinds=("no_kd",)))
    assert [(job.seed, job.rung.size, job.kind) for job in jobs] == [(5, "1.9 MB", "no_kd")]


def test_settings_when_nothing_changes_then_key_is_the_same_whatever_the_folders(suite: StudentsSuite, tmp_path: Path) -> None:
    here, there = (Line(suite, "trec6", tmp_path / name, tmp_path / name) for name in ("a", "b"))
    assert key_of(script.job_settings(here, _job(suite))) == key_of(script.job_settings(there, _job(suite)))


def test_settings_when_seed_size_kind_or_recipe_change_then_key_does(suite: StudentsSuite, line: Line) -> None:
    other = Line(suite, "trec6", line.data, line.work, ("distillation.rows_seen=5",))
    per_seed = Line(suite, "trec6", line.data, line.work, has_teacher_per_seed=True)
    keys = {key_of(script.job_settings(where, job)) for where, job in (
        (line, _job(suite)), (line, _job(suite, seed=14)), (line, _job(suite, size="1/30")), (line, _job(suite, kind="no_kd")),
        (other, _job(suite)), (per_seed, _job(suite, seed=14)),
    )}
    assert len(keys) == 6


def test_settings_of_a_kind_then_are_those_it_is_trained_with(suite: StudentsSuite, line: Line) -> None:
    student, no_kd, random = (script.job_settings(line, _job(suite, kind=kind))["distillation"] for kind in KINDS)
    assert no_kd["baseline_rows_seen"] == no_kd["rows_seen"] == student["rows_seen"]  # no fewer than the student
    assert student["baseline_rows_seen"] < student["rows_seen"]
    assert (random["transfer_set"]["rows"], no_kd["transfer_set"]) == (0, student["transfer_set"])
    longer = Line(suite, "trec6", line.data, line.work, ("distillation.rows_seen=600000",))
    assert longer.kind_recipe("no_kd").distillation.baseline_rows_seen == 600_000


def test_teacher_settings_when_the_distillation_changes_then_key_stays(suite: StudentsSuite, line: Line) -> None:
    other = Line(suite, "trec6", line.data, line.work, ("distillation.rows_seen=5",))
    longer = Line(suite, "trec6", line.data, line.work, ("teacher.fine_tuning.epochs=9",))
    key = key_of(script.teacher_settings(line, 13))
    assert key_of(script.teacher_settings(other, 13)) == key
    assert key_of(script.teacher_settings(longer, 13)) != key


def test_seeds_when_teacher_is_shared_then_only_the_student_has_them(line: Line, suite: StudentsSuite) -> None:
    assert {line.teacher_seed(seed) for seed in (13, 14)} == {suite.teacher_seed}
    assert [line.transfer_seed(seed) for seed in (13, 14)] == [13, 13]  # so the suite says
    own = Line(suite.model_copy(update={"is_transfer_set_shared": False}), "trec6", line.data, line.work)
    assert [own.transfer_seed(seed) for seed in (13, 14)] == [13, 14]


def test_is_passed_over_when_the_other_rung_is_better_on_validation_then_only_what_depends_on_it(suite: StudentsSuite) -> None:
    first, second = suite.rung_of("1/80").choices()
    row = {"kind": "student", "seed": 13, "size": "1/80", "base": "b", "int8_bytes": 9}
    rows = [{**row, "rung": first.rung, "int8_validation": 0.9}, {**row, "rung": second.rung, "int8_validation": 0.8},
            {**row, "rung": second.rung, "int8_validation": 0.99, "base": "other settings"}]
    jobs = [script.Job(seed, rung, kind) for rung in (first, second) for seed, kind in ((13, "student"), (14, "student"), (13, "no_kd"))]
    passed = [script.is_passed_over(job, rows, first_seed=13, base="b") for job in jobs]
    assert passed == [False, False, False, False, True, True]
    assert not any(script.is_passed_over(job, [], first_seed=13, base="b") for job in jobs)


def test_of_preferred_rungs_when_two_share_a_size_then_the_better_of_the_first_seed_stays() -> None:
    row = {"task": "t", "size": "1/80", "kind": "student", "int8_bytes": 9}
    rows = [
        {**row, "rung": "a", "seed": 13, "int8_validation": 0.8}, {**row, "rung": "b", "seed": 13, "int8_validation": 0.9},
        {**row, "rung": "a", "seed": 14, "int8_validation": 1.0}, {**row, "rung": "b", "seed": 13, "kind": "no_kd"},
        {**row, "rung": "c", "seed": 13, "size": "1/30", "int8_validation": 0.1},
    ]
    assert [(kept["rung"], kept["kind"]) for kept in of_preferred_rungs(rows)] == [
        ("b", "student"), ("b", "no_kd"), ("c", "student")]


def test_preferred_rung_when_equally_good_then_the_smaller_file() -> None:
    rows = [{"kind": "student", "seed": 1, "int8_validation": 0.5, "int8_bytes": size, "rung": str(size)} for size in (7, 5, 6)]
    assert preferred_rung(rows) == "5"


def test_preferred_rung_when_accuracy_cannot_tell_them_apart_then_the_closest_to_its_teacher() -> None:
    def row(rung: str, right: str, kl: float) -> dict[str, Any]:
        bits = [mark == "1" for mark in right]
        return {"kind": "student", "seed": 1, "int8_validation": sum(bits) / len(bits), "int8_bytes": 5, "rung": rung,
                "right_validation": pack_bits(bits), "n_validation": len(bits), "kl_validation": kl}

    good, like_it, worse = row("good", "1" * 24, 0.3), row("like it", "1" * 23 + "0", 0.2), row("worse", "10" * 12, 0.1)
    assert preferred_rung([good, like_it, worse]) == "like it"
    assert preferred_rung([good, worse]) == "good"
    del like_it["kl_validation"]
    assert preferred_rung([good, like_it, worse]) == "good"


def test_measure_task_when_row_exists_then_makes_nothing(suite: StudentsSuite, line: Line, tmp_path: Path) -> None:
    job = _job(suite)
    rows = RowFile(tmp_path / "results" / "trec6.json")
    figures = {"kind": "student", "teacher_row": "t", "seed": 13, "int8_test": 0.5}
    rows.add(script.job_settings(line, job), figures, command="c")
    options = ScriptOptions(line.data, line.work, tmp_path / "results", None, None, (), False, "c")
    script.measure_task(line, [job], options)  # there is no data: making a row would fail
    assert len(rows.rows()) == 1
    assert not line.work.exists()


def test_measure_task_when_a_row_is_missing_then_all_of_this_machines_teacher_are_made(
    suite: StudentsSuite, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, file = [_job(suite), replace(_job(suite), kind="no_kd")], RowFile(tmp_path / "results" / "trec6.json")
    figures = {"int8_bytes": 1, "int8_test": 0.5, "teacher_test": 1.0, "distill_s": 1.0, "seed": 13}
    file.add(script.job_settings(line, jobs[0]), figures | {"kind": "student", "teacher_row": "elsewhere"}, command="c")

    def make(line: Line, rows: RowFile, job: script.Job, command: str) -> Row:
        settings = {**script.job_settings(line, job), "teacher_row": "here"}
        return rows.add(settings, figures | {"kind": job.kind, "teacher_row": "here"}, command=command)

    monkeypatch.setattr(script, "teacher_row", lambda *_: {"key": "here"})
    monkeypatch.setattr(script, "student_row", make)
    options = ScriptOptions(line.data, line.work, tmp_path / "results", None, None, (), False, "c")
    for _ in range(2):
        script.measure_task(line, jobs, options)
        assert [(row["kind"], row["teacher_row"]) for row in file.rows()] == [
            ("student", "elsewhere"), ("student", "here"), ("no_kd", "here")]


def test_measure_task_when_dry_then_names_what_is_missing(
    suite: StudentsSuite, line: Line, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ScriptOptions(line.data, line.work, tmp_path / "results", None, None, (), True, "c")
    script.measure_task(line, [_job(suite)], options)
    assert capsys.readouterr().out == "trec6: seed 13, 1/80, bert-6x96, student\n"
    assert not (tmp_path / "results").exists()


def test_wanted_tasks_when_one_is_unknown_then_says_which_there_are(suite: StudentsSuite) -> None:
    assert wanted_tasks(suite, ["snips", "trec6"]) == ("trec6", "snips")
    with pytest.raises(UsageError, match="no task 'trec'"):
        wanted_tasks(suite, ["trec"])


def test_read_options_when_no_data_folder_then_says_how_to_give_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEDISTILL_DATA_SETS", raising=False)
    given = option_parser("x", name="students").parse_args([])
    with pytest.raises(UsageError, match="where are the data sets"):
        read_options(given, script="students.py")


def test_read_options_then_the_command_of_a_row_has_no_folder_of_this_machine(tmp_path: Path) -> None:
    given = option_parser("x", name="students").parse_args(
        ["--data", str(tmp_path), "--work", str(tmp_path), "--tasks", "trec6", "snips", "--set", "distillation.alpha=1"]
    )
    command = read_options(given, script="students.py").command
    assert command == "python benchmarks/students.py --data DIR --tasks trec6 snips --set distillation.alpha=1"


def test_job_settings_when_a_student_starts_from_random_weights_then_says_how_they_start(suite: StudentsSuite, line: Line) -> None:
    known = {kind: script.job_settings(line, _job(suite, kind=kind)).get("first_weights") for kind in KINDS}
    assert known == {"student": None, "no_kd": FIRST_WEIGHTS, "random_init_no_transfer": FIRST_WEIGHTS}


@pytest.mark.parametrize(("kind", "initialisation", "first", "is_todays"), [
    ("student", "cut", None, True), ("ablation", "random", None, False), ("ablation", "contextual", FIRST_WEIGHTS, True),
    ("no_kd", "cut", None, False), ("no_kd", "cut", FIRST_WEIGHTS, True),
])
def test_has_todays_start_when_weights_are_random_then_only_with_todays_spread(
    kind: str, initialisation: str, first: int | None, is_todays: bool
) -> None:
    settings = {"student": {"initialisation": initialisation}, **({} if first is None else {"first_weights": first})}
    assert has_todays_start({"kind": kind, "settings": settings}) == is_todays


def test_has_todays_start_when_it_is_a_rival_then_its_own_version_says_it() -> None:
    assert has_todays_start({"kind": "rival", "settings": {"student": {"layers": 2}, "stage": 1}})
