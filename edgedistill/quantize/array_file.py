"""Arrays in an .npz, read and written row by row: none of them is ever held whole."""

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from edgedistill.errors import DataError

_SUFFIX = ".npy"
_COPIED_BYTES = 1 << 20
_STORED_DATE = (1980, 1, 1, 0, 0, 0)


class StoredArray:
    """An array of an .npz; a slice of its first axis is read when it is asked for.

    Slices that go forward are read in one pass over the file; one that goes back starts again at its begin. An array in
    Fortran's order, whose rows do not lie together, is held whole.
    """

    def __init__(self, file: Path, name: str) -> None:
        """Read the header of an array.

        Args:
            file: the .npz; its members are stored or deflated.
            name: of the array.

        Raises:
            ValueError: the member is no numpy array, or holds Python objects.
            OSError: the file cannot be read.
        """
        self._file, self._name = file, name
        self._archive = zipfile.ZipFile(file)
        self._stream, self._next = self._open()
        self._whole: NDArray[Any] | None = None
        if self._is_fortran and len(self.shape) > 1:
            with np.load(file, allow_pickle=False) as stored:
                self._whole = stored[name]

    def _open(self) -> tuple[IO[bytes], int]:
        """Open the member behind its header, and take shape and type from that; returns it with the row it stands at."""
        stream = self._archive.open(self._name + _SUFFIX)
        version = npy.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{self._name} is of format {version}")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        self.shape, self._is_fortran, self.dtype = read(stream)
        if self.dtype.hasobject:
            raise ValueError(f"{self._name} holds Python objects")
        return stream, 0

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    def __len__(self) -> int:
        """Return the length of the first axis."""
        return int(self.shape[0])

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Read rows `start` to `stop`, in steps of one.

        Raises:
            DataError: the file ends before them, or is damaged there.
        """
        start, stop, _ = rows.indices(len(self))
        if self._whole is not None:
            return np.asarray(self._whole[start:stop])
        if start < self._next:
            self._stream.close()
            self._stream, self._next = self._open()
        width = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        with _damage_named(self._file, self._name):
            _skip(self._stream, (start - self._next) * width)
            content = _read(self._stream, max(0, stop - start) * width)
        self._next = max(start, stop)
        return np.frombuffer(content, self.dtype).reshape(max(0, stop - start), *self.shape[1:])


@contextmanager
def _damage_named(file: Path, name: str) -> Iterator[None]:
    """Turn what zlib and zipfile say of bytes that they cannot read into an error that names the array."""
    try:
        yield
    except (EOFError, zlib.error, zipfile.BadZipFile) as bad:
        raise DataError(f"{file}: its array {name} is damaged ({bad})",
                        hint="write the file anew with np.savez, or copy it again") from bad


def _skip(stream: IO[bytes], count: int) -> None:
    while count > 0:
        found = len(stream.read(min(count, _COPIED_BYTES)))
        if not found:
            return  # what is read next finds the file too short
        count -= found


def _read(stream: IO[bytes], count: int) -> bytes:
    parts: list[bytes] = []
    while count > 0:
        found = stream.read(count)
        if not found:
            raise EOFError("it ends too early")
        parts.append(found)
        count -= len(found)
    return b"".join(parts)


def open_arrays(file: Path) -> dict[str, StoredArray]:
    """Open all arrays of an .npz by name.

    Raises:
        ValueError: a member is no numpy array, or the file is no archive.
        OSError: the file cannot be read.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
        return {name.removesuffix(_SUFFIX): StoredArray(file, name.removesuffix(_SUFFIX)) for name in names}
    except (zipfile.BadZipFile, KeyError, NotImplementedError, EOFError) as bad:
        raise ValueError(str(bad)) from bad


def split_arrays(arrays: dict[str, StoredArray], parts: Sequence[tuple[Path, NDArray[np.bool_]]]) -> None:
    """Write rows of arrays into several .npz files, in their order, a few rows in memory at a time.

    Args:
        arrays: of one length.
        parts: each file to write with its rows, a mask of shape (rows,).

    Raises:
        DataError: an array is damaged.
        OSError: a file cannot be written.
    """
    for file, is_in in parts:
        with zipfile.ZipFile(file, "w") as archive:
            for name, array in arrays.items():
                with archive.open(zipfile.ZipInfo(name + _SUFFIX, _STORED_DATE), "w", force_zip64=True) as stream:
                    _write_rows(stream, array, is_in)


def _write_rows(stream: IO[bytes], array: StoredArray, is_in: NDArray[np.bool_]) -> None:
    header = {"descr": npy.dtype_to_descr(array.dtype), "fortran_order": False,
              "shape": (int(is_in.sum()), *array.shape[1:])}
    npy.write_array_header_2_0(stream, header)
    width = max(1, int(np.prod(array.shape[1:], dtype=np.int64)) * array.dtype.itemsize)
    step = max(1, _COPIED_BYTES // width)
    for start in range(0, len(array), step):
        stream.write(array[start : start + step][is_in[start : start + step]].tobytes())
