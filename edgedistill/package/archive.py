"""The bundle as one file: a zip that is the same bytes each time, and reading one without leaving its folder."""

import io
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edgedistill.errors import BundleError
from edgedistill.package.contents import MANIFEST_FILE, name_problem

MAX_FILES = 256
MAX_BYTES = 1 << 30
"""Unpacked size that is believed: far above any model for a phone, far below a disk."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_MODE = (stat.S_IFREG | 0o644) << 16
_ENCRYPTED = 0x1
_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, FileExistsError, NotADirectoryError)
_HINT = "use only bundles from a source that you trust, or make it again: edgedistill package --help"


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """Return a zip of some files: sorted names, fixed times and permissions.

    Stored, not deflated: zlib's output differs between its builds, and a stored model can be mapped out of an app.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.create_system, entry.external_attr = _UNIX, _MODE
            archive.writestr(entry, files[name])
    return buffer.getvalue()


@contextmanager
def opened_bundle(bundle: Path) -> Iterator[Path]:
    """Give the folder of a bundle; a zip is unpacked into a temporary folder that is gone afterwards.

    Args:
        bundle: a folder, or a zip file with the files at its top, or in one folder there as file managers zip them.

    Raises:
        BundleError: there is no such bundle, or the zip is damaged or not to be trusted: names that leave the folder,
            absolute names, links, names that stand twice, too many or too large files.
    """
    if bundle.is_dir():
        yield bundle
        return
    if not bundle.exists():
        raise BundleError(f"{bundle}: no such bundle", hint="name a bundle folder or its zip")
    with tempfile.TemporaryDirectory(prefix="edgedistill-bundle-") as name:
        _extract(bundle, Path(name))
        found = [path.parent for path in (Path(name) / MANIFEST_FILE, *Path(name).glob(f"*/{MANIFEST_FILE}")) if path.is_file()]
        if len(found) != 1:
            raise BundleError(f"{bundle}: is no bundle, it has " + ("several" if found else "no") + f" {MANIFEST_FILE}",
                              hint="name a bundle folder, or a zip of one")
        yield found[0]


def _extract(bundle: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(bundle) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_entries(bundle, entries)
            for entry in entries:
                _extract_entry(archive, entry, folder)
    except _DAMAGE as bad:
        raise BundleError(f"{bundle}: is no bundle folder and no sound zip ({bad})", hint=_HINT) from None


def _check_entries(bundle: Path, entries: list[zipfile.ZipInfo]) -> None:
    for entry in entries:
        problem = name_problem(entry.orig_filename) or _kind_problem(entry)
        if problem:
            raise BundleError(f"{bundle}: refused, {entry.orig_filename!r} {problem}", hint=_HINT)
    if len({entry.filename for entry in entries}) != len(entries):
        raise BundleError(f"{bundle}: refused, a name stands in it twice", hint=_HINT)
    total_bytes = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_FILES or total_bytes > MAX_BYTES:
        raise BundleError(
            f"{bundle}: refused, it would unpack {len(entries)} files of {total_bytes:,} bytes "
            f"(at most {MAX_FILES} files of {MAX_BYTES:,} bytes)", hint=_HINT)


def _kind_problem(entry: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFREG}:
        return "is a link or a device"
    return "is encrypted" if entry.flag_bits & _ENCRYPTED else None


def _extract_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    path = folder / entry.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    # zipfile hands out no more than the size that was checked above, whatever the packed data would unpack to
    with archive.open(entry) as source, path.open("xb") as sink:
        shutil.copyfileobj(source, sink)
