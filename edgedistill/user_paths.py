"""What a user names on plain paths: the classes of a model folder, and examples in a folder or a data file."""

import json
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.artifact import sha256_of_path
from edgedistill.document import read_text
from edgedistill.errors import ArtifactError, DataError, UsageError
from edgedistill.problem_type import ONE_LABEL
from edgedistill.results import Labels, QuantizationVerdict, Variant
from edgedistill.tasks.registry import companion_files, is_classifier, task_of_model
from edgedistill.tasks.task import DataFile, TaskDoor
from edgedistill.typed_paths import look_there, not_there

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONFIG_FILE = "config.json"
LABELS_FILE = "labels.json"
_VERDICT_FILE = "verdict.json"
_DEFAULT_NAMES = {"0": "LABEL_0", "1": "LABEL_1"}
"""What transformers means when id2label is missing: save_pretrained leaves out values that are its defaults."""


def model_classes(model: Path) -> tuple[str, ...]:
    """Return the classes of a model folder in the order of its logits.

    Raises:
        ArtifactError: its config.json is missing, damaged, or names no classes.
    """
    path = (model.parent if model.is_file() else model) / CONFIG_FILE
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file", hint="name a model folder (config.json, tokenizer.json, ...) or a bundle")
    try:
        config = json.loads(read_text(path, error=ArtifactError))
        has_head = any(map(is_classifier, config.get("architectures") or ()))
        names = config.get("id2label") or (_DEFAULT_NAMES if has_head else {})
        found = tuple(str(names[key]) for key in sorted(names, key=int))
    except (ValueError, AttributeError, TypeError) as bad:
        raise ArtifactError(f"{path}: is not a model's configuration ({bad})",
                            hint="make the model folder again") from None
    if len(found) < 2:
        raise ArtifactError(f"{path}: names no classes (id2label)", hint="name the folder of a classifier")
    return found


def known_classes(folder: Path) -> tuple[str, ...]:
    """Return the classes of a model folder, or of a bundle's, in the order of the logits.

    Raises:
        ArtifactError: config.json, or where there is none labels.json, is missing, damaged, or names no classes.
    """
    if (folder / LABELS_FILE).is_file() and not (folder / CONFIG_FILE).is_file():
        return Labels.read_json(folder / LABELS_FILE).labels
    return model_classes(folder)


def named_classes(folder: Path) -> tuple[str, ...] | None:
    """Return the classes of a model folder or a bundle by name; None where it has none, or only numbers them."""
    try:
        own = known_classes(folder)
    except ArtifactError:  # without classes no label can be matched; what needs them says that they are missing
        return None
    return None if _are_numbered(own) else own


def task_at(model: Path) -> TaskDoor:
    """Return the task of a bundle, a model folder or a file in one."""
    from edgedistill.package.archive import opened_bundle

    if model.suffix == ".zip":
        with opened_bundle(model) as folder:
            return task_of_model(folder)
    return task_of_model(model if model.is_dir() else model.parent)


def require_files(*files: Path, hint: str) -> None:
    """Refuse before any work when a file is missing.

    Raises:
        ArtifactError: names the first, with the hint given: the command that makes it.
    """
    for file in files:
        if not file.is_file():
            raise ArtifactError(f"{file}: no such file", hint=hint)


def scheme_of(model: Path) -> str | None:
    """Return by which scheme quantize made a model, a folder or a file in one; None where it left no verdict."""
    path = (model if model.is_dir() else model.parent) / _VERDICT_FILE
    return QuantizationVerdict.read_json(path).scheme if path.is_file() else None


def variant_of(model: Path) -> Variant:
    """Say what a model folder holds: int8 where quantize left its verdict, ONNX, or torch."""
    if (model / _VERDICT_FILE).is_file():
        return "student_int8"
    return "student_onnx" if (model / "model.onnx").is_file() else "student"


@contextmanager
def open_examples(
    data: Path, split: str, names: Sequence[str] | None = None, *, like: Path | None = None, are_labels_read: bool = True,
    may_lack_labels: bool = False,
) -> Iterator[Path]:
    """Yield a file of examples: a split of a prepared folder, an .arrow file, or a data file.

    Args:
        data: where they are; a data file has the columns text and label.
        split: which split of a prepared folder.
        names: the classes that the labels of a data file stand for; None: the labels are not needed.
        like: a model that will answer them, a folder or a file in one: says what a data file is read as; None: texts.
        are_labels_read: will its answers be held against the labels? Then it must have the classes of a prepared folder.
        may_lack_labels: is a data file good without labels too, though `names` says what they would mean?

    Raises:
        UsageError: the prepared folder has no such split.
        ArtifactError: the model has other classes than the prepared folder, or another order of them.
        DataError: the data file cannot be used, or the model does not know one of its labels.
    """
    if (data / LABELS_FILE).is_file():
        if not (data / f"{split}.arrow").is_file():
            there = ", ".join(sorted(path.stem for path in data.glob("*.arrow")))
            raise UsageError(f"{data}: has no split {split!r}; it holds: {there}", hint="--split test")
        if are_labels_read:
            _require_classes_of(data, like)
        yield data / f"{split}.arrow"
        return
    if data.suffix == ".arrow":
        yield data
        return
    model = like if like is None or like.is_dir() else like.parent
    from edgedistill.decisions import problem_of_folder
    from edgedistill.prepare.read import detect_format

    if not data.exists():
        detect_format(data)  # says so, and what there is instead
    task = task_of_model(model)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{sha256_of_path(data)[:16]}.arrow"
        problem = ONE_LABEL if model is None else problem_of_folder(model)
        task.write_examples(DataFile(data, split, names, problem, may_lack_labels), path, model=model)
        yield path


def _require_classes_of(data: Path, model: Path | None) -> None:
    """Refuse a model to which the label numbers of a prepared folder mean other classes; one without classes is not judged."""
    if model is None:
        return
    from edgedistill.decisions import problem_of_folder

    folder = model if model.is_dir() else model.parent
    try:
        own = known_classes(folder)
    except ArtifactError:  # without classes nothing can be mixed up; what needs them says that they are missing
        return
    known = Labels.read_json(data / LABELS_FILE)
    theirs = known.labels
    if problem_of_folder(folder) != known.problem_type:
        raise ArtifactError(f"{folder}: its problem_type is {problem_of_folder(folder)}, that of {data / LABELS_FILE} is "
                            f"{known.problem_type}", hint="name a model that was trained on this data")
    is_unnamed = len(own) >= len(theirs) and _are_numbered(own)
    if own[: len(theirs)] != theirs and not is_unnamed:  # it may know more
        pairs = list(zip(own, theirs, strict=False))
        first = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
        raise ArtifactError(f"{folder}: its class {first} is {_nth(own, first)}, that of {data / LABELS_FILE} is "
                            f"{_nth(theirs, first)}: their labels would be mixed up",
                            hint="give a file of labelled examples instead of the folder: its labels are matched by name")


def _are_numbered(names: Sequence[str]) -> bool:
    return all(name == f"LABEL_{i}" for i, name in enumerate(names))


def _nth(names: Sequence[str], index: int) -> str:
    return repr(names[index]) if index < len(names) else "missing"


@contextmanager
def model_folder(model: Path) -> Iterator[Path]:
    """Yield a folder that holds model.onnx and what belongs to it; an .onnx file and what lies beside it are copied into one.

    The files with weights are those that the graph names.

    Raises:
        ArtifactError: there is no such file, it is no ONNX model, or a file with its weights is missing.
    """
    if model.is_dir():
        yield model
        return
    if not model.is_file():
        raise ArtifactError(f"{model}: no such file", hint="name an .onnx file or a model folder")
    if model.suffix != ".onnx":
        raise ArtifactError(f"{model}: is no .onnx file", hint="name the float .onnx file, or a folder that holds model.onnx")
    from edgedistill.quantize.plain_form import data_files

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / model.name  # messages name the file
        folder.mkdir()
        shutil.copyfile(model, folder / "model.onnx")
        beside = (CONFIG_FILE, *companion_files())
        for name in (*(name for name in beside if (model.parent / name).is_file()), *data_files(model)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(model.parent / name, folder / name)
        yield folder


@contextmanager
def open_calibration(data: Path, model: Path) -> Iterator[tuple[Path, Path | None]]:
    """Yield the rows on which int8 is judged and those on which it is calibrated, never the same.

    Args:
        data: a prepared folder; or a file, one half of whose rows, drawn at random, judges and the other calibrates (one row
            alone only judges).
        model: the model folder, whose classes the labels of a data file stand for.

    Raises:
        UsageError: the prepared folder has no validation split.
        DataError: the data file cannot be used, or the model does not know one of its labels.
    """
    if (data / LABELS_FILE).is_file():
        with open_examples(data, "validation", like=model) as judged:
            yield judged, data / "train.arrow" if (data / "train.arrow").is_file() else None
        return
    with tempfile.TemporaryDirectory() as scratch:
        if data.suffix == ".npz":
            yield _halves_of_arrays(data, Path(scratch))
            return
        names = model_classes(model) if (model / CONFIG_FILE).is_file() else None
        with open_examples(data, "validation", names, like=model) as examples:
            yield _halves_of_examples(examples, Path(scratch))


_HALVES_SEED = 13


def _judging_half(rows: int) -> "NDArray[np.bool_]":
    """Return which rows of a file judge, a mask: one half drawn at random, as rows in turn would follow an order of the file."""
    import numpy as np

    mask = np.zeros(rows, np.bool_)
    mask[np.random.default_rng(_HALVES_SEED).permutation(rows)[: (rows + 1) // 2]] = True
    return mask


def _halves_of_examples(examples: Path, scratch: Path) -> tuple[Path, Path | None]:
    from edgedistill.examples import read_examples, write_table

    found = read_examples(examples)
    if len(found) < 2:
        return examples, None
    judges = _judging_half(len(found))
    files = scratch / "judged.arrow", scratch / "calibration.arrow"
    for file, mask in zip(files, (judges, ~judges), strict=True):
        write_table(file, found.table.take(mask.nonzero()[0].tolist()))
    return files


def _halves_of_arrays(data: Path, scratch: Path) -> tuple[Path, Path | None]:
    from edgedistill.quantize.array_file import open_arrays, split_arrays

    if not data.is_file():
        raise DataError(not_there(data), hint=look_there(data))
    files = scratch / "judged" / data.name, scratch / "calibration" / data.name  # messages name the file
    try:
        arrays = open_arrays(data)
        lengths = {len(array) if array.ndim else 0 for array in arrays.values()}
        if len(lengths) != 1 or max(lengths) < 2:
            return data, None  # the court refuses arrays of several lengths
        judges = _judging_half(max(lengths))
        for file in files:
            file.parent.mkdir()
        split_arrays(arrays, tuple(zip(files, (judges, ~judges), strict=True)))
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as bad:
        raise DataError(f"{data}: is not an .npz of arrays ({bad})",
                        hint="np.savez('rows.npz', input_ids=..., labels=...)") from None
    return files
