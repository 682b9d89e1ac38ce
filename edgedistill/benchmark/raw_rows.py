"""Raw rows on disk: what an app is given, one item a row, for cases that are timed end to end. Imports numpy only."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BYTES, _OFFSETS = "raw.bytes", "raw.offsets"


def write_raw(path: Path, rows: Sequence[bytes]) -> None:
    """Write rows as an .npz file.

    Args:
        path: the file to make.
        rows: texts as UTF-8, or picture files.
    """
    offsets = np.cumsum([0, *map(len, rows)])
    arrays = {_BYTES: np.frombuffer(b"".join(rows), np.uint8), _OFFSETS: offsets}
    np.savez(path, **arrays)  # type: ignore[arg-type]  # numpy types the keywords by allow_pickle


def raw_of(arrays: Mapping[str, NDArray[Any]]) -> tuple[bytes, ...] | None:
    """Return the rows that `write_raw` wrote; None where the arrays are model inputs."""
    if _OFFSETS not in arrays:
        return None
    whole, offsets = arrays[_BYTES].tobytes(), arrays[_OFFSETS].tolist()
    return tuple(whole[start:end] for start, end in zip(offsets[:-1], offsets[1:], strict=True))
