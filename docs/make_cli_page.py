"""Writes docs/cli.md out of the command line: `python docs/make_cli_page.py`; `--check` only says if it is stale."""

import sys
from collections.abc import Iterator
from pathlib import Path

from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from edgedistill.cli.app import app

PAGE = Path(__file__).resolve().with_name("cli.md")
PROGRAM = "edgedistill"
COLUMNS = 100

INTRODUCTION = """\
# The command line

This page is what `--help` prints, command by command. It is made by `python docs/make_cli_page.py`; do not edit it.
What a verb does, its files and its errors: see the page of the verb, from [README.md](../README.md).

**Completion.** `edgedistill --install-completion` sets it up for the shell that it is typed in (bash, zsh, fish,
PowerShell); a new shell then completes commands, options, and the ids of targets and recipes. `--show-completion` prints
what would be installed.
"""


def command_names() -> Iterator[tuple[str, ...]]:
    """Yield the words of every command below the program, groups before their commands; the program itself is ()."""
    root = get_command(app)
    yield ()
    for name, command in root.commands.items() if isinstance(root, TyperGroup) else ():
        yield (name,)
        if isinstance(command, TyperGroup):
            yield from ((name, inner) for inner in command.commands)


def help_text(names: tuple[str, ...]) -> str:
    """Return the help of a command, `COLUMNS` wide whatever the terminal is.

    Raises:
        RuntimeError: the command line did not print its help.
    """
    # --quiet: the log of this process stays as it is
    result = CliRunner().invoke(
        app, ["--quiet", *names, "--help"], prog_name=PROGRAM, terminal_width=COLUMNS, color=False
    )
    if result.exit_code != 0:
        raise RuntimeError(f"{' '.join((PROGRAM, *names))} --help: exit code {result.exit_code}: {result.output}")
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines())


def render_page() -> str:
    """Return the text of docs/cli.md."""
    parts = [INTRODUCTION]
    for names in command_names():
        parts.append(f"## {' '.join((PROGRAM, *names))}\n\n```text\n{help_text(names)}\n```\n")
    return "\n".join(parts)


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` compare it; returns the exit code."""
    text = render_page()
    if "--check" in arguments:
        is_current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
        if not is_current:
            sys.stderr.write(f"{PAGE.name} is stale: python docs/make_cli_page.py\n")
        return 0 if is_current else 1
    PAGE.write_text(text, encoding="utf-8")
    sys.stderr.write(f"wrote {PAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
