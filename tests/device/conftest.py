"""Devices that are folders of this machine: a fake transport, and stand-ins for the ssh and adb programs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgedistill.device.transport import Answer
from edgedistill.errors import TargetUnreachableError
from tests.benchmark.conftest import make_model_folder

__all__ = ["make_model_folder"]

STAND_IN = """#!{python}
# a stand-in for {name}: what it is asked to run there, it runs in the folder {home}
import os, shutil, subprocess, sys
home, log = {home!r}, {log!r}
words = sys.argv[1:]
count = len(open(log).readlines()) if os.path.exists(log) else 0
with open(log, "a") as out:
    out.write(repr(words) + chr(10))
if os.path.exists(log + ".cut") and count in map(int, open(log + ".cut").read().split()):
    sys.stderr.write({lost!r} + chr(10))
    sys.exit({lost_code})
if {name!r} == "adb" and "push" in words:
    local, remote = words[words.index("push") + 1 :]
    shutil.copyfile(local, remote.replace("/data/local/tmp", home))
    sys.exit(0)
command = words[-1].replace("/data/local/tmp", home)
environment = dict(os.environ, PATH=home + "/bin:/usr/bin:/bin", HOME=home)
sys.exit(subprocess.run(["/bin/sh", "-c", command], cwd=home, env=environment).returncode)
"""


@dataclass
class FolderTransport:
    """Runs commands in a folder; the connection breaks at the commands whose numbers are in `cuts`.

    A command that is cut runs to its end there, as on a device whose answer is lost, when `is_done_there`.
    """

    home: Path
    cuts: set[int] = field(default_factory=set)
    is_done_there: bool = True
    commands: list[str] = field(default_factory=list)
    name: str = "folder"
    pythons: tuple[str, ...] = (sys.executable,)
    install_hint: str = "install it"

    def run(self, command: str, *, timeout_s: float) -> Answer:
        self.commands.append(command)
        is_cut = len(self.commands) in self.cuts
        if is_cut and not self.is_done_there:
            raise TargetUnreachableError("folder: cut before", hint="-")
        done = subprocess.run(["/bin/sh", "-c", command], cwd=self.home, capture_output=True, timeout=timeout_s)
        if is_cut:
            raise TargetUnreachableError("folder: cut", hint="-")
        return Answer(done.returncode, done.stdout, done.stderr.decode())

    def push(self, file: Path, path: str) -> None:
        self.commands.append(f"push {path}")
        if len(self.commands) in self.cuts:
            (self.home / f"{path}.partial").write_bytes(file.read_bytes()[:10])
            raise TargetUnreachableError("folder: cut", hint="-")
        shutil.copyfile(file, self.home / f"{path}.partial")
        os.replace(self.home / f"{path}.partial", self.home / path)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder that is the device."""
    folder = tmp_path / "device"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')  # a link would leave the venv
    (folder / "bin" / "python3").chmod(0o755)
    return folder


@pytest.fixture
def stand_in(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A function that puts a stand-in for ssh or adb on the path and returns its log; `cuts` are calls that fail."""

    def install(name: str, *, cuts: tuple[int, ...] = (), lost: str = "Connection reset by peer", lost_code: int = 255) -> Path:
        programs, log = tmp_path / "programs", tmp_path / f"{name}.log"
        programs.mkdir(exist_ok=True)
        text = STAND_IN.format(python=sys.executable, name=name, home=str(home), log=str(log), lost=lost, lost_code=lost_code)
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
        Path(f"{log}.cut").write_text(" ".join(map(str, cuts)))
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        return log

    return install
