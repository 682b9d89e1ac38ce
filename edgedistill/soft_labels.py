"""Soft labels: the teacher's raw logits (T = 1) by example id, in a memory-mapped Arrow file that knows its origin.

The temperature is chosen at training time. Rows are found by id, never by position, so another batch size, order or
subset cannot pair an example with somebody else's answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from edgedistill.errors import ArtifactError

_HINT = "run the same command again: the soft labels are made anew"


@dataclass(frozen=True)
class Origin:
    """What soft labels were made from. Any difference makes them stale."""

    teacher_sha256: str
    tokenizer_sha256: str
    data_sha256: str

    def as_metadata(self) -> dict[bytes, bytes]:
        """Return the metadata of the Arrow schema."""
        return {name.encode(): value.encode() for name, value in vars(self).items()}


@dataclass(frozen=True)
class SoftLabels:
    """Raw logits by example id.

    Attributes:
        ids: n example ids.
        logits: shape (n, classes), float32, raw: the softmax at T = 1 is the teacher's distribution.
        origin: what they were made from.
    """

    ids: pa.ChunkedArray
    logits: NDArray[np.float32]
    origin: Origin

    def rows_of(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the row of each id, shape (len(ids),).

        Raises:
            ArtifactError: an id has no soft label.
        """
        found = pc.index_in(pa.array(ids, pa.string()), value_set=self.ids.combine_chunks())
        if found.null_count:
            missing = ids[found.is_null().to_pylist().index(True)]
            raise ArtifactError(f"no soft label for example {missing!r} (and {found.null_count - 1} more)", hint=_HINT)
        return found.to_numpy().astype(np.int64)


def write_soft_labels(
    path: Path, batches: Iterable[tuple[Sequence[str], NDArray[np.float32]]], *, classes: int, origin: Origin
) -> None:
    """Write soft labels batch by batch; memory does not grow with their number.

    Args:
        path: the file to make.
        batches: ids and their logits, shape (len(ids), classes).
        classes: number of classes.
        origin: what the logits were made from.
    """
    kind = pa.list_(pa.float32(), classes)
    schema = pa.schema([("id", pa.string()), ("logits", kind)], metadata=origin.as_metadata())
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for ids, logits in batches:
            flat = pa.array(np.ascontiguousarray(logits, np.float32).ravel())
            column = pa.FixedSizeListArray.from_arrays(flat, classes)
            writer.write_batch(pa.record_batch([pa.array(ids, pa.string()), column], schema=schema))


def read_soft_labels(path: Path, *, expected: Origin | None = None) -> SoftLabels:
    """Map soft labels.

    Args:
        path: a file that `write_soft_labels` made.
        expected: when given, labels of any other origin are refused.

    Raises:
        ArtifactError: the file is missing, damaged, or stale.
    """
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        table = reader.read_all()
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no such file", hint=_HINT) from None
    except (pa.ArrowInvalid, OSError) as bad:
        raise ArtifactError(f"{path}: damaged soft labels ({bad})", hint=_HINT) from None
    metadata = table.schema.metadata or {}
    try:
        origin = Origin(**{k: metadata[k.encode()].decode() for k in Origin.__dataclass_fields__})
    except KeyError as missing:
        raise ArtifactError(f"{path}: does not say what it was made from ({missing})", hint=_HINT) from None
    if expected is not None and origin != expected:
        stale = [k for k in Origin.__dataclass_fields__ if getattr(origin, k) != getattr(expected, k)]
        raise ArtifactError(f"{path}: stale soft labels: another {', '.join(stale)}", hint=_HINT)
    classes = table.schema.field("logits").type.list_size
    parts = [chunk.flatten().to_numpy(zero_copy_only=True) for chunk in table.column("logits").chunks]
    logits = parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return SoftLabels(table.column("id"), logits.reshape(-1, classes), origin)
