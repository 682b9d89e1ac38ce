"""The command line against stand-ins for ssh and adb: what they are asked, what is printed, and the exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgedistill.cli.app import run_command_line
from edgedistill.device import session

StandIn = Callable[..., Path]
HOST = "ssh://pi@board:2222"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session.Session, "__init__", _impatient(session.Session.__init__))


def _impatient(init: Callable[..., None]) -> Callable[..., None]:
    return lambda self, device, work: init(self, device, work, (0.0,), lambda seconds: None)


@pytest.fixture
def texts(tmp_path: Path, make_model_folder: Callable[[str], Path]) -> list[str]:
    """A model folder, and the option that names labelled texts for it."""
    folder = make_model_folder("student")
    (folder / "config.json").write_text(json.dumps({"id2label": {"0": "a", "1": "b", "2": "c"}}))
    (tmp_path / "rows.tsv").write_text("label\ttext\na\tturn off\nb\tturn on\nc\tlights\na\tlights off\n")
    return [str(folder), "--data", str(tmp_path / "rows.tsv")]


def test_benchmark_when_over_ssh_then_measures_and_asks_with_checked_keys_and_no_password(
    texts: list[str], stand_in: StandIn, home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    log = stand_in("ssh")
    assert run_command_line(["benchmark", *texts, "--on", HOST, "--json", "-o", str(tmp_path / "kept")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["source"] == "measured"
    assert found["rows"] == 4
    assert found["against_host"]["max_abs_error"] == 0
    assert found["accuracy"]["value"] in (0, 0.25, 0.5, 0.75, 1)
    assert len(found["rounds"]) == 5
    assert json.loads((tmp_path / "kept" / "device.json").read_text()) == found
    for line in log.read_text().splitlines():
        for option in ("'BatchMode=yes'", "'StrictHostKeyChecking=yes'", "'-p', '2222'", "'-l', 'pi'", "'--', 'board'"):
            assert option in line
    assert not list(home.rglob("*.onnx"))


def test_benchmark_when_over_adb_then_measures_in_the_one_folder_that_may_be_written(
    texts: list[str], stand_in: StandIn, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = stand_in("adb")
    assert run_command_line(["benchmark", *texts, "--on", "adb:SERIAL", "--threads", "1"]) == 0
    out = capsys.readouterr().out
    assert "adb:SERIAL" in out
    assert "4 rows: 0 answered otherwise than on this host" in out
    assert all("'-s', 'SERIAL'" in line for line in log.read_text().splitlines())
    assert not list(home.rglob("*.onnx"))


@pytest.mark.parametrize(("program", "address", "lost", "code", "hint"), [
    ("ssh", HOST, "ssh: connect to host board port 2222: Connection refused", 255, "is the device on"),
    ("ssh", HOST, "Host key verification failed.", 255, "accept it yourself, once: ssh -p 2222 pi@board true"),
    ("ssh", HOST, "pi@board: Permission denied (publickey).", 255, "ssh-copy-id -p 2222 pi@board"),
    ("adb", "adb:SERIAL", "adb: device 'SERIAL' not found", 1, "adb devices"),
    ("adb", "adb:SERIAL", "adb: device unauthorized.", 1, "allow debugging on its screen"),
])
def test_benchmark_when_the_device_does_not_answer_then_exit_5_and_nothing_is_written(
    texts: list[str], stand_in: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    program: str, address: str, lost: str, code: int, hint: str,
) -> None:
    stand_in(program, cuts=tuple(range(50)), lost=lost, lost_code=code)
    assert run_command_line(["benchmark", *texts, "--on", address, "-o", str(tmp_path / "kept")]) == 5
    out, err = capsys.readouterr()
    assert out == ""
    assert hint in err
    assert not (tmp_path / "kept").exists()


@pytest.mark.slow
@pytest.mark.parametrize("cut", [12, 16, 19], ids=["pushing", "answering", "timing"])
def test_benchmark_when_the_connection_stays_away_then_exit_5_and_the_same_command_goes_on(
    texts: list[str], stand_in: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path, cut: int, home: Path
) -> None:
    stand_in("ssh", cuts=(cut, cut + 1))
    command = ["benchmark", *texts, "--on", HOST, "-o", str(tmp_path / "kept")]
    assert run_command_line(command) == 5
    assert "run the same command again" in capsys.readouterr().err
    assert not (tmp_path / "kept").exists()
    assert list(home.rglob("runner.py"))
    assert run_command_line(command) == 0
    assert (tmp_path / "kept" / "device.json").is_file()
    assert not list(home.rglob("runner.py"))


def test_benchmark_when_the_far_python_has_no_onnxruntime_then_exit_6_with_the_command_that_installs_it(
    texts: list[str], stand_in: StandIn, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in("ssh")
    facts = ('{"system": "Linux", "architecture": "aarch64", "bits": 64, "model": null, "cpu": "x", "cores": 4, "features": [], '
             '"ram_bytes": 1, "python": "3.11", "numpy": "2", "onnxruntime": null, "is_emulated": false}')
    (home / "bin" / "python3").write_text(f"#!/bin/sh\necho '{facts}'\n")
    assert run_command_line(["benchmark", *texts, "--on", HOST]) == 6
    err = capsys.readouterr().err
    assert "has no onnxruntime" in err
    assert "ssh -p 2222 pi@board 'python3 -m venv .edgedistill/venv && .edgedistill/venv/bin/pip install numpy onnxruntime'" in err


@pytest.mark.parametrize("arguments", [
    ["a", "b", "--on", HOST], ["a", "--on", HOST], ["a", "--on", "usb:1", "--data", "x.tsv"], ["a"],
])
def test_benchmark_when_it_cannot_mean_anything_then_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["benchmark", *arguments]) == 2
    assert "hint" in capsys.readouterr().err
