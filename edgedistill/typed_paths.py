"""Paths as they are typed in a shell, and what was probably meant by one that is not there."""

import difflib
import os
import shlex
from pathlib import Path


def quoted(path: str | Path) -> str:
    """Return a path as it is typed in a shell."""
    return shlex.quote(str(path))


def likely_meant(path: Path) -> Path | None:
    """Return the file or folder that was probably meant by a path that is not there; None where nothing beside it is like it.

    The stem must be like too: alone the suffix would make `recipe.yaml` of `other.yaml`.
    """
    folder = path.parent
    if not (os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK)):
        return None
    near = difflib.get_close_matches(path.name, sorted(other.name for other in folder.iterdir()), n=3, cutoff=0.6)
    return next((folder / name for name in near if _are_alike(Path(name).stem, path.stem)), None)


def _are_alike(one: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, one, other).ratio() >= 0.5


def not_there(path: Path) -> str:
    """Return the message for a path that is not there, with what was probably meant."""
    near = likely_meant(path)
    return f"{path}: no such file" + (f"; did you mean {near.name!r}?" if near else "")


def look_there(path: Path) -> str:
    """Return the command that lists what is where a path should be: the nearest folder above it that there is."""
    return f"ls {quoted(next((folder for folder in path.parents if os.path.isdir(folder)), path.parent))}"
