"""The keys of documents: which there are at a place, what they mean, and which was meant by one that is not there."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel

_MOST = 3
"""So many keys are named at most where a key of that name stands in several sections."""

_VERY_LIKE, _RATHER_LIKE = 0.75, 0.5
"""From which likeness on a key beside it is meant: before one of another section, and where no other section has one."""


@dataclass(frozen=True)
class MeantKeys:
    """Which keys may be meant by an unknown one, the likeliest first; each as the parts of its way from the top."""

    ways: tuple[tuple[str, ...], ...]
    is_beside: bool

    @property
    def words(self) -> str:
        """The question of a message: a key in the same section by its name, others by their whole way."""
        names = [repr(way[-1] if self.is_beside else ".".join(way)) for way in self.ways]
        return f"did you mean {' or '.join(names)}?"


def meant_by(kind: type[BaseModel], place: Sequence[int | str]) -> MeantKeys | None:
    """Return which keys may be meant by an unknown one.

    A key beside it that is spelled almost alike; else keys of that very name in other sections, those below its own first;
    else one of another section that is spelled almost alike; else one beside it that is spelled rather alike.

    Args:
        kind: the document.
        place: the way to the unknown key; numbers stand for items of lists.
    """
    *above, key = place
    beside = keys_at(kind, above)
    if near := _like(str(key), beside, _VERY_LIKE):
        return MeantKeys(((*map(str, above), near),), is_beside=True)
    if elsewhere := _in_sections(kind, above, str(key)):
        return MeantKeys(elsewhere, is_beside=False)
    rather = _like(str(key), beside, _RATHER_LIKE)
    return MeantKeys(((*map(str, above), rather),), is_beside=True) if rather else None


def _in_sections(kind: type[BaseModel], above: Sequence[int | str], key: str) -> tuple[tuple[str, ...], ...]:
    """Return the keys of other sections that may be meant; those in lists are left out, as no one way leads to them."""
    if any(isinstance(part, int) for part in above):
        return ()
    ways = sorted(_ways(kind), key=len)
    names = {way[-1] for way in ways}
    found = [way for way in ways if way[-1] == (key if key in names else _like(key, sorted(names), _VERY_LIKE))]
    below = [way for way in found if list(way[: len(above)]) == list(above)] if above else []
    return tuple(below or found)[:_MOST]


def _ways(kind: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, field in _by_key(kind).items():
        yield (*above, key)
        section = None if _is_many(field.annotation) else _inner_model(field.annotation)
        if section is not None and section is not kind:
            yield from _ways(section, (*above, key))


def _like(key: str, known: Sequence[str], cutoff: float) -> str | None:
    """Return the key that is spelled like another, else one that begins with it: `label_column` for `label`."""
    longer = (name for name in known if name.startswith(f"{key}_"))
    return next(iter(difflib.get_close_matches(key, known, n=1, cutoff=cutoff)), None) or next(longer, None)


def description_at(kind: type[BaseModel], place: Sequence[int | str]) -> str:
    """Return what the schema says of the key at a place in a document, empty where it says nothing."""
    holder = _model_at(kind, place[:-1])
    field = _by_key(holder).get(str(place[-1])) if holder is not None else None
    return (field.description or "") if field is not None else ""


def keys_at(kind: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """Return the keys that are allowed at a place in a document."""
    found = _model_at(kind, place)
    return [] if found is None else list(_by_key(found))


def _model_at(kind: type[BaseModel], place: Sequence[int | str]) -> type[BaseModel] | None:
    """The document at a place in a document; follows nested documents, lists and optionals."""
    current: Any = kind
    for part in place:
        if isinstance(part, int):
            continue
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            break
        field = _by_key(current).get(part)
        if field is None:
            break
        current = _inner_model(field.annotation)
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _by_key(kind: type[BaseModel]) -> dict[str, Any]:
    """The fields by the key that stands in a file."""
    return {field.alias or name: field for name, field in kind.model_fields.items()}


def _is_many(annotation: Any) -> bool:
    """Is it a list or a mapping of documents?"""
    return get_origin(annotation) in (tuple, list, dict) or any(map(_is_many, get_args(annotation)))


def _inner_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _inner_model(argument)
        if found is not None:
            return found
    return None
