"""The prepare stage of pictures: finds, decodes, checks and splits them into files of examples."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import Field

from edgedistill.document import Document
from edgedistill.errors import ArtifactError, DataError
from edgedistill.examples import NO_LABEL, read_examples
from edgedistill.manifest import Decision
from edgedistill.plan import PictureSize
from edgedistill.prepare.clean import SplitPlan
from edgedistill.prepare.columns import Columns
from edgedistill.prepare.data_report import SplitName
from edgedistill.prepare.stage import (
    DATA_REPORT_FILE,
    LABELS_FILE,
    TEST_FILE,
    TRAIN_FILE,
    UNLABELLED_FILE,
    VALIDATION_FILE,
    Inputs,
)
from edgedistill.results import Labels
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.image_classification.data_report import PictureReport
from edgedistill.tasks.image_classification.pictures import Rows, write_pictures
from edgedistill.tasks.image_classification.read import Decoded, batches_of, choose_size, decode
from edgedistill.tasks.image_classification.sources import open_source, split_folder
from edgedistill.tasks.image_classification.splits import CleanPictures, split_pictures

__all__ = ["STAGE", "Inputs", "Settings", "require_given"]

Given = TypeVar("Given", str, Path)

_STEP = "prepare"
_FILES: dict[SplitName, str] = {"train": TRAIN_FILE, "validation": VALIDATION_FILE, "test": TEST_FILE}


class Settings(Document):
    """What must be known besides the files."""

    image_column: str = Field("image", description="column, or .npz array, with the pictures")
    label_column: str = Field("label", description="column, or .npz array, with the labels")
    side: int | None = Field(None, description="pixels; null: by the pictures")
    channels: int | None = Field(None, description="1 or 3; null: by the pictures")
    validation_share: float = Field(0.15, gt=0, lt=0.5, description="of train, where validation is missing")
    test_share: float = Field(0.2, gt=0, lt=0.5, description="of train, where test is missing")
    seed: int = Field(13, ge=0, le=2**32 - 1, description="of the splits that are made here")
    files_sha256: str | None = Field(None, description="of files that these belong to: idx labels, pictures that a table names")
    label_order: tuple[str, ...] | None = Field(None, description="the order of the classes that the teacher knows")


def _requires(settings: Settings, inputs: Inputs) -> None:
    """Refuse missing files and unknown kinds.

    Raises:
        DataError: names the file.
    """
    columns = Columns(settings.image_column, settings.label_column)
    for path in (inputs.train, inputs.validation, inputs.test, inputs.unlabelled):
        if path is not None:
            open_source(path, columns)


def _run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    """Write the examples of each split, the labels and the data report.

    Raises:
        DataError: names what cannot be used.
    """
    size = choose_size(open_source(require_given(inputs.train), Columns(settings.image_column, settings.label_column)),
                       side=settings.side, channels=settings.channels)
    read = _decode_all(settings, inputs, size, out)
    data = split_pictures(
        read, SplitPlan(settings.validation_share, settings.test_share, settings.seed, settings.label_order)
    )
    for split in (data.train, data.validation, data.test):
        kept, decoded = split.kept, split.decoded
        rows = Rows(split.ids, [decoded.names[i] for i in kept.rows], kept.labels.tolist())
        write_pictures(out / _FILES[kept.name], rows, batches_of(decoded.pixels, kept.rows), size=size)
    unlabelled = _write_unlabelled(settings, inputs, size, out)
    (out / LABELS_FILE).write_text(Labels(labels=data.classes).to_json(), encoding="utf-8")
    report = _report(data, list(read.values()), size)
    (out / DATA_REPORT_FILE).write_text(report.to_json(), encoding="utf-8")
    decisions = list(_decisions(report, settings))
    if unlabelled:
        decisions.append(Decision(step=_STEP, what=f"took {unlabelled} pictures without labels", why="data.unlabelled"))
    return Outcome(tuple(decisions), scratch=tuple(f"{name}.raw" for name in (*_FILES, "unlabelled")))


def _decode_all(settings: Settings, inputs: Inputs, size: PictureSize, out: Path) -> dict[SplitName, Decoded]:
    columns = Columns(settings.image_column, settings.label_column)
    train = require_given(inputs.train)
    given: dict[SplitName, Path | None] = {"train": train, "validation": inputs.validation, "test": inputs.test}
    if train.is_dir():  # a folder that is divided into splits has them all
        given |= {name: train for name in ("validation", "test") if given[name] is None and split_folder(train, name) is not None}
    return {
        name: decode(open_source(path, columns, split=name), size, out / f"{name}.raw")
        for name, path in given.items() if path is not None
    }


def _write_unlabelled(settings: Settings, inputs: Inputs, size: PictureSize, out: Path) -> int:
    """Write the user's pictures without labels; an empty file where there are none."""
    if inputs.unlabelled is None:
        write_pictures(out / UNLABELLED_FILE, Rows((), (), ()), (), size=size)
        return 0
    source = open_source(inputs.unlabelled, Columns(settings.image_column, settings.label_column))
    found = decode(source, size, out / "unlabelled.raw", is_labelled=False)
    ids = [f"unlabelled-{i:07d}" for i in range(len(found))]
    every = Rows(ids, found.names, [NO_LABEL] * len(found))
    write_pictures(out / UNLABELLED_FILE, every, batches_of(found.pixels, np.arange(len(found))), size=size)
    return len(found)


def _report(data: CleanPictures, decoded: list[Decoded], size: PictureSize) -> PictureReport:
    splits = [split.describe(data.classes) for split in (data.train, data.validation, data.test)]
    totals = {name: sum(split.rows_by_class[name] for split in splits) for name in data.classes}
    treated: dict[str, int] = {}
    for item in decoded:
        for kind, count in item.treated.items():
            treated[kind] = treated.get(kind, 0) + count
    return PictureReport(
        classes=data.classes, side=size.side, channels=size.channels, train=splits[0], validation=splits[1], test=splits[2],
        treated=dict(sorted(treated.items())), broken=tuple(text for item in decoded for text in item.broken),
        ignored=tuple(name for item in decoded for name in item.ignored),
        single=tuple(name for name, rows in totals.items() if rows == 1), conflicting=data.conflicting,
    )


def _decisions(report: PictureReport, settings: Settings) -> Iterator[Decision]:
    kind = "grey" if report.channels == 1 else "RGB"
    why = "the recipe says so" if settings.side and settings.channels else "by the first pictures of train"
    yield Decision(step=_STEP, what=f"stored the pictures as {kind} of {report.side} x {report.side} pixels", why=why)
    if report.broken:
        yield Decision(step=_STEP, what=f"left {len(report.broken)} pictures out that cannot be decoded",
                       why=f"the first: {report.broken[0]}")
    for kind, count in report.treated.items():
        yield Decision(step=_STEP, what=f"{count} pictures: {kind}", why=_TREATMENTS[kind])
    if report.single:
        yield Decision(step=_STEP, what=f"classes with one picture: {', '.join(report.single[:5])}",
                       why="it is in train: such a class is learned and judged nowhere")
    if report.conflicting:
        yield Decision(step=_STEP, what=f"left {report.conflicting} pictures with two or more labels as they are",
                       why="only the data's owner can say which one is right")
    for name, split, share in (("test", report.test, settings.test_share),
                               ("validation", report.validation, settings.validation_share)):
        if split.is_made_here:
            yield Decision(step=_STEP, what=f"split {split.rows} rows off train for {name}",
                           why=f"no {name} data was given; share {share:g}, stratified by class, seed {settings.seed}")


_TREATMENTS = {
    "animated": "the first frame was taken", "rotated": "they were turned as their EXIF data say",
    "16 bits": "they were scaled to 8 bits", "palette": "the palette was replaced by its colours",
    "transparent": "the transparency was dropped",
}


def _ensures(out: Path) -> None:
    """Read back what was written.

    Raises:
        ArtifactError: the rows are not those of the data report.
    """
    report = PictureReport.read_json(out / DATA_REPORT_FILE)
    for name, split in (("train", report.train), ("validation", report.validation), ("test", report.test)):
        if len(read_examples(out / f"{name}.arrow")) != split.rows:
            raise ArtifactError(f"{out / name}.arrow: does not hold the rows of {DATA_REPORT_FILE}",
                                hint="run the same command again")


def require_given(train: Given | None) -> Given:
    """Return data.train, as the recipe names it or where it lies.

    Raises:
        DataError: there is none, as for data of the hub.
    """
    if train is None:
        raise DataError("pictures are read from files and folders, not from the hub yet",
                        hint="save the data set with save_to_disk(DIR) and give data.train: DIR")
    return train


STAGE = Stage(
    name="prepare", version=1, run=_run, requires=_requires, ensures=_ensures,
    tools=("pyarrow", "scikit-learn", "datasets", "pillow"),
)
