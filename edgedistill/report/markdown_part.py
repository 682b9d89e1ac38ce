"""A part of report.md, and how readily it is left out where the whole would be too long."""

from dataclasses import dataclass

ALWAYS = 0


@dataclass(frozen=True)
class Part:
    """A part of the text.

    Attributes:
        name: what it is called where it is left out.
        text: Markdown with its heading, if it has one; empty: there is nothing to say.
        rank: 0 is always shown; of the others the highest are left out first.
    """

    name: str
    text: str
    rank: int = ALWAYS
