"""Exit codes: what was found stands when the reader of a pipe goes away, a library that ends the process, --json alone on stdout."""

import json
import sys
from typing import Any

import pytest

from edgedistill.cli import app as cli
from edgedistill.cli.app import run_command_line
from edgedistill.cli.chain import _say_checked
from edgedistill.errors import GoalMissedError, ParityError
from edgedistill.verify.bundle import BundleCheck


class GoneReader:
    """A stdout whose reader went away."""

    def flush(self) -> None:
        raise BrokenPipeError


def test_command_when_the_reader_goes_away_after_the_result_then_its_code_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "app", lambda *arguments, **named: GoalMissedError.exit_code)
    monkeypatch.setattr(sys, "stdout", GoneReader())
    monkeypatch.setattr(cli, "_drop_stdout", lambda: None)
    assert run_command_line(["run"]) == GoalMissedError.exit_code


@pytest.mark.parametrize(("ended", "code"), [(SystemExit(1), 1), (SystemExit(), 0), (SystemExit("no license"), 1)])
def test_command_when_a_library_ends_the_process_then_with_its_code(
    ended: SystemExit, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*arguments: Any, **named: Any) -> None:
        raise ended

    monkeypatch.setattr(cli, "app", end)
    assert run_command_line(["run"]) == code


def test_command_when_typer_leaves_because_the_reader_went_away_then_0(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(*arguments: Any, **named: Any) -> None:
        try:
            raise BrokenPipeError
        except BrokenPipeError:
            sys.exit(1)

    monkeypatch.setattr(cli, "app", leave)
    monkeypatch.setattr(cli, "_drop_stdout", lambda: None)
    assert run_command_line(["targets", "list"]) == 0


def test_verify_when_the_bundle_fails_and_json_is_asked_for_then_stdout_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    check = BundleCheck(files_checked=3, altered_files=("model.onnx",), vectors_replayed=0, models=(), ids_checked=False,
                        decisions_flipped=0, max_abs_error=None, passed=False, problems=("model.onnx: altered",))
    assert _say_checked(check, as_json=True) == ParityError.exit_code
    assert json.loads(capsys.readouterr().out)["problems"] == ["model.onnx: altered"]
    assert _say_checked(check, as_json=False) == ParityError.exit_code
    assert "problem: model.onnx: altered" in capsys.readouterr().out


def test_plan_when_two_targets_have_one_id_then_refused(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["targets", "show", "raspberry-pi"]) == 0
    (tmp_path / "mine.yaml").write_text(capsys.readouterr().out)
    assert run_command_line(["plan", "--target", "raspberry-pi", "--target", str(tmp_path / "mine.yaml")]) == 2
    assert "two targets are called 'raspberry-pi'" in capsys.readouterr().err
