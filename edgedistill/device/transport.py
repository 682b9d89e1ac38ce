"""What a connection to a device can do: run a command there, and put a file there. Two adapters do it: ssh and adb."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgedistill.errors import MissingDependencyError, TargetUnreachableError


@dataclass(frozen=True)
class Answer:
    """What a command on the device left: its exit code, its stdout as bytes, and its stderr."""

    code: int
    out: bytes
    err: str


class Transport(Protocol):
    """A way to a device. Commands are for the device's own shell, and start in the folder that paths are relative to."""

    @property
    def name(self) -> str:
        """The address, for messages."""

    @property
    def pythons(self) -> tuple[str, ...]:
        """The interpreters to look for, in this order; for the device's shell, not quoted."""

    @property
    def install_hint(self) -> str:
        """What to type so that the device has a Python with numpy and onnxruntime."""

    def run(self, command: str, *, timeout_s: float) -> Answer:
        """Run a command to its end.

        Raises:
            TargetUnreachableError: the device cannot be reached, or the connection broke before the command had ended.
            MissingDependencyError: the client program is not installed here.
        """

    def push(self, file: Path, path: str) -> None:
        """Put a file there; `path` is absent, old or whole at any moment. Its folder exists.

        Raises:
            DeviceError: it cannot be written there.
            TargetUnreachableError, MissingDependencyError: see `run`.
        """


@dataclass(frozen=True)
class Client:
    """A client program on this machine.

    Attributes:
        name: the address, for messages.
        arguments: the program and its options, as far as they are always the same.
        remedy: what installs the program.
    """

    name: str
    arguments: tuple[str, ...]
    remedy: str

    def call(self, arguments: Sequence[str], *, stdin: Path | None = None, timeout_s: float) -> Answer:
        """Run the program to its end.

        Raises:
            MissingDependencyError: it is not installed.
            TargetUnreachableError: it did not end in time.
        """
        source = open(stdin, "rb") if stdin is not None else None  # noqa: SIM115 - closed below
        try:
            done = subprocess.run(
                [*self.arguments, *arguments], stdin=source or subprocess.DEVNULL, capture_output=True, timeout=timeout_s,
                check=False,
            )
        except FileNotFoundError:
            raise MissingDependencyError(f"{self.arguments[0]} is not installed here", hint=self.remedy) from None
        except subprocess.TimeoutExpired:
            raise TargetUnreachableError(
                f"{self.name}: no answer within {timeout_s:.0f} s",
                hint="is the device very slow or busy? run the same command again",
            ) from None
        finally:
            if source is not None:
                source.close()
        return Answer(done.returncode, done.stdout, done.stderr.decode("utf-8", errors="replace").strip())
