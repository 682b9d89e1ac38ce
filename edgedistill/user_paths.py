"""What a user names on plain paths: the classes of a model folder, and examples in a folder or a data file."""

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.artifact import sha256_of_path
from edgedistill.document import read_text
from edgedistill.errors import ArtifactError, DataError, UsageError
from edgedistill.results import Variant
from edgedistill.tasks.registry import task_named, task_of_model
from edgedistill.tasks.task import DataFile

if TYPE_CHECKING:
    from edgedistill.prepare.rows import LabelledTexts

CONFIG_FILE = "config.json"
LABELS_FILE = "labels.json"
_CLASSIFIER = re.compile("For(Sequence|Image)Classification")
_DEFAULT_NAMES = {"0": "LABEL_0", "1": "LABEL_1"}
"""What transformers means when id2label is missing: save_pretrained leaves out values that are its defaults."""


def model_classes(model: Path) -> tuple[str, ...]:
    """Return the classes of a model folder in the order of its logits.

    Raises:
        ArtifactError: its config.json is missing, damaged, or names no classes.
    """
    path = (model.parent if model.is_file() else model) / CONFIG_FILE
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file", hint="name a model folder: config.json, tokenizer.json, weights")
    try:
        config = json.loads(read_text(path, error=ArtifactError))
        is_classifier = any(_CLASSIFIER.search(name) for name in config.get("architectures") or ())
        names = config.get("id2label") or (_DEFAULT_NAMES if is_classifier else {})
        found = tuple(str(names[key]) for key in sorted(names, key=int))
    except (ValueError, AttributeError, TypeError) as bad:
        raise ArtifactError(f"{path}: is not a model's configuration ({bad})",
                            hint="make the model folder again") from None
    if len(found) < 2:
        raise ArtifactError(f"{path}: names no classes (id2label)", hint="name the folder of a classifier")
    return found


def require_files(*files: Path, hint: str) -> None:
    """Refuse before any work when a file is missing.

    Raises:
        ArtifactError: names the first, with the hint given: the command that makes it.
    """
    for file in files:
        if not file.is_file():
            raise ArtifactError(f"{file}: no such file", hint=hint)


def variant_of(model: Path) -> Variant:
    """Say what a model folder holds: int8 where quantize left its verdict, ONNX, or torch."""
    if (model / "verdict.json").is_file():
        return "student_int8"
    return "student_onnx" if (model / "model.onnx").is_file() else "student"


@contextmanager
def open_examples(
    data: Path, split: str, names: Sequence[str] | None = None, *, like: Path | None = None
) -> Iterator[Path]:
    """Yield a file of examples: a split of a prepared folder, an .arrow file, or a data file.

    Args:
        data: where they are; a data file has the columns text and label.
        split: which split of a prepared folder.
        names: the classes that the labels of a data file stand for; None: the labels are not needed.
        like: a model that will answer them, a folder or a file in one: says what a data file is read as; None: texts.

    Raises:
        UsageError: the prepared folder has no such split.
        DataError: the data file cannot be used, or the model does not know one of its labels.
    """
    if (data / LABELS_FILE).is_file():
        if not (data / f"{split}.arrow").is_file():
            there = ", ".join(sorted(path.stem for path in data.glob("*.arrow")))
            raise UsageError(f"{data}: has no split {split!r}; it holds: {there}", hint="--split test")
        yield data / f"{split}.arrow"
        return
    if data.suffix == ".arrow":
        yield data
        return
    model = like if like is None or like.is_dir() else like.parent
    task = task_named("text-classification") if model is None else task_of_model(model)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{sha256_of_path(data)[:16]}.arrow"
        task.write_examples(DataFile(data, split, names), path, model=model)
        yield path


def write_text_examples(source: DataFile, path: Path) -> None:
    """Write the texts of a data file as examples.

    Raises:
        DataError: it cannot be used, or the model does not know one of its labels.
    """
    from edgedistill.examples import NO_LABEL, write_examples
    from edgedistill.prepare.columns import Columns
    from edgedistill.prepare.read import detect_format, read_column_names, read_labelled_texts

    data, split = source.path, source.split
    if detect_format(data) and not {"text", "label"} <= set(read_column_names(data, split=split)):
        raise DataError(f"{data}: has no columns called text and label", hint="rename them, or prepare the data first: "
                        "edgedistill prepare --recipe RECIPE -o DIR")
    rows = read_labelled_texts(data, Columns("text", "label"), split=split)
    labels = [NO_LABEL] * len(rows) if source.names is None else _encoded(rows, source.names)
    write_examples(path, [f"row-{i:06d}" for i in range(len(labels))], rows.texts.to_pylist(), labels)


def _encoded(rows: "LabelledTexts", names: Sequence[str]) -> list[int]:
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
