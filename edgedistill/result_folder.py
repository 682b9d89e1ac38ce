"""The folder of a result that a user names: it is ours, it is made by one process at a time, and nothing else is replaced."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from edgedistill.errors import StorageError, UsageError
from edgedistill.manifest import MANIFEST_FILE, Manifest

KEY_FILE = ".key"
"""Holds the key of what is being made; its presence says that edgedistill makes it."""


def partial_of(folder: Path) -> Path:
    """Return the folder beside a result in which it is made."""
    return folder.with_name(folder.name + ".partial")


def remove(path: Path) -> None:
    """Remove a file, a link or a folder; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_partial(partial: Path) -> None:
    """Remove a folder of half-done work, its key last: what a kill leaves of it is still known as ours."""
    if partial.is_dir() and not partial.is_symlink():
        for path in partial.iterdir():
            if path.name != KEY_FILE:
                remove(path)
    remove(partial)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes of this machine out of a folder that is being made.

    The lock lies among the temporary files: beside the folder it would be left lying, and in it it would be replaced.

    Raises:
        StorageError: one is at it, or temporary files cannot be written.
    """
    owner = f"{os.getuid()}-" if hasattr(os, "getuid") else ""
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    lock = FileLock(Path(tempfile.gettempdir()) / f"edgedistill-{owner}{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        hint = "wait for it, or choose another folder with -o DIR"
        raise StorageError(f"{folder}: another edgedistill is making it", hint=hint) from None
    except OSError as bad:
        hint = "set TMPDIR to a folder that may be written"
        raise StorageError(f"{lock.lock_file}: {bad.strerror or bad}", hint=hint) from None
    try:
        yield
    finally:
        lock.release()


def require_own(folder: Path, stage: str, read: Iterable[Path]) -> None:
    """Refuse to replace what is not an earlier result of the same stage, or what is read.

    Raises:
        StorageError: says what the folder holds.
    """
    hint = "choose another folder with -o DIR"
    if folder.is_file():
        raise StorageError(f"{folder}: is a file", hint=hint)
    if folder == Path.cwd().resolve():
        raise StorageError(f"{folder}: is the current folder, which cannot be replaced", hint=hint)
    partial = partial_of(folder)
    is_empty = partial.is_dir() and not any(partial.iterdir())
    if partial.exists() and not is_empty and not any((partial / name).is_file() for name in (KEY_FILE, MANIFEST_FILE)):
        raise StorageError(f"{partial}: is in the way, and edgedistill did not make it", hint=f"move it; or {hint}")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    owner = _owner(folder / MANIFEST_FILE)
    if owner is None:
        raise StorageError(f"{folder}: is not empty, and edgedistill did not make it", hint=hint)
    if owner not in (stage, _DAMAGED):
        raise StorageError(f"{folder}: holds the result of `edgedistill {owner}`", hint=hint)
    target = folder.resolve()
    for path in read:
        if target in (path.resolve(), *path.resolve().parents):
            raise StorageError(f"{folder}: cannot be made from itself ({path})", hint=hint)


_DAMAGED = ""


def _owner(manifest: Path) -> str | None:
    """Return the stage that made a folder, `_DAMAGED` when its manifest was ours once, None when it never was."""
    if not manifest.is_file():
        return None
    try:
        return Manifest.read_json(manifest).stage
    except UsageError:
        text = manifest.read_text(encoding="utf-8", errors="replace")
        return _DAMAGED if all(f'"{name}"' in text for name in ("step", "stage", "stage_version")) else None
