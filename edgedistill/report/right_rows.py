"""Which test rows a model answers right, in a form that a report can hold: runs on the same rows are compared in pairs."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import ArtifactError
from edgedistill.examples import Examples


def pack(is_right: NDArray[np.bool_]) -> str:
    """Return booleans, shape (n,), as hexadecimal digits: the first row is the highest bit, the last byte is filled up with 0."""
    return np.packbits(is_right).tobytes().hex()


def unpack(text: str, n: int) -> NDArray[np.bool_]:
    """Return the n booleans that `pack` was given.

    Raises:
        ArtifactError: the text is no hexadecimal number, or not one of n rows.
    """
    try:
        packed = bytes.fromhex(text)
    except ValueError:
        packed = b""
    if len(packed) != -(-n // 8):
        raise ArtifactError(f"right_rows of a report do not fit its {n} test rows", hint="make it again: edgedistill run")
    return np.unpackbits(np.frombuffer(packed, np.uint8)).astype(bool)[:n]


def fingerprint(texts: Sequence[str], labels: NDArray[np.int32]) -> str:
    """Return a sha256 of the texts and their classes, in their order: equal for equal test splits only.

    Args:
        texts: n texts; in the place of n pictures what `pictures_sha256` gives.
        labels: shape (n,); where several may apply 0 and 1, shape (n, classes).
    """
    digest = hashlib.sha256()
    for text in texts:
        raw = text.encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    digest.update(np.ascontiguousarray(labels, dtype="<i4").tobytes())
    return digest.hexdigest()


def pictures_sha256(examples: Examples) -> str:
    """Return a sha256 of the pixels of all pictures, in their order; empty for texts.

    Names do not count: pictures of other data may have the same ones.
    """
    if "image" not in examples.table.column_names:
        return ""
    digest = hashlib.sha256()
    for chunk in examples.table.column("image").chunks:
        digest.update(np.ascontiguousarray(chunk.flatten()).data)
    return digest.hexdigest()
