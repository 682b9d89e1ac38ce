"""Find the task: by the name in a recipe, by a model folder, or by the examples. The only place that knows all tasks."""

import importlib
from pathlib import Path

from edgedistill.errors import UsageError
from edgedistill.examples import Examples
from edgedistill.recipe import Task
from edgedistill.tasks.encoding import Encoder
from edgedistill.tasks.task import TaskDoor

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


def task_of_model(folder: Path) -> TaskDoor:
    """Return the task of a model folder, by the file that its encoder is made from; text where there is none."""
    doors = [task_named(name) for name in _MODULES]
    return next((door for door in doors if (folder / door.encoder_file).is_file()), doors[0])


def task_of_examples(examples: Examples) -> TaskDoor:
    """Return the task that examples are for, by what they hold."""
    return next(door for door in map(task_named, _MODULES) if door.content_column in examples.table.column_names)


def open_encoder(folder: Path) -> Encoder:
    """Return the encoder of a model folder.

    Raises:
        ArtifactError: the file that it is made from is missing or damaged.
    """
    return task_of_model(folder).encoder(folder)
