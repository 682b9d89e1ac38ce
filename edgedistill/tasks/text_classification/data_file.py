"""Texts that a user names on the command line, as examples."""

from collections.abc import Sequence
from pathlib import Path

from edgedistill.errors import DataError
from edgedistill.examples import NO_LABEL, write_examples
from edgedistill.prepare.columns import Columns
from edgedistill.prepare.read import detect_format, read_column_names, read_labelled_texts
from edgedistill.prepare.rows import LabelledTexts
from edgedistill.tasks.task import DataFile


def write_text_examples(source: DataFile, path: Path) -> None:
    """Write the texts of a data file as examples.

    Raises:
        DataError: it cannot be used, or the model does not know one of its labels.
    """
    data, split = source.path, source.split
    if detect_format(data) and not {"text", "label"} <= set(read_column_names(data, split=split)):
        raise DataError(f"{data}: has no columns called text and label", hint="rename them, or prepare the data first: "
                        "edgedistill prepare --recipe RECIPE -o DIR")
    rows = read_labelled_texts(data, Columns("text", "label"), split=split)
    labels = [NO_LABEL] * len(rows) if source.names is None else _encoded(rows, source.names)
    write_examples(path, [f"row-{i:06d}" for i in range(len(labels))], rows.texts.to_pylist(), labels)


def _encoded(rows: LabelledTexts, names: Sequence[str]) -> list[int]:
    """Return the class number of each row.

    Raises:
        DataError: the model does not know a label.
    """
    number = {name: i for i, name in enumerate(names)}
    labels = rows.labels.to_pylist()
    strange = next((i for i, label in enumerate(labels) if label not in number), None)
    if strange is not None:
        known = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        label = labels[strange]
        raise DataError(f"{rows.place(strange)}: the model does not know the label {label!r}; it knows {known}",
                        hint="correct the label, or evaluate the model that was trained on this data")
    return [number[label] for label in labels]
