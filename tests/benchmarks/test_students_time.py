"""Times that are taken alone: refused on a busy machine, known by their settings, and put in the place of the rows' own."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import students_time as script
from result_rows import read_folder
from resumable_rows import RowFile, key_of
from student_line import Line
from students_judged import judged_table, verdicts
from students_summary import Students
from suite_files import StudentsSuite

from edgedistill.errors import UsageError

_RIGHT = [1] * 8


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (0.2, 3.0, 3.0))


def test_time_on_a_busy_machine_is_refused_before_anything_is_done(
    line: Line, suite: StudentsSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (1.7, 0.0, 0.0))
    with pytest.raises(UsageError, match="busy: a load of 1.7"):
        script.timed_row(line, suite.rung_of("1/80"), RowFile(tmp_path / "trec6.json"), seed=13, threads=2, command="")
    assert not line.work.exists()


def test_time_settings_when_threads_seed_or_size_differ_then_another_row(line: Line, suite: StudentsSuite) -> None:
    keys = {key_of(script.time_settings(line, suite.rung_of(size), seed, threads))
            for size in ("1/30", "1/80") for seed in (13, 14) for threads in (1, 2)}
    assert len(keys) == 8


@pytest.mark.usefixtures("idle")
def test_timed_row_labels_and_distils_in_a_folder_of_its_own(
    line: Line, suite: StudentsSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in ("prepare", "teach"):
        (line.work / "trec6" / step).mkdir(parents=True)
        (line.work / "trec6" / step / "made").touch()
    where: list[Path] = []

    def step_of(seconds: float) -> Callable[..., Any]:
        def step(self: Line, *_: Any) -> Any:
            where.append(self.work)
            assert (self.work / "trec6" / "teach" / "made").is_file()  # the teacher is there, and nothing else
            assert not (self.work / "trec6" / "soft-labels").exists()
            return SimpleNamespace(manifest=SimpleNamespace(duration_s=seconds))
        return step

    monkeypatch.setattr(Line, "teacher", lambda self, seed: None)
    monkeypatch.setattr(Line, "soft_labels", step_of(100.0))
    monkeypatch.setattr(Line, "student", step_of(200.0))
    rows = RowFile(tmp_path / "trec6.json")
    row = script.timed_row(line, suite.rung_of("1/80"), rows, seed=13, threads=2, command="")
    assert (row["soft_labels_s"], row["distill_s"], row["threads"], row["load_before"]) == (100.0, 200.0, [2], 0.2)
    assert rows.find(script.time_settings(line, suite.rung_of("1/80"), 13, 2)) == row
    assert all(folder != line.work and not folder.exists() for folder in where)


def test_a_time_taken_alone_stands_in_the_place_of_a_slower_row(
    suite: StudentsSuite, tmp_path: Path, write_row: Callable[..., dict[str, Any]]
) -> None:
    teacher = write_row("students", kind="teacher", right=_RIGHT)
    write_row("students", kind="student", size="1/80", right=_RIGHT, teacher_row=teacher["key"], distill_s=1100.0, threads=[1, 1])
    write_row("students_time", kind="time", size="1/80", right=_RIGHT, distill_s=300.0, threads=[2])
    write_row("students_time", kind="time", size="1/80", right=_RIGHT, distill_s=1.0, rung="another", seed=14)
    write_row("students_time", kind="time", size="1/80", right=_RIGHT, distill_s=2.0, base="older", seed=15)
    rows, bases = read_folder(tmp_path / "results" / "students"), dict.fromkeys(suite.tasks, "same")
    times = read_folder(tmp_path / "results" / "students_time")
    without, with_times = (Students(suite, rows, bases), Students(suite, rows, bases, times=times))
    assert "0.2 + 18.3 = 18.5 min of 15, not known for two; threads: 1 " in judged_table(without)
    assert "0.2 + 5.0 = 5.2 min of 15, met; threads: 2, alone " in judged_table(with_times)
    assert "met but for what is not known" not in verdicts(with_times)


def test_rung_to_time_is_the_one_that_validation_chose(suite: StudentsSuite, line: Line, tmp_path: Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    choices = suite.rung_of("1/80").choices()
    bases = {"trec6": line.base_key()}
    assert script.rung_to_time(suite, "trec6", "1/80", bases).rung == choices[0].rung  # nothing is trained yet
    row = {"task": "trec6", "size": "1/80", "kind": "student", "seed": 13, "teacher_row": "t", "base": bases["trec6"], "int8_bytes": 9}
    file = RowFile(tmp_path / "students" / "trec6.json")
    for rung, accuracy in ((choices[0], 0.9), (choices[1], 0.95)):
        file.add({"rung": rung.rung}, {**row, "rung": rung.rung, "int8_validation": accuracy}, command="")
    assert script.rung_to_time(suite, "trec6", "1/80", bases).rung == choices[1].rung
