"""The system's word about storage (no space, read-only, not permitted) as one error that a person can act on."""

import errno
import shutil
from pathlib import Path

from edgedistill.errors import EdgedistillError, StorageError


class storage_errors:  # noqa: N801 - reads as a statement: with storage_errors(folder)
    """Turn 'no space', 'read-only' and 'not permitted' into one `StorageError`.

    Args:
        folder: what is written into.
        is_file: does `-o` name a file in it, as with `init`, and not the folder?
    """

    def __init__(self, folder: Path, *, is_file: bool = False) -> None:
        self.folder = folder
        self._elsewhere = "choose a file in another folder with -o FILE" if is_file else "choose another folder with -o DIR"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, trace: object) -> None:
        if not isinstance(failure, Exception) or isinstance(failure, EdgedistillError):
            return
        found = storage_failure(failure, self.folder)
        if found is not None:
            number = found.errno or errno.ENOSPC
            hint = _MORE_SPACE if number in (errno.ENOSPC, errno.EDQUOT) else self._elsewhere
            raise StorageError(f"{found.filename or self.folder}: {_PROBLEMS[number]}", hint=hint) from failure


_NEARLY_NOTHING = 64 * 2**20
"""Bytes: with less left a file that could not be written is taken to have filled the disk."""

_MORE_SPACE = "free some space and run the same command again: finished steps are kept"
_PROBLEMS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "may not be written",
    errno.EPERM: "may not be written",
    errno.ENOTDIR: "a file stands where a folder is needed",
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
        if isinstance(failure, OSError) and failure.errno in _PROBLEMS:
            return failure
        if "No space left on device" in str(failure) or "os error 28" in str(failure):
            return OSError(errno.ENOSPC, "No space left on device")
        if isinstance(failure, RuntimeError) and "inline_container" in str(failure) and _is_full(folder):
            return OSError(errno.ENOSPC, "No space left on device")
        failure = failure.__cause__
    return None
