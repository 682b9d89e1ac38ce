"""Pictures that are arrays already: .npz files and MNIST-style idx files."""

import dataclasses
import gzip
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from edgedistill.errors import DataError
from edgedistill.prepare.columns import Columns
from edgedistill.tasks.image_classification.decode import deep_notes
from edgedistill.tasks.image_classification.tables import SPLIT_NAMES
from edgedistill.typed_paths import look_there, not_there

_NAMES = {"image": ("image", "images", "x", "X", "data", "pixels"), "label": ("label", "labels", "y", "target")}
_HINT = ("call the arrays image and label, or those of each split train_images, train_labels, val_images, test_images, ... or "
         "x_train, y_train, x_test, ...")
_MOST_OF_A_BYTE = 255
_UNREADABLE = (OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What numpy and zipfile raise for files that are empty, cut off, encrypted, damaged or of another kind."""


@dataclass(frozen=True)
class Arrays:
    """Pictures of one size, and their labels.

    Attributes:
        images: shape (n, height, width) or (n, height, width, 1 or 3), uint8.
        labels: n values; None where they were not asked for.
        files: files that belong to them besides the one that is named.
        notes: of each picture what was done to it, as `decode.Opened` has it; empty where nothing was done to any.
    """

    images: NDArray[np.uint8]
    labels: list[Any] | None
    files: tuple[Path, ...] = ()
    notes: Sequence[tuple[str, ...]] = ()


def read_npz(path: Path, columns: Columns, *, split: str, is_labelled: bool) -> Arrays:
    """Read the arrays of an .npz file, under the names of the columns or usual ones, else those of a split.

    Names of a split are MedMNIST's (train_images, train_labels, val_images, ...) and Keras' (x_train, y_train, x_test, ...).

    Args:
        path: the file.
        columns: what the arrays are called.
        split: train, validation or test; counts where the file holds arrays of several splits.
        is_labelled: are the labels read?

    Raises:
        DataError: it is missing, cannot be read or lacks an array; pictures and labels do not fit.
    """
    try:
        stored = np.load(path, allow_pickle=False)
        if not isinstance(stored, NpzFile):
            raise DataError(f"{path}: holds one array without a name, as .npy files do",
                            hint="write it again with numpy.savez(FILE, image=..., label=...)")
        with stored:
            part = split if _is_divided(stored.files, columns) else None
            images = stored[_array_name(stored.files, "image", columns, part, path)]
            labels = stored[_array_name(stored.files, "label", columns, part, path)] if is_labelled else None
    except FileNotFoundError:
        raise DataError(not_there(path), hint=look_there(path)) from None
    except _UNREADABLE as bad:
        raise DataError(f"{path}: cannot be read as .npz ({bad})", hint="write it again with numpy.savez") from None
    return dataclasses.replace(_fitting(path, as_bytes(images, str(path)), labels), notes=notes_of(images))


def holds_arrays(path: Path, split: str, columns: Columns) -> bool:
    """Does an .npz file hold arrays of this split? A file that cannot be read holds none: reading train says what is wrong."""
    try:
        stored = np.load(path, allow_pickle=False)
        if not isinstance(stored, NpzFile):
            return False
        with stored:
            return _is_divided(stored.files, columns) and _of_split(stored.files, "image", split) is not None
    except _UNREADABLE:
        return False


def _is_divided(names: Sequence[str], columns: Columns) -> bool:
    """Are there pictures of splits, and none under the name of the column or a usual one?"""
    return not {columns.text, *_NAMES["image"]} & set(names) and any(_of_split(names, "image", split) for split in SPLIT_NAMES)


def _of_split(names: Sequence[str], role: str, split: str) -> str | None:
    """Return the array of a split such as train_images or X_train; None where there is none."""
    by_lower = {name.lower(): name for name in names}
    usual = (name for word in SPLIT_NAMES[split] for kind in _NAMES[role] for name in (f"{word}_{kind}", f"{kind}_{word}"))
    return next((by_lower[name] for name in usual if name in by_lower), None)


def _array_name(names: Sequence[str], role: str, columns: Columns, split: str | None, path: Path) -> str:
    """Return the name of an array; split is None where the file holds one set of arrays."""
    wanted = columns.text if role == "image" else columns.label
    found = (next((name for name in (wanted, *_NAMES[role]) if name in names), None) if split is None
             else _of_split(names, role, split))
    if found is None:
        lacks = f"no array {wanted!r}" if split is None else f"no {role}s of the split {split}"
        raise DataError(f"{path}: has {lacks}; it holds: {', '.join(names)}",
                        hint=columns.words.remedy or f"{_HINT}; or set pictures.column and data.label_column")
    return found


def as_bytes(images: NDArray[Any], place: str) -> NDArray[np.uint8]:
    """Return pictures as uint8: 0..255 as it is, 16 bits scaled, floats from 0..1, and black and white as 0 and 255.

    Whole numbers of which none is larger than 1 are black and white.

    Raises:
        DataError: they are not of shape (n, height, width) or (n, height, width, 1 or 3), or of other values.
    """
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)) or 0 in images.shape[1:]:
        raise DataError(f"{place}: pictures of shape {images.shape}",
                        hint="(n, height, width) or (n, height, width, 1 or 3) is expected")
    if images.dtype == np.bool_:
        return np.asarray(images, np.uint8) * np.uint8(255)
    if images.dtype.kind not in "iuf":
        raise DataError(f"{place}: pixels of type {images.dtype}", hint="store them as uint8, 0 to 255")
    low, high = (float(images.min(initial=0)), float(images.max(initial=0)))
    if images.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.asarray(np.rint(images * 255), np.uint8)
    if images.dtype.kind in "iu" and low >= 0 and high <= 65535:
        if high == 1:
            return np.asarray(images, np.uint8) * np.uint8(255)
        return np.asarray(np.rint(images / 257) if high > _MOST_OF_A_BYTE else images, np.uint8)
    raise DataError(f"{place}: pixels from {low:g} to {high:g} as {images.dtype}", hint="store them as uint8, 0 to 255")


def notes_of(images: NDArray[Any]) -> tuple[tuple[str, ...], ...]:
    """Return of each picture that it has 16 bits, and whether it is dark; empty where `as_bytes` divides none by 257.

    Args:
        images: what `as_bytes` took.
    """
    if images.dtype.kind not in "iu" or images.max(initial=0) <= _MOST_OF_A_BYTE:
        return ()
    return tuple(deep_notes(float(picture.max())) for picture in images)


def _fitting(path: Path, images: NDArray[np.uint8], labels: NDArray[Any] | None, files: tuple[Path, ...] = ()) -> Arrays:
    if labels is not None and labels.ndim == 2 and labels.shape[1] == 1:  # MedMNIST's
        labels = labels[:, 0]
    if labels is not None and (len(images) != len(labels) or labels.ndim != 1):
        raise DataError(f"{path}: {len(images)} pictures and labels of shape {labels.shape}",
                        hint="give one label for each picture")
    if not len(images):
        raise DataError(f"{path}: holds no pictures", hint="name a file that holds pictures")
    return Arrays(images, None if labels is None else labels.tolist(), files)


def read_idx_pictures(path: Path, *, is_labelled: bool) -> Arrays:
    """Read an idx file of pictures and the labels beside it (`images-idx3` becomes `labels-idx1`). LeCun's MNIST page.

    Raises:
        DataError: one of them is missing or damaged; they do not fit.
    """
    if not is_labelled:
        return _fitting(path, as_bytes(read_idx(path), str(path)), None)
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    if beside == path or not beside.is_file():
        raise DataError(f"{path}: no labels beside it" + (f" ({beside.name})" if beside != path else ""),
                        hint="name the file of pictures, train-images-idx3-ubyte.gz; its labels are ...-labels-idx1-ubyte.gz")
    return _fitting(path, as_bytes(read_idx(path), str(path)), read_idx(beside), (beside,))


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes, also .gz.

    Raises:
        DataError: it is missing, damaged or of another type.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
        zero, kind, dimensions = struct.unpack(">HBB", content[:4])
        shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
        if zero or kind != 8:
            raise ValueError("it is not of unsigned bytes")
        return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except FileNotFoundError:
        raise DataError(not_there(path), hint=look_there(path)) from None
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as bad:
        raise DataError(f"{path}: cannot be read as idx ({bad})", hint="get the file again") from None
