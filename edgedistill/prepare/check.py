"""Checks of labelled texts: classes, labels that nobody trained on, repeated texts, texts with two labels."""

import difflib
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from edgedistill.decisions import set_numbers
from edgedistill.errors import DataError
from edgedistill.prepare.columns import Columns
from edgedistill.prepare.label_names import class_numbers, is_flag
from edgedistill.prepare.rows import LabelledTexts, flags_in_one_column

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_PLACEHOLDER = re.compile(r"LABEL_\d{1,300}")
_BLANKS = r"[\s\v\x{1c}-\x{1f}\x{85}\p{Z}]+"
"""What Python calls a blank, for RE2, whose \\s knows those of ASCII alone."""
_SEPARATORS = (";", "|", "/", ",")
_FINAL_SIGMA, _SIGMA = "\u03c2", "\u03c3"


def class_names(train: LabelledTexts, *, order: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return the labels of the training rows, sorted: by value when all are numbers or LABEL_ and a number, else by spelling.

    Args:
        train: the training rows.
        order: the classes as the teacher spells them; they are then returned as they are, trained on or not. 1.0 and 1 are the
            same to it, and True and true, where only one of them is a class.

    Raises:
        DataError: there is only one, or the teacher does not know one of them.
    """
    names = pc.unique(train.label_words).to_pylist()
    if len(names) < 2:
        only = f"all {len(train)} rows have the label {names[0]!r}" if names and not train.has_several_labels else (
            f"the only label of its {len(train)} rows is {names[0]!r}" if names else f"none of its {len(train)} rows has a label")
        raise DataError(f"{train.source}: {only}; two classes are needed",
                        hint="check data.label_column, or add rows of another class")
    if order is not None:
        strange = sorted(set(names) - class_numbers(names, order).keys())
        if strange:
            raise DataError(f"{train.source}: the teacher does not know the label {strange[0]!r}; it knows "
                            f"{', '.join(order[:8])}{', ...' if len(order) > 8 else ''}",
                            hint="use the teacher's label names in the data, or an encoder that is not fine-tuned yet")
        return order
    if all(_NUMBER.fullmatch(name) for name in names):
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    if all(_PLACEHOLDER.fullmatch(name) for name in names):  # LABEL_10 after LABEL_9, as a teacher numbers them
        return tuple(sorted(names, key=lambda name: (int(name.removeprefix("LABEL_")), name)))
    return tuple(sorted(names))


def require_flagged(train: LabelledTexts, flags: Sequence[str]) -> None:
    """Refuse a column of 0 and 1 that is 0 in every training row: nothing says what the class is.

    Raises:
        DataError: names the column.
    """
    unused = sorted(set(flags) - set(pc.unique(train.label_words).to_pylist())) if flags else []
    if unused:
        raise DataError(f"{train.source}: column {unused[0]!r} is 0 in all {len(train)} rows",
                        hint="add rows of that class, or leave the column out of data.label_columns (with init: --label-columns)")


def require_named(train: LabelledTexts, columns: Columns, *, order: tuple[str, ...] | None = None) -> None:
    """Refuse several labels a text that are 0 and 1 for each class: read as names, they would be two classes.

    Args:
        train: the training rows.
        columns: where they came from; of a column for each class the names are the user's.
        order: the classes as the teacher spells them; where it calls them so, they are names.

    Raises:
        DataError: no label is anything but 0 and 1, or false and true.
    """
    if not train.has_several_labels or columns.flags:
        return
    names = pc.unique(train.label_words).to_pylist()
    is_known = order is not None and len(class_numbers(names, order)) == len(names)
    if names and not is_known and all(is_flag(name) for name in names):
        raise flags_in_one_column(train.source, columns.label)


def other_separator(train: LabelledTexts, classes: Sequence[str], separator: str) -> str | None:
    """Return what probably stands between the labels instead of the separator: no text has two, and names of classes hold it."""
    if bool(pc.any(pc.greater(pc.list_value_length(train.labels), 1)).as_py()):
        return None
    holders = {other: sum(other in name for name in classes) for other in _SEPARATORS if other != separator}
    likely = max(holders, key=lambda other: holders[other])
    return likely if holders[likely] else None


def encode_labels(rows: LabelledTexts, classes: Sequence[str]) -> NDArray[np.int32]:
    """Return the class number of each row, shape (n,), values 0 .. classes - 1; of several a row 0 and 1, shape (n, classes).

    A label need not be spelled as its class is: see `label_names.class_numbers`.

    Raises:
        DataError: a label is not among the classes; names the first place.
    """
    names = pc.unique(rows.label_words)
    known = class_numbers(names.to_pylist(), classes)
    numbers = pa.array([known.get(name) for name in names.to_pylist()], pa.int32())
    codes = numbers.take(pc.index_in(rows.label_words, value_set=names))
    if codes.null_count:
        unknown = pc.indices_nonzero(pc.is_null(codes)).to_numpy()
        label = rows.label_words[int(unknown[0])].as_py()
        near = difflib.get_close_matches(label, classes, n=1, cutoff=0.6)
        advice = f"; did you mean {near[0]!r}?" if near else ""
        places = np.unique(_rows_of_words(rows)[unknown])
        more = f" (and {len(places) - 1} more such rows)" if len(places) > 1 else ""
        raise DataError(f"{rows.place(int(places[0]))}: label {label!r} is not in train{advice}{more}",
                        hint="correct the label, remove the row, or add training rows of that class")
    found: NDArray[np.int32] = codes.to_numpy().astype(np.int32)
    if not rows.has_several_labels:
        return found
    matrix = np.zeros((len(rows), len(classes)), np.int32)
    matrix[_rows_of_words(rows), found] = 1
    return matrix


def _rows_of_words(rows: LabelledTexts) -> NDArray[np.int64]:
    """Return the row that each of `label_words` belongs to."""
    if not rows.has_several_labels:
        return np.arange(len(rows))
    return np.repeat(np.arange(len(rows)), pc.list_value_length(rows.labels).to_numpy())


def number_texts(sources: Sequence[LabelledTexts]) -> list[NDArray[np.int64]]:
    """Number the texts of several sources so that equal texts have equal numbers.

    Two texts count as equal when they differ only in capitals and in the width of blanks, as `edgedistill.examples.folded` says.

    Returns:
        for each source, an array of shape (its rows,).
    """
    chunks = [chunk for source in sources for chunk in source.texts.chunks]
    blanks_alike = pc.replace_substring_regex(pa.chunked_array(chunks, pa.string()).cast(pa.large_string()), _BLANKS, " ")
    lower = pc.replace_substring(pc.utf8_lower(blanks_alike), _FINAL_SIGMA, _SIGMA)
    encoded = lower.combine_chunks().dictionary_encode()  # large: more than 2 GiB of text in one piece
    ends = np.cumsum([len(source) for source in sources])
    return np.split(encoded.indices.to_numpy().astype(np.int64), ends[:-1])


def find_repeats(contents: NDArray[np.int64], labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Mark the rows whose content and label stood in an earlier row.

    Args:
        contents: numbers of what the rows hold, shape (n,); equal ones are equal.
        labels: class numbers, shape (n,); of several a row 0 and 1, shape (n, classes).
    """
    is_repeat = np.ones(len(contents), bool)
    is_repeat[np.unique(np.stack([contents, set_numbers(labels)]), axis=1, return_index=True)[1]] = False
    return is_repeat


def count_conflicts(contents: NDArray[np.int64], labels: NDArray[np.int32]) -> int:
    """Return how many different contents have two or more different labels, or sets of them; arguments as `find_repeats`."""
    pairs = np.unique(np.stack([contents, set_numbers(labels)]), axis=1)
    return int((np.unique(pairs[0], return_counts=True)[1] > 1).sum())
