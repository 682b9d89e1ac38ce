"""The command line against stand-ins for ssh and adb: what they are asked, what is printed, and the exit codes."""

import contextlib
import json
import platform
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgedistill
from edgedistill.cli.app import run_command_line
from edgedistill.device import session
from edgedistill.device.session import read_facts
from edgedistill.device.stage import refuse_denied
from edgedistill.device.subject import Subject
from edgedistill.errors import TargetError
from edgedistill.report.model import RunReport
from edgedistill.target import DeniedVersion
from tests.integration.test_images import write_picture_recipe
from tests.integration.tiny import write_recipe

from .picture_model import make_picture_folder

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


def test_benchmark_when_the_model_reads_pictures_then_a_folder_of_pictures_is_measured(
    stand_in: StandIn, home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stand_in("ssh")
    folder = make_picture_folder(tmp_path / "student")
    (folder / "config.json").write_text(json.dumps({"id2label": {"0": "a", "1": "b", "2": "c"}}))
    for index, label in enumerate("abcab"):
        (tmp_path / "photos" / label).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 256, (7, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{index}.png")
    assert run_command_line(["benchmark", str(folder), "--data", str(tmp_path / "photos"), "--on", HOST]) == 0
    out = capsys.readouterr().out
    assert "5 rows: 0 answered otherwise than on this host, largest difference of a logit 0; accuracy" in out
    assert re.search(r"36 pixels, \d+ images a second, 1 thread\(s\)", out)
    assert not list(home.rglob("*.onnx"))


def test_benchmark_when_over_adb_then_measures_in_the_one_folder_that_may_be_written(
    texts: list[str], stand_in: StandIn, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = stand_in("adb")
    assert run_command_line(["benchmark", *texts, "--on", "adb:SERIAL", "--threads", "1"]) == 0
    out = capsys.readouterr().out
    assert "adb:SERIAL" in out
    assert "4 rows: 0 answered otherwise than on this host" in out
    assert "tokens a second" in out
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


@pytest.mark.parametrize("recipe", ["home-intents", "handwritten-digits"])
@pytest.mark.parametrize(("cuts", "code", "words"), [
    ((), 2, "is x86_64, and raspberry-pi is aarch64"), (tuple(range(9)), 5, "Connection reset by peer"),
])
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the stand-in device is this machine")
def test_run_when_the_device_cannot_be_used_then_says_so_before_any_work(
    stand_in: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path, cuts: tuple[int, ...], code: int, words: str,
    recipe: str,
) -> None:
    stand_in("ssh", cuts=cuts)
    command = ["run", "--recipe", recipe, "--target", "raspberry-pi", "--on", HOST, "-o", str(tmp_path / "run")]
    assert run_command_line(command) == code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


OLD = ('{"system": "Linux", "architecture": "aarch64", "bits": 64, "model": null, "cpu": "x", "cores": 4, "features": [], '
       '"ram_bytes": 1, "python": "3.9", "numpy": "1.2", "onnxruntime": "1.9.0", "is_emulated": false}')


def test_run_when_the_devices_onnxruntime_is_older_than_the_targets_then_exit_2_before_any_work(
    stand_in: StandIn, home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stand_in("ssh")
    (home / "bin" / "python3").write_text(f"#!/bin/sh\necho '{OLD}'\n")
    assert run_command_line(["run", "--target", "raspberry-pi", "--on", HOST, "-o", str(tmp_path / "run")]) == 2
    err = capsys.readouterr().err
    assert f"{HOST}: has onnxruntime 1.9.0, and 1.17 is the oldest that loads the model" in err
    assert "install a newer one there: python3 -m pip install --upgrade 'onnxruntime>=1.17'" in err
    assert not (tmp_path / "run").exists()


def test_measure_on_when_the_devices_onnxruntime_is_older_than_the_bundles_then_refuses_before_it_asks(
    stand_in: StandIn, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in("ssh")
    (home / "bin" / "python3").write_text(f"#!/bin/sh\necho '{OLD}'\n")
    subject = Subject(tmp_path / "model.onnx", tmp_path / "rows.arrow", oldest="1.17")
    monkeypatch.setattr("edgedistill.device.subject.opened_subject", lambda *given: contextlib.nullcontext(subject))
    with pytest.raises(TargetError, match=r"has onnxruntime 1\.9\.0, and 1\.17 is the oldest"):
        edgedistill.measure_on(HOST, tmp_path / "bundle")


def test_run_when_a_device_is_named_for_two_targets_then_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["run", "--target", "raspberry-pi", "--target", "rock-5b", "--on", HOST]) == 2
    assert "a device is of one target" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the stand-in device is this machine")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("write", [lambda folder: write_recipe(folder, search={"trials": 1}), write_picture_recipe],
                         ids=["texts", "pictures"])
def test_run_when_a_device_is_named_then_its_figures_stand_in_the_report(
    stand_in: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path, write: Callable[[Path], Path]
) -> None:
    stand_in("ssh")
    recipe = write(tmp_path)
    command = ["run", "--recipe", str(recipe), "--target", "laptop-vnni", "--on", HOST, "-o", str(tmp_path / "run")]
    assert run_command_line(command) in (0, 3), capsys.readouterr().err
    target = RunReport.read_json(tmp_path / "run" / "report.json").targets["laptop-vnni"]
    sources = {budget.name: budget.source for budget in target.budgets}
    assert sources == {"model_bytes": "measured", "peak_memory_bytes": "measured", "latency_p50_s": "measured",
                       "accuracy_loss": "measured"}
    assert target.device is not None
    assert target.device.rows == target.variants["student_int8"].test_rows
    assert target.variants["student_int8"].latency.target.source == "measured"
    assert not list(home.rglob("*.onnx"))
    capsys.readouterr()
    assert run_command_line(command) in (0, 3)
    assert "device: done before, skipped" in capsys.readouterr().err


def test_measure_when_the_devices_onnxruntime_is_denied_then_is_refused() -> None:
    denied = DeniedVersion(version="1.21", reason="SIGILL at import", reference="onnxruntime#23957")
    facts = read_facts(b'{"system": "Linux", "architecture": "aarch64", "bits": 64, "model": null, "cpu": "x", "cores": 4, '
                       b'"features": [], "ram_bytes": 1, "python": "3.11", "numpy": "2", "onnxruntime": "1.21.1", '
                       b'"is_emulated": false}', "x")
    refuse_denied("ssh://pi@board", facts.model_copy(update={"onnxruntime": "1.20.1"}), (denied,))
    with pytest.raises(TargetError, match=r"onnxruntime 1\.21\.1 must not be used there: SIGILL at import"):
        refuse_denied("ssh://pi@board", facts, (denied,))
