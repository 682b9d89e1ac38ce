"""Over a real ssh on the loopback: measured, cut off in three moments, refused; and the same of an emulated aarch64 far end."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import edgedistill
from edgedistill.cli.app import run_command_line
from edgedistill.device import session
from edgedistill.emulation.cores import core_named
from edgedistill.emulation.environment import Environment
from edgedistill.recipe import BenchmarkProtocol

from .picture_model import make_picture_folder, write_some_pictures
from .sshd import Server, find_programs, serving

SHORT = BenchmarkProtocol(warmup_runs=1, min_runs=10, min_duration_s=0.001, rounds=2)
MOMENTS = {"pushing": "model.onnx.partial", "answering": "part answers", "timing": "part round-1"}
EMULATED_MOMENTS = (" check", "model.onnx.partial", "part answers")
"""In the order in which they come; an emulated device is not timed."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving(tmp_path / "sshd", python=sys.executable) as found:
        use(found, tmp_path, monkeypatch)
        yield found


def use(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `ssh` on the path read the server's own key and host."""
    (folder / "client").mkdir()
    words = [f"{name}={value}" for name, value in find_programs().variables.items()]
    (folder / "client" / "ssh").write_text(
        f'#!/bin/sh\nexec env {shlex.join([*words, find_programs().ssh, "-F", str(server.config)])} "$@"\n')
    (folder / "client" / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'client'}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def emulated_server(
    emulated_environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    emulated_environment.emulator.write_launcher(tmp_path / "arm-python", core_named("cortex-a72"))
    with serving(tmp_path / "sshd", python=str(tmp_path / "arm-python")) as found:
        use(found, tmp_path, monkeypatch)
        yield found


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    folder = make_picture_folder(tmp_path / "student")
    write_some_pictures(tmp_path / "rows.arrow")
    (folder / "config.json").write_text(json.dumps({"id2label": {"0": "a", "1": "b", "2": "c"}}))
    return [str(folder), "--data", str(tmp_path / "rows.arrow")]


@pytest.fixture
def texts(tmp_path: Path, make_model_folder: Callable[[str], Path]) -> list[str]:
    folder = make_model_folder("student")
    (folder / "config.json").write_text(json.dumps({"id2label": {"0": "a", "1": "b", "2": "c"}}))
    (tmp_path / "rows.tsv").write_text("label\ttext\na\tturn off\nb\tturn on\nc\tlights\na\tlights off\n")
    return [str(folder), "--data", str(tmp_path / "rows.tsv")]


def commands(server: Server) -> list[str]:
    return server.log.read_text().splitlines()


def everything_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.mark.slow
def test_benchmark_when_over_a_real_ssh_then_measures_and_leaves_nothing(
    server: Server, texts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["benchmark", *texts, "--on", server.address, "--json"]) == 0, capsys.readouterr().err
    found = json.loads(capsys.readouterr().out)
    assert (found["source"], found["rows"], len(found["rounds"])) == ("measured", 4, 5)
    assert found["against_host"]["max_abs_error"] == 0
    assert not list(server.home.rglob("*.onnx"))


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_measure_when_the_connection_is_killed_then_comes_back_with_a_whole_result(
    server: Server, texts: list[str], moment: str
) -> None:
    server.cut.write_text(f"{MOMENTS[moment]}\n")
    found = edgedistill.measure_on(server.address, Path(texts[0]), Path(texts[2]), protocol=SHORT)
    assert server.cut.read_text() == ""
    assert found.reconnections == 1
    assert (found.rows, len(found.rounds)) == (4, 2)
    assert not list(server.home.rglob("*.onnx"))


@pytest.mark.slow
@pytest.mark.parametrize(("file", "content", "hint"), [
    ("known_hosts", "", "accept it yourself"),
    ("known_hosts", "other", "accept it yourself"),
    ("client_key.pub", "", "ssh-copy-id"),
])
def test_benchmark_when_a_key_is_not_known_then_exit_5_and_nothing_ran_there(
    server: Server, texts: list[str], capsys: pytest.CaptureFixture[str], file: str, content: str, hint: str
) -> None:
    path = server.config.parent / file
    if content:
        content = path.read_text().replace("AAAAC3NzaC1lZDI1NTE5AAAAI", "AAAAC3NzaC1lZDI1NTE5AAAAJ")
    path.write_text(content)
    assert run_command_line(["benchmark", *texts, "--on", server.address]) == 5
    assert hint in capsys.readouterr().err
    assert not server.log.exists()


@pytest.mark.arm
@pytest.mark.timeout(1800)
def test_benchmark_when_the_far_end_is_emulated_aarch64_then_it_answers_pictures_too(
    emulated_server: Server, pictures: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["benchmark", *pictures, "--on", emulated_server.address, "--json"]) == 0, capsys.readouterr().err
    found = json.loads(capsys.readouterr().out)
    assert (found["source"], found["rows"], found["rounds"]) == ("emulated", 5, [])
    assert found["against_host"]["decisions_flipped"] == 0
    assert found["against_host"]["max_abs_error"] < 1e-4  # this model is float; only the order of sums differs


@pytest.mark.arm
@pytest.mark.timeout(1800)
def test_benchmark_when_the_far_end_is_emulated_aarch64_then_is_marked_and_its_times_are_void(
    emulated_server: Server, tmp_path: Path, texts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["benchmark", *texts, "--on", emulated_server.address, "--json"]) == 0, capsys.readouterr().err
    found = json.loads(capsys.readouterr().out)
    assert (found["device"]["architecture"], found["device"]["is_emulated"], found["source"]) == ("aarch64", True, "emulated")
    assert found["rounds"] == []
    assert found["against_host"]["decisions_flipped"] == 0
    assert found["against_host"]["source"] == "emulated"
    assert found["against_host"]["max_abs_error"] < 1e-4  # this model is float; only the order of sums differs
    assert any("void" in warning for warning in found["warnings"])
    assert run_command_line(["targets", "calibrate", "--ssh", emulated_server.address.removeprefix("ssh://"),
                             "-o", str(tmp_path / "x.yaml")]) == 2
    assert "its times say nothing" in capsys.readouterr().err
    assert not (tmp_path / "x.yaml").exists()


@pytest.mark.arm
@pytest.mark.timeout(1800)
def test_measure_when_the_connection_to_an_emulated_far_end_is_cut_three_times_then_the_result_is_whole(
    emulated_server: Server, texts: list[str]
) -> None:
    emulated_server.torn.write_text("".join(f"{moment}\n" for moment in EMULATED_MOMENTS))
    found = edgedistill.measure_on(emulated_server.address, Path(texts[0]), Path(texts[2]), protocol=SHORT)
    assert emulated_server.torn.read_text() == ""
    assert found.reconnections == 3
    assert (found.source, found.rows, found.against_host.decisions_flipped) == ("emulated", 4, 0)
    assert [sum(moment in line for line in commands(emulated_server)) for moment in EMULATED_MOMENTS] == [2, 2, 2]
    assert everything_in(emulated_server.home) == {"bin", "bin/python3"}


@pytest.mark.arm
@pytest.mark.timeout(1800)
def test_benchmark_when_an_emulated_far_end_stays_away_then_exit_5_and_the_same_command_goes_on(
    emulated_server: Server, texts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    init = session.Session.__init__
    monkeypatch.setattr(session.Session, "__init__", lambda self, device, work: init(self, device, work, (0.0,)))
    command = ["benchmark", *texts, "--on", emulated_server.address, "-o", str(tmp_path / "kept")]
    emulated_server.away.write_text("part answers")
    assert run_command_line(command) == 5
    assert "run the same command again" in capsys.readouterr().err
    assert not (tmp_path / "kept").exists()
    assert list(emulated_server.home.rglob("model.onnx"))
    emulated_server.away.unlink()
    assert run_command_line(command) == 0, capsys.readouterr().err
    assert json.loads((tmp_path / "kept" / "device.json").read_text())["source"] == "emulated"
    assert sum("model.onnx.partial" in line for line in commands(emulated_server)) == 1  # what is there is not sent again
    assert everything_in(emulated_server.home) == {"bin", "bin/python3"}
