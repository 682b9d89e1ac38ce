"""Adapter to pip: wheels for another architecture, downloaded by this machine's pip and unpacked."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from edgedistill.errors import MissingDependencyError
from edgedistill.typed_paths import quoted

_TIMEOUT_S = 900.0
_OLDEST_GLIBC_MINOR = 17


def download(requirements: Sequence[str], folder: Path, *, python: str, glibc_minor: int) -> list[Path]:
    """Download aarch64 wheels and what they depend on, with pip's own settings; pip checks the index's hashes.

    Args:
        requirements: what pip takes, for example "onnxruntime==1.32.0".
        folder: keeps the wheels.
        python: the version that will import them, for example "3.11".
        glibc_minor: of the system that they will run on, 36 for glibc 2.36.

    Returns:
        the wheels, sorted by name.

    Raises:
        MissingDependencyError: pip is not there, or has no such wheel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    platforms = [f"manylinux_2_{minor}_aarch64" for minor in range(glibc_minor, _OLDEST_GLIBC_MINOR - 1, -1)]
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:",
        "--implementation", "cp", "--python-version", python, "--dest", str(folder),
        *(word for name in (*platforms, "manylinux2014_aarch64") for word in ("--platform", name)), *requirements,
    ]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False,
                          env=os.environ | {"PIP_NO_INPUT": "1"})
    if done.returncode != 0:
        raise MissingDependencyError(f"pip cannot get {' '.join(requirements)} for aarch64 and Python {python}: "
                                     f"{_last_words(done.stderr)}", hint=_mend(done.stderr))
    return sorted(folder.glob("*.whl"))


def unpack(wheel: Path, folder: Path) -> None:
    """Unpack a wheel into a folder of packages.

    Raises:
        MissingDependencyError: it is damaged, or a name in it leaves the folder.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                    raise MissingDependencyError(f"{wheel.name}: {name!r} leaves the folder", hint=f"rm {quoted(wheel)}")
            archive.extractall(folder)
    except zipfile.BadZipFile:
        raise MissingDependencyError(f"{wheel}: is damaged", hint=f"rm {quoted(wheel)}; edgedistill arm-env") from None


def _last_words(stderr: str) -> str:
    errors = [line.removeprefix("ERROR: ") for line in stderr.splitlines() if line.startswith("ERROR")]
    return (errors or stderr.splitlines() or ["it does not say why"])[-1]


def _mend(stderr: str) -> str:
    if "No module named pip" in stderr:
        return f"{sys.executable} -m ensurepip; then: edgedistill arm-env"
    return "the index that pip uses must be reachable; another version: edgedistill arm-env --onnxruntime VERSION"
