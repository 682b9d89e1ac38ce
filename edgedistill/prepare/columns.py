"""Which columns hold the texts and the labels; a missing one is answered with the one that was probably meant."""

import difflib
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from edgedistill.errors import DataError

_USUAL_NAMES = {
    "text": ("text", "sentence", "utterance", "review", "content", "message", "question", "query", "document", "body"),
    "label": ("label", "labels", "intent", "class", "category", "target", "sentiment", "topic", "tag", "y"),
}

_HEADED = re.compile(r"\.(csv|tsv|tab)(\.gz)?(:1)?$", re.IGNORECASE)
"""The place of a header, or a file that begins with one."""


@dataclass(frozen=True)
class Wording:
    """What messages call the examples of a table.

    Attributes:
        example: what a row is about.
        cell: what its cell holds.
        key: of the recipe, which names the column.
        column: what it is called by default.
        sample: a cell and its label, for hints.
        remedy: what to do where a column is missing; None: name it in the recipe.
        one_label: what to do where a row has several labels; a hint.
    """

    example: str = "text"
    cell: str = "text"
    key: str = "data.text_column"
    column: str = "text"
    sample: tuple[str, str] = ("turn it down", "volume")
    remedy: str | None = None
    one_label: str = "give each text one label, or say that a text may have several: --set data.several_labels=true"


TEXTS = Wording()


@dataclass(frozen=True)
class Columns:
    """The columns with the texts (or with the paths of pictures, as `words` says) and with the labels.

    Attributes:
        text: its name.
        label: its name.
        words: for messages.
        separator: what stands between the labels of a text that may have several; None: each has one.
        flags: columns of 0 and 1, one for each class, in the place of the column `label`; the separator is no None then.
    """

    text: str
    label: str
    words: Wording = TEXTS
    separator: str | None = None
    flags: tuple[str, ...] = ()

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The names of the columns that say the labels."""
        return self.flags or (self.label,)

    def label_of(self, cells: Sequence[object]) -> object:
        """Return what a row says of its labels: its cells in `label_columns`, the only one by itself."""
        return tuple(cells) if self.flags else cells[0]


def check_columns(names: Sequence[str], columns: Columns, *, place: str) -> None:
    """Compare the wanted columns with those that are there.

    Args:
        names: the columns that are there.
        columns: the wanted ones.
        place: the file and line that messages name.

    Raises:
        DataError: one is missing or there twice, or both are the same; says which one was probably meant.
    """
    for role, wanted in (("text", columns.text), *(("label", name) for name in columns.label_columns)):
        _require_one(role, wanted, names, place=place, words=columns.words, is_flag=bool(columns.flags) and role == "label")
    if columns.text in columns.label_columns:
        raise DataError(f"{place}: {columns.words.example} and label are both taken from column {columns.text!r}",
                        hint=f"set {columns.words.key} and data.label_column{'s' if columns.flags else ''}; {_told(names)}")


def require_keys(names: Sequence[str], columns: Columns, *, place: str) -> None:
    """Refuse a row of JSON that lacks a key which the first row has: the column is there, this row's cell is not.

    Args:
        names: the keys of the row.
        columns: the wanted ones; words say what a text is called.
        place: the file and line that messages name.

    Raises:
        DataError: names the key, and one of the row that is spelled almost alike.
    """
    for wanted in (columns.text, *columns.label_columns):
        if wanted not in names:
            role = columns.words.cell if wanted == columns.text else "label"
            raise _no_cell(wanted, names, role=role, place=place)


def require_text_key(names: Sequence[str], column: str, *, place: str, words: Wording = TEXTS) -> None:
    """Do the same where only texts are read.

    Raises:
        DataError: names the key, and one of the row that is spelled almost alike.
    """
    if column not in names:
        raise _no_cell(column, names, role=words.cell, place=place)


def _no_cell(wanted: str, names: Sequence[str], *, role: str, place: str) -> DataError:
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.75)
    written = f'write "{wanted}" in the place of "{near[0]}" in this row' if near else f'write "{wanted}": ... into this row'
    return DataError(f"{place}: the row has no {role}: earlier ones have the key {wanted!r}"
                     + (f", this one has {near[0]!r}" if near else ""), hint=f"{written}, or remove the row")


def check_text_column(names: Sequence[str], column: str, *, place: str, words: Wording = TEXTS) -> None:
    """Do the same where only texts are read.

    Raises:
        DataError: the column is missing or there twice; says which one was probably meant.
    """
    _require_one("text", column, names, place=place, words=words)


def _require_one(role: str, wanted: str, names: Sequence[str], *, place: str, words: Wording, is_flag: bool = False) -> None:
    """Refuse a wanted column that is not there exactly once; of the others it does not matter what they are called."""
    if wanted not in names and is_flag:
        near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.6)
        raise DataError(f"{place}: no column {wanted!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
                        hint=f"correct data.label_columns (with init: --label-columns); {_told(names)}")
    if wanted not in names:
        raise _missing(role, wanted, names, place=place, words=words)
    if names.count(wanted) > 1:
        raise DataError(f"{place}: two columns are called {wanted!r}", hint="give each column a name of its own")


def _told(names: Sequence[str]) -> str:
    """Return what columns there are; one without a name cannot be asked for."""
    named = [name for name in names if name]
    return f"the columns are: {', '.join(named)}" if named else "there are no columns"


def _missing(role: str, wanted: str, names: Sequence[str], *, place: str, words: Wording) -> DataError:
    there, meant, key = _told(names), _guess(role, wanted, names), words.key if role == "text" else "data.label_column"
    suggestion = f"; did you mean {meant!r}?" if meant else f"; {there}"
    is_of_texts = words.key == TEXTS.key
    flags = "" if role == "text" or meant or not is_of_texts else "; of a column of 0 and 1 for each class: --label-columns A,B"
    typed = shlex.quote(meant) if meant else "NAME"
    setting = shlex.quote(f"{key}={meant}") if meant else f"{key}=NAME"
    if meant is None and _HEADED.search(place):
        there += "; does the first line name the columns? if it is a row, write a line with their names above it"
    remedy = words.remedy or f"--set {setting} (with init: --{role}-column {typed}{flags})"
    return DataError(f"{place}: no column {wanted!r}{suggestion}", hint=f"{remedy}; {there}")


def _guess(role: str, wanted: str, names: Sequence[str]) -> str | None:
    """A column spelled almost like the wanted one, else one with a usual name for its role, else one spelled alike."""
    by_lower = {name.lower(): name for name in reversed(names)}
    usual = [name for name in _USUAL_NAMES[role] if name in by_lower]
    almost = difflib.get_close_matches(wanted.lower(), list(by_lower), n=1, cutoff=0.75)
    alike = difflib.get_close_matches(wanted.lower(), list(by_lower), n=1, cutoff=0.6)
    found = almost or usual or alike
    return by_lower[found[0]] if found else None
