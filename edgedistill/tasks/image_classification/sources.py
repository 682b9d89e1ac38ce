"""Where pictures come from: folders, tables with paths or bytes, .npz arrays, MNIST-style idx files, the hub."""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import files_below, hashed_name, readable_name, sha256_of_file
from edgedistill.data_settings import Data, HubData
from edgedistill.errors import DataError
from edgedistill.prepare import text_files
from edgedistill.prepare.columns import TEXTS, Columns
from edgedistill.prepare.data_report import SplitName
from edgedistill.prepare.read import detect_format, read_column_names, read_labelled_texts
from edgedistill.tasks.image_classification.arrays import Arrays, holds_arrays, read_idx_pictures, read_npz
from edgedistill.tasks.image_classification.decode import READS_AVIF
from edgedistill.tasks.image_classification.split_folders import (
    class_folders_inside,
    refuse_splits_as_classes,
    split_folder,
    subfolders,
)
from edgedistill.tasks.image_classification.tables import (
    PICTURES,
    PictureTable,
    cell_source,
    check_picture_columns,
    class_names,
    label_text,
    saved_split,
)
from edgedistill.typed_paths import quoted

_ALWAYS_READ = (".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
SUFFIXES = frozenset((*_ALWAYS_READ, ".avif") if READS_AVIF else _ALWAYS_READ)
"""Ends of the names of files that are read as pictures."""

UNREAD_SUFFIXES = frozenset(
    {".avif", ".heic", ".heif", ".hif", ".jxl", ".jp2", ".j2k", ".svg", ".psd", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf",
     ".rw2", ".raf", ".tga", ".ico", ".icns", ".jpe", ".pbm", ".pnm"}
) - SUFFIXES
"""Ends of the names of files that are pictures as well, and are not read."""

_IDX = re.compile(r"idx[13]-ubyte(\.gz)?$|\.idx[13]?(\.gz)?$")
_LINES = (".txt", ".txt.gz")
_KNOWN = ("a folder with a folder of pictures for each class, .csv .tsv .jsonl with a column of paths, .parquet with paths or "
          "bytes, .npz, or MNIST's idx files (-images-idx3-ubyte, also .gz)")


@dataclass(frozen=True)
class Picture:
    """A picture that is not decoded yet.

    Attributes:
        name: its file, or its row; for the reader.
        label: name of its class; None where nobody says.
        source: a file, its bytes, or pixels.
        notes: of pixels, what was done to them before.
    """

    name: str
    label: str | None
    source: Path | bytes | NDArray[np.uint8]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Pictures in a fixed order, read as often as asked.

    Attributes:
        place: named in messages.
        rows: gives the pictures of these numbers, ascending, one by one; of None all of them.
        labels: gives the names of the classes alone, in the same order, of a source that was opened with labels; no picture is
            read.
        ignored: files that are no pictures that are read, by name.
        beside: pictures that lie beside the folders of the classes, by name: nothing says what they show.
        empty: folders of classes without a picture.
        files: files that belong to it besides the one that is named: the labels of idx files, the pictures of a table.
        count: how many pictures it has; None where only reading them tells.
        paths_from: the folder that the paths in a table start from; None where it is no table.
        inside: a folder further in that holds several folders, where the source is a folder of one class.
    """

    place: str
    rows: Callable[[Sequence[int] | None], Iterator[Picture]]
    labels: Callable[[], Iterator[str | None]]
    ignored: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    count: int | None = None
    paths_from: Path | None = None
    inside: Path | None = None

    def read(self) -> Iterator[Picture]:
        """Yield all pictures in their order."""
        return self.rows(None)

    def sample(self, most: int) -> Iterator[Picture]:
        """Yield some pictures, evenly taken from all; the first ones where nobody knows how many there are."""
        if self.count is None:
            return itertools.islice(self.rows(None), most)
        return self.rows(np.unique(np.linspace(0, self.count - 1, min(most, self.count)).astype(np.int64)).tolist())


def open_source(path: Path, columns: Columns, *, split: str = "train", is_labelled: bool = True) -> Source:
    """Open a source of pictures.

    Args:
        path: see the module; a folder may hold the split inside (train, validation, test). Without labels a folder may
            hold the pictures themselves, at any depth, and a .txt has a path a line.
        columns: where a table has the pictures and the labels, and the names of .npz arrays; words of texts become those
            of pictures.
        split: which split.
        is_labelled: are there labels to be read?

    Raises:
        DataError: there is no such file, its kind is not known, it holds no pictures, or it may be divided in two ways.
    """
    name = path.name.lower()
    if columns.words == TEXTS:
        columns = dataclasses.replace(columns, words=PICTURES)
    if readable_name(str(path)) != str(path):
        raise DataError(f"{readable_name(str(path))}: the name is not UTF-8", hint="rename it, or the folder it lies in")
    if path.is_dir() and not any((path / f).is_file() for f in ("dataset_info.json", "dataset_dict.json")):
        folder = split_folder(path, split) or path
        if is_labelled and folder != path and not subfolders(folder):
            raise _no_classes_in_split(path, folder, split)
        return _folder(folder) if is_labelled else _plain_folder(folder)
    if _IDX.search(name):
        return _of_arrays(path, read_idx_pictures(path, is_labelled=is_labelled))
    if name.endswith(".npz"):
        return _of_arrays(path, read_npz(path, columns, split=split, is_labelled=is_labelled))
    if path.exists() and path.is_file() and Path(name.removesuffix(".gz")).suffix in SUFFIXES:
        raise DataError(f"{path}: is one picture", hint=f"name {_KNOWN}")
    if not is_labelled and name.endswith(_LINES) and path.is_file():
        return _of_paths(path, [line.strip() for line in text_files.plain_lines(path) if line.strip()], None)
    if detect_format(path) in ("parquet", "datasets"):
        return _of_table(PictureTable(path, columns, split, is_labelled))
    return _text_table(path, columns, is_labelled=is_labelled)


def open_hub_source(hub: HubData, split: str, columns: Columns) -> Source:
    """Open a split of a data set of the hub, as a folder that `datasets` saved is.

    Args:
        hub: which data set.
        split: the split's name on the hub.
        columns: where the pictures (an Image column, or bytes) and the labels are.

    Raises:
        DataError: there is no such data set or split, or the hub cannot be reached and its cache lacks it.
    """
    return _of_table(PictureTable(Path(), dataclasses.replace(columns, words=PICTURES), split, is_labelled=True, hub=hub))


def fingerprint(sources: Iterable[Source]) -> str | None:
    """Return a hash of the files that belong to sources besides the named ones; None where there are none."""
    files = sorted({file for source in sources for file in source.files})
    digest = sha256()
    for file in files:
        digest.update(hashed_name(str(file)) + f"\0{sha256_of_file(file)}\n".encode())
    return digest.hexdigest() if files else None


def holds_split(path: Path, split: str, columns: Columns) -> bool:
    """Does a folder or .npz file, given as train, hold another split of its own?

    Raises:
        DataError: a folder may be divided in two ways.
    """
    if path.name.lower().endswith(".npz"):
        return holds_arrays(path, split, columns)
    return path.is_dir() and (split_folder(path, split) is not None or saved_split(path, split) is not None)


def open_splits(given: Mapping[SplitName, Path | None], columns: Columns) -> dict[SplitName, Source]:
    """Open the labelled splits that are given, and those that a folder or .npz file given as train holds besides.

    Raises:
        DataError: as `open_source`.
    """
    train, places = given["train"], dict(given)
    for name, path in given.items():
        if path is None and train is not None and holds_split(train, name, columns):
            places[name] = train
    return {name: open_source(path, columns, split=name) for name, path in places.items() if path is not None}


def shares_to_make(data: Data, given: Mapping[SplitName, Path | None], columns: Columns) -> dict[SplitName, float]:
    """Return the shares of train of the splits that are made of it: neither given nor held by what is given as train."""
    shares: dict[SplitName, float] = {"test": data.test_share, "validation": data.validation_share}
    if data.hub is not None:
        return {name: share for name, share in shares.items() if getattr(data.hub, name) is None}
    train = given["train"]
    return {name: share for name, share in shares.items()
            if given[name] is None and (train is None or not holds_split(train, name, columns))}


def require_classes(source: Source) -> None:
    """Refuse a source whose pictures are all of one class; labels are read up to the second class, and no picture.

    Raises:
        DataError: names the class, and the folder that was probably meant.
    """
    labels = source.labels()
    first = next(labels, None)
    if first is None or any(label != first for label in labels):
        return
    hint = ("check data.label_column, or add pictures of another class" if source.inside is None
            else f"the folders of the classes are further in: --images {quoted(source.inside)} (data.train in the recipe)")
    raise DataError(f"{source.place}: all pictures are of the class {first!r}; two classes are needed", hint=hint)


def require_usable(source: Source, given: Mapping[SplitName, Path | None], columns: Columns) -> None:
    """Say before prepare what it would refuse: one class, and splits inside the folder of train that cannot be read.

    Args:
        source: the pictures of train.
        given: the files and folders that the recipe names.
        columns: as for `open_source`.

    Raises:
        DataError: says what is wrong.
    """
    require_classes(source)
    train = given["train"]
    if train is not None and train.is_dir():  # folders are listed; tables and arrays would be read once more
        open_splits(given, columns)


def _folder(folder: Path) -> Source:
    """Read a folder for each class; deeper folders belong to the class above."""
    classes = subfolders(folder)
    if not classes:
        raise DataError(f"{folder}: has no folders, one for each class is expected", hint=f"name {_KNOWN}")
    _refuse_unreadable(folder, classes)
    refuse_splits_as_classes(folder, classes, SUFFIXES)
    files: list[Path] = []
    labels: list[str] = []
    ignored: list[Path] = []
    for place in classes:
        pictures, others = _files_in(place)
        files += pictures
        labels += [place.name] * len(pictures)
        ignored += others
    if not files:
        raise _no_pictures(folder, ignored)
    beside = [item for item in sorted(folder.iterdir()) if item.is_file() and _is_like_a_picture(item)]
    return Source(
        str(folder), *_rows_of(_names(files, folder), labels, files), ignored=_names(ignored, folder),
        beside=_names(beside, folder), empty=tuple(sorted({place.name for place in classes} - set(labels))), count=len(files),
        inside=class_folders_inside(folder),
    )


def _no_classes_in_split(folder: Path, inside: Path, split: str) -> DataError:
    train = split_folder(folder, "train")
    return DataError(f"{inside}: has no folders, one for each class is expected in the {split} split of {folder}",
                     hint=f"data.train: {train} leaves that folder out (and data.unlabelled: {inside} takes its pictures without "
                     "labels); or sort them into folders of the classes")


def _refuse_unreadable(folder: Path, classes: Iterable[Path]) -> None:
    """Refuse a class whose name is not UTF-8: models and reports could not name it."""
    strange = [name for place in classes if (name := readable_name(place.name)) != place.name]
    if strange:
        raise DataError(f"{folder}: the folder {strange[0]} names a class, and its name is not UTF-8", hint="rename the folder")


def _plain_folder(folder: Path) -> Source:
    """Read all pictures of a folder, however deep, without labels."""
    files, ignored = _files_in(folder)
    if not files:
        raise _no_pictures(folder, ignored)
    return Source(str(folder), *_rows_of(_names(files, folder), None, files), ignored=_names(ignored, folder), count=len(files))


def _files_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the pictures in a folder and below, and the other files; hidden ones count as nothing."""
    found: tuple[list[Path], list[Path]] = ([], [])
    for item in sorted(files_below(folder)):
        if not any(part.startswith(".") for part in item.relative_to(folder).parts):
            found[item.suffix.lower() not in SUFFIXES].append(item)
    return found


def _is_like_a_picture(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES | UNREAD_SUFFIXES and not file.name.startswith(".")


def _names(files: Iterable[Path], folder: Path) -> tuple[str, ...]:
    """Return how readers know files: a byte of a name that is not UTF-8 is written as its number."""
    return tuple(readable_name(file.relative_to(folder).as_posix()) for file in files)


def _no_pictures(folder: Path, ignored: Iterable[Path]) -> DataError:
    unread = sorted({file.suffix.lower() for file in ignored} & UNREAD_SUFFIXES)
    return DataError(f"{folder}: holds no pictures ({', '.join(sorted(SUFFIXES))})"
                     + (f"; {', '.join(unread)} are not read" if unread else ""),
                     hint="convert them to JPEG" if unread else f"name {_KNOWN}")


def _rows_of(
    names: Sequence[str], labels: Sequence[Any] | None, sources: Sequence[Path] | NDArray[np.uint8],
    notes: Sequence[tuple[str, ...]] = (),
) -> tuple[Callable[[Sequence[int] | None], Iterator[Picture]], Callable[[], Iterator[str | None]]]:
    """Return `rows` and `labels` of a source that has all names at hand."""

    def label(number: int) -> str | None:
        return None if labels is None else label_text(labels[number], None, names[number])

    def rows(numbers: Sequence[int] | None) -> Iterator[Picture]:
        for number in range(len(names)) if numbers is None else numbers:
            yield Picture(names[number], label(number), sources[number], notes[number] if notes else ())

    return rows, lambda: map(label, range(len(names)))


def _of_arrays(path: Path, arrays: Arrays) -> Source:
    names = [f"row {number}" for number in range(1, len(arrays.images) + 1)]
    return Source(str(path), *_rows_of(names, arrays.labels, arrays.images, arrays.notes), files=arrays.files, count=len(names))


def _text_table(path: Path, columns: Columns, *, is_labelled: bool) -> Source:
    """Read a table of paths: CSV, TSV or JSONL."""
    check_picture_columns(read_column_names(path, words=columns.words), columns, place=str(path), is_labelled=is_labelled)
    if is_labelled:
        table = read_labelled_texts(path, columns)
        return _of_paths(path, table.texts.to_pylist(), table.labels.to_pylist())
    form = detect_format(path)
    if form not in ("csv", "tsv", "jsonl"):
        raise ValueError(f"{path}: {form} is no table of texts")
    names = [name.strip() for name in text_files.texts_of_column(path, form, columns.text, columns.words) if name.strip()]
    return _of_paths(path, names, None)


def _of_paths(path: Path, names: list[str], labels: list[str] | None) -> Source:
    if not names:
        raise DataError(f"{path}: names no pictures", hint="write the path of a picture a row, relative to the file")
    files = [_file_named(name, path.parent) for name in names]
    return Source(
        str(path), *_rows_of(names, labels, files), files=tuple(file for file in files if file.is_file()), count=len(files),
        paths_from=path.parent,
    )


def _file_named(name: str, folder: Path) -> Path:
    """Return the file that a row names; `~/` is the user's own folder, unless there is a file of that very name."""
    plain = folder / name
    return folder / Path(name).expanduser() if name.startswith("~/") and not plain.is_file() else plain


def _of_table(table: PictureTable) -> Source:
    """Read a Parquet file or a data set: bytes, a struct of bytes and path, or a path."""

    def rows(numbers: Sequence[int] | None) -> Iterator[Picture]:
        known = itertools.count() if numbers is None else iter(numbers)
        for part in table.parts(numbers):
            names = class_names(part.schema, table.columns.label)
            cells = part.column(table.columns.text).to_pylist()
            labels = part.column(table.columns.label).to_pylist() if table.is_labelled else None
            for place, cell in enumerate(cells):
                name = f"row {next(known) + 1}"
                where = f"{table.place}: {name}"
                source = cell_source(cell, table.folder, where)  # first: of columns that were mixed up its message says more
                yield Picture(name, None if labels is None else label_text(labels[place], names, where), source)

    def labels() -> Iterator[str | None]:
        known = itertools.count(1)
        for part in table.label_parts():
            names = class_names(part.schema, table.columns.label)
            for value in part.column(table.columns.label).to_pylist():
                yield label_text(value, names, f"{table.place}: row {next(known)}")

    return Source(table.place, rows, labels, files=tuple(table.files()), count=table.count(),
                  paths_from=None if table.hub else table.folder)
