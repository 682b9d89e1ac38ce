"""Writes docs/code.md out of the first lines of all modules: `python docs/make_code_page.py`."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).resolve().with_name("code.md")
PACKAGE = PAGE.parent.parent / "edgedistill"

INTRODUCTION = """\
# The code, room by room

Every module with its one subject, which is the first line of its docstring. Made by `python docs/make_code_page.py`; do not
edit it.

A run goes through `cli/` or `library.py`, then `pipeline.py`, which does one step after the other: a step is a stage, the
function in `<verb>/stage.py`, with settings, inputs and a folder ([stages](../CONTRIBUTING.md#the-shape-of-the-code)). What a
stage leaves is read by its file's name; no stage imports another verb's modules but for their doors. What differs by task is
asked of `tasks/`. Shipped profiles are in `targets/`, shipped recipes, their data and the ladders of student shapes in `models/`.
"""


def rooms() -> Iterator[Path]:
    """Yield the package and every package in it, each before those inside it."""
    yield from sorted(path.parent for path in PACKAGE.rglob("__init__.py"))


def subject_of(module: Path) -> str:
    """Return the first line of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return docstring.splitlines()[0] if docstring else ""


def render_page() -> str:
    """Return the page."""
    parts = [INTRODUCTION]
    for room in rooms():
        name = room.relative_to(PACKAGE.parent).as_posix()
        rows = [f"| `{path.name}` | {subject_of(path).replace('|', chr(92) + '|')} |" for path in sorted(room.glob("*.py"))
                if path.name != "__init__.py"]
        table = ["| module | subject |", "|---|---|", *rows] if rows else []
        parts.append("\n".join([f"## {name}/", "", subject_of(room / "__init__.py"), "", *table, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(render_page(), encoding="utf-8")
    sys.stderr.write(f"wrote {PAGE}\n")
