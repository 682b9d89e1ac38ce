"""Artifacts: files with their hash."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgedistill.document import Document
from edgedistill.errors import ArtifactError
from edgedistill.typed_paths import quoted

MANIFEST_FILE = "manifest.json"
_CHUNK_BYTES = 1 << 20


class Artifact(Document):
    """A file and what it hashes to. `path` is relative to the folder of the manifest that lists it."""

    path: str
    sha256: str
    size_bytes: int


def sha256_of_file(path: Path) -> str:
    """Return the hex sha256 of a file, read in chunks.

    Raises:
        ArtifactError: the file is missing or may not be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no such file", hint="run the step that makes it again") from None
    except PermissionError:
        raise ArtifactError(f"{path}: may not be read", hint=f"chmod +r {quoted(path)}") from None
    return digest.hexdigest()


def sha256_of_path(path: Path) -> str:
    """Return the hex sha256 of a file, or of a folder's relative file names and their hashes, sorted.

    The manifest of a step's folder is left out: it holds times, and the same work done again must give the same hash.
    """
    if not path.is_dir():
        return sha256_of_file(path)
    digest = hashlib.sha256()
    for file in files_below(path):
        if file == path / MANIFEST_FILE:
            continue
        digest.update(hashed_name(file.relative_to(path).as_posix()) + f"\0{sha256_of_file(file)}\n".encode())
    return digest.hexdigest()


def hashed_name(name: str) -> bytes:
    """Return the bytes of a file's name as the system has them, also where they are not UTF-8."""
    return name.encode(errors="surrogateescape")


def readable_name(name: str) -> str:
    r"""Return a file's name for reports and messages: a byte that is not UTF-8 is written as its number, such as `\xe9`."""
    return hashed_name(name).decode(errors="backslashreplace")


def files_below(folder: Path) -> list[Path]:
    """Return all files below a folder, in linked ones too, sorted by their relative path; a link to a folder above ends there."""
    above = {_identity(place) for place in folder.resolve().parents}
    return sorted(_walked(folder, above), key=lambda p: p.relative_to(folder).as_posix())


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _walked(folder: Path, above: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield the files of a folder; nothing of a folder that may not be read, or of a link that goes in a circle."""
    try:
        here = _identity(folder)
        if here in above:
            return
        with os.scandir(folder) as items:
            found = [(Path(item.path), item.is_dir()) for item in items if not _is_circle(item)]
    except PermissionError:
        return
    for path, is_folder in found:
        if is_folder:
            yield from _walked(path, above | {here})
        elif path.is_file():
            yield path


def _is_circle(item: "os.DirEntry[str]") -> bool:
    try:
        item.is_dir()
    except OSError:
        return True
    return False


def describe(file: Path, *, root: Path) -> Artifact:
    """Return the artifact of a file below `root`."""
    return Artifact(
        path=file.relative_to(root).as_posix(), sha256=sha256_of_file(file), size_bytes=file.stat().st_size
    )


def check(artifact: Artifact, *, root: Path) -> None:
    """Compare a file with its artifact.

    Raises:
        ArtifactError: it is missing or altered.
    """
    path = root / artifact.path
    if not path.is_file():
        raise ArtifactError(f"{path}: is missing", hint="run the same command again: the step is redone")
    if path.stat().st_size != artifact.size_bytes or sha256_of_file(path) != artifact.sha256:
        raise ArtifactError(f"{path}: does not match its sha256", hint="run the same command again: the step is redone")


def require_written(folder: Path, names: Iterable[str]) -> None:
    """Look whether a step wrote the files that it promises.

    Raises:
        ArtifactError: one is missing.
    """
    for name in names:
        if not (folder / name).is_file():
            raise ArtifactError(f"{folder / name}: was not written", hint="run the same command again")
