"""Sealed Arrow files: an Arrow IPC file that carries the sha256 of its own bytes, and is mapped into memory.

Arrow trusts what it maps: one flipped byte in an offset can end the process by a signal instead of an exception. So the
hash is compared before Arrow sees the file. The seal stands before the footer, where Arrow's file format leaves bytes
unread, so every Arrow reader still opens such a file.

Reference: Arrow columnar format, "IPC File Format": magic, stream, footer, footer size (int32), magic.
"""

import hashlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from edgedistill.errors import ArtifactError

_MAGIC = b"ARROW1"
_TAIL_BYTES = 4 + len(_MAGIC)
_MARK = b"sealed:"
_SEAL_BYTES = 128
"""Mark, 64 hex digits and padding; a multiple of 64 keeps the footer where Arrow aligns it."""

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class _Layout:
    """Where the parts of an Arrow file begin and end, in bytes."""

    footer: int
    end: int


def seal(path: Path) -> None:
    """Put the sha256 of an Arrow file into it, before its footer; the same content gives the same bytes."""
    with path.open("r+b") as file:
        layout = _layout(file)
        digest = _sha256(file, [(0, layout.footer), (layout.footer, layout.end)])
        file.seek(layout.footer)
        footer = file.read()
        file.seek(layout.footer)
        file.write((_MARK + digest.encode()).ljust(_SEAL_BYTES, b"\0") + footer)


def open_sealed(path: Path, *, hint: str, is_seal_required: bool = True) -> pa.Table:
    """Map an Arrow file whose bytes hash to what its seal says.

    Args:
        path: a file that `seal` was used on.
        hint: what to do when it is refused.
        is_seal_required: False takes an Arrow file that never had a seal as it is.

    Raises:
        ArtifactError: the file is missing, may not be read, is no Arrow file, has no seal, or was altered.
    """
    try:
        with path.open("rb") as file:
            problem = _problem(file, is_seal_required=is_seal_required)
        if problem:
            raise ArtifactError(f"{path}: {problem}", hint=hint)
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no such file", hint=hint) from None
    except OSError as bad:
        raise ArtifactError(f"{path}: cannot be read ({bad})", hint=hint) from None
    return map_table(path, hint=hint)


def map_table(path: Path, *, hint: str) -> pa.Table:
    """Map an Arrow file, without a look at its seal.

    Args:
        path: the file.
        hint: what to do when it is refused.

    Raises:
        ArtifactError: the file is missing, may not be read, or is no Arrow file.
    """
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no such file", hint=hint) from None
    except (pa.ArrowException, OSError) as bad:
        raise ArtifactError(f"{path}: cannot be read ({bad})", hint=hint) from None


def _problem(file: BinaryIO, *, is_seal_required: bool) -> str | None:
    """Say what is wrong with a file's seal, None when it holds."""
    try:
        layout = _layout(file)
    except ValueError as bad:
        return str(bad)
    start = layout.footer - _SEAL_BYTES
    file.seek(max(start, 0))
    found = file.read(_SEAL_BYTES)
    if start < 0 or not found.startswith(_MARK):
        return "damaged: it has no seal" if is_seal_required else None
    digest = _sha256(file, [(0, start), (layout.footer, layout.end)])
    if found != (_MARK + digest.encode()).ljust(_SEAL_BYTES, b"\0"):
        return "damaged: it does not match its own sha256"
    return None


def _layout(file: BinaryIO) -> _Layout:
    """Find the footer.

    Raises:
        ValueError: it is not an Arrow file, or it was cut off.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - _TAIL_BYTES, 0))
    tail = file.read()
    if len(tail) < _TAIL_BYTES or not tail.endswith(_MAGIC):
        raise ValueError("damaged or cut off: it does not end as an Arrow file")
    footer = end - _TAIL_BYTES - int(struct.unpack("<i", tail[:4])[0])
    if not len(_MAGIC) <= footer < end:
        raise ValueError("damaged: its footer cannot be found")
    return _Layout(footer, end)


def _sha256(file: BinaryIO, ranges: list[tuple[int, int]]) -> str:
    digest = hashlib.sha256()
    for start, end in ranges:
        for chunk in _chunks(file, start, end):
            digest.update(chunk)
    return digest.hexdigest()


def _chunks(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    file.seek(start)
    while start < end and (chunk := file.read(min(_CHUNK_BYTES, end - start))):
        start += len(chunk)
        yield chunk
