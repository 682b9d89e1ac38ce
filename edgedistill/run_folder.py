"""The run folder: who may work in it, its recipe with every default, its id, and what earlier runs left in it."""

import os
import shutil
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from edgedistill.catalog import LocatedRecipe
from edgedistill.errors import StorageError
from edgedistill.manifest import Decision
from edgedistill.recipe import Recipe
from edgedistill.stage import write_text_durably
from edgedistill.storage import storage_errors
from edgedistill.typed_paths import quoted

STAGES_FOLDER = ".stages"
LOCK_FILE = ".lock"
REPORT_FILE = "report.json"
LOCKED_RECIPE_FILE = "recipe.lock.yaml"
STUDY_FILE = "study.journal"
_ID_FILE = "run_id"
_PUBLISHED = ("student/ort_config.json", "bundle/bundle.json", "bundle.zip")
_DISK_NEED_BYTES = 1_500_000_000


def require_outside_inputs(located: LocatedRecipe, out: Path) -> None:
    """Refuse a folder of results inside a folder of the data or the teacher's: its files would count, and be others at every run.

    Raises:
        StorageError: names the key of the recipe and a folder to type.
    """
    target = out.resolve()
    data, teacher = located.recipe.data, located.recipe.teacher
    inputs = {**{f"data.{key}": getattr(data, key) for key in ("train", "validation", "test", "unlabelled")},
              "teacher.name": None if teacher.configuration else teacher.name}
    for key, name in inputs.items():
        folder = None if name is None else located.path(name).resolve()
        inside = target.parents if key == "teacher.name" else (target, *target.parents)  # the folder itself is refused as no run
        if folder is not None and folder.is_dir() and folder in inside:
            free = os.path.relpath(folder.parent / "runs" / located.recipe.id)
            raise StorageError(f"{out}: lies in {folder}, the folder of {key}: what is written there would count as part of it",
                               hint=f"choose a folder outside, for example -o {quoted(free)}")


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the run folder; the system frees it when the process dies, however it dies."""
    with storage_errors(out):
        if out.exists() and not out.is_dir():
            raise StorageError(f"{out}: is a file", hint="choose a folder with -o DIR")
        if out.is_dir() and any(out.iterdir()) and not any((out / n).exists() for n in (LOCK_FILE, STAGES_FOLDER)):
            raise StorageError(f"{out}: is not empty, and no run of edgedistill",
                               hint="choose another folder with -o DIR")
        out.mkdir(parents=True, exist_ok=True)
        is_fresh = not any((out / STAGES_FOLDER / "teach").glob("*/manifest.json"))
        if is_fresh and shutil.disk_usage(out).free < _DISK_NEED_BYTES:
            raise StorageError(f"{out}: only {shutil.disk_usage(out).free / 1e9:.1f} GB free, a run needs "
                               f"{_DISK_NEED_BYTES / 1e9:.1f} GB",
                               hint="free some space, or choose another disk with -o DIR")
        lock = FileLock(out / LOCK_FILE)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StorageError(f"{out}: another run is working in this folder",
                               hint="wait for it, or give this one its own folder with -o DIR") from None
    try:
        yield
    finally:
        lock.release()


def locked_recipe(located: LocatedRecipe, out: Path) -> Recipe:
    """Return the recipe with its paths as seen from the run folder, so that it runs from there as it is."""

    def moved(path: str | None) -> str | None:
        return None if path is None else os.path.relpath(located.path(path), out.resolve())

    recipe = located.recipe
    search = recipe.search.model_copy(update={"study": moved(recipe.search.study)})
    data = recipe.data.model_copy(
        update={name: moved(getattr(recipe.data, name)) for name in ("train", "validation", "test", "unlabelled")}
    )
    is_folder = located.path(recipe.teacher.name).is_dir()
    name = moved(recipe.teacher.name) if is_folder else recipe.teacher.name
    teacher = recipe.teacher.model_copy(update={"name": name})
    student = recipe.student.model_copy(update={"ladder": moved(recipe.student.ladder)})
    return recipe.model_copy(update={"data": data, "teacher": teacher, "search": search, "student": student})


def left_by_earlier_runs(out: Path, targets: Collection[str]) -> tuple[Decision, ...]:
    """Name the targets whose folders an earlier run left in `out`: the report beside them does not speak of them.

    They are no one's to delete: an app may ship what lies there.

    Args:
        out: the run folder.
        targets: the ids of this run.

    Returns:
        one decision; none where every folder of a target is of this run.
    """
    folders = sorted(path.name for path in out.iterdir() if _is_published(path))
    left = [name for name in folders if name not in targets]
    if not left:
        return ()
    named = ", ".join(f"{name}/" for name in left)
    return (Decision(
        step="report", what=f"{named}: left as an earlier run wrote it; no figure of this report is of it",
        why="this run was not asked for that target, and what lies there may be of other settings: delete it, or name all "
            "targets in one command",
    ),)


def _is_published(folder: Path) -> bool:
    """Is it a target's folder? One that may not be read is none of a run's."""
    return os.access(folder, os.R_OK | os.X_OK) and any((folder / name).is_file() for name in _PUBLISHED)


def run_id(stages: Path) -> str:
    """Return the id of a run folder, which moves with it; made when it is first asked for."""
    path = stages / _ID_FILE
    if not path.is_file():
        with storage_errors(path):
            stages.mkdir(parents=True, exist_ok=True)
            write_text_durably(path, uuid.uuid4().hex)
    return path.read_text(encoding="utf-8").strip()
