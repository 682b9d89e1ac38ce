"""Rows of results in a JSON file: found by the key of their settings, never made twice, on disk as soon as they exist.

A benchmark of hours is killed, moved and started again. So each row is written when it is made (temporary file, rename),
a start looks which rows are there already, and two processes may add to the same file.
"""

import base64
import functools
import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import ArrayLike, NDArray

from edgedistill.errors import ArtifactError
from edgedistill.host import this_host
from edgedistill.stage import write_text_durably

Row = dict[str, Any]
_HINT = "take the file back from git, or move it away: its rows are then made anew"


def key_of(settings: Mapping[str, Any]) -> str:
    """Return the key of a row: sha256 of its settings as canonical JSON, 24 digits."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class RowFile:
    """One result file. Every row has `key`, the `settings` that the key was made from, and its figures."""

    path: Path

    def rows(self) -> list[Row]:
        """Return the rows in the order in which they were made; none when there is no file.

        Raises:
            ArtifactError: the file is not JSON, is cut off, or holds a row whose key is not that of its settings.
        """
        if not self.path.is_file():
            return []
        try:
            rows = json.loads(self.path.read_text(encoding="utf-8"))["rows"]
            wrong = [number for number, row in enumerate(rows) if row["key"] != key_of(row["settings"])]
        except (ValueError, KeyError, TypeError) as bad:
            raise ArtifactError(f"{self.path}: is damaged ({type(bad).__name__}: {bad})", hint=_HINT) from None
        if wrong:
            raise ArtifactError(f"{self.path}: row {wrong[0]} was altered: its key is not that of its settings", hint=_HINT)
        return list(rows)

    def find(self, settings: Mapping[str, Any]) -> Row | None:
        """Return the row of these settings, None when it is not made yet."""
        key = key_of(settings)
        return next((row for row in self.rows() if row["key"] == key), None)

    def of_teacher(self, settings: Mapping[str, Any], teacher_row: str) -> Row | None:
        """Return the row of these settings whose student was taught by the teacher of a row; None when it is not made yet."""
        key = key_of(settings)
        return next((row for row in self.rows() if row.get("teacher_row") == teacher_row and plain_key(row) == key), None)

    def add(self, settings: Mapping[str, Any], figures: Mapping[str, Any], *, command: str) -> Row:
        """Write a row; when another process has made it meanwhile, that one stays and is returned."""
        row: Row = {"key": key_of(settings), **figures, "settings": dict(settings), "command": command, "commit": commit(),
                    "made": datetime.now(UTC).isoformat(timespec="seconds"), "host": _host()}
        row = json.loads(json.dumps(row))  # what a reader gets: lists for tuples
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".{self.path.name}.lock")):
            rows = self.rows()
            found = next((other for other in rows if other["key"] == row["key"]), None)
            if found is not None:
                return found
            write_text_durably(self.path, _text([*rows, row]))
        return row


def plain_key(row: Row) -> str:
    """Return the key that a row has without the teacher; older rows do not hold it among their settings."""
    return key_of({name: value for name, value in row["settings"].items() if name != "teacher_row"})


def _text(rows: Iterable[Row]) -> str:
    """Return the file's text: a row a line, so that git shows which rows are new."""
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    return '{"schema_version":1,"rows":[\n' + lines + "\n]}\n"


@functools.cache
def commit() -> str:
    """Return the commit that this process measures; `+` when the code or the suites differ from it."""
    folder = Path(__file__).resolve().parent
    measured = (":/edgedistill", ":/models", ":/targets", ":/benchmarks", ":(exclude,top)benchmarks/results")

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False).stdout.strip()

    return (git("rev-parse", "HEAD") or "unknown") + ("+" if git("status", "--porcelain", "--", *measured) else "")


def _host() -> Row:
    host = this_host()
    return {"cpu": host.cpu, "cores": host.cores, "has_bf16": host.has_bf16, "saturates_u8s8": host.saturates_u8s8}


def pack_bits(is_right: ArrayLike) -> str:
    """Return which rows were answered right, shape (n,), as base64 of packed bits."""
    return base64.b64encode(np.packbits(np.asarray(is_right, dtype=bool)).tobytes()).decode()


def unpack_bits(text: str, n: int) -> NDArray[np.bool_]:
    """Return what `pack_bits` packed, shape (n,).

    Raises:
        ArtifactError: the text holds less than n bits.
    """
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8))
    if not n <= len(bits) < n + 8:
        raise ArtifactError(f"{len(bits)} bits for {n} rows: the result file was altered", hint=_HINT)
    return bits[:n].astype(bool)
