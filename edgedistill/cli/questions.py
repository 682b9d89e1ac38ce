"""The questions of `init`: asked only on a terminal, and only for what was not given."""

import os
from pathlib import Path

import typer

from edgedistill.data_settings import Data
from edgedistill.errors import DataError, UsageError
from edgedistill.prepare.columns import Columns
from edgedistill.recipe_writer import RecipeAnswers, suggest_recipe_id
from edgedistill.tasks.task import TaskDoor
from edgedistill.typed_paths import look_there, not_there

_LONGEST_SEPARATOR = 8
"""As in a recipe: `edgedistill.data_settings`."""
_USUAL_LABEL = Data.model_fields["label_column"].default


def ask_missing(  # noqa: PLR0913 - the answers of one form
    *, task: TaskDoor, train: Path | None, validation: Path | None, test: Path | None, columns: tuple[str, str],
    teacher: str | None, may_ask: bool, label_separator: str | None = None, label_columns: str | None = None,
) -> RecipeAnswers:
    """Return the answers for a recipe.

    Raises:
        UsageError: something needed is missing and nobody can be asked; an example of the task has one label.
        DataError: a file is not there or cannot be read, or lacks a column; told before the next question.
    """
    for option, value in (("--label-separator", label_separator), ("--label-columns", label_columns)):
        if value is not None and not task.takes_several_labels:
            raise UsageError(f"{option}: a {task.example} has one label", hint=f"leave {option} out")
    if label_separator is not None and not 1 <= len(label_separator) <= _LONGEST_SEPARATOR:
        raise UsageError(f"--label-separator: 1 to {_LONGEST_SEPARATOR} characters are expected, not {len(label_separator)}",
                         hint="for example --label-separator ';'")
    text_column, label_column = columns
    flags = () if label_columns is None else _names_of(label_columns, label_separator)
    if flags and label_column != _USUAL_LABEL:
        raise UsageError("--label-columns and --label-column both name the labels", hint="give one of them")
    if train is None:
        if not may_ask:
            raise UsageError("no training data given", hint=f"edgedistill init {task.questions.option}")
        for path in (validation, test):
            if path is not None:
                _require_there(path)
        train = Path(os.path.expanduser(typer.prompt(task.questions.data, err=True)))
        _require_there(train)
        text_column = typer.prompt(task.questions.column, default=text_column, err=True)
        if not flags:
            label_column = typer.prompt("Column with the label", default=label_column, err=True)
        task.check_source(train, Columns(text_column, label_column, flags=flags), split="train")
        default = teacher or task.starting_point(Columns(text_column, label_column)).teacher.name
        answer = typer.prompt("Teacher (model folder or hub id)", default=default, err=True)
        teacher = answer if answer != default else teacher
    return RecipeAnswers(
        recipe_id=suggest_recipe_id(train), task=task.name, train=train, validation=validation, test=test,
        text_column=text_column, label_column=label_column, teacher=teacher, label_separator=label_separator,
        label_columns=flags,
    )


def _require_there(path: Path) -> None:
    if not os.path.exists(path):
        raise DataError(not_there(path), hint=look_there(path))


def _names_of(columns: str, separator: str | None) -> tuple[str, ...]:
    """Return the names in --label-columns.

    Raises:
        UsageError: they are no names of several columns, or what stands between labels is given too.
    """
    if separator is not None:
        raise UsageError("--label-columns and --label-separator both say how several labels are written", hint="give one of them")
    names = tuple(name.strip() for name in columns.split(","))
    if len(names) < 2 or len(set(names)) < len(names) or not all(names):
        raise UsageError(f"--label-columns: the names of two columns or more are expected, each once, not {columns!r}",
                         hint="for example --label-columns toxic,insult,threat; one column alone: --label-column NAME")
    return names
