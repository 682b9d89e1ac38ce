"""Adapter to apt and dpkg: packages of another architecture, downloaded and unpacked without root.

apt runs with the machine's own sources and keys and a state of its own, so that nothing on the machine changes. apt
checks the signature of the lists and the hash of each package.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedistill.errors import MissingDependencyError

_TIMEOUT_S = 900.0
_TOOLS = ("apt-get", "dpkg-deb")
_QUIET = ("-q", "-y", "-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none", "-o", "Debug::NoLocking=true",
          "-o", "APT::Install-Recommends=0", "-o", "APT::Update::Post-Invoke::=", "-o", "Dpkg::Use-Pty=0")


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

    def download(self, packages: Sequence[str], *, architecture: str, on_top_of_machine: bool = False) -> list[Path]:
        """Download packages and what they depend on.

        Args:
            packages: names.
            architecture: Debian's name of it.
            on_top_of_machine: leave out what is installed on this machine already.

        Returns:
            the .deb files, sorted by name.

        Raises:
            MissingDependencyError: a package cannot be had.
        """
        status = Path("/var/lib/dpkg/status") if on_top_of_machine else self._empty_status()
        archives = self.folder / f"archives-{architecture}"
        (archives / "partial").mkdir(parents=True, exist_ok=True)
        self._apt("-o", f"Dir::Cache::archives={archives}", "--reinstall", "--download-only", "install", *packages,
                  architectures=(architecture,), status=status)
        return sorted(archives.glob("*.deb"))

    def _empty_status(self) -> Path:
        path = self.folder / "no-packages-installed"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    def _apt(self, *arguments: str, architectures: tuple[str, ...], status: Path) -> None:
        cache = f"cache-{architectures[0]}-{len(architectures)}"  # of its own: two may run side by side
        for part in ("state/lists/partial", cache):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        options = [f"Dir::State={self.folder / 'state'}", f"Dir::Cache={self.folder / cache}",
                   f"Dir::State::status={status}", f"APT::Architecture={architectures[0]}",
                   *(f"APT::Architectures::={name}" for name in architectures)]
        _run(["apt-get", *_QUIET, *(word for option in options for word in ("-o", option)), *arguments])


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


def _run(command: list[str]) -> str:
    environment = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment,
                          timeout=_TIMEOUT_S, check=False)
    if done.returncode != 0:
        words = [line for line in done.stderr.splitlines() if line.startswith(("E:", "dpkg"))] or [done.stderr.strip()]
        raise MissingDependencyError(f"{command[0]} failed: {'; '.join(words[:4])}",
                                     hint="sudo apt-get update must work here and its sources must offer arm64; then: "
                                          "edgedistill arm-env")
    return done.stdout
