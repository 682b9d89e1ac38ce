"""Adapter to QEMU's user mode: the command line that runs a Python of another instruction set, and what it says of itself.

QEMU 7.2 and its like; the guest's files are looked for below the folder given with -L first, so a file put there
shadows the host's (`QEMU User space emulator`, option -L).
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedistill.emulation.cores import Architecture, Core
from edgedistill.errors import EdgedistillError

COUNTER_FILE = "block_counter.so"
_SEED = "1"
_TUNABLES = "glibc.malloc.tcache_count=4000"
"""The C library keeps freed blocks instead of sorting them: how it sorts depends on what other threads did before, and
made the instructions of two runs of a small model differ by 0.2 %."""
_TAIL_LINES = 6
_TIMEOUT_S = 3 * 3600.0


class EmulatorTimeoutError(EdgedistillError):
    """A program did not end within its time under the emulator; what was done before it is whole."""


@dataclass(frozen=True)
class GuestRun:
    """How a program in the emulator ended: exit code, and what it wrote."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Emulator:
    """The emulators and the guest's files in an environment's folder.

    Attributes:
        folder: holds emulator/, sysroot/, site/ and cores/, and the counting plugin.
        bytecode: where the guest keeps compiled Python, outside `folder`, whose files are hashed.
    """

    folder: Path
    bytecode: Path

    def program(self, architecture: Architecture) -> Path:
        """Return the emulator of an architecture."""
        return self.folder / "emulator" / "usr" / "bin" / f"qemu-{architecture}"

    def version(self) -> str:
        """Return QEMU's version, for example "7.2.22".

        Raises:
            EdgedistillError: it does not start.
        """
        done = self._run([str(self.program("aarch64")), "--version"], timeout_s=60)
        found = re.search(r"version (\d[\d.]*)", done.stdout)
        if done.code != 0 or found is None:
            raise EdgedistillError(f"qemu-aarch64 does not start: {last_words(done)}", hint="edgedistill arm-env --rebuild")
        return found[1]

    def python(self, core: Core) -> Path:
        """Return the Python that runs in the emulator: the guest's own, or this very one for x86."""
        if core.architecture == "x86_64":
            return Path(sys.executable)
        found = sorted(self.folder.glob("sysroot/usr/bin/python3.[0-9]*"))
        if not found:
            raise EdgedistillError(f"{self.folder}: no Python in it", hint="edgedistill arm-env --rebuild")
        return self.folder / "cores" / core.name / "usr" / "bin" / found[0].name

    def command(self, core: Core, arguments: Sequence[str], *, counts: Path | None = None) -> list[str]:
        """Return the command line of a Python on a core.

        Args:
            core: which one.
            arguments: of Python.
            counts: the file that the counting plugin writes; None: no counting.
        """
        plugin = []
        if counts is not None:  # a comma separates the plugin's options, two stand for one
            file, out = (str(path).replace(",", ",,") for path in (self.folder / COUNTER_FILE, counts))
            plugin = ["-plugin", f"{file},out={out}"]
        words = [str(self.program(core.architecture)), "-cpu", core.emulator_cpu, "-seed", _SEED, *plugin]
        if core.architecture == "aarch64":
            words += ["-L", str(self.folder / "cores" / core.name)]
        for name, value in self._guest_variables(core).items():
            words += ["-U", name] if value is None else ["-E", f"{name}={value}"]
        return [*words, str(self.python(core)), *arguments]

    def write_launcher(self, path: Path, core: Core) -> None:
        """Write an executable that is this core's Python to whoever calls it, for example as `python3` of a far end."""
        words = [f"LD_LIBRARY_PATH={self.variables()['LD_LIBRARY_PATH']}", *self.command(core, [])]
        path.write_text(f'#!/bin/sh\nexec env {shlex.join(words)} "$@"\n', encoding="utf-8")
        path.chmod(0o755)

    def variables(self) -> dict[str, str]:
        """Return the environment that the command must run in: the emulator's own libraries are found."""
        return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(map(str, self._libraries()))}

    def run(
        self, core: Core, arguments: Sequence[str], *, counts: Path | None = None, timeout_s: float = _TIMEOUT_S
    ) -> GuestRun:
        """Run Python on a core and wait for its end.

        Raises:
            EmulatorTimeoutError: it did not end in time.
        """
        return self._run(self.command(core, arguments, counts=counts), timeout_s=timeout_s)

    def _run(self, command: list[str], *, timeout_s: float) -> GuestRun:
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=self.variables(),
                                  stdin=subprocess.DEVNULL, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            raise EmulatorTimeoutError(f"{Path(command[0]).name} did not end within {timeout_s:.0f} s",
                                   hint="give it fewer rows; in a run: --set parity.emulated_rows=100") from None
        return GuestRun(done.returncode, done.stdout, done.stderr)

    def _libraries(self) -> list[Path]:
        return sorted({path.parent for path in self.folder.glob("emulator/usr/lib/*/*.so*")})

    def _guest_variables(self, core: Core) -> Mapping[str, str | None]:
        """Return what the guest's environment has and the host's has not; None stands for a name that it must not have."""
        threads: dict[str, str | None] = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0",
                                          "PYTHONSAFEPATH": "1", "GLIBC_TUNABLES": _TUNABLES}
        if core.architecture == "x86_64":  # the host's own Python and packages
            return threads | {"LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH")}
        return threads | {
            "LD_LIBRARY_PATH": None, "LD_PRELOAD": None, "PYTHONHOME": str(self.folder / "sysroot" / "usr"),
            "PYTHONPATH": str(self.folder / "site"), "PYTHONPYCACHEPREFIX": str(self.bytecode),
            "PYTHONDONTWRITEBYTECODE": None, "PYTHONNOUSERSITE": "1",
        }


def last_words(run: GuestRun) -> str:
    """Return how a run ended and the end of what it wrote to stderr, for a message."""
    tail = " | ".join(line for line in run.stderr.strip().splitlines()[-_TAIL_LINES:])
    return f"exit code {run.code}" + (f": {tail}" if tail else ", it wrote nothing")
