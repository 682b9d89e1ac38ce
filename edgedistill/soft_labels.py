"""Soft labels: the teacher's raw logits (T = 1) by example id, in a sealed, mapped Arrow file that knows its origin.

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
from edgedistill.sealed import open_sealed, seal

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
        logits: shape (n, classes), float32, raw: the softmax at T = 1 is the teacher's distribution; memory-mapped.
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
        return np.asarray(found.to_numpy(), dtype=np.int64)

    def logits_of(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Return the logits of some ids, shape (len(ids), classes); still mapped where the ids stand in the file's order.

        Raises:
            ArtifactError: an id has no soft label.
        """
        rows = self.rows_of(ids)
        if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
            return self.logits[rows[0] : rows[0] + len(rows)]
        return self.logits[rows]


def write_soft_labels(
    path: Path, batches: Iterable[tuple[Sequence[str], NDArray[np.float32]]], *, classes: int, origin: Origin
) -> None:
    """Write soft labels batch by batch; of the memory only the ids grow with their number.

    The logits go to a file beside `path` first, so that they end up as one piece, which can be mapped as one array.

    Args:
        path: the file to make.
        batches: ids and their logits, shape (len(ids), classes).
        classes: number of classes.
        origin: what the logits were made from.

    Raises:
        ValueError: the logits of a batch are not of shape (len(ids), classes).
    """
    kind = pa.list_(pa.float32(), classes)
    schema = pa.schema([("id", pa.string()), ("logits", kind)], metadata=origin.as_metadata())
    raw = path.with_name(path.name + ".raw")
    ids = _write_raw(raw, batches, classes=classes)
    with pa.memory_map(str(raw)) if len(ids) else pa.BufferReader(b"") as source:
        flat = pa.Array.from_buffers(pa.float32(), len(ids) * classes, [None, source.read_buffer()])
        batch = pa.record_batch([ids, pa.FixedSizeListArray.from_arrays(flat, classes)], schema=schema)
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            writer.write_batch(batch)
    raw.unlink()
    seal(path)


def _write_raw(
    raw: Path, batches: Iterable[tuple[Sequence[str], NDArray[np.float32]]], *, classes: int
) -> pa.StringArray:
    """Write the logits of all batches one after the other and return the ids."""
    ids: list[pa.StringArray] = []
    with raw.open("wb") as stream:
        for names, logits in batches:
            if logits.shape != (len(names), classes):
                raise ValueError(f"logits of shape {logits.shape} for {len(names)} ids and {classes} classes")
            stream.write(np.ascontiguousarray(logits, np.float32).data)
            ids.append(pa.array(names, pa.string()))
    return pa.concat_arrays(ids) if ids else pa.array([], pa.string())


def read_soft_labels(path: Path, *, expected: Origin | None = None, hint: str = _HINT) -> SoftLabels:
    """Map soft labels.

    Args:
        path: a file that `write_soft_labels` made.
        expected: when given, labels of any other origin are refused.
        hint: what makes them anew; default: a run does.

    Raises:
        ArtifactError: the file is missing, damaged, or stale.
    """
    table = open_sealed(path, hint=hint)
    metadata = table.schema.metadata or {}
    try:
        origin = Origin(**{k: metadata[k.encode()].decode() for k in Origin.__dataclass_fields__})
    except KeyError as missing:
        raise ArtifactError(f"{path}: does not say what it was made from ({missing})", hint=hint) from None
    if expected is not None and origin != expected:
        stale = [k for k in Origin.__dataclass_fields__ if getattr(origin, k) != getattr(expected, k)]
        raise ArtifactError(f"{path}: stale soft labels: another {', '.join(stale)}", hint=hint)
    column = table.column("logits")
    logits = column.chunk(0).flatten().to_numpy(zero_copy_only=True).reshape(-1, column.type.list_size)
    return SoftLabels(table.column("id"), logits, origin)
