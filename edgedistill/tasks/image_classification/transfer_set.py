"""The transfer set of pictures on disk: which changed copies of which pictures, not the copies themselves.

A file of numbers, classes and ids, and in its metadata from what the copies follow. Teacher and student make them from that.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from edgedistill.document import parse
from edgedistill.errors import ArtifactError
from edgedistill.examples import NO_LABEL, Examples, write_table
from edgedistill.picture_settings import PictureChanges
from edgedistill.sealed import open_sealed
from edgedistill.tasks.image_classification.changes import Changer
from edgedistill.tasks.image_classification.pictures import Pixels, pixels_of

_HINT = "make it anew: edgedistill teach --recipe RECIPE --data DATA -o DIR, or edgedistill run"
_STREAM = 2
"""Of the draws, so that the copies are others than those that a teacher was trained on with the same seed."""
_COLUMNS = pa.schema([("id", pa.string()), ("number", pa.int64()), ("label", pa.int32())])
_PICTURES = b"pictures"
"""In the metadata: how many pictures the copies are of, so that other ones are noticed."""


@dataclass(frozen=True)
class TransferSet:
    """The user's pictures without labels, and changed copies of these and of train.

    Attributes:
        ids: n ids, unique in a run.
        numbers: shape (n,), as `ChangedPictures` takes them: pictures of train come first, then those without labels, then
            the copies of both.
        labels: class numbers, shape (n,): a copy that shows one picture of train has its class, the rest `NO_LABEL`.
        changer: makes the copies.
    """

    ids: list[str]
    numbers: NDArray[np.int64]
    labels: NDArray[np.int32]
    changer: Changer

    def __len__(self) -> int:
        return len(self.ids)


def draw_transfer_set(train: Examples, unlabelled: Examples, changes: PictureChanges, *, rows: int, seed: int) -> TransferSet:
    """Say which copies are made.

    Args:
        train: pictures with labels.
        unlabelled: the user's own without; all of them belong to the transfer set as they are, too.
        changes: what may become of them.
        rows: copies, in all.
        seed: of all draws.
    """
    changer = _changer(train, unlabelled, changes, seed)
    plain, labelled = len(changer.pixels), len(train)
    made = changer.first(rows)
    own = made % max(1, plain)
    is_of_train = (own < labelled) & ~changer.is_mixed(made)
    labels = np.full(rows, NO_LABEL, np.int32)
    labels[is_of_train] = train.labels[own[is_of_train]]
    return TransferSet(
        [f"transfer-{row:07d}" for row in range(len(unlabelled) + rows)],
        np.concatenate([np.arange(labelled, plain), plain + made]),
        np.concatenate([np.full(len(unlabelled), NO_LABEL, np.int32), labels]),
        changer,
    )


def write_transfer_set(path: Path, made: TransferSet) -> None:
    """Write it as a sealed Arrow file; the same one gives the same bytes."""
    changer = made.changer
    metadata = {b"changes": changer.kinds.to_json().encode(), b"seed": b"%d" % changer.seed,
                _PICTURES: b"%d" % len(changer.pixels)}
    columns = [pa.array(made.ids, pa.string()), pa.array(made.numbers), pa.array(made.labels)]
    write_table(path, pa.table(columns, schema=_COLUMNS.with_metadata(metadata)))


def read_transfer_set(path: Path, *, train: Examples, unlabelled: Examples) -> TransferSet:
    """Read what `write_transfer_set` wrote; `train` and `unlabelled` are the pictures that it was drawn from.

    Raises:
        ArtifactError: the file is missing, damaged or of another kind, or was drawn from another number of pictures.
    """
    table = open_sealed(path, hint=_HINT)
    metadata = table.schema.metadata or {}
    if not table.schema.equals(_COLUMNS) or not {b"changes", b"seed", _PICTURES} <= metadata.keys():
        raise ArtifactError(f"{path}: no transfer set of pictures", hint=_HINT)
    changes = parse(PictureChanges, metadata[b"changes"].decode(), path, error=ArtifactError)
    changer = _changer(train, unlabelled, changes, int(metadata[b"seed"]))
    if len(changer.pixels) != int(metadata[_PICTURES]):
        raise ArtifactError(f"{path}: drawn from {int(metadata[_PICTURES])} pictures, and there are {len(changer.pixels)}",
                            hint=_HINT)
    labels = np.asarray(table.column("label").to_numpy(), np.int32)
    return TransferSet(table.column("id").to_pylist(), np.asarray(table.column("number").to_numpy(), np.int64), labels, changer)


def _changer(train: Examples, unlabelled: Examples, changes: PictureChanges, seed: int) -> Changer:
    parts = [pixels_of(table) for table in (train, unlabelled)]
    every = Pixels(tuple(part for pixels in parts for part in pixels.parts if len(part)), parts[0].size)
    return Changer(every, changes, seed, is_mixing=True, stream=(_STREAM,))
