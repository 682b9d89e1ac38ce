"""Where labelled pictures come from: folders, tables with paths or bytes, .npz arrays, MNIST-style idx files."""

import gzip
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edgedistill.artifact import sha256_of_file
from edgedistill.errors import DataError
from edgedistill.prepare.columns import Columns, check_columns
from edgedistill.prepare.read import detect_format, read_labelled_texts

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
SPLIT_FOLDERS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"), "validation": ("validation", "val", "valid", "dev"), "test": ("test", "testing"),
}
_IDX = re.compile(r"idx[13]-ubyte(\.gz)?$|\.idx[13]?(\.gz)?$")
_ARRAY_NAMES = {"image": ("image", "images", "x", "X", "data", "pixels"), "label": ("label", "labels", "y", "target")}
_KNOWN = ("a folder with a folder of pictures for each class, .csv .tsv .jsonl with a column of paths, .parquet with paths or "
          "bytes, .npz, or MNIST's idx files (-images-idx3-ubyte, also .gz)")
_BATCH_ROWS = 1_000


@dataclass(frozen=True)
class Picture:
    """A labelled picture that is not decoded yet.

    Attributes:
        name: its file, or its row; for the reader.
        label: name of its class; None where nobody says.
        source: a file, its bytes, or pixels.
    """

    name: str
    label: str | None
    source: Path | bytes | NDArray[np.uint8]


@dataclass(frozen=True)
class Source:
    """Labelled pictures in a fixed order, read as often as asked.

    Attributes:
        place: named in messages.
        read: gives the pictures one by one.
        ignored: files that are no pictures, by name.
        files: files that belong to it besides the one that is named: the labels of idx files, the pictures of a table.
        count: how many pictures it has; None where only reading them tells.
    """

    place: str
    read: Callable[[], Iterator[Picture]]
    ignored: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    count: int | None = None


def open_source(path: Path, columns: Columns, *, split: str = "train") -> Source:
    """Open a source of labelled pictures.

    Args:
        path: see the module; a folder may hold the split as a subfolder (train, validation, test).
        columns: where a table has the pictures and the labels, and the names of .npz arrays.
        split: which split.

    Raises:
        DataError: there is no such file, its kind is not known, or it holds no pictures.
    """
    name = path.name.lower()
    if path.is_dir() and not any((path / f).is_file() for f in ("dataset_info.json", "dataset_dict.json")):
        return _folder(split_folder(path, split) or path)
    if _IDX.search(name):
        return _idx(path)
    if name.endswith(".npz"):
        return _npz(path, columns)
    if path.exists() and path.is_file() and Path(name.removesuffix(".gz")).suffix in SUFFIXES:
        raise DataError(f"{path}: is one picture", hint=f"name {_KNOWN}")
    form = detect_format(path)
    if form in ("parquet", "datasets"):
        return Source(str(path), lambda: _binary_rows(path, columns, split), count=_rows_of_parquet(path))
    return _paths(path, columns, split)


def fingerprint(sources: Iterable[Source]) -> str | None:
    """Return a hash of the files that belong to sources besides the named ones; None where there are none."""
    files = sorted({file for source in sources for file in source.files})
    digest = sha256()
    for file in files:
        digest.update(f"{file}\0{sha256_of_file(file)}\n".encode())
    return digest.hexdigest() if files else None


def split_folder(folder: Path, split: str) -> Path | None:
    """Return the subfolder of a split, None where the folder is not divided into splits (it then has no train)."""
    found = {name: next((folder / n for n in names if (folder / n).is_dir()), None) for name, names in SPLIT_FOLDERS.items()}
    train = found["train"]
    if train is None or not any(item.is_dir() for item in train.iterdir()):
        return None
    return found[split]


def _folder(folder: Path) -> Source:
    """Read a folder for each class; deeper folders belong to the class above."""
    classes = sorted(item for item in folder.iterdir() if item.is_dir() and not item.name.startswith("."))
    if not classes:
        raise DataError(f"{folder}: has no folders, one for each class is expected", hint=f"name {_KNOWN}")
    files: list[tuple[Path, str]] = []
    ignored: list[str] = []
    for place in classes:
        for file in sorted(item for item in place.rglob("*") if item.is_file() and not item.name.startswith(".")):
            if file.suffix.lower() in SUFFIXES:
                files.append((file, place.name))
            else:
                ignored.append(file.relative_to(folder).as_posix())
    if not files:
        raise DataError(f"{folder}: its folders hold no pictures ({', '.join(sorted(SUFFIXES))})", hint=f"name {_KNOWN}")

    def read() -> Iterator[Picture]:
        return (Picture(file.relative_to(folder).as_posix(), label, file) for file, label in files)

    return Source(str(folder), read, tuple(ignored), count=len(files))


def _paths(path: Path, columns: Columns, split: str) -> Source:
    rows = read_labelled_texts(path, columns, split=split)
    names, labels = rows.texts.to_pylist(), rows.labels.to_pylist()
    files = tuple(path.parent / Path(name).expanduser() for name in names)

    def read() -> Iterator[Picture]:
        return (Picture(name, label, file) for name, label, file in zip(names, labels, files, strict=True))

    return Source(str(path), read, files=tuple(file for file in files if file.is_file()), count=len(files))


def _binary_rows(path: Path, columns: Columns, split: str) -> Iterator[Picture]:
    """Yield the rows of a Parquet file or a saved data set: bytes, a struct of bytes and path, or a path."""
    number = 0
    for table in _tables(path, columns, split):
        names = _class_names(table.schema, columns.label)
        for cell, label in zip(table.column(columns.text).to_pylist(), table.column(columns.label).to_pylist(), strict=True):
            number += 1
            yield Picture(f"row {number}", _label(label, names, f"{path}: row {number}"),
                          _cell(cell, path, f"{path}: row {number}"))


def _rows_of_parquet(path: Path) -> int | None:
    """Return what the file says of itself; None for a saved data set, and where reading the file will say what is wrong."""
    try:
        return int(pq.read_metadata(path).num_rows) if path.is_file() else None
    except (pa.ArrowInvalid, OSError):
        return None


def _tables(path: Path, columns: Columns, split: str) -> Iterator[pa.Table]:
    wanted = [columns.text, columns.label]
    if path.is_dir():
        import datasets

        data = datasets.load_from_disk(str(path))
        if isinstance(data, datasets.DatasetDict):
            if split not in data:
                raise DataError(f"{path}: has no split {split!r}; it holds: {', '.join(data)}", hint="name another folder")
            data = data[split]
        check_columns(data.column_names, columns, place=str(path))
        for batch in data.select_columns(wanted).with_format("arrow").iter(batch_size=_BATCH_ROWS):
            yield batch.replace_schema_metadata(data.features.arrow_schema.metadata)
        return
    try:
        file = pq.ParquetFile(path)
        check_columns(file.schema_arrow.names, columns, place=str(path))
        for part in file.iter_batches(_BATCH_ROWS, columns=wanted):
            yield pa.Table.from_batches([part]).replace_schema_metadata(file.schema_arrow.metadata)
    except (pa.ArrowInvalid, OSError) as bad:
        raise DataError(f"{path}: cannot be read as Parquet ({str(bad).splitlines()[0]})", hint="write the file again") from None


def _class_names(schema: pa.Schema, label: str) -> Sequence[str] | None:
    """Return the names that stand for class numbers, where `datasets` or the file's metadata gives them."""
    metadata = schema.metadata or {}
    if b"huggingface" in metadata:
        feature = json.loads(metadata[b"huggingface"]).get("info", {}).get("features", {}).get(label, {})
        return feature.get("names") if isinstance(feature, dict) else None
    names = json.loads(metadata[b"label_names"]) if b"label_names" in metadata else None
    return names if isinstance(names, list) else None


def _label(value: Any, names: Sequence[str] | None, place: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and names is not None and 0 <= value < len(names):
        return str(names[value])
    text = "" if value is None else str(value).strip()
    if not text:
        raise DataError(f"{place}: has no label", hint="remove the row, or give it a label")
    return text


def _cell(value: Any, path: Path, place: str) -> Path | bytes:
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value
    if isinstance(value, str) and value:
        return path.parent / value
    raise DataError(f"{place}: holds neither the bytes of a picture nor its path",
                    hint="name the column with the pictures: pictures.column")


def _npz(path: Path, columns: Columns) -> Source:
    try:
        with np.load(path, allow_pickle=False) as stored:
            images = stored[_array_name(stored.files, "image", columns.text, path)]
            labels = stored[_array_name(stored.files, "label", columns.label, path)]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", hint=f"ls {path.parent}") from None
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error) as bad:
        raise DataError(f"{path}: cannot be read as .npz ({bad})", hint="write it again with numpy.savez") from None
    return _arrays(path, as_bytes(images, str(path)), labels)


def _array_name(names: Sequence[str], role: str, wanted: str, path: Path) -> str:
    found = next((name for name in (wanted, *_ARRAY_NAMES[role]) if name in names), None)
    if found is None:
        raise DataError(f"{path}: has no array {wanted!r}; it holds: {', '.join(names)}",
                        hint="call the arrays image and label, or set pictures.column and data.label_column")
    return found


def as_bytes(images: NDArray[Any], place: str) -> NDArray[np.uint8]:
    """Return pictures as uint8: 0..255 as it is, 16 bits scaled, floats from 0..1.

    Raises:
        DataError: they are not of shape (n, height, width) or (n, height, width, 1 or 3), or of other values.
    """
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise DataError(f"{place}: pictures of shape {images.shape}",
                        hint="(n, height, width) or (n, height, width, 1 or 3) is expected")
    if images.dtype == np.uint8:
        return np.asarray(images, np.uint8)
    low, high = (float(images.min(initial=0)), float(images.max(initial=0)))
    if images.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.asarray(np.rint(images * 255), np.uint8)
    if images.dtype.kind in "iu" and low >= 0 and high <= 65535:
        return np.asarray(np.rint(images / 257) if high > 255 else images, np.uint8)
    raise DataError(f"{place}: pixels from {low:g} to {high:g} as {images.dtype}", hint="store them as uint8, 0 to 255")


def _arrays(path: Path, images: NDArray[np.uint8], labels: NDArray[Any]) -> Source:
    if len(images) != len(labels) or labels.ndim != 1:
        raise DataError(f"{path}: {len(images)} pictures and labels of shape {labels.shape}",
                        hint="give one label for each picture")
    if not len(images):
        raise DataError(f"{path}: holds no pictures", hint="name a file that holds labelled pictures")

    def read() -> Iterator[Picture]:
        for row, (image, label) in enumerate(zip(images, labels.tolist(), strict=True), start=1):
            yield Picture(f"row {row}", str(label), image)

    return Source(str(path), read, count=len(images))


def _idx(path: Path) -> Source:
    """Read an idx file of pictures and the labels beside it (`images-idx3` becomes `labels-idx1`). LeCun's MNIST page."""
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    if beside == path or not beside.is_file():
        raise DataError(f"{path}: no labels beside it" + (f" ({beside.name})" if beside != path else ""),
                        hint="name the file of pictures, train-images-idx3-ubyte.gz; its labels are ...-labels-idx1-ubyte.gz")
    return replace(_arrays(path, as_bytes(read_idx(path), str(path)), read_idx(beside)), files=(beside,))


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
        raise DataError(f"{path}: no such file", hint=f"ls {path.parent}") from None
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as bad:
        raise DataError(f"{path}: cannot be read as idx ({bad})", hint="get the file again") from None
