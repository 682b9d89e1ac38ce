"""Adapter to OpenSSH's client: keys and known hosts are ssh's own business, passwords are never asked for."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from edgedistill.device.address import SshAddress
from edgedistill.device.transport import Answer, Client
from edgedistill.errors import DeviceError, TargetUnreachableError

_OPTIONS = (
    "-a", "-x", "-T",  # neither agent nor X11 nor a terminal is passed on
    "-o", "BatchMode=yes",
    "-o", "StrictHostKeyChecking=yes",
    "-o", "ConnectTimeout=15",
    "-o", "ServerAliveInterval=5",
    "-o", "ServerAliveCountMax=3",
    "-o", "LogLevel=ERROR",
)
_CONNECTION_FAILED = 255
_PUSH_S = 1800.0
_VENV = ".edgedistill/venv"


@dataclass(frozen=True)
class SshTransport:
    """A device over ssh; paths are relative to the login folder."""

    address: SshAddress

    @property
    def name(self) -> str:
        """The address."""
        return str(self.address)

    @property
    def pythons(self) -> tuple[str, ...]:
        """The virtual environment that the hint makes, then the system's."""
        return (f"{_VENV}/bin/python3", "python3")

    @property
    def install_hint(self) -> str:
        """A virtual environment: newer systems refuse pip outside of one."""
        wanted = f"python3 -m venv {_VENV} && {_VENV}/bin/pip install numpy onnxruntime"
        return f"{self._ssh_words} '{wanted}'   (Debian: sudo apt-get install python3-venv first)"

    def run(self, command: str, *, timeout_s: float) -> Answer:
        """See `Transport.run`."""
        return self._judged(self._client.call(("--", self.address.host, command), timeout_s=timeout_s))

    def push(self, file: Path, path: str) -> None:
        """See `Transport.push`; the bytes go through stdin, so that the device needs no file server.

        A connection that breaks looks there like the end of the bytes, so they are counted.
        """
        partial, whole = shlex.quote(f"{path}.partial"), shlex.quote(path)
        size_bytes = file.stat().st_size
        command = f'cat > {partial} && test "$(wc -c < {partial})" -eq {size_bytes} && mv -f {partial} {whole}'
        done = self._judged(self._client.call(("--", self.address.host, command), stdin=file, timeout_s=_PUSH_S))
        if done.code != 0:
            raise DeviceError(f"{self.name}: {path} could not be written ({done.err})",
                              hint=f"is there room? {self._ssh_words} df -h .")

    @property
    def _client(self) -> Client:
        where = (("-p", str(self.address.port)) if self.address.port else ()) + (
            ("-l", self.address.user) if self.address.user else ()
        )
        return Client(self.name, ("ssh", *_OPTIONS, *where), "sudo apt-get install openssh-client")

    @property
    def _ssh_words(self) -> str:
        user = f"{self.address.user}@" if self.address.user else ""
        return f"ssh {f'-p {self.address.port} ' if self.address.port else ''}{user}{self.address.host}"

    def _judged(self, done: Answer) -> Answer:
        if done.code != _CONNECTION_FAILED:
            return done
        words = done.err.splitlines()[-1] if done.err else "the connection broke"
        hint = "is the device on, and on this network?"
        if "Host key verification failed" in done.err or "host key" in done.err.lower():
            words = "its host key is not the one that is known here, or none is known"
            hint = f"compare the fingerprint and accept it yourself, once: {self._ssh_words} true"
        elif "Permission denied" in done.err:
            hint = f"let it know your key, once: ssh-copy-id {self._ssh_words.removeprefix('ssh ')}"
        raise TargetUnreachableError(f"{self.name}: {words}", hint=hint)
