"""How labels are spelled: which spellings of a number or a truth value are one label, and which class a label means."""

import re
from collections.abc import Iterable, Mapping, Sequence

_WITH_POINT = re.compile(r"([+-]?\d{1,309})\.0+")
"""As pandas writes whole numbers of a column that once held a gap. A float has 309 digits at most."""
_WHOLE = re.compile(r"[+-]?\d+(\.0+)?")
_TRUTHS = ("false", "true")


def shortened(labels: Iterable[str]) -> Mapping[str, str]:
    """Return the new names of whole numbers that a source spells with a point: 1 for 1.0.

    Where other labels are no whole numbers, as versions 1.0 and 1.1 are, 1.0 keeps its point, unless 1 is a label there too.

    Args:
        labels: all labels of the source.
    """
    names = set(labels)
    are_whole = all(_WHOLE.fullmatch(name) for name in names)
    plain = {name: _plain(name) for name in names if _WITH_POINT.fullmatch(name)}
    return {name: short for name, short in plain.items() if are_whole or short in names}


def class_numbers(labels: Iterable[str], classes: Sequence[str]) -> Mapping[str, int]:
    """Return the number of the class that each label means; a label that means none is left out.

    A label means the class of its name, else the only one that differs from it as 1.0 does from 1, or True from true.

    Args:
        labels: as they are spelled in the data.
        classes: the names of the classes, in the order of their numbers.
    """
    exact = {name: number for number, name in enumerate(classes)}
    alike: dict[str, list[int]] = {}
    for number, name in enumerate(classes):
        alike.setdefault(_plain(name), []).append(number)
    found = {}
    for label in labels:
        close = alike.get(_plain(label), [])
        if label in exact:
            found[label] = exact[label]
        elif len(close) == 1:
            found[label] = close[0]
    return found


def is_flag(label: str) -> bool:
    """Is a label 0 or 1, or false or true, however it is spelled?"""
    return _plain(label) in ("0", "1", *_TRUTHS)


def _plain(label: str) -> str:
    whole = _WITH_POINT.fullmatch(label)
    if whole:
        return str(int(whole[1]))
    return label.lower() if label.lower() in _TRUTHS else label
