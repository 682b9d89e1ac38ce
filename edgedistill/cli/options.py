"""Options that several commands share, and the form of a command's help."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer


def complete_recipe(incomplete: str) -> list[str]:
    """Return the ids of recipes that begin so, for the shell's completion; files are the shell's own matter."""
    from edgedistill.catalog import recipe_ids

    return [name for name in recipe_ids() if name.startswith(incomplete)]


def complete_target(incomplete: str) -> list[str]:
    """Return the ids of targets that begin so, for the shell's completion."""
    from edgedistill.catalog import target_ids

    return [name for name in target_ids() if name.startswith(incomplete)]


RecipeOption = Annotated[
    str,
    typer.Option("--recipe", "-r", metavar="ID|FILE", autocompletion=complete_recipe,
                 help="Recipe: an id of `edgedistill recipes list`, or a file."),
]
TargetOption = Annotated[
    str,
    typer.Option("--target", "-t", metavar="ID|FILE", autocompletion=complete_target,
                 help="Device: an id of `edgedistill targets list`, or a file."),
]
TargetsOption = Annotated[
    list[str],
    typer.Option("--target", "-t", metavar="ID|FILE", autocompletion=complete_target,
                 help="Device: an id of `edgedistill targets list`, or a file; give it again for several."),
]
PreparedForOption = Annotated[
    list[str] | None,
    typer.Option("--target", "-t", metavar="ID|FILE", autocompletion=complete_target,
                 help="Device that pictures are for: the plan chooses their side; give it again for several."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE",
                 help="Change a setting of the recipe, for example distillation.temperature=4; repeatable."),
]
Int8SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE",
                 help="Change a setting, for example quantization.calibration.method=entropy; repeatable."),
]
OutOption = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to make.")]
DataOption = Annotated[
    Path,
    typer.Option("--data", "-d", metavar="DIR|FILE",
                 help="Folder that `prepare` wrote; a data file with columns text (image) and label; a folder of pictures."),
]
PreparedOption = Annotated[Path, typer.Option("--data", "-d", metavar="DIR", help="Folder that `prepare` wrote.")]
OnOption = Annotated[
    str | None, typer.Option("--on", metavar="ADDRESS", help="Measure on a device: ssh://user@host:port or adb:SERIAL.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
DEFAULT_RECIPE = "home-intents"
DEFAULT_TARGET = "raspberry-pi"


def add_command(app: typer.Typer, command: Callable[..., int], name: str | None = None) -> None:
    """Add a command whose help is its docstring; an example keeps a line of its own, however wide the terminal."""
    summary, *rest = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    paragraphs = ["\b\n" + text if text.startswith("Example:") else text for text in rest]
    app.command(name, help="\n\n".join([summary, *paragraphs]), short_help=summary)(command)
