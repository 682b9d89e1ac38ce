"""Logits on disk: a plain numpy file of float32, shape (n, classes), the rows in the order of the split."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgedistill.errors import ArtifactError

_HINT = "edgedistill evaluate --help"


def write_logits(path: Path, logits: ArrayLike) -> None:
    """Write raw logits, shape (n, classes), as float32; the same logits give the same bytes."""
    with path.open("wb") as stream:
        np.save(stream, np.asarray(logits, dtype=np.float32), allow_pickle=False)


def read_logits(path: Path) -> NDArray[np.float32]:
    """Read raw logits, shape (n, classes), float32. They may hold NaN or infinity: who reads them decides about that.

    Raises:
        ArtifactError: the file is missing, is not a numpy file (pickles are refused), or has another shape or type.
    """
    try:
        logits = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no such file", hint=_HINT) from None
    except (ValueError, EOFError, OSError) as bad:
        raise ArtifactError(f"{path}: is not a numpy file of logits ({bad})", hint=_HINT) from None
    if not isinstance(logits, np.ndarray) or logits.ndim != 2 or logits.dtype != np.float32:
        raise ArtifactError(f"{path}: logits are float32 of shape (examples, classes)", hint=_HINT)
    return logits
