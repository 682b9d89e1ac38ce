"""Adapter to adb. Android has no Python of its own: where none is found, the hint says how a phone gets one."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from edgedistill.device.address import AdbAddress
from edgedistill.device.transport import Answer, Client
from edgedistill.errors import DeviceError, TargetUnreachableError

_HOME = "/data/local/tmp"
_PUSH_S = 1800.0
_MARK = "edgedistill-exit:"


@dataclass(frozen=True)
class AdbTransport:
    """An Android device; paths are relative to the one folder that its shell may write to and run from."""

    address: AdbAddress

    @property
    def name(self) -> str:
        """The address."""
        return str(self.address)

    @property
    def pythons(self) -> tuple[str, ...]:
        """A Python that somebody unpacked there, then what the shell finds."""
        return ("python/bin/python3", "python3")

    @property
    def install_hint(self) -> str:
        """The shell of adb may not run Termux's programs, and no onnxruntime is built for Android's own libraries."""
        return (
            "in Termux: pkg install proot-distro openssh && proot-distro install debian, and in that Debian a python3 with "
            "numpy and onnxruntime and an ssh server on port 8022; then: adb forward tcp:8022 tcp:8022, and "
            "--on ssh://USER@localhost:8022"
        )

    def run(self, command: str, *, timeout_s: float) -> Answer:
        """See `Transport.run`; the mark on stderr tells the command's end from a broken connection."""
        wrapped = f"cd {_HOME} && ({command}); code=$?; echo {_MARK}$code >&2; exit $code"
        done = self._client.call(("shell", "-T", wrapped), timeout_s=timeout_s)
        words, mark, code = done.err.rpartition(_MARK)
        if not mark or not code.strip().isdigit():
            raise self._unreachable(done.err)
        return Answer(int(code), done.out, words.strip())

    def push(self, file: Path, path: str) -> None:
        """See `Transport.push`."""
        done = self._client.call(("push", str(file.resolve()), f"{_HOME}/{path}.partial"), timeout_s=_PUSH_S)
        if done.code != 0:
            raise self._unreachable(done.err)
        moved = self.run(f"mv -f {shlex.quote(path + '.partial')} {shlex.quote(path)}", timeout_s=60.0)
        if moved.code != 0:
            raise DeviceError(f"{self.name}: {path} could not be written ({moved.err})",
                              hint=f"is there room? adb -s {self.address.serial} shell df {_HOME}")

    @property
    def _client(self) -> Client:
        return Client(self.name, ("adb", "-s", self.address.serial), "sudo apt-get install adb")

    def _unreachable(self, words: str) -> TargetUnreachableError:
        last = words.splitlines()[-1] if words else "the connection broke"
        hint = "allow debugging on its screen" if "unauthorized" in words else "adb devices"
        return TargetUnreachableError(f"{self.name}: {last}", hint=hint)
