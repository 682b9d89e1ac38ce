"""Which test rows a model answers right, in a form that a report can hold: runs on the same rows are compared in pairs."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def pack(is_right: NDArray[np.bool_]) -> str:
    """Return booleans, shape (n,), as hexadecimal digits: the first row is the highest bit, the last byte is filled up with 0."""
    return np.packbits(is_right).tobytes().hex()


def unpack(text: str, n: int) -> NDArray[np.bool_]:
    """Return the n booleans that `pack` was given.

    Raises:
        ValueError: the text is no hexadecimal number, or holds fewer than n bits.
    """
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8)).astype(bool)
    if len(bits) < n:
        raise ValueError(f"{len(bits)} bits for {n} rows")
    return bits[:n]


def fingerprint(texts: Sequence[str], labels: NDArray[np.int32]) -> str:
    """Return a sha256 of the texts and their classes, in their order: equal for equal test splits only."""
    digest = hashlib.sha256()
    for text in texts:
        raw = text.encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    digest.update(np.ascontiguousarray(labels, dtype="<i4").tobytes())
    return digest.hexdigest()
