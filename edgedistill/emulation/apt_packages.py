"""Adapter to apt and dpkg: packages of another architecture, downloaded and unpacked without root.

apt runs with the machine's own sources and keys and a state of its own, so that nothing on the machine changes. apt
checks the signature of the lists and the hash of each package.
"""

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgedistill.errors import MissingDependencyError

_TIMEOUT_S = 900.0
_TELL_EVERY_S = 1.0
_URI_LINE = re.compile(r"^'\S+' \S+ (\d+)\b", re.MULTILINE)
_TOOLS = ("apt-get", "dpkg-deb")
_QUIET = ("-q", "-y", "-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none", "-o", "Debug::NoLocking=true",
          "-o", "APT::Install-Recommends=0", "-o", "APT::Update::Post-Invoke::=", "-o", "Dpkg::Use-Pty=0")


@dataclass(frozen=True)
class Wanted:
    """Packages to fetch, with what they depend on.

    Attributes:
        names: of the packages.
        architecture: Debian's name of it.
        on_top_of_machine: leave out what is installed on this machine already.
    """

    names: tuple[str, ...]
    architecture: str
    on_top_of_machine: bool = False


@dataclass(frozen=True)
class AptState:
    """apt's lists and caches, apart from the machine's.

    Attributes:
        folder: where they lie; kept between calls, so that a broken download goes on.
        architectures: Debian's names of those whose lists are fetched, this machine's first.
    """

    folder: Path
    architectures: tuple[str, ...]

    def update(self) -> None:
        """Fetch the lists of all architectures.

        Raises:
            MissingDependencyError: apt is not there, or cannot fetch them.
        """
        self._apt("update", architectures=self.architectures, status=self._empty_status())

    def wanted_kb(self, wanted: Wanted) -> int:
        """Return how many kilobytes `download` fetches; 0 where apt does not say, `download` then says why."""
        try:
            said = self._install("--print-uris", wanted=wanted)
        except MissingDependencyError:
            return 0
        return sum(int(size) for size in _URI_LINE.findall(said)) // 1000

    def download(self, wanted: Wanted, *, on_kb: Callable[[int], object] = lambda count: None) -> list[Path]:
        """Download packages and what they depend on.

        Args:
            wanted: which.
            on_kb: told each second how many kilobytes came.

        Returns:
            the .deb files, sorted by name.

        Raises:
            MissingDependencyError: a package cannot be had.
        """
        archives = self._archives(wanted)
        told = _kb_in(archives)

        def tell() -> None:
            nonlocal told
            there = max(told, _kb_in(archives))
            on_kb(there - told)
            told = there

        self._install("--download-only", wanted=wanted, each_second=tell)
        tell()
        return sorted(archives.glob("*.deb"))

    def _archives(self, wanted: Wanted) -> Path:
        return self.folder / f"archives-{wanted.architecture}"

    def _install(self, option: str, *, wanted: Wanted, each_second: Callable[[], object] | None = None) -> str:
        status = Path("/var/lib/dpkg/status") if wanted.on_top_of_machine else self._empty_status()
        archives = self._archives(wanted)
        (archives / "partial").mkdir(parents=True, exist_ok=True)
        return self._apt("-o", f"Dir::Cache::archives={archives}", "--reinstall", option, "install", *wanted.names,
                         architectures=(wanted.architecture,), status=status, each_second=each_second)

    def _empty_status(self) -> Path:
        path = self.folder / "no-packages-installed"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    def _apt(
        self, *arguments: str, architectures: tuple[str, ...], status: Path, each_second: Callable[[], object] | None = None
    ) -> str:
        cache = f"cache-{architectures[0]}-{len(architectures)}"  # of its own: two may run side by side
        for part in ("state/lists/partial", cache):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        options = [f"Dir::State={self.folder / 'state'}", f"Dir::Cache={self.folder / cache}",
                   f"Dir::State::status={status}", f"APT::Architecture={architectures[0]}",
                   *(f"APT::Architectures::={name}" for name in architectures)]
        command = ["apt-get", *_QUIET, *(word for option in options for word in ("-o", option)), *arguments]
        return _run(command, each_second=each_second)


def machine_architecture() -> str:
    """Return Debian's name of this machine's architecture, for example "amd64".

    Raises:
        MissingDependencyError: apt or dpkg is not there.
    """
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise MissingDependencyError(f"{' and '.join(missing)} not found: the emulator is built from Debian's packages",
                                     hint="run this on Debian or Ubuntu, or in a container of it: docker run -it debian:12")
    return _run(["dpkg", "--print-architecture"]).strip()


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .deb below a folder; none of its scripts runs.

    Raises:
        MissingDependencyError: it is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _run(["dpkg-deb", "-x", str(archive), str(folder)])


def _run(command: list[str], *, each_second: Callable[[], object] | None = None) -> str:
    environment = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    ends = time.monotonic() + _TIMEOUT_S
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                          env=environment) as process:
        try:
            said, complained = _wait(process, ends, each_second)
        except BaseException:  # as subprocess.run does
            process.kill()
            raise
    if process.returncode != 0:
        words = [line for line in complained.splitlines() if line.startswith(("E:", "dpkg"))] or [complained.strip()]
        raise MissingDependencyError(f"{command[0]} failed: {'; '.join(words[:4])}",
                                     hint="sudo apt-get update must work here and its sources must offer arm64; then: "
                                          "edgedistill arm-env")
    return said


def _wait(process: "subprocess.Popen[str]", ends: float, each_second: Callable[[], object] | None) -> tuple[str, str]:
    """Return what a program printed once it has ended; until then call `each_second`."""
    while True:
        try:
            return process.communicate(timeout=_TELL_EVERY_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() > ends:
                raise
            if each_second is not None:
                each_second()


def _kb_in(archives: Path) -> int:
    """Return the kilobytes of packages that have come, whole or in part."""
    found = 0
    for file in (*archives.glob("*.deb"), *archives.glob("partial/*.deb")):
        with contextlib.suppress(FileNotFoundError):  # apt has moved it since it was listed
            found += file.stat().st_size
    return found // 1000
