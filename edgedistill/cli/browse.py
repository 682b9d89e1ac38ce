"""Commands that look things up: targets, recipes, schema."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edgedistill.cli.options import JsonOption, add_command, complete_recipe, complete_target
from edgedistill.cli.terminal import mebibytes, milliseconds, say, say_json, table, tell
from edgedistill.errors import TargetError, UsageError
from edgedistill.typed_paths import quoted

targets = typer.Typer(no_args_is_help=True, help="Device profiles: list, show, check, calibrate.", rich_markup_mode=None)
recipes = typer.Typer(no_args_is_help=True, help="Built-in recipes: list, show.", rich_markup_mode=None)


def list_targets(as_json: JsonOption = False) -> int:
    """List the shipped targets with their budgets.

    Example: edgedistill targets list
    """
    from edgedistill.catalog import load_target, target_ids
    from edgedistill.local_target import LOCAL

    found = [load_target(name) for name in target_ids()]
    try:
        found.append(load_target(LOCAL))
    except TargetError as failure:
        tell(f"note: {LOCAL} is left out: {failure.message}")
    if as_json:
        say_json(json.dumps([{"id": t.id, "name": t.name} for t in found]))
        return 0
    say(table(("target", "device", "processor", "model", "memory", "p50"), [
        (t.id, t.name, f"{t.cpu.cores} x {t.cpu.microarchitecture}", mebibytes(t.budgets.model_bytes.limit),
         mebibytes(t.budgets.peak_memory_bytes.limit), milliseconds(t.budgets.latency_p50_s.limit))
        for t in found
    ]))
    return 0


def show_target(
    name: Annotated[str, typer.Argument(metavar="ID|FILE", autocompletion=complete_target, help="Target id or file.")],
    as_json: JsonOption = False,
) -> int:
    """Print a target: every figure with its source.

    Example: edgedistill targets show raspberry-pi
    """
    from edgedistill.catalog import load_target

    target = load_target(name)
    if as_json:
        say_json(target.to_json())
    else:
        say(target.to_yaml().rstrip())
    return 0


def check_target(file: Annotated[Path, typer.Argument(metavar="FILE", help="A profile of your own.")]) -> int:
    """Check a target profile of your own.

    It says file, line and key of what is wrong. `edgedistill targets show raspberry-pi` prints one to start from.

    Example: edgedistill targets check my-board.yaml
    """
    from edgedistill.target import read_target

    target = read_target(file)
    say(f"{file}: {target.id} ({target.name}) is a valid target")
    return 0


def calibrate_target(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Profile to write.")],
    local: Annotated[bool, typer.Option("--local", help="Measure this machine.")] = False,
    ssh: Annotated[
        str | None, typer.Option("--ssh", metavar="USER@HOST[:PORT]", help="Measure a device over ssh.")
    ] = None,
    adb: Annotated[str | None, typer.Option("--adb", metavar="SERIAL", help="Measure a device over adb.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Measure a machine and write its profile.

    Forty small graphs and six whole encoders run through onnxruntime, for half a minute here and up to two on a small
    board. The profile holds the rates that explain their times, and says how well they do; a machine that is busy gives
    a profile with warnings in it. A device needs python3 with numpy and onnxruntime, and for ssh a key that it takes.

    Example: edgedistill targets calibrate --local -o here.yaml
    Example: edgedistill targets calibrate --ssh pi@raspberrypi.local -o my-pi.yaml
    """
    if sum((local, ssh is not None, adb is not None)) != 1:
        raise UsageError("what is to be measured? one of --local, --ssh and --adb",
                         hint=f"edgedistill targets calibrate --local -o {quoted(out)}")
    import edgedistill
    from edgedistill.ledger import calibration_words

    found = edgedistill.calibrate(out, on=_address_of(ssh, adb))
    for warning in found.latency.warnings if found.latency else ():
        tell(f"warning: {warning}")
    if as_json:
        say_json(found.to_json())
    else:
        say(calibration_words(found))
        say(str(out))
    return 0


def _address_of(ssh: str | None, adb: str | None) -> str | None:
    """Return the address that --on would take; `ssh://` and `adb:` may stand before the value already."""
    if ssh is not None:
        return f"ssh://{ssh.removeprefix('ssh://')}"
    return None if adb is None else f"adb:{adb.removeprefix('adb:')}"


def list_recipes(as_json: JsonOption = False) -> int:
    """List the built-in recipes.

    Example: edgedistill recipes list
    """
    from edgedistill.catalog import load_recipe, recipe_ids

    found = [load_recipe(name).recipe for name in recipe_ids()]
    if as_json:
        say_json(json.dumps([{"id": r.id, "task": r.task, "description": r.description} for r in found]))
        return 0
    say(table(("recipe", "task", "what it is"), [(r.id, r.task, r.description) for r in found]))
    return 0


def show_recipe(
    name: Annotated[str, typer.Argument(metavar="ID|FILE", autocompletion=complete_recipe, help="Recipe id or file.")],
    as_json: JsonOption = False,
) -> int:
    """Print a recipe with every default made explicit.

    Example: edgedistill recipes show home-intents
    """
    from edgedistill.catalog import load_recipe

    recipe = load_recipe(name).recipe
    if as_json:
        say_json(recipe.to_json())
    else:
        say(recipe.to_yaml().rstrip())
    return 0


def schema(kind: Annotated[str, typer.Argument(metavar="KIND", help="recipe, target or report.")]) -> int:
    """Print the JSON Schema of recipe, target or report.json.

    Example: edgedistill schema recipe > recipe.schema.json
    """
    say(json.dumps(_schema_of(kind), indent=2))
    return 0


def _schema_of(kind: str) -> dict[str, object]:
    if kind == "recipe":
        from edgedistill.recipe import Recipe

        return Recipe.model_json_schema()
    if kind == "target":
        from edgedistill.target import Target

        return Target.model_json_schema()
    if kind == "report":
        from edgedistill.report.model import RunReport

        return RunReport.model_json_schema(mode="serialization")
    raise UsageError(f"no schema {kind!r}", hint="edgedistill schema recipe | target | report")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for group, name, command in (
        (targets, "list", list_targets), (targets, "show", show_target), (targets, "check", check_target),
        (targets, "calibrate", calibrate_target),
        (recipes, "list", list_recipes), (recipes, "show", show_recipe), (app, "schema", schema),
    ):
        add_command(group, command, name)
    app.add_typer(targets, name="targets")
    app.add_typer(recipes, name="recipes")
