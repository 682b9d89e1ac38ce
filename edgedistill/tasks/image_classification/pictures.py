"""Pictures on disk: one sealed Arrow file a split, uint8 pixels of one size, mapped into memory."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from edgedistill.errors import ArtifactError
from edgedistill.examples import Examples
from edgedistill.plan import PictureSize
from edgedistill.sealed import seal

_HINT = "edgedistill prepare --recipe RECIPE -o DIR"
_PIECE_BYTES = 2**30
"""Pixels in a piece of the file at most: Arrow's format takes no array of 2^31 numbers, and pieces are mapped one by one."""


@dataclass(frozen=True)
class Rows:
    """What a split holds besides the pixels, n of each.

    Attributes:
        ids: unique in a run.
        names: what the reader knows a picture by: its file, or its row.
        labels: class numbers, `NO_LABEL` for none.
    """

    ids: Sequence[str]
    names: Sequence[str]
    labels: Sequence[int]


@dataclass(frozen=True)
class Pixels:
    """The pixels of examples, mapped: what is not asked for is not read.

    Attributes:
        parts: arrays of shape (rows, side, side, channels), uint8, one a chunk of the file.
        size: of every picture.
    """

    parts: tuple[NDArray[np.uint8], ...]
    size: PictureSize

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return some pictures, shape (len(indices), side, side, channels)."""
        chosen = np.asarray(indices, dtype=np.int64)
        if len(self.parts) == 1:
            return np.asarray(self.parts[0][chosen])
        ends = np.cumsum([len(part) for part in self.parts])
        found = np.empty((len(chosen), self.size.side, self.size.side, self.size.channels), np.uint8)
        place = np.searchsorted(ends, chosen, side="right")
        for number, part in enumerate(self.parts):
            is_here = place == number
            found[is_here] = part[chosen[is_here] - (ends[number] - len(part))]
        return found


def write_pictures(path: Path, rows: Rows, batches: Iterable[NDArray[np.uint8]], *, size: PictureSize) -> None:
    """Write pictures as a sealed Arrow file; the same ones give the same bytes. Of the memory only names grow with them.

    Args:
        path: the file to make.
        rows: ids, names and labels of n pictures.
        batches: their pixels in order, each array of shape (rows, side, side, channels), n rows in all.
        size: of every picture.

    Raises:
        ValueError: there are not as many pictures as names.
    """
    length = size.side * size.side * size.channels
    raw = path.with_name(path.name + ".raw")
    with raw.open("wb") as stream:
        for batch in batches:
            stream.write(np.ascontiguousarray(batch, np.uint8).data)
    if raw.stat().st_size != len(rows.ids) * length:
        raise ValueError(f"{raw.stat().st_size} bytes of pixels for {len(rows.ids)} pictures of {length}")
    metadata = {b"height": b"%d" % size.side, b"width": b"%d" % size.side, b"channels": b"%d" % size.channels}
    kind = pa.list_(pa.uint8(), length)
    schema = pa.schema(
        [("id", pa.string()), ("name", pa.string()), ("image", kind), ("label", pa.int32())], metadata=metadata
    )
    with pa.memory_map(str(raw)) if len(rows.ids) else pa.BufferReader(b"") as source:
        pixels, most = source.read_buffer(), max(1, _PIECE_BYTES // length)
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for start in range(0, max(1, len(rows.ids)), most):
                piece = slice(start, start + most)
                count = len(rows.ids[piece])
                flat = pa.Array.from_buffers(pa.uint8(), count * length, [None, pixels.slice(start * length, count * length)])
                columns = [pa.array(rows.ids[piece], pa.string()), pa.array(rows.names[piece], pa.string()),
                           pa.FixedSizeListArray.from_arrays(flat, length), pa.array(rows.labels[piece], pa.int32())]
                writer.write_batch(pa.record_batch(columns, schema=schema))
    raw.unlink()
    seal(path)


def pixels_of(examples: Examples) -> Pixels:
    """Return the pixels of examples without reading them.

    Raises:
        ArtifactError: they are no pictures, or no squares.
    """
    metadata = examples.table.schema.metadata or {}
    try:
        height, width, channels = (int(metadata[name]) for name in (b"height", b"width", b"channels"))
        column = examples.table.column("image")
    except KeyError as missing:
        raise ArtifactError(f"these examples are no pictures: {missing} is missing", hint=_HINT) from None
    if height != width:
        raise ArtifactError(f"pictures of {height} x {width} pixels: squares are expected", hint=_HINT)
    shape = (-1, height, width, channels)
    parts = [chunk.flatten().to_numpy(zero_copy_only=True).reshape(shape) for chunk in column.chunks if len(chunk)]
    empty: NDArray[np.uint8] = np.zeros((0, height, width, channels), np.uint8)
    return Pixels(tuple(parts) or (empty,), PictureSize(height, channels))
