"""The environment: an emulator, and an aarch64 Python with numpy and onnxruntime, in the user's cache.

`ensure()` builds it when it is not there, `find()` only looks. `ensure().emulator.run(core_named("cortex-a72"), ["-c",
"import onnxruntime"])` runs Python on a core.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import Field

from edgedistill.artifact import Artifact, check, sha256_of_file
from edgedistill.document import Document
from edgedistill.emulation.qemu import Emulator
from edgedistill.errors import EdgedistillError, MissingDependencyError, StorageError, UsageError
from edgedistill.host import tool_version

ENVIRONMENT_FILE = "environment.json"
COUNTER_SOURCE = Path(__file__).with_name("block_counter.c")
_LAYOUT = 1
"""Raised when the same packages would be put together otherwise."""
_LOCK_WAIT_S = 600.0


class EnvironmentFacts(Document):
    """What an environment was built from: `environment.json` in its folder."""

    emulator: str = Field(description="QEMU's version")
    onnxruntime: str = Field(description="version of the aarch64 wheel")
    numpy: str
    python: str
    counts_instructions: bool
    no_counts_because: str = ""
    packages: tuple[Artifact, ...] = Field(description="what was downloaded")
    vital_files: tuple[Artifact, ...] = Field(description="the files that are checked before every use")
    tree_sha256: str = Field(description="of the names and hashes of all files")
    size_bytes: int


@dataclass(frozen=True)
class Environment:
    """An environment that is there.

    Attributes:
        folder: where.
        facts: what it is made of.
        was_built: made by this very call?
    """

    folder: Path
    facts: EnvironmentFacts
    was_built: bool = False

    @property
    def emulator(self) -> Emulator:
        """The emulators in it."""
        return emulator_in(self.folder)

    @property
    def tools(self) -> str:
        """What a result depends on, in words: emulator and runtime with their versions."""
        return f"qemu {self.facts.emulator}, onnxruntime {self.facts.onnxruntime}"


def emulator_in(folder: Path) -> Emulator:
    """Return the emulators in an environment's folder; compiled Python goes beside the folder."""
    return Emulator(folder, folder.with_name(f"{folder.name}.bytecode"))


def cache_folder() -> Path:
    """Return where environments are kept: below EDGEDISTILL_CACHE, else XDG_CACHE_HOME/edgedistill, else ~/.cache/edgedistill.

    A relative path in either variable is passed over, as the XDG base directory specification asks.
    """
    own, shared = (os.environ.get(name, "") for name in ("EDGEDISTILL_CACHE", "XDG_CACHE_HOME"))
    if own.startswith("/"):
        return Path(own) / "emulation"
    base = Path(shared) if shared.startswith("/") else Path.home() / ".cache"
    return base / "edgedistill" / "emulation"


def find(onnxruntime: str | None = None) -> Environment | None:
    """Return the environment if it is there and its vital files are whole.

    Args:
        onnxruntime: version of the runtime in it; default: the one installed here, so that both answer alike.
    """
    return _read(_folder_for(onnxruntime))


def ensure(
    onnxruntime: str | None = None, *, is_rebuilt: bool = False, is_checked: bool = False
) -> Environment:
    """Return the environment; build it when it is not there or damaged.

    Args:
        onnxruntime: see `find`.
        is_rebuilt: build it anew in any case.
        is_checked: compare every file with the hash it had when it was built, not only the vital ones.

    Raises:
        MissingDependencyError: it cannot be built on this machine, or a package cannot be had; the hint says what to do.
        StorageError: the cache cannot be written, or another process builds there for long.
    """
    from edgedistill.emulation.build import build
    from edgedistill.storage import storage_errors

    folder = _folder_for(onnxruntime)
    found = None if is_rebuilt else _read(folder)
    if found is not None and not (is_checked and tree_digest(folder) != found.facts.tree_sha256):
        return found
    require_buildable()
    with storage_errors(folder.parent), _locked(folder):
        made = None if found or is_rebuilt else _read(folder)  # another process may just have built it
        if made is not None:
            return made
        return Environment(folder, build(folder, onnxruntime=_wanted(onnxruntime)), was_built=True)


def require_buildable() -> None:
    """Refuse a machine on which no environment can be built.

    Raises:
        MissingDependencyError: it is no Linux on x86-64.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise MissingDependencyError(
            f"the emulated environment needs Linux on x86_64, this is {platform.system()} on {platform.machine()}",
            hint="edgedistill arm-env on such a machine; on an ARM device itself: edgedistill verify BUNDLE",
        )


def require_environment(onnxruntime: str | None = None) -> Environment:
    """Return the environment or refuse.

    Args:
        onnxruntime: see `find`.

    Raises:
        MissingDependencyError: it is not built; the hint is the command that builds it.
    """
    found = find(onnxruntime)
    if found is None:
        raise MissingDependencyError(f"there is no emulated environment with onnxruntime {_wanted(onnxruntime)}",
                                     hint="edgedistill arm-env" + (f" --onnxruntime {onnxruntime}" if onnxruntime else ""))
    return found


def compiler() -> str | None:
    """Return the C compiler that builds the counting plugin, None where there is none."""
    return next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)


def tree_digest(folder: Path) -> str:
    """Return the sha256 of the names and hashes of all files below a folder, `environment.json` and links left out."""
    digest = hashlib.sha256()
    for path in _regular_files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256_of_file(path)}\n".encode())
    return digest.hexdigest()


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in _regular_files(folder))


def _regular_files(folder: Path) -> Iterator[Path]:
    files = (path for path in folder.rglob("*") if not path.is_symlink() and path.is_file())
    return iter(sorted(path for path in files if path != folder / ENVIRONMENT_FILE))


def _wanted(onnxruntime: str | None) -> str:
    version = onnxruntime or tool_version("onnxruntime")
    if version is None:
        raise MissingDependencyError("onnxruntime is not installed here", hint="pip install onnxruntime")
    return version.split("+")[0]


def _folder_for(onnxruntime: str | None) -> Path:
    parts = [_LAYOUT, sha256_of_file(COUNTER_SOURCE), compiler() is not None]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
    return cache_folder() / f"onnxruntime-{_wanted(onnxruntime)}-{key}"


def _read(folder: Path) -> Environment | None:
    """Return a whole environment; a damaged one is as good as none."""
    if not (folder / ENVIRONMENT_FILE).is_file():
        return None
    try:
        facts = EnvironmentFacts.read_json(folder / ENVIRONMENT_FILE)
        for artifact in facts.vital_files:
            check(artifact, root=folder)
    except UsageError:
        return None
    return Environment(folder, facts)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    try:
        with lock.acquire(timeout=_LOCK_WAIT_S):
            yield
    except Timeout:
        raise StorageError(f"{folder}: another process has been building it for {_LOCK_WAIT_S:.0f} s",
                           hint="wait for it, or end it; then: edgedistill arm-env") from None


def compile_counter(out: Path) -> str:
    """Build the plugin that counts; returns why there is none, or nothing.

    Raises:
        EdgedistillError: the compiler refuses our source.
    """
    program = compiler()
    if program is None:
        return "no C compiler (sudo apt-get install gcc; edgedistill arm-env)"
    done = subprocess.run([program, "-O2", "-shared", "-fPIC", "-o", str(out), str(COUNTER_SOURCE)],
                          capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise EdgedistillError(f"{program} cannot build {COUNTER_SOURCE.name}: {done.stderr.strip()[:300]}",
                               hint="this is a mistake in edgedistill; report it with the compiler's version")
    return ""
