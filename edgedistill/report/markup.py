"""GitHub-flavoured Markdown out of plain text: what comes from outside cannot become markup, HTML, a link or a mention."""

import re
from collections.abc import Sequence

from edgedistill.report.tables import Table

CELL_CHARACTERS = 400
CODE_CHARACTERS = 120

_SPECIAL = re.compile(r"([\\`*\[\]|~]|(?<!\w)_|_(?!\w))")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_CALLS = re.compile(r"@(?=\w)|#(?=\d)|\b(?:https?:|www)(?=[/.])", re.IGNORECASE)
_NOT_JOINED = "\u2060"
"""Word joiner: nothing is seen of it, and a mention, an issue's number or an address is none any more."""


def plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line; it calls nobody and links nowhere."""
    escaped = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    for character, entity in _ENTITIES.items():
        escaped = escaped.replace(character, entity)
    return _CALLS.sub(lambda found: found[0] + _NOT_JOINED, escaped)


def code(text: str, characters: int = CODE_CHARACTERS) -> str:
    """Return text of the user's as a code span for a table cell: one line, cut, nothing in it is markup."""
    line = cut(text, characters) or " "
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return fence + space + line.replace("|", "\\|") + space + fence


def cut(text: str, characters: int) -> str:
    """Return text on one line, with at most so many characters; what is cut off leaves an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= characters else line[: characters - 1] + "…"


def table(data: Table) -> str:
    """Return a table, figures set to the right; long cells are cut."""
    return "\n".join([head(data.headers, data.words), *(row(map_plain(cells)) for cells in data.rows)])


def map_plain(cells: Sequence[str]) -> list[str]:
    """Return cells that show their text as it is, cut."""
    return [plain(cut(cell, CELL_CHARACTERS)) for cell in cells]


def head(headers: Sequence[str], words: int) -> str:
    """Return the two lines that begin a table."""
    line = "|".join("---" if place < words else "--:" for place in range(len(headers)))
    return f"{row(map_plain(headers))}\n|{line}|"


def row(cells: Sequence[str]) -> str:
    """Return a line of a table; the cells are Markdown already."""
    return "| " + " | ".join(cells) + " |"


def folded(title: str, body: str) -> str:
    """Return a part that opens on a click; nothing for an empty one."""
    return f"<details><summary>{plain(title)}</summary>\n\n{body}\n\n</details>" if body else ""


def folded_table(title: str, data: Table) -> str:
    """Return a table that opens on a click; nothing for one without rows."""
    return folded(title, table(data)) if data.rows else ""


def bullets(sentences: Sequence[str]) -> str:
    """Return a list of sentences."""
    return "\n".join(f"- {plain(sentence)}" for sentence in sentences)
