"""More trainings of a picture student: rows are found again, both kinds belong together, and the table pools them."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import image_seeds as script
import images_table
import numpy as np
import pytest
from resumable_rows import RowFile, pack_bits
from script_options import ScriptOptions

from edgedistill.errors import DataError

TASK = "fashion_mnist"


@pytest.fixture
def options(tmp_path: Path) -> ScriptOptions:
    return ScriptOptions(tmp_path, tmp_path / "work", tmp_path / "results", None, (13, 14), (), False, "python benchmarks/image_seeds.py")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Stand in for hours of training: every student is right in 9 of 10 rows, one without a teacher in 8."""
    made: list[tuple[str, int]] = []

    def measured(taught: Any, kind: str, seed: int) -> dict[str, Any]:
        made.append((kind, seed))
        right = np.arange(100) % 10 < (9 if kind == "student" else 8)
        return {"task": TASK, "kind": kind, "seed": seed, "test": float(right.mean()), "n_test": 100, "right": pack_bits(right),
                "seconds": 1.0}

    def settings(kind: str, seed: int) -> dict[str, Any]:
        return {"task": TASK, "kind": kind, "seed": seed, "rung": "tiny", "distillation": {}, "pictures": {}}

    monkeypatch.setattr(script, "taught_by", lambda task, run, **_: SimpleNamespace(task=task, settings=settings))
    monkeypatch.setattr(script, "measured", measured)
    return made


def test_make_rows_when_started_again_then_nothing_is_made_twice(options: ScriptOptions, asked: list[tuple[str, int]]) -> None:
    script.make_rows(TASK, replace(options, seeds=(13,)), ("student",), target="raspberry-pi")
    script.make_rows(TASK, options, script.KINDS, target="raspberry-pi")
    assert sorted(asked) == [("no_kd", 13), ("no_kd", 14), ("student", 13), ("student", 14)]


def test_make_rows_when_dry_then_says_what_is_missing(
    options: ScriptOptions, asked: list[tuple[str, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    script.make_rows(TASK, replace(options, is_dry=True), ("no_kd",), target="raspberry-pi")
    assert capsys.readouterr().out.splitlines() == [f"{TASK}: seed 13, no_kd", f"{TASK}: seed 14, no_kd"]
    assert not asked


def test_seeds_row_when_both_kinds_are_there_then_the_mean_gain_with_its_interval(
    options: ScriptOptions, asked: list[tuple[str, int]]
) -> None:
    script.make_rows(TASK, options, script.KINDS, target="raspberry-pi")
    row = images_table.seeds_row(options.results / f"{TASK}.json")
    assert row is not None
    assert "13, 14 | 0.9000, 0.9000 | 0.8000, 0.8000 | +10.0 (" in row
    assert row.endswith("| 2 |")


def test_seeds_row_when_the_other_has_other_settings_then_they_are_not_compared(tmp_path: Path) -> None:
    rows = RowFile(tmp_path / f"{TASK}.json")
    for kind, rows_seen in (("student", 6), ("no_kd", 3)):
        known = {"task": TASK, "kind": kind, "seed": 13, "rung": "tiny", "distillation": {"rows_seen": rows_seen}, "pictures": {}}
        rows.add(known, {"kind": kind, "seed": 13, "test": 1.0, "n_test": 8, "right": pack_bits(np.ones(8))}, command="")
    assert images_table.seeds_row(tmp_path / f"{TASK}.json") is None


def test_taught_by_when_the_run_is_not_finished_then_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no finished run"):
        script.taught_by(TASK, tmp_path / "run", target="raspberry-pi")


def test_taught_by_when_other_settings_made_the_run_then_refused_and_nothing_is_trained(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "report.json").write_text("{}", encoding="utf-8")
    np.savez(tmp_path / "train.npz", images=np.zeros((4, 8, 8), np.uint8), labels=np.arange(4) % 2)
    task = script.read_suite_file(script.ImagesSuite, script.SUITE).tasks[TASK]
    recipe = {"id": "tiny", "task": "image-classification", "data": {"train": str(tmp_path / "train.npz")}, **task.recipe}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    with pytest.raises(DataError, match="its prepare was made by other code or settings"):
        script.taught_by(TASK, run, target="raspberry-pi")
    assert not list(run.glob("**/*.partial"))
