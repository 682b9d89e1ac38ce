"""Work on a device: find its Python, put the work there, do it part by part over a connection that may break, clean up.

The device keeps every finished part, so a part is done once however often the connection breaks. Where it does not come
back, the work stays on the device, and the same command goes on with it; a session from six hours on takes it away.
"""

import json
import logging
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from edgedistill.device.results import DeviceFacts
from edgedistill.device.transport import Answer, Transport
from edgedistill.errors import DeviceError, EdgedistillError, MissingDependencyError, TargetError, TargetUnreachableError
from edgedistill.processor import THIRTY_TWO_BIT, refuse_32_bit

log = logging.getLogger("edgedistill")

RETRY_PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""How long to wait before each attempt to come back: about a minute in all, enough for a router or a reboot of the link."""

_CACHE = ".cache"
_ROOT = f"{_CACHE}/edgedistill"
_PROBE_S, _PART_S = 60.0, 3600.0
_ILLEGAL_INSTRUCTION = 132
_KILLED = 137
_OUT_OF_MEMORY = ("MemoryError", "Cannot allocate memory", "bad_alloc", "Failed to allocate memory")
_NO_ROOM = "No space left on device"
T = TypeVar("T")


def runner_source() -> bytes:
    """Return the program that runs on the device."""
    return files("edgedistill.device").joinpath("runner.py").read_bytes()


@dataclass(frozen=True)
class Device:
    """A device that answered and has what the runner needs.

    Attributes:
        transport: the way to it.
        python: the interpreter there.
        facts: what it says of itself.
    """

    transport: Transport
    python: str
    facts: DeviceFacts


def find_device(transport: Transport) -> Device:
    """Look at a device: is it there, and can it run a model?

    Raises:
        TargetUnreachableError: it does not answer.
        MissingDependencyError: it has no Python, or that has no numpy or no onnxruntime; the hint installs them.
        TargetError: it is a 32-bit ARM system.
        DeviceError: its Python does not say what it is.
    """
    found: list[Device] = []
    for python in transport.pythons:
        answer = transport.run(f"command -v {shlex.quote(python)}", timeout_s=_PROBE_S)
        if answer.code == 0:
            found.append(Device(transport, python, _facts(transport, python)))
            if not missing_packages(found[-1].facts):
                break
    machine = transport.run("uname -m", timeout_s=_PROBE_S).out.decode(errors="replace").strip()
    device = found[-1] if found else None
    if machine.lower() in THIRTY_TWO_BIT or (device and device.facts.bits == 32):
        raise TargetError(f"{transport.name}: {refuse_32_bit(machine if machine.lower() in THIRTY_TWO_BIT else 'its Python')}",
                          hint="edgedistill targets list")
    if device is None:
        raise MissingDependencyError(f"{transport.name}: has no python3", hint=transport.install_hint)
    missing = missing_packages(device.facts)
    if missing:
        raise MissingDependencyError(f"{transport.name}: its Python {device.facts.python} has no {' and no '.join(missing)}",
                                     hint=transport.install_hint)
    return device


def missing_packages(facts: DeviceFacts) -> tuple[str, ...]:
    """Return what the runner needs and the device lacks."""
    wanted = {"numpy": facts.numpy, "onnxruntime": facts.onnxruntime}
    return tuple(name for name, version in wanted.items() if version is None)


def _facts(transport: Transport, python: str) -> DeviceFacts:
    program = shlex.quote(runner_source().decode())
    answer = transport.run(f"{shlex.quote(python)} -c {program} facts", timeout_s=_PROBE_S)
    if answer.code != 0:
        raise DeviceError(f"{transport.name}: its Python did not say what the machine is\n{_tail(answer)}",
                          hint="Python 3.8 or newer is needed there")
    return read_facts(answer.out, transport.name)


def read_facts(text: bytes, name: str) -> DeviceFacts:
    """Read what the runner printed.

    Raises:
        DeviceError: it is not what a runner prints.
    """
    try:
        return DeviceFacts.model_validate_json(text)
    except ValidationError as bad:
        raise DeviceError(f"{name}: said something else than what it is ({bad.error_count()} problems)",
                          hint="does its login print text? a shell's start-up files must be silent") from None


@dataclass(frozen=True)
class Work:
    """Files for the device, under plain names. Its key names the folder there, so the same work is found again."""

    files: Mapping[str, Path]

    @property
    def hashes(self) -> dict[str, str]:
        """The sha256 of every file."""
        return {name: sha256(path.read_bytes()).hexdigest() for name, path in self.files.items()}

    @property
    def key(self) -> str:
        """The same for the same bytes and the same runner."""
        parts = self.hashes | {"runner.py": sha256(runner_source()).hexdigest()}
        return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


@dataclass
class Session:
    """One piece of work on one device.

    Attributes:
        device: where.
        work: what is put there.
        pauses_s: before each attempt to come back after the connection broke.
        sleep: for tests.
        reconnections: how often the connection was lost and came back.
    """

    device: Device
    work: Work
    pauses_s: tuple[float, ...] = RETRY_PAUSES_S
    sleep: Callable[[float], None] = time.sleep
    reconnections: int = 0
    _done: set[str] = field(default_factory=set)

    @property
    def folder(self) -> str:
        """The folder on the device of this work, with the Python and the packages it has now: others would time otherwise."""
        facts = self.device.facts
        software = json.dumps([self.work.key, self.device.python, facts.python, facts.numpy, facts.onnxruntime])
        return f"{_ROOT}/{sha256(software.encode()).hexdigest()[:20]}"

    def begin(self) -> None:
        """Put there what is missing or damaged, and see which parts an earlier attempt has finished.

        What other sessions left there more than six hours ago is taken away.
        """
        self._insist(lambda: self._checked(f"mkdir -p {self.folder}", timeout_s=_PROBE_S))
        with tempfile.TemporaryDirectory() as scratch:
            runner = Path(scratch) / "runner.py"
            runner.write_bytes(runner_source())
            self._insist(lambda: self.device.transport.push(runner, f"{self.folder}/runner.py"))
        found = json.loads(self._insist(lambda: self._checked(self._python("check"), timeout_s=_PROBE_S)).out)
        self._done = set(found["parts"])
        for name, digest in self.work.hashes.items():
            if found["files"].get(name) != digest:
                self._put(name)
        if self._done:
            log.info("%s: goes on; %d part(s) were finished before", self.device.transport.name, len(self._done))

    def part(self, name: str) -> bytes:
        """Do a part, unless it is done, and bring back what it found.

        Raises:
            TargetUnreachableError: the connection broke and did not come back.
            DeviceError: the part failed; the message holds the end of what it said.
        """
        command = f"{self._python(f'part {name}')} && cat {self.folder}/parts/{name}"
        return self._insist(lambda: self._checked(command, timeout_s=_PART_S)).out

    @contextmanager
    def opened(self) -> Iterator["Session"]:
        """Begin, and clean up at the end of the block, however it ends.

        Only where the connection stays away, the work is kept there, for the same command to go on with. A connection that
        breaks at the very end costs a folder there, which is said, and not the result.
        """
        try:
            self.begin()
            yield self
        except TargetUnreachableError:
            raise
        except BaseException as end:  # Ctrl-C too; it is raised again
            self._leave(() if isinstance(end, KeyboardInterrupt) else self.pauses_s, is_stopped=True)
            raise
        self._leave(self.pauses_s)

    def clean(self) -> None:
        """Take away what was put there."""
        self._insist(self._remove)

    def _leave(self, pauses_s: tuple[float, ...], *, is_stopped: bool = False) -> None:
        """Clean up, after ending the part that may still run there; where that fails, say what is left."""
        try:
            self._insist(lambda: self._remove(is_stopped=is_stopped), pauses_s)
        except EdgedistillError as failed:
            log.warning("%s; %s was left there: a measurement from six hours on takes it away", failed.message, self.folder)

    def _remove(self, *, is_stopped: bool = False) -> None:
        end = f"{self._python('end')}; " if is_stopped else ""
        self._checked(f"{end}rm -rf {self.folder} && (rmdir {_ROOT} && rmdir {_CACHE} || true) 2>/dev/null", timeout_s=_PROBE_S)

    def _put(self, name: str) -> None:
        """Push a file whole: a connection that breaks in between leaves no half of it under its name."""
        self._insist(lambda: self.device.transport.push(self.work.files[name], f"{self.folder}/{name}"))

    def _python(self, arguments: str) -> str:
        return f"{shlex.quote(self.device.python)} {self.folder}/runner.py {self.folder} {arguments}"

    def _checked(self, command: str, *, timeout_s: float) -> Answer:
        answer = self.device.transport.run(command, timeout_s=timeout_s)
        if answer.code == 0:
            return answer
        raise DeviceError(f"{self.device.transport.name}: exit code {answer.code}\n{_tail(answer)}", hint=_remedy(answer))

    def _insist(self, attempt: Callable[[], T], pauses_s: tuple[float, ...] | None = None) -> T:
        """Do something that may be done again, until the connection holds."""
        waits = self.pauses_s if pauses_s is None else pauses_s
        for tried, pause in enumerate((*waits, None)):
            try:
                found = attempt()
                self.reconnections += tried > 0
                return found
            except TargetUnreachableError as lost:
                if pause is None:
                    raise TargetUnreachableError(
                        f"{lost.message}; it did not come back within {sum(waits):.0f} s",
                        hint="run the same command again: what the device has finished is kept there for six hours",
                    ) from lost
                log.warning("%s; trying again", lost.message)
                self.sleep(pause)
        raise AssertionError("the last attempt returns or raises")


def _remedy(answer: Answer) -> str:
    """Return what to do about a command that failed on the device."""
    if answer.code == _ILLEGAL_INSTRUCTION:
        return "its onnxruntime uses instructions that its processor does not have: install another version of it there"
    if answer.code == _KILLED or any(words in answer.err for words in _OUT_OF_MEMORY):
        return "the device may have run out of memory: close what runs on it, and run the same command again"
    if _NO_ROOM in answer.err:
        return "is there room? df -h . there"
    return "mend there what its words above name, and run the same command again"


def _tail(answer: Answer) -> str:
    return "\n".join(answer.err.splitlines()[-8:]) or "(it wrote nothing to stderr)"
