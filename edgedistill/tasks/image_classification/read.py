"""Decode all pictures of a source once, to a file of raw pixels; of the memory only names, labels and hashes grow."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import DataError
from edgedistill.plan import PictureSize
from edgedistill.progress import counted
from edgedistill.tasks.image_classification.decode import BrokenPictureError, measure, open_picture, to_square
from edgedistill.tasks.image_classification.preprocessing import BILINEAR
from edgedistill.tasks.image_classification.sources import Picture, Source

SIDES = (32, 64, 96)
"""What a side is where the recipe does not say: the smallest that holds the median picture, the last at most."""

_SAMPLE = 200
_FEW = 20
_MOST_BROKEN = 0.2
_BATCH = 512


@dataclass(frozen=True)
class Decoded:
    """A source's pictures, decoded.

    Attributes:
        source: where they come from.
        pixels: shape (n, side, side, channels), uint8, a mapped file.
        names: what the reader knows them by, n of them.
        labels: names of their classes.
        hashes: of the pixels, shape (n,), int64: equal pictures have equal ones.
        numbers: their places in the source, shape (n,): broken ones count, so that ids do not depend on them.
        treated: how many were animated, rotated and so on.
        broken: those that could not be decoded, and why.
    """

    source: Source
    pixels: NDArray[np.uint8]
    names: list[str]
    labels: list[str]
    hashes: NDArray[np.int64]
    numbers: NDArray[np.int64]
    treated: Counter[str] = field(default_factory=Counter)
    broken: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def place(self) -> str:
        """The source, for messages."""
        return self.source.place


def choose_size(source: Source, *, side: int | None, channels: int | None) -> PictureSize:
    """Return the size at which pictures are stored: as asked, else by 200 of them, evenly taken.

    Grey where all of these are; as large as holds the median of their shorter sides, of 32, 64 and 96. Only the headers of
    the files are read, and of each picture two figures are kept.

    Raises:
        DataError: none of them can be opened.
    """
    if side is not None and channels is not None:
        return PictureSize(side, channels)
    seen = _measured(source, _SAMPLE)
    median = float(np.median([shorter for shorter, _ in seen]))
    fitting = next((s for s in SIDES if s >= median), SIDES[-1])
    return PictureSize(side or fitting, channels or (1 if all(is_grey for _, is_grey in seen) else 3))


def require_openable(source: Source) -> None:
    """Look whether the first picture can be opened, or one of some others, evenly taken; only headers are read.

    Raises:
        DataError: none of them can.
    """
    _measured(source, _FEW, enough=1)


def _measured(source: Source, most: int, *, enough: int | None = None) -> list[tuple[int, bool]]:
    """Return the shorter side of some pictures, and whether they have no colours; `enough` are enough."""
    seen: list[tuple[int, bool]] = []
    broken: list[str] = []
    for picture in source.sample(most):
        try:
            seen.append(measure(picture.source))
        except BrokenPictureError as bad:
            broken.append(f"{picture.name}: {bad}")
        if len(seen) == enough:
            break
    if not seen:
        _refuse_many(broken, 0, source)
    return seen


def decode(
    source: Source, size: PictureSize, raw: Path, *, is_labelled: bool = True, resample: int = BILINEAR
) -> Decoded:
    """Decode a source into a file of raw pixels.

    Args:
        source: the pictures.
        size: at which they are stored.
        raw: the file to make.
        is_labelled: must every picture have a label?
        resample: Pillow's number of the filter that resizes them.

    Raises:
        DataError: more than a fifth cannot be decoded, none can, or one has no label.
    """
    names: list[str] = []
    labels: list[str] = []
    hashes: list[int] = []
    numbers: list[int] = []
    treated: Counter[str] = Counter()
    broken: list[str] = []
    with raw.open("wb") as stream:
        shown = counted(source.read(), what="decoding", total=source.count, unit="pictures")
        for number, picture in enumerate(shown):
            try:
                opened = open_picture(picture.source)
            except BrokenPictureError as bad:
                broken.append(f"{picture.name}: {bad}")
                continue
            pixels = to_square(opened, size, resample)
            stream.write(pixels.data)
            names.append(picture.name)
            labels.append(_label(picture, source) if is_labelled else "")
            hashes.append(int.from_bytes(blake2b(pixels.tobytes(), digest_size=8).digest(), "big", signed=True))
            numbers.append(number)
            treated.update((*picture.notes, *opened.notes))
    _refuse_many(broken, len(names), source)
    stored = np.memmap(raw, np.uint8, "r", shape=(len(names), size.side, size.side, size.channels))
    return Decoded(source, stored, names, labels, np.asarray(hashes, np.int64), np.asarray(numbers, np.int64), treated,
                   tuple(broken))


def _label(picture: Picture, source: Source) -> str:
    if picture.label is None:
        raise DataError(f"{source.place}: {picture.name} has no label", hint="remove it, or give it a label")
    return picture.label


def _refuse_many(broken: list[str], good: int, source: Source) -> None:
    if good and len(broken) <= _MOST_BROKEN * (good + len(broken)):
        return
    if not broken:
        raise DataError(f"{source.place}: holds no pictures", hint="name a folder with a folder of pictures for each class")
    looked = good + len(broken)
    which = "pictures" if source.count in (None, looked) else f"pictures, evenly taken of {source.count:,},"
    share = f"{len(broken)} of {looked} {which} cannot be decoded" if good else f"none of {looked} {which} can be opened"
    hint = "check the files"
    if source.paths_from is not None and any("No such file" in item for item in broken):
        hint = f"correct the paths: they start from the folder of the table, {source.paths_from.absolute()}"
    raise DataError(f"{source.place}: {share}, the first: {broken[0]}", hint=hint)


def batches_of(pixels: NDArray[np.uint8], rows: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """Yield some rows of mapped pixels, a few hundred at a time."""
    for start in range(0, len(rows), _BATCH):
        yield np.asarray(pixels[rows[start : start + _BATCH]])
