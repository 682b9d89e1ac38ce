"""Texts that a user names on the command line, as examples."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import DataError
from edgedistill.examples import NO_LABEL, write_examples
from edgedistill.prepare.check import encode_labels
from edgedistill.prepare.columns import Columns, Wording
from edgedistill.prepare.label_names import class_numbers
from edgedistill.prepare.read import detect_format, read_column_names, read_labelled_texts
from edgedistill.prepare.rows import LabelledTexts
from edgedistill.prepare.unlabelled import read_unlabelled_texts
from edgedistill.problem_type import SEVERAL_LABELS
from edgedistill.tasks.task import DataFile

_WORDS = Wording(one_label="this model gives one label a text: give each text one, or name a model of several")


def write_text_examples(source: DataFile, path: Path) -> None:
    """Write the texts of a data file as examples: of columns text and label, or of a column of 0 and 1 for each class.

    Without names of classes, or where labels may lack, a column of texts is enough; of equal texts one is then written.

    Raises:
        DataError: it cannot be used, or the model does not know one of its labels.
    """
    data, split = source.path, source.split
    there = set(read_column_names(data, split=split)) if detect_format(data) else set()
    may_have_several = source.problem == SEVERAL_LABELS
    is_flagged = may_have_several and bool(source.names) and set(source.names or ()) <= there  # whatever else is called label
    needs_labels = source.names is not None and not source.may_lack_labels
    if not needs_labels and not is_flagged and "text" in there and "label" not in there:
        texts = read_unlabelled_texts(data, "text", without=())
        write_examples(path, [f"row-{i:06d}" for i in range(len(texts))], texts, np.full(len(texts), NO_LABEL))
        return
    flags = tuple(source.names or ()) if is_flagged else ()
    if not {"text", *(flags or ("label",))} <= there:
        otherwise = ", or text and a column of 0 and 1 for each class" if may_have_several else ""
        raise DataError(f"{data}: has no columns called text and label{otherwise}",
                        hint="rename them, or prepare the data first: edgedistill prepare --recipe RECIPE -o DIR")
    columns = Columns("text", "label", _WORDS, separator="," if may_have_several else None, flags=flags)
    rows = read_labelled_texts(data, columns, split=split)
    labels = np.full(len(rows), NO_LABEL) if source.names is None else _encoded(rows, source.names)
    write_examples(path, [f"row-{i:06d}" for i in range(len(labels))], rows.texts.to_pylist(), labels)


def _encoded(rows: LabelledTexts, names: Sequence[str]) -> NDArray[np.int32]:
    """Return the class number of each row, shape (n,); of several a row 0 and 1, shape (n, classes).

    Raises:
        DataError: the model does not know a label.
    """
    labels = rows.labels.to_pylist()
    sets = labels if rows.has_several_labels else [[label] for label in labels]
    known_names = class_numbers({label for found in sets for label in found}, names)
    strange = next(((row, label) for row, found in enumerate(sets) for label in found if label not in known_names), None)
    if strange is not None:
        known = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        parts = [part.strip() for part in re.split(r"[;|/\s]", strange[1]) if part.strip()]
        if rows.has_several_labels and len(parts) > 1 and set(parts) <= set(names):
            raise DataError(f"{rows.place(strange[0])}: {strange[1]!r} is several labels, and no comma stands between them",
                            hint="edgedistill prepare --recipe RECIPE -o DIR reads them as the recipe says; then give --data DIR")
        raise DataError(f"{rows.place(strange[0])}: the model does not know the label {strange[1]!r}; it knows {known}",
                        hint="correct the label, or evaluate the model that was trained on this data" + (
                            "; between several labels of a string stands a comma, lists in JSONL need none"
                            if rows.has_several_labels else ""))
    return encode_labels(rows, names)
