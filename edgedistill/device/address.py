"""Where a device is: `ssh://user@host:port` or `adb:SERIAL`."""

import re
from dataclasses import dataclass

from edgedistill.errors import UsageError

_SSH = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][\w.-]*)@)?(?P<host>[A-Za-z0-9][\w.-]*|\[[0-9A-Fa-f:.]+(?:%\w+)?\])(?::(?P<port>\d{1,5}))?"
)
_SERIAL = re.compile(r"[A-Za-z0-9][\w.:-]*")
_HINT = "an address is ssh://pi@raspberrypi.local, or adb:SERIAL as `adb devices` lists it"


@dataclass(frozen=True)
class SshAddress:
    """A machine with an ssh server.

    Attributes:
        host: name or address; may be a `Host` of ~/.ssh/config.
        user: None: what ssh takes.
        port: None: what ssh takes.
    """

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ssh://{self.user + '@' if self.user else ''}{host}{f':{self.port}' if self.port else ''}"


@dataclass(frozen=True)
class AdbAddress:
    """An Android device."""

    serial: str

    def __str__(self) -> str:
        return f"adb:{self.serial}"


Address = SshAddress | AdbAddress


def parse_address(text: str) -> Address:
    """Read an address.

    Nothing that could be an option of ssh or adb passes, and no password does.

    Raises:
        UsageError: it is none.
    """
    kind, colon, rest = text.partition(":")
    if kind == "adb" and colon and _SERIAL.fullmatch(rest):
        return AdbAddress(rest)
    if kind == "ssh" and rest.startswith("//"):
        return parse_host(rest[2:].removesuffix("/"))
    raise UsageError(f"{text!r} is no address of a device", hint=_HINT)


def parse_host(text: str) -> SshAddress:
    """Read `user@host:port`, of which user and port may be missing.

    Raises:
        UsageError: it is none, or it holds a password.
    """
    if ":" in text.partition("@")[0] and "@" in text:
        raise UsageError("an address with a password in it is refused", hint="use a key: ssh-copy-id pi@HOST, then --on ssh://pi@HOST")
    found = _SSH.fullmatch(text)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 0 < port < 65536):
        raise UsageError(f"{text!r} is no host", hint=_HINT)
    return SshAddress(found["host"].strip("[]"), found["user"], port)
