"""Where facts come from: a number with its source, and the source alone of a fact that is no such number."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edgedistill.document import Document

How = Literal["seen", "derived", "assumed"]
"""`seen`: the source says so; `derived`: computed from what it says; `assumed`: a judgement."""

_LEAST_WORDS = 3


def _is_a_source(words: str) -> str:
    if len(words.split()) < _LEAST_WORDS:
        raise ValueError(f"is no source: name the document and what it says, in {_LEAST_WORDS} words at least")
    return words


SourceWords = Annotated[str, AfterValidator(_is_a_source)]
"""A document and what it says, or a judgement that is called one; three words at least."""


class Figure(Document):
    """A number with where it comes from."""

    value: float = Field(gt=0)
    source: SourceWords
    how: How


class Origin(Document):
    """Where a fact comes from that is a count, a version or a list of names."""

    source: SourceWords
    how: How
