"""Checkpoints of a training that can be trusted: marked when their last byte is on the disk, and looked at before they are used.

A kill, a power cut or a deleted folder costs some steps; it never makes a training end with other weights.
"""

import json
import os
import shutil
from pathlib import Path

from edgedistill.artifact import sha256_of_path

CHECKPOINTS = "checkpoints"
_MARK = "complete"
_STATE = "trainer_state.json"
_PREFIX = "checkpoint-"


def checkpoint_of(checkpoints: Path, step: int) -> Path:
    """Return the folder of the checkpoint of a step."""
    return checkpoints / f"{_PREFIX}{step}"


def mark_complete(folder: Path) -> None:
    """Mark a checkpoint after its last file is written: the mark says what each file holds, and comes after them."""
    files = [path for path in flush_files(folder) if path.name != _MARK]
    temporary = folder / f"{_MARK}.tmp"
    temporary.write_text(json.dumps({path.name: sha256_of_path(path) for path in files}), encoding="utf-8")
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.replace(folder / _MARK)


def flush_files(folder: Path) -> list[Path]:
    """Wait until what the files of a folder hold is on the disk; returns them, sorted."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    for path in files:
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    return files


def last_complete(checkpoints: Path) -> Path | None:
    """Return the latest checkpoint that a training can go on from as if it had never stopped; None: it begins anew.

    That is one whose files are what they were, and with it that of the best step so far, which the training returns in the end.
    Others are removed, so that nothing can take them for one.
    """
    whole: dict[int, Path] = {}
    for folder in checkpoints.glob(f"{_PREFIX}*"):
        if _is_whole(folder):
            whole[int(folder.name.removeprefix(_PREFIX))] = folder
        else:
            shutil.rmtree(folder)
    for step in sorted(whole, reverse=True):
        best = json.loads((whole[step] / _STATE).read_text(encoding="utf-8")).get("best_global_step")
        if not best or best in whole:
            return whole[step]
        shutil.rmtree(whole[step])
    return None


def _is_whole(folder: Path) -> bool:
    mark = folder / _MARK
    try:
        written = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(written, dict) or _STATE not in written:
        return False
    return all((folder / name).is_file() and sha256_of_path(folder / name) == digest for name, digest in written.items())
