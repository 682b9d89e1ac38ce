"""Exit codes: what was found stands when the reader of a pipe goes away, a library that ends the process, --json alone on stdout."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgedistill.cli import app as cli
from edgedistill.cli.app import run_command_line
from edgedistill.cli.chain import _say_checked, _say_compared
from edgedistill.cli.whole import _exit_code
from edgedistill.errors import INTERRUPTED_EXIT_CODE, GoalMissedError, ParityError
from edgedistill.results import ParityReport
from edgedistill.run_report import parity_problems_of
from edgedistill.verify.bundle import BundleCheck
from edgedistill.verify.parity import Gate, compare_logits, emulated_gate, refused


class GoneReader:
    """A stdout whose reader went away."""

    def flush(self) -> None:
        raise BrokenPipeError

    def fileno(self) -> int:
        raise ValueError("closed")


def test_command_when_the_reader_goes_away_after_the_result_then_its_code_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "app", lambda *arguments, **named: GoalMissedError.exit_code)
    monkeypatch.setattr(sys, "stdout", GoneReader())
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
    monkeypatch.setattr(cli, "drop", lambda stream: None)
    assert run_command_line(["targets", "list"]) == 0


def test_verify_when_the_bundle_fails_and_json_is_asked_for_then_stdout_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    check = BundleCheck(files_checked=3, altered_files=("model.onnx",), vectors_replayed=0, models=(), ids_checked=False,
                        decisions_flipped=0, max_abs_error=None, passed=False, problems=("model.onnx: altered",))
    assert _say_checked(check, as_json=True) == ParityError.exit_code
    assert json.loads(capsys.readouterr().out)["problems"] == ["model.onnx: altered"]
    assert _say_checked(check, as_json=False) == ParityError.exit_code
    assert "problem: model.onnx: altered" in capsys.readouterr().out


def test_run_when_a_gate_fails_then_names_it_and_says_what_helps_against_that_one(capsys: pytest.CaptureFixture[str]) -> None:
    logits = np.array([[2.0, 0.0], [0.0, 1.0]])
    gate = Gate("torch", "onnx", min_agreement=0.9, max_error=0.01)
    onnx, int8 = (compare_logits(logits, moved, gate=gate) for moved in (logits + 1 / 64, logits))
    arm64 = refused(emulated_gate(0.99, core="cortex-a72"), 2, "SIGILL")
    verdict = SimpleNamespace(scheme="dynamic_wi8_afp32_per_channel")
    targets = {"pi": SimpleNamespace(parity=ParityReport(onnx=onnx, int8=int8, arm64=arm64), quantization=verdict)}
    result: Any = SimpleNamespace(report=SimpleNamespace(targets=targets), missed=())
    result.parity_problems = parity_problems_of(result.report)
    assert _exit_code(result) == ParityError.exit_code
    assert capsys.readouterr().err.splitlines() == [
        "missed: pi: onnx does not answer as torch does: parity.onnx_max_error: the largest difference of a logit is 0.0156, at most "
        "0.01 is asked for (100.00% of 2 test rows agree, largest difference of a logit 0.0156)",
        "missed: pi: cortex-a72 does not answer as int8 does: it does not run there: SIGILL",
        "hint:  no decision changed; to accept it: --set parity.onnx_max_error=0.02",
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_verify_when_two_models_differ_then_the_gate_is_named_with_what_to_type(
    as_json: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logits = np.array([[2.0, 0.0], [0.0, 1.0]])
    parity = compare_logits(logits, -logits, gate=Gate("onnx", "int8", min_agreement=0.95))
    assert _say_compared(parity, tmp_path, as_json=as_json) == ParityError.exit_code
    found = capsys.readouterr()
    assert (json.loads(found.out)["problems"][0] if as_json else found.out.splitlines()[1].removeprefix("problem: ")).startswith(
        "parity.int8_min_agreement: 2 of 2 decisions flipped")
    assert "edgedistill evaluate MODEL --data DATA" in found.err


def test_plan_when_two_targets_have_one_id_then_refused(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["targets", "show", "raspberry-pi"]) == 0
    (tmp_path / "mine.yaml").write_text(capsys.readouterr().out)
    assert run_command_line(["plan", "--target", "raspberry-pi", "--target", str(tmp_path / "mine.yaml")]) == 2
    assert "two targets are called 'raspberry-pi'" in capsys.readouterr().err


_STAND_IN = """
import subprocess, sys
from edgedistill.cli import app as cli
from edgedistill.cli.terminal import say, tell

def work(*arguments, **named):
    {body}

cli.app = work
sys.exit(cli.run_command_line(["run"]))
"""


def _started(body: str, **pipes: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", _STAND_IN.format(body=body)], **pipes)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_command_when_the_reader_of_a_stream_goes_away_in_the_middle_then_the_work_goes_on_and_its_code_stands(
    stream: str, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    speak = {"stdout": "say", "stderr": "tell"}[stream]
    body = f"sys.stdin.readline(); [{speak}('x' * 9999) for _ in range(99)]; open({str(done)!r}, 'w').close(); return 3"
    with _started(body, stdin=subprocess.PIPE, **{stream: subprocess.PIPE}) as process:
        getattr(process, stream).close()
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
        assert process.wait(timeout=60) == GoalMissedError.exit_code
    assert done.exists()


def test_command_when_terminated_then_as_after_ctrl_c_and_what_it_started_ends_too(tmp_path: Path) -> None:
    mark = tmp_path / "child"
    child = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with _started(f"subprocess.run([sys.executable, '-c', {child!r}])", stderr=subprocess.PIPE) as process:
        while not (mark.is_file() and mark.read_text()):
            time.sleep(0.05)
        process.terminate()
        assert process.wait(timeout=60) == INTERRUPTED_EXIT_CODE
        assert process.stderr is not None
        assert b"interrupted: run the same command again" in process.stderr.read()
    assert _has_ended(int(mark.read_text()))


def _has_ended(process_id: int) -> bool:
    """Is a process gone, or only waiting for somebody to ask how it ended?"""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return True
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process_id)], capture_output=True, text=True, check=False).stdout
    return state.strip()[:1] in ("", "Z")


@pytest.mark.parametrize(("words", "message"), [
    ("benchmark a --data b --detail --processes 3", "--processes has no use with --detail"),
    ("benchmark a --on ssh://pi@board --processes 3", "--processes has no use with --on"),
    ("benchmark a --on ssh://pi@board --detail", "--detail is measured on this machine"),
    ("verify a --data b", "--data is of --against or --emulate"),
])
def test_command_when_an_option_would_not_be_used_then_refused(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(words.split()) == 2
    assert message in capsys.readouterr().err
