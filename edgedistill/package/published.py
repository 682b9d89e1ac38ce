"""A bundle where it was published: what somebody has changed in it since is never deleted, as apps are built in its folders."""

import itertools
import json
import logging
from pathlib import Path

from edgedistill.errors import ArtifactError, StorageError
from edgedistill.package.contents import read_labels
from edgedistill.package.standalone_verify import check_files

log = logging.getLogger("edgedistill")

_NAMED = 3
MANIFEST = "bundle.json"


def make_way(folder: Path, made: Path | None) -> bool:
    """Give a published bundle that was changed another name, so that nothing of it is lost when another takes its place.

    Args:
        folder: where it is published; it need not be there.
        made: the bundle that would take its place; None: none will.

    Returns:
        may the place be filled, or cleared? False where the same bundle lies there, changed: it stays as it is.
    """
    changed = changed_in(folder)
    if not changed:
        return True
    which = _listed(changed)
    if made is not None and (folder / MANIFEST).read_bytes() == (made / MANIFEST).read_bytes():
        log.warning("%s: left as it is, changed since it was written: %s; delete the folder to have it anew", folder, which)
        return False
    aside = next(path for n in itertools.count(1) if not (path := folder.with_name(f"{folder.name}.changed-{n}")).exists())
    folder.rename(aside)
    log.warning("%s: was changed since it was written (%s), and is kept as %s", folder, which, aside.name)
    return True


def require_unchanged(folder: Path) -> None:
    """Refuse to write over a bundle that somebody has changed.

    Raises:
        StorageError: names what was changed.
    """
    if changed := changed_in(folder):
        raise StorageError(f"{folder}: was changed since it was written: {_listed(changed)}",
                           hint="pack into another folder with -o, or move this one away")


def require_own_labels(own: Path, labels: Path) -> None:
    """Refuse to pack a bundle anew with data of other classes; a model folder that is no bundle has no labels of its own.

    Args:
        own: labels.json of what is packed; it need not be there.
        labels: that of the data.

    Raises:
        ArtifactError: they name other classes, or the same in another order.
    """
    if own.is_file() and (mine := read_labels(own).labels) != (given := read_labels(labels).labels):
        first = next((i for i, (a, b) in enumerate(zip(mine, given, strict=False)) if a != b), min(len(mine), len(given)))
        said = ", ".join(f"{names[first]!r} in {path}" if first < len(names) else f"none in {path}"
                         for names, path in ((mine, own), (given, labels)))
        raise ArtifactError(f"class {first} is {said}", hint="give the data that the model was trained on, as prepare wrote them")


def _listed(changed: list[str]) -> str:
    return ", ".join(changed[:_NAMED]) + (f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else "")


def changed_in(folder: Path) -> list[str]:
    """Return the files of a bundle that were changed or added since it was written; of no bundle none.

    What a build leaves behind counts as nothing, and so does a file that is gone: a copy that was cut short is to be mended.
    """
    if not (folder / MANIFEST).is_file():
        return []
    try:
        names, said = check_files(folder, json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
        return [name for name, sentence in zip(names, said, strict=True) if not sentence.endswith(": missing")]
    except (ValueError, KeyError, TypeError):
        return [MANIFEST]
