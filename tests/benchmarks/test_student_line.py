"""The whole way of a row, on a tiny problem: teacher, student and the student without a teacher, to int8 and evaluated."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import students as script
from resumable_rows import RowFile, pack_bits, unpack_bits
from script_options import ScriptOptions
from student_line import Line
from suite_files import StudentsSuite, read_suite_file

from edgedistill.errors import DataError, TeacherError


def test_prepared_when_a_file_is_not_the_suites_then_refused_before_any_work(
    tmp_path: Path, tiny: Any, tiny_suite: Callable[[], StudentsSuite]
) -> None:
    tiny.write_data(tmp_path)
    line = Line(tiny_suite(), "tiny", tmp_path, tmp_path / "work")
    with (tmp_path / "train.tsv").open("a", encoding="utf-8") as stream:
        stream.write("greet\tone row more\n")
    with pytest.raises(DataError, match=r"train\.tsv: sha256"):
        line.prepared(3)
    assert not (tmp_path / "work").exists()


def test_teacher_model_then_is_the_suites_and_must_read_texts(
    tmp_path: Path, tiny: Any, tiny_suite: Callable[[], StudentsSuite]
) -> None:
    tiny.write_data(tmp_path)
    (tmp_path / "teacher").mkdir()
    tiny.write_teacher(tmp_path / "teacher")
    line = Line(tiny_suite(), "tiny", tmp_path, tmp_path / "work")
    assert line.teacher_model(3) == tmp_path / "teacher"
    (tmp_path / "teacher" / "tokenizer.json").unlink()
    with pytest.raises(TeacherError, match=r"tokenizer\.json"):
        line.teacher_model(3)


def test_base_settings_when_there_is_no_ladder_then_the_key_is_as_if_there_could_be_none(
    tmp_path: Path, tiny: Any, tiny_suite: Callable[[], StudentsSuite]
) -> None:
    tiny.write_data(tmp_path)
    line = Line(tiny_suite(), "tiny", tmp_path, tmp_path / "work")
    plain, own = (line.base_settings(line.recipe(*settings), teacher_seed=3)["student"] for settings in ((), ("student.ladder=a.yaml",)))
    assert plain == {"initialisation": "cut", "aliases": "contextual"}
    assert own == plain | {"ladder": "a.yaml"}


def test_tried_rates_when_the_recipe_gives_none_then_a_row_says_it_but_where_the_only_one_before_is_kept(tmp_path: Path) -> None:
    suite = read_suite_file(StudentsSuite, "students")
    trec, clinc = (Line(suite, task, tmp_path, tmp_path) for task in ("trec6", "clinc150"))
    assert "learning_rate" not in trec.recipe().teacher.fine_tuning.model_fields_set  # so that the product's rates are tried
    told = [line.base_settings(line.recipe(*settings), teacher_seed=13)["teacher"].get("tried_rates")
            for line, settings in ((trec, ()), (clinc, ()), (trec, ("teacher.fine_tuning.learning_rate=1e-4",)))]
    assert told == ["by width", None, None]


@pytest.mark.slow
def test_measure_task_then_makes_each_row_once_and_its_figures_agree(tmp_path: Path, tiny: Any, tiny_suite: Callable[[], StudentsSuite]) -> None:
    tiny.write_data(tmp_path)
    (tmp_path / "teacher").mkdir()
    tiny.write_teacher(tmp_path / "teacher")
    suite = tiny_suite()
    line = Line(suite, "tiny", tmp_path, tmp_path / "work")
    jobs = list(script.jobs_of(suite, "tiny", seeds=None, sizes=None, kinds=("student", "no_kd")))
    options = ScriptOptions(tmp_path, tmp_path / "work", tmp_path / "results", None, None, (), False, "c")
    script.measure_task(line, jobs, options)
    rows = RowFile(tmp_path / "results" / "tiny.json").rows()
    teacher, student, baseline = rows
    assert [row["kind"] for row in rows] == ["teacher", "student", "no_kd"]
    assert teacher["decisions"] == [decision.model_dump(mode="json") for decision in line.teacher(3).manifest.decisions]
    assert student["teacher_row"] == baseline["teacher_row"] == teacher["key"]
    for row, accuracy in ((teacher, "test"), (student, "int8_test"), (baseline, "int8_test")):
        assert row["n_test"] == 60
        assert unpack_bits(row["right"], 60).mean() == pytest.approx(row[accuracy])
    assert student["int8_bytes"] < teacher["fp32_bytes"]
    assert student["rows_seen"] <= 608  # 19 steps of 32
    assert student["distill_s_is_whole"]
    assert student["threads"] == [baseline["threads"][0]] * 2  # labels and training; the baseline has no labels
    assert len(list((tmp_path / "work" / "tiny" / "distill").glob("*/manifest.json"))) == 1  # the baseline asks for no other

    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("manifest.json")}
    script.measure_task(line, jobs, options)
    assert RowFile(tmp_path / "results" / "tiny.json").rows() == rows
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("manifest.json")} == made


def test_a_teacher_that_answers_otherwise_gets_a_row_of_its_own(
    tmp_path: Path, tiny: Any, tiny_suite: Callable[[], StudentsSuite], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write_data(tmp_path)
    (tmp_path / "teacher").mkdir()
    tiny.write_teacher(tmp_path / "teacher")
    line, rows = Line(tiny_suite(), "tiny", tmp_path, tmp_path / "work"), RowFile(tmp_path / "tiny.json")
    answers = {"right": pack_bits([True] * 8), "validation": 0.75, "test": 1.0}
    monkeypatch.setattr(Line, "teacher_figures", lambda *_: answers)
    first = script.teacher_row(line, rows, 3, "c")
    assert script.teacher_row(line, rows, 3, "c") == first
    answers = {"right": pack_bits([True] * 7 + [False]), "validation": 0.75, "test": 0.875}
    other = script.teacher_row(line, rows, 3, "c")
    assert other["key"] != first["key"]
    assert other["test"] == 0.875
    assert script.teacher_row(line, rows, 3, "c") == other
    assert rows.rows() == [first, other]
