"""What a run keeps of its steps: of a measurement that was warned of, how it is made again is said with it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edgedistill.host import this_host
from edgedistill.line import Line
from edgedistill.manifest import Decision, Manifest, warned
from edgedistill.recipe import Recipe
from edgedistill.stage import Done, Workspace


def _line() -> Line:
    return Line(cast(Recipe, SimpleNamespace()), Workspace(Path("x")), None, Path("study"), ())


def _done(folder: Path, *decisions: Decision, was_skipped: bool = True) -> Done:
    fields: dict[str, Any] = {"stage_version": 1, "key": "0123", "settings_json": "{}", "inputs": {}, "outputs": (), "tools": {}}
    manifest = Manifest(step="benchmark", stage="benchmark", host=this_host(), started=datetime(2026, 3, 4, 5, 6, tzinfo=UTC),
                        duration_s=1.0, decisions=decisions, **fields)
    return Done(folder, manifest, was_skipped=was_skipped)


NOISY = Decision(step="benchmark", what="teacher: p90 is 3.1 times p50", why="its figures are marked as noisy")


def test_measured_when_an_earlier_run_warned_of_it_then_says_once_what_to_delete(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    line, done = _line(), _done(tmp_path / "0123", warned(NOISY))
    assert line.note_measured("benchmark", done) is done
    assert f"{tmp_path / '0123'}: measured before, on 2026-03-04 05:06; delete it to measure again" in caplog.text
    caplog.clear()
    line.note_measured("benchmark", done)  # another target's, the same result
    assert "delete it" not in caplog.text
    assert line.steps == {"benchmark": done}


def test_measured_when_it_was_quiet_or_is_new_then_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _line().note_measured("benchmark", _done(tmp_path, NOISY))
    new, line = replace(_done(tmp_path, warned(NOISY)), was_skipped=False), _line()
    line.note_measured("benchmark", new)
    line.note_measured("benchmark", replace(new, was_skipped=True))
    assert "delete it" not in caplog.text
