"""A piece of work on a device: what is put there, what survives a lost connection, and what is left at the end."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgedistill.device.session import Device, Session, Work, find_device, read_facts
from edgedistill.device.transport import Answer
from edgedistill.errors import DeviceError, EdgedistillError, MissingDependencyError, TargetError, TargetUnreachableError

from .conftest import FolderTransport

COMMANDS_OF_PROBE = 3
BEGIN = {"mkdir": 1, "push runner": 2, "check": 3, "push job": 4, "push model": 5}
FACTS = {"system": "Linux", "architecture": "aarch64", "bits": 64, "model": None, "cpu": "0xd08", "cores": 4, "features": [],
         "ram_bytes": 2**30, "python": "3.11.2", "numpy": "2.0", "onnxruntime": "1.20", "is_emulated": False}


class Answers:
    """A transport that gives prepared answers by a word in the command."""

    name, pythons, install_hint = "ssh://pi@host", ("python3",), "pip install it"

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers

    def run(self, command: str, *, timeout_s: float) -> Answer:
        return next((a for word, a in self.answers.items() if word in command), Answer(0, b"", ""))

    def push(self, file: Path, path: str) -> None:
        raise AssertionError("nothing is pushed to a device that was not found fit")


def _facts(**changes: object) -> Answer:
    return Answer(0, json.dumps(FACTS | changes).encode(), "")


def _uname(machine: str) -> Answer:
    return Answer(0, f"{machine}\n".encode(), "")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    (tmp_path / "job.json").write_text('{"threads": 1}')
    (tmp_path / "model.onnx").write_bytes(b"model" * 100)
    return Work({"job.json": tmp_path / "job.json", "model.onnx": tmp_path / "model.onnx"})


def _session(transport: FolderTransport, work: Work, pauses: tuple[float, ...] = (0.0, 0.0)) -> Session:
    facts = read_facts(_facts().out, "x")
    return Session(Device(transport, transport.pythons[0], facts), work, pauses, sleep=lambda seconds: None)


def test_find_when_the_device_is_this_machine_then_says_what_it_is(home: Path) -> None:
    found = find_device(FolderTransport(home))
    assert found.facts.bits == 64
    assert found.facts.cores >= 1
    assert found.facts.numpy
    assert not found.facts.is_emulated


@pytest.mark.parametrize(("changes", "words"), [
    ({"onnxruntime": None}, "has no onnxruntime"),
    ({"onnxruntime": None, "numpy": None}, "has no numpy and no onnxruntime"),
])
def test_find_when_a_package_is_missing_then_says_which_and_what_installs_it(changes: dict[str, object], words: str) -> None:
    with pytest.raises(MissingDependencyError, match=words) as caught:
        find_device(Answers(facts=_facts(**changes), uname=_uname("aarch64")))
    assert caught.value.hint == "pip install it"
    assert caught.value.exit_code == 6


def test_find_when_there_is_no_python_then_says_so() -> None:
    with pytest.raises(MissingDependencyError, match="has no python3"):
        find_device(Answers(command=Answer(1, b"", ""), uname=_uname("aarch64")))


@pytest.mark.parametrize(("machine", "bits"), [("armv7l", 32), ("armv6l", 32), ("aarch64", 32)])
def test_find_when_the_system_is_32_bit_arm_then_is_refused_whatever_is_installed(machine: str, bits: int) -> None:
    with pytest.raises(TargetError, match="32-bit ARM, for which PyPI has no onnxruntime"):
        find_device(Answers(facts=_facts(bits=bits, onnxruntime=None), uname=_uname(machine)))


def test_facts_when_the_login_prints_a_greeting_then_says_what_is_wrong() -> None:
    with pytest.raises(EdgedistillError, match="said something else") as caught:
        read_facts(b"Welcome!\n" + _facts().out, "ssh://pi@host")
    assert "start-up files" in caught.value.hint


def test_begin_when_nothing_is_there_then_all_is_there_whole(home: Path, work: Work) -> None:
    session = _session(FolderTransport(home), work)
    session.begin()
    there = home / session.folder
    assert (there / "model.onnx").read_bytes() == b"model" * 100
    assert {p.name for p in there.iterdir()} == {"job.json", "model.onnx", "runner.py"}


def test_begin_when_a_file_there_is_damaged_then_is_put_again_and_no_other(home: Path, work: Work) -> None:
    _session(FolderTransport(home), work).begin()
    transport = FolderTransport(home)
    session = _session(transport, work)
    (home / session.folder / "model.onnx").write_bytes(b"other")
    session.begin()
    assert (home / session.folder / "model.onnx").read_bytes() == b"model" * 100
    assert [c.rpartition("/")[2] for c in transport.commands if c.startswith("push")] == ["runner.py", "model.onnx"]


@pytest.mark.parametrize("moment", BEGIN)
def test_begin_when_the_connection_is_cut_once_then_comes_back(home: Path, work: Work, moment: str) -> None:
    session = _session(FolderTransport(home, cuts={BEGIN[moment]}), work)
    session.begin()
    assert (home / session.folder / "model.onnx").read_bytes() == b"model" * 100
    assert session.reconnections == 1


@pytest.mark.parametrize("is_done_there", [True, False])
def test_part_when_the_answer_is_lost_then_is_fetched_and_not_done_twice(home: Path, work: Work, is_done_there: bool) -> None:
    session = _session(FolderTransport(home, cuts={6}, is_done_there=is_done_there), work)
    session.begin()
    script = home / session.folder / "runner.py"
    script.write_text("import os, sys; os.chdir(sys.argv[1]); os.makedirs('parts', exist_ok=True); p = 'parts/x'\n"
                      "open('count', 'a').write('.') if not os.path.exists(p) else 0; open(p, 'w').write('done')\n")
    assert session.part("x") == b"done"
    assert (home / session.folder / "count").read_text() == "."
    assert session.reconnections == 1


def test_part_when_the_connection_stays_away_then_ends_unreachable_and_keeps_the_work_there(home: Path, work: Work) -> None:
    session = _session(FolderTransport(home, cuts={6, 7, 8}), work)
    session.begin()
    with pytest.raises(TargetUnreachableError, match="did not come back within 0 s") as caught:
        session.part("x")
    assert "kept there" in caught.value.hint
    assert (home / session.folder / "model.onnx").exists()


@pytest.mark.parametrize(("code", "said", "word"), [
    (132, "it broke", "instructions"), (137, "it broke", "run out of memory"), (1, "MemoryError", "run out of memory"),
    (1, "OSError: [Errno 28] No space left on device", "is there room"), (1, "it broke", "mend there"),
])
def test_part_when_the_process_dies_there_then_it_is_the_devices_fault_and_the_hint_says_what_that_means(
    home: Path, work: Work, code: int, said: str, word: str
) -> None:
    session = _session(FolderTransport(home), work)
    session.begin()
    (home / session.folder / "runner.py").write_text(f"import sys; sys.stderr.write({said!r}); sys.exit({code})")
    with pytest.raises(DeviceError, match=re.escape(said)) as caught:
        session.part("x")
    assert word in caught.value.hint
    assert caught.value.exit_code == 2


def test_clean_when_done_then_nothing_is_left(home: Path, work: Work) -> None:
    session = _session(FolderTransport(home), work)
    session.begin()
    session.clean()
    assert not (home / ".cache" / "edgedistill").exists()


def test_clean_when_done_then_a_cache_folder_of_others_stays(home: Path, work: Work) -> None:
    (home / ".cache" / "pip").mkdir(parents=True)
    with _session(FolderTransport(home), work).opened():
        pass
    assert [p.name for p in (home / ".cache").iterdir()] == ["pip"]


@pytest.mark.parametrize("end", [EdgedistillError("broken", hint="-"), KeyboardInterrupt(), ValueError("ours")])
def test_opened_when_the_block_fails_then_nothing_is_left_and_the_failure_goes_on(
    home: Path, work: Work, end: BaseException
) -> None:
    with pytest.raises(type(end)), _session(FolderTransport(home), work).opened():
        raise end
    assert [p.name for p in home.iterdir()] == ["bin"]


def test_opened_when_the_beginning_fails_then_nothing_is_left(home: Path, work: Work) -> None:
    class Full(FolderTransport):
        def push(self, file: Path, path: str) -> None:
            super().push(file, path)
            if path.endswith("model.onnx"):
                raise EdgedistillError("no room", hint="-")

    with pytest.raises(EdgedistillError, match="no room"), _session(Full(home), work).opened():
        raise AssertionError("the block does not begin")
    assert [p.name for p in home.iterdir()] == ["bin"]


def test_opened_when_the_connection_stays_away_then_the_work_is_kept(home: Path, work: Work) -> None:
    transport = FolderTransport(home, cuts={6, 7, 8})
    session = _session(transport, work)
    with pytest.raises(TargetUnreachableError), session.opened():
        session.part("x")
    assert (home / session.folder / "model.onnx").exists()
    assert len(transport.commands) == 8


def test_opened_when_only_cleaning_fails_then_the_result_is_kept_and_what_is_left_is_said(
    home: Path, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    session = _session(FolderTransport(home, cuts={6, 7, 8}, is_done_there=False), work)
    with session.opened():
        pass
    assert f"{session.folder} was left there" in caplog.text


def test_opened_when_interrupted_and_the_device_is_gone_then_it_is_tried_once(home: Path, work: Work) -> None:
    transport = FolderTransport(home, cuts=set(range(6, 20)), is_done_there=False)
    with pytest.raises(KeyboardInterrupt), _session(transport, work).opened():
        raise KeyboardInterrupt
    assert len(transport.commands) == 6


def test_opened_when_interrupted_then_the_part_that_runs_there_is_stopped(home: Path, work: Work) -> None:
    session = _session(FolderTransport(home), work)
    with pytest.raises(KeyboardInterrupt), session.opened():
        there = home / session.folder
        program = ("import os, sys, time; os.chdir(sys.argv[1]); sys.path.insert(0, '.'); import runner\n"
                   "runner.answers = lambda *asked: (print('busy', flush=True), time.sleep(300))\nrunner.do_part('answers-0-1')")
        busy, waiting = (
            subprocess.Popen([sys.executable, "-c", program, str(there)], stdout=subprocess.PIPE, cwd=home) for _ in range(2)
        )
        assert select.select([busy.stdout, waiting.stdout], [], [], 60)[0]  # one of them holds the lock
        raise KeyboardInterrupt
    assert {busy.wait(timeout=60), waiting.wait(timeout=60)} <= {-signal.SIGTERM, 1}  # stopped, or its folder was gone
    for process in (busy, waiting):
        assert process.stdout is not None
        process.stdout.close()
    assert [p.name for p in home.iterdir()] == ["bin"]


SEVEN_HOURS_S = 7 * 3600


def _age(folder: Path, seconds: float) -> None:
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (time.time() - seconds, time.time() - seconds))


def _left_behind(home: Path, name: str) -> Path:
    folder = home / ".cache" / "edgedistill" / name
    (folder / "parts").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"left")
    (folder / "parts" / "round-0").write_bytes(b"left")
    _age(folder, SEVEN_HOURS_S)
    return folder


def test_begin_when_an_earlier_session_left_its_work_then_it_goes_after_six_hours(home: Path, work: Work) -> None:
    old, young, used = (_left_behind(home, letter * 20) for letter in "abc")
    _age(young, 5 * 3600)
    (used / "parts" / "round-1").write_bytes(b"a moment ago")
    other = _left_behind(home, "emulation")  # a device may be somebody's host, too
    _session(FolderTransport(home), work).begin()
    assert [folder.exists() for folder in (old, young, used, other)] == [False, True, True, True]


def test_begin_when_the_old_folder_is_its_own_then_the_files_are_used_and_the_parts_are_not(home: Path, work: Work) -> None:
    session = _session(FolderTransport(home), work)
    session.begin()
    (home / session.folder / "parts").mkdir()
    (home / session.folder / "parts" / "x").write_text("old")
    _age(home / session.folder, SEVEN_HOURS_S)
    transport = FolderTransport(home)
    again = _session(transport, work)
    again.begin()
    assert not (home / session.folder / "parts" / "x").exists()
    assert not any("model.onnx" in command for command in transport.commands)


def test_key_when_a_byte_differs_then_is_another(work: Work, tmp_path: Path) -> None:
    before = work.key
    (tmp_path / "job.json").write_text('{"threads": 2}')
    assert work.key != before
