"""Taking a step's result over from another run's `.stages`, when it is exactly what this run would make."""

import os
import shutil
from pathlib import Path

from edgedistill.manifest import read_valid_manifest
from edgedistill.storage import storage_errors


def take_over(source: Path, target: Path, *, key: str) -> bool:
    """Copy a finished step's folder of another run, so that this run finds it done.

    Args:
        source: the folder of the step there; need not exist.
        target: where it is to lie here.
        key: what this run would make; a result with another key, or one that is damaged, is not taken.

    Returns:
        does `target` hold the result now, copied or found?

    Raises:
        StorageError: the copy cannot be written.
    """
    for folder in (target, source):
        manifest = read_valid_manifest(folder)
        if manifest is not None and manifest.key == key:
            break
    else:
        return False
    if folder == source:
        fresh = target.with_name(target.name + ".copy")
        with storage_errors(target):
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(source, fresh)
            shutil.rmtree(target, ignore_errors=True)
            os.replace(fresh, target)
    return True
