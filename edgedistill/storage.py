"""The system's word about storage (no space, read-only, not permitted) as one error that a person can act on."""

import errno
import shutil
from pathlib import Path

from edgedistill.errors import EdgedistillError, StorageError


class storage_errors:  # noqa: N801 - reads as a statement: with storage_errors(folder)
    """Turn 'no space', 'read-only' and 'not permitted' into one `StorageError`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, trace: object) -> None:
        if not isinstance(failure, Exception) or isinstance(failure, EdgedistillError):
            return
        found = storage_failure(failure, self.folder)
        if found is not None:
            advice = _STORAGE_ADVICE[found.errno or errno.ENOSPC]
            raise StorageError(f"{found.filename or self.folder}: {advice[0]}", hint=advice[1]) from failure


_NEARLY_NOTHING = 64 * 2**20
"""Bytes: with less left a file that could not be written is taken to have filled the disk."""

_STORAGE_ADVICE = {
    errno.ENOSPC: ("the disk is full", "free some space and run the same command again: finished steps are kept"),
    errno.EDQUOT: ("the quota is used up", "free some space and run the same command again: finished steps are kept"),
    errno.EROFS: ("the file system is read-only", "choose another folder with -o DIR"),
    errno.EACCES: ("may not be written", "choose another folder with -o DIR"),
    errno.EPERM: ("may not be written", "choose another folder with -o DIR"),
    errno.ENOTDIR: ("a file stands where a folder is needed", "choose another folder with -o DIR"),
}


def _is_full(folder: Path) -> bool:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    return shutil.disk_usage(existing).free < _NEARLY_NOTHING


def storage_failure(failure: BaseException | None, folder: Path) -> OSError | None:
    """Look through a failure and its causes for the system's word about storage.

    Libraries written in Rust or C++ say the errno in words only, and torch's writer of files not even that. What was merely being
    handled when another failure came up is no cause of it.

    Args:
        failure: what was raised.
        folder: what was written into.

    Returns:
        an error with one of the known numbers; None where storage is not to blame.
    """
    while failure is not None:
        if isinstance(failure, OSError) and failure.errno in _STORAGE_ADVICE:
            return failure
        if "No space left on device" in str(failure) or "os error 28" in str(failure):
            return OSError(errno.ENOSPC, "No space left on device")
        if isinstance(failure, RuntimeError) and "inline_container" in str(failure) and _is_full(folder):
            return OSError(errno.ENOSPC, "No space left on device")
        failure = failure.__cause__
    return None
