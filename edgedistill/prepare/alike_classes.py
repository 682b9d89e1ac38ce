"""Classes whose names differ in capitals or blanks alone: most likely one class, spelled in several ways."""

from collections.abc import Iterable, Iterator

from edgedistill.manifest import Decision, GivenWarning, warned

_NAMED = 3


def alike_classes(names: Iterable[str]) -> Iterator[GivenWarning]:
    """Warn, once, of class names that are the same but for capitals and blanks.

    Args:
        names: all classes.
    """
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault("".join(name.casefold().split()), []).append(name)
    groups = [" and ".join(repr(name) for name in group) for group in alike.values() if len(group) > 1]
    if groups:
        more = f" and {len(groups) - _NAMED} more" if len(groups) > _NAMED else ""
        yield warned(Decision(
            step="prepare", what=f"classes that differ in capitals or blanks alone: {'; '.join(groups[:_NAMED])}{more}",
            why="each is learned as a class of its own: where they are one, write them alike in the data",
        ))
