"""The questions of `init`: asked only on a terminal, and only for what was not given."""

from pathlib import Path

import typer

from edgedistill.errors import UsageError
from edgedistill.recipe_writer import RecipeAnswers, suggest_recipe_id
from edgedistill.tasks.registry import known_task, task_named


def ask_missing(  # noqa: PLR0913 - the answers of one form
    *, task: str, train: Path | None, validation: Path | None, test: Path | None, columns: tuple[str, str],
    teacher: str | None, may_ask: bool,
) -> RecipeAnswers:
    """Return the answers for a recipe.

    Raises:
        UsageError: something needed is missing and nobody can be asked, or the task is unknown.
    """
    known = known_task(task)
    text_column, label_column = columns
    if train is None:
        if not may_ask:
            raise UsageError("no training data given", hint="edgedistill init --train FILE")
        train = Path(typer.prompt("Training data (CSV, TSV, JSONL or Parquet)", err=True))
        text_column = typer.prompt("Column with the text", default=text_column, err=True)
        label_column = typer.prompt("Column with the label", default=label_column, err=True)
        default = teacher or task_named(known).starting_point(text_column).teacher.name
        answer = typer.prompt("Teacher (model folder or hub id)", default=default, err=True)
        teacher = answer if answer != default else teacher
    return RecipeAnswers(
        recipe_id=suggest_recipe_id(train), task=known, train=train, validation=validation, test=test,
        text_column=text_column, label_column=label_column, teacher=teacher,
    )
