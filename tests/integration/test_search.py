"""The search in the line: a smaller rung when the goal is easy, exit code 3 with a reason when it is out of reach."""

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import edgedistill
from edgedistill import pipeline, student_search
from edgedistill.cli.app import run_command_line
from edgedistill.results import Milestone, TrainingLog
from edgedistill.shape import Ladder, StudentShape

from .conftest import write_classifier
from .tiny import write_recipe

LADDER = tuple(
    StudentShape(id=name, layers=layers, hidden=hidden, heads=hidden // 32, intermediate=64, vocabulary=110)
    for name, layers, hidden in (("tiny-1x32", 1, 32), ("tiny-2x32", 2, 32), ("tiny-2x64", 2, 64))
)
QUICK = {"distillation": {"rows_seen": 200, "batch_size": 16, "baseline": False, "transfer_set": {"rows": 100, "copies": 2}},
         "student": {"ladder": "shapes.yaml"}, "teacher": {"name": "classifier", "max_tokens": 32}, "parity": {"int8_min_agreement": 0}}


@dataclass(frozen=True)
class Line:
    """Runs of the tiny problem on a ladder of three rungs, without the benchmark, which the search has nothing to do with."""

    recipe: Path

    def run(self, out: Path, *settings: str, steps: list[str] | None = None) -> pipeline.RunResult:
        found = edgedistill.load_recipe(self.recipe, overrides=settings)
        done = [] if steps is None else steps
        return edgedistill.run(found, [edgedistill.load_target("raspberry-pi")], out,
                               on_step=lambda step, state, seconds: done.append(step) if state == "done" else None)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe whose teacher is taken as it is: what it knows does not matter here, and no test waits for its training."""
    path = write_recipe(tmp_path_factory.mktemp("searched"), **QUICK)
    write_classifier(path.parent / "classifier", path.parent / "teacher")
    (path.parent / "shapes.yaml").write_text(Ladder(family="bert", rungs=LADDER).to_yaml())
    return path


@pytest.fixture
def line(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setattr(pipeline, "_benchmark", lambda *arguments: None)
    return Line(recipe)


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packing costs seconds and has nothing to do with which student is packed."""
    monkeypatch.setattr(pipeline, "_package", lambda *arguments: None)


def keys(out: Path, step: str) -> Sequence[Path]:
    return sorted((out / ".stages" / step).iterdir())


@pytest.mark.usefixtures("unpacked")
def test_run_when_the_goal_is_easy_then_takes_a_smaller_rung_than_the_largest_that_fits(line: Line, tmp_path: Path) -> None:
    result = line.run(tmp_path / "run", "goals=[{type: min-value, value: 0.2}]")
    target = result.report.targets["raspberry-pi"]
    assert result.missed == ()
    assert [row.rung for row in target.frontier] == ["tiny-2x32", "tiny-1x32"]
    assert [row.is_chosen for row in target.frontier] == [False, True]
    assert next(row.rung for row in target.ledger if row.is_chosen) == "tiny-1x32"
    config = json.loads((tmp_path / "run" / "raspberry-pi" / "student" / "config.json").read_text(encoding="utf-8"))
    assert (config["num_hidden_layers"], config["hidden_size"]) == (1, 32)
    assert len(keys(tmp_path / "run", "validate-student-int8")) == 2
    assert len(keys(tmp_path / "run", "evaluate-student-int8")) == 1  # the test split is read for the chosen one alone
    again: list[str] = []
    assert line.run(tmp_path / "run", "goals=[{type: min-value, value: 0.2}]", steps=again).report == result.report
    assert again == []


def test_run_when_the_goal_is_out_of_reach_then_exit_code_3_the_best_saved_and_a_reason_to_act_on(
    line: Line, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    code = run_command_line([
        "run", "--recipe", str(line.recipe), "--target", "raspberry-pi", "-o", str(out), "--trials", "2",
        "--set", "goals=[{type: min-value, value: 1.0}]", "--set", "search.margin=0.1", "--set", "student.initialisation=random",
        "--set", "teacher.name=teacher", "--set", "teacher.fine_tuning={epochs: 12, learning_rate: 0.002, batch_size: 16}",
    ])
    told = capsys.readouterr().err
    target = json.loads((out / "report.json").read_text(encoding="utf-8"))["targets"]["raspberry-pi"]
    assert code == 3
    assert (out / "raspberry-pi" / "bundle" / "model.onnx").is_file()
    assert len(target["frontier"]) == 2
    (chosen,) = [row for row in target["frontier"] if row["is_chosen"]]
    assert chosen["int8_accuracy"] == max(row["int8_accuracy"] for row in target["frontier"])
    assert re.search(r"accuracy 0\.\d{4} on the test rows is [\d.]+ points short of 1\.0000; the best student", told)
    assert "What may help:" in told
    assert re.search(r"--set 'goals=\[\{metric: accuracy, type: min-value, value: 0\.\d+\}\]'", told)
    assert "--trials 8" in told
    assert chosen["finding_text"] in told


@pytest.mark.usefixtures("unpacked")
def test_run_when_a_training_misses_its_milestone_then_given_up_and_not_chosen(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out_of_reach = (Milestone(share_of_steps=0.3, validation_accuracy=1.0),)
    monkeypatch.setattr(student_search, "milestones_from", lambda courses, rows: out_of_reach if courses else ())
    result = line.run(tmp_path / "run", "goals=[{type: min-value, value: 1.0}]", "student.rung=tiny-1x32", "search.trials=2")
    first, second = result.report.targets["raspberry-pi"].frontier
    assert (first.is_chosen, second.is_chosen) == (True, False)
    assert (second.is_pruned, second.int8_accuracy, second.finding) == (True, None, "given-up")
    (log,) = [found for path in keys(tmp_path / "run", "distill")
              if (found := TrainingLog.read_json(path / "training_log.json")).given_up_at_step is not None]
    assert log.points[-1].step == log.given_up_at_step
    assert log.given_up_at_step < (log.steps_planned or 0)
    assert len(keys(tmp_path / "run", "export-student")) == 1


@pytest.mark.usefixtures("unpacked")
def test_run_when_two_runs_share_a_study_then_the_second_takes_the_student_of_the_first(line: Line, tmp_path: Path) -> None:
    settings = ("goals=[{type: min-value, value: 0.2}]", f"search.study={tmp_path / 'shared.journal'}")
    first = line.run(tmp_path / "one", *settings)
    steps: list[str] = []
    second = line.run(tmp_path / "two", *settings, steps=steps)
    assert "distill" not in steps
    assert "teach" in steps
    student = Path("raspberry-pi") / "student" / "model.safetensors"
    assert (tmp_path / "two" / student).read_bytes() == (tmp_path / "one" / student).read_bytes()
    (chosen,) = [row for row in second.report.targets["raspberry-pi"].frontier if row.is_chosen]
    assert chosen.run is not None
    assert chosen.run.endswith(str(tmp_path / "one"))
    assert first.report.targets["raspberry-pi"].retention == second.report.targets["raspberry-pi"].retention


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("edgedistill").setLevel(logging.WARNING)
