"""Find the task: by the name in a recipe, by a model folder, or by the examples. The only place that knows all tasks."""

import importlib
from pathlib import Path

from edgedistill.data_settings import Data
from edgedistill.errors import TeacherError, UsageError
from edgedistill.examples import Examples
from edgedistill.prepare.columns import Columns
from edgedistill.recipe import Task
from edgedistill.tasks.encoding import Encoder
from edgedistill.tasks.task import TaskDoor
from edgedistill.teach.labels import config_of

_MODULES: dict[Task, str] = {
    "text-classification": "edgedistill.tasks.text_classification.task",
    "image-classification": "edgedistill.tasks.image_classification.task",
}


def task_named(name: Task) -> TaskDoor:
    """Return what differs by task, for the task of a recipe."""
    door: TaskDoor = importlib.import_module(_MODULES[name]).DOOR
    return door


def known_task(name: str) -> Task:
    """Return a task's name.

    Raises:
        UsageError: there is no such task.
    """
    found = next((known for known in _MODULES if known == name), None)
    if found is None:
        raise UsageError(f"task {name!r} is not supported", hint=f"--task {' | '.join(_MODULES)}")
    return found


def task_asked(name: str | None, *, option: str | None = None) -> TaskDoor:
    """Return the task that `init` writes a recipe for: as asked, else the one that the option of the data belongs to, else text.

    Args:
        name: as the user gives it; None where the user does not.
        option: by which the data are given, where it belongs to one task: "--images".

    Raises:
        UsageError: there is no such task, or the option belongs to another.
    """
    owner = next((door for door in _doors() if option is not None and door.questions.own_option == option), None)
    asked = None if name is None else task_named(known_task(name))
    if owner is not None and asked is not None and asked is not owner:
        raise UsageError(f"{option} names {owner.example}s, and --task says {asked.name}",
                         hint=f"leave --task out, or give {asked.questions.option}")
    return asked or owner or _doors()[0]


def task_of_model(folder: Path | None) -> TaskDoor:
    """Return the task of a model folder: by the class that its config.json names, else by the file of its encoder, else text.

    The processors of some pictures' models (CLIP) write the file that a text's encoder is made from too.
    """
    doors = _doors()
    if folder is None:
        return doors[0]
    named = _architectures(folder)
    of_class = (door for door in doors if any(_is_made_by(door, name) for name in named))
    return next(of_class, None) or next((door for door in doors if (folder / door.encoder_file).is_file()), doors[0])


def _architectures(folder: Path) -> list[str]:
    """Return what a folder's config.json says of its classes; nothing where there is none, or it is damaged: others say so."""
    try:
        named = config_of(folder).get("architectures")
    except TeacherError:
        return []
    return [name for name in named if isinstance(name, str)] if isinstance(named, list) else []


def require_own_teacher(folder: Path, task: TaskDoor, *, is_whole: bool = True) -> None:
    """Refuse the folder of a teacher that reads examples of another task, or, where it must be whole, none at all.

    Raises:
        TeacherError: says what to type.
    """
    own = task.teacher_files
    if _holds(folder, own.patterns):
        return
    other = next((door for door in _doors() if _holds(folder, door.teacher_files.patterns)), None)
    if other is not None:
        raise TeacherError(f"{folder}: is a model of {other.example}s, and {task.name} needs a teacher that reads "
                           f"{task.example}s", hint=own.otherwise)
    if is_whole:
        raise TeacherError(f"{folder}: no {own.missing}", hint=own.remedy)


def require_own_name(name: str, task: TaskDoor) -> None:
    """Refuse the name of the teacher that another task begins with, which needs no look at a folder; raises TeacherError."""
    other = next((door for door in _doors() if name == _first_teacher(door)), task)
    if other is not task:
        raise TeacherError(f"{name}: is a model of {other.example}s, and {task.name} needs a teacher that reads "
                           f"{task.example}s", hint=task.teacher_files.otherwise)


def _first_teacher(door: TaskDoor) -> str:
    return door.starting_point(Columns(door.content_column, Data.model_fields["label_column"].default)).teacher.name


def is_classifier(architecture: str) -> bool:
    """Is a class of transformers a classifier of one of the tasks?"""
    return any(_is_made_by(door, architecture) for door in _doors())


def _is_made_by(door: TaskDoor, architecture: str) -> bool:
    return door.model_class.removeprefix("AutoModel") in architecture


def companion_files() -> tuple[str, ...]:
    """Return the files of a model folder besides its weights, of all tasks."""
    return tuple(dict.fromkeys(name for door in _doors() for name in door.companions))


def _doors() -> list[TaskDoor]:
    return [task_named(name) for name in _MODULES]


def _holds(folder: Path, patterns: tuple[str, ...]) -> bool:
    return any(next(folder.glob(pattern), None) is not None for pattern in patterns)


def task_of_examples(examples: Examples) -> TaskDoor:
    """Return the task that examples are for, by what they hold."""
    return next(door for door in _doors() if door.content_column in examples.table.column_names)


def open_encoder(folder: Path) -> Encoder:
    """Return the encoder of a model folder.

    Raises:
        ArtifactError: the file that it is made from is missing or damaged.
    """
    return task_of_model(folder).encoder(folder)
