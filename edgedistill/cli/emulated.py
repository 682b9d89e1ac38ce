"""The command that builds the emulated environment."""

from typing import Annotated

import typer

from edgedistill.cli.options import JsonOption, add_command
from edgedistill.cli.terminal import mebibytes, say, say_json, tell


def arm_env(
    onnxruntime: Annotated[
        str | None, typer.Option("--onnxruntime", metavar="VERSION", help="Version in it; default: the one installed here.")
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build it anew.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Build the environment that runs models as an ARM device does.

    An emulator and an aarch64 Python with onnxruntime, from ordinary packages, below ~/.cache; nothing is installed and
    root is not needed. What is there is checked by its hashes. Exit code 6: it cannot be built here.

    Example: edgedistill arm-env
    """
    from edgedistill.emulation.environment import ensure

    found = ensure(onnxruntime, is_rebuilt=rebuild, is_checked=True)
    facts = found.facts
    if as_json:
        say_json(facts.to_json())
        return 0
    say(f"{found.tools}, Python {facts.python} for aarch64: {mebibytes(facts.size_bytes)} from {len(facts.packages)} "
        f"packages, {'built' if found.was_built else 'was there, every file is whole'}")
    if not facts.counts_instructions:
        tell(f"note: instructions cannot be counted: {facts.no_counts_because}")
    say(str(found.folder))
    return 0


def register(app: typer.Typer) -> None:
    """Add this command."""
    add_command(app, arm_env, "arm-env")
