"""The teacher that is fine-tuned by hand: trained on the students' splits, a row a learning rate, best by validation in the table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import teachers as script
from resumable_rows import RowFile, unpack_bits
from student_line import Line
from suite_files import StudentsSuite, TeachersSuite, read_suite_file

_SUITE = TeachersSuite(kind="data-sets", description="tiny", learning_rates=(2e-3, 4e-3), batch_size=16, warmup_share=0.1,
                       weight_decay=0.01, epochs=20, epochs_of={"other": 1})


def test_row_when_a_tiny_encoder_is_tuned_then_says_which_test_rows_are_right(
    tmp_path: Path, tiny: Any, tiny_suite: Callable[[], StudentsSuite]
) -> None:
    tiny.write_data(tmp_path)
    tiny.write_teacher(tmp_path / "teacher")
    line, rows = Line(tiny_suite(), "tiny", tmp_path, tmp_path / "work"), RowFile(tmp_path / "rows.json")
    tuning = script.tunings_of(line, _SUITE, 3)[0]
    row = script.tuned_row(line, tuning, rows, "c")
    assert row["test"] == pytest.approx(unpack_bits(row["right"], row["n_test"]).mean())
    assert row["test"] > 0.5
    assert rows.find(script.row_settings(line, tuning)) == row


def test_tunings_then_one_a_learning_rate_with_the_tasks_own_passes(tmp_path: Path, suite: StudentsSuite) -> None:
    wanted = read_suite_file(TeachersSuite, "teachers")
    glue, trec = ([t.epochs for t in script.tunings_of(Line(suite, task, tmp_path, tmp_path), wanted, 13)]
                  for task in ("sst2_glue", "trec6"))
    assert set(glue) == {3}
    assert set(trec) == {5}
    assert len(trec) == len(wanted.learning_rates)


def test_keys_when_the_seed_is_another_then_the_rows_are_too(tmp_path: Path, suite: StudentsSuite) -> None:
    wanted = read_suite_file(TeachersSuite, "teachers")
    other = suite.model_copy(update={"teacher_seed": 14})
    assert not script.current_keys(wanted, suite)["trec6"] & script.current_keys(wanted, other)["trec6"]
