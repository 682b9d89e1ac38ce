"""The teacher's answers, kept on the way: labelling that was cut short goes on after the last batch that was finished.

The batches are the same in every start, so the soft labels are the same to the byte as without a break.
"""

import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import sha256_of_path
from edgedistill.processes import current_group
from edgedistill.teach.files import TRANSFER_FILE

PARTS = "parts"
"""Folder of the parts below a stage's `out`; scratch, as the finished files hold all of it."""

Arrays = Mapping[str, NDArray[Any]]


class AnswerParts:
    """Arrays that outlive a kill, each set in a file of its own.

    Args:
        folder: where they lie; made when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, arrays: Arrays) -> None:
        """Keep some arrays: the file is either absent or whole.

        Args:
            name: of the part; an earlier one of that name gives way.
            arrays: by name; no Python objects.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f"{name}.tmp"
        with temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self._path(name))

    def read(self, name: str) -> dict[str, NDArray[Any]] | None:
        """Return the arrays of a part; None where there is none, or where its bytes are damaged: it is made anew then."""
        try:
            with np.load(self._path(name), allow_pickle=False) as arrays:
                return dict(arrays)
        except (FileNotFoundError, EOFError, ValueError, zipfile.BadZipFile):
            return None

    def finished(self) -> int:
        """Return how many parts "0", "1", ... are whole, up to the first that is not."""
        count = 0
        while self.read(str(count)) is not None:
            count += 1
        return count

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.npz"


def parts_in(out: Path) -> AnswerParts:
    """Return the parts of a labelling below a stage's `out`; of another transfer set they are others.

    Args:
        out: holds the transfer set, which every start makes anew from the same settings.
    """
    return AnswerParts(out / PARTS / sha256_of_path(out / TRANSFER_FILE)[:16])


def resume(parts: AnswerParts, compute: Callable[[int], Iterator[Arrays]]) -> Iterator[Arrays]:
    """Yield the arrays of every batch in order: those of finished ones from their files, the others computed and kept.

    In a stage that several processes share, all of them must call it; only the main process reads, writes, and yields what is
    finished.

    Args:
        parts: of this piece of work.
        compute: yields the arrays of each batch from the one with this number on.
    """
    group = current_group()
    finished = int(group.share(str(group.on_main(parts.finished) or 0)))
    if group.is_main:
        for number in range(finished):
            found = parts.read(str(number))
            if found is None:
                raise OSError(f"part {number} was whole a moment ago and cannot be read now")
            yield found
    for number, arrays in enumerate(compute(finished), finished):
        if group.is_main:
            parts.write(str(number), arrays)
        yield arrays
