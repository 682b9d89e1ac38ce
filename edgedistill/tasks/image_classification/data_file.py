"""Pictures that a user names on the command line, as examples for one model."""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgedistill.errors import DataError
from edgedistill.examples import NO_LABEL
from edgedistill.plan import PictureSize
from edgedistill.prepare.columns import Columns
from edgedistill.prepare.label_names import class_numbers
from edgedistill.tasks.image_classification.pictures import Rows, write_pictures
from edgedistill.tasks.image_classification.preprocessing import BILINEAR
from edgedistill.tasks.image_classification.read import Decoded, batches_of, decode
from edgedistill.tasks.image_classification.sources import open_source
from edgedistill.tasks.image_classification.split_folders import split_folder, subfolders
from edgedistill.tasks.image_classification.tables import PICTURES
from edgedistill.tasks.task import DataFile

_PICTURES = dataclasses.replace(
    PICTURES, remedy="call the columns image and label, or prepare the data first: edgedistill prepare --recipe RECIPE -o DIR"
)


def write_data_file(source: DataFile, path: Path, *, size: PictureSize, resample: int = BILINEAR) -> None:
    """Write the pictures of a folder or a file with columns image and label, at a model's size, by its filter.

    Where the labels are not needed, or may lack, there need be none: a folder may hold the pictures themselves.

    Raises:
        DataError: it cannot be used, or the model does not know one of its labels.
    """
    with tempfile.TemporaryDirectory() as scratch:
        columns = Columns("image", "label", _PICTURES)
        is_labelled = source.names is not None and (not source.may_lack_labels or _is_divided(source))
        opened = open_source(source.path, columns, split=source.split, is_labelled=is_labelled)
        found = decode(opened, size, Path(scratch) / "raw", is_labelled=is_labelled, resample=resample)
        labels = [NO_LABEL] * len(found) if not is_labelled else _numbers(found, source.names or ())
        rows = Rows([f"row-{i:06d}" for i in range(len(found))], found.names, labels)
        write_pictures(path, rows, batches_of(found.pixels, np.arange(len(found))), size=size)


def _is_divided(source: DataFile) -> bool:
    """Is it a folder with a folder for each class, or for some of them?"""
    if not source.path.is_dir():
        return False
    inside = {folder.name for folder in subfolders(split_folder(source.path, source.split) or source.path)}
    return bool(inside) and inside <= set(source.names or ())


def _numbers(found: Decoded, names: Sequence[str]) -> list[int]:
    number = class_numbers(set(found.labels), names)
    for name, label in zip(found.names, found.labels, strict=True):
        if label not in number:
            raise DataError(f"{found.place}: {name}: the model does not know the class {label!r}; it knows "
                            f"{', '.join(names[:8])}{', ...' if len(names) > 8 else ''}",
                            hint="correct the label, or evaluate the model that was trained on this data")
    return [number[label] for label in found.labels]
