"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

RecipeOption = Annotated[
    str, typer.Option("--recipe", "-r", help="Recipe id (`edgedistill recipes list`) or file.", show_default=True)
]
TargetOption = Annotated[
    str, typer.Option("--target", "-t", help="Target id (`edgedistill targets list`) or file.", show_default=True)
]
TargetsOption = Annotated[
    list[str], typer.Option("--target", "-t", help="Target id or file; give it again for several targets.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Change a setting of the recipe: dotted.key=value; repeatable.")
]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder to make.")]
DataOption = Annotated[
    Path, typer.Option("--data", "-d", help="Folder that `prepare` wrote, or a CSV, TSV, JSONL or Parquet file.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
DEFAULT_RECIPE = "home-intents"
DEFAULT_TARGET = "raspberry-pi"
