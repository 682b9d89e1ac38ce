"""The prepare stage of pictures: finds, decodes, checks and splits them into files of examples."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgedistill.data_settings import HubData
from edgedistill.document import Document
from edgedistill.errors import ArtifactError, DataError
from edgedistill.examples import NO_LABEL, read_examples
from edgedistill.manifest import Decision
from edgedistill.plan import PictureSize
from edgedistill.prepare.absent_classes import class_decisions
from edgedistill.prepare.alike_classes import alike_classes
from edgedistill.prepare.clean import SplitPlan
from edgedistill.prepare.columns import Columns
from edgedistill.prepare.data_report import SplitName, WrittenSplit
from edgedistill.prepare.few_rows import few_rows
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
from edgedistill.tasks.image_classification.sources import (
    UNREAD_SUFFIXES,
    Source,
    open_hub_source,
    open_source,
    open_splits,
    require_classes,
)
from edgedistill.tasks.image_classification.splits import CleanPictures, split_pictures

__all__ = ["STAGE", "Inputs", "Settings", "file_sources", "sources_of"]

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
    hub: HubData | None = Field(None, description="read from the hub instead of files")


def sources_of(inputs: Inputs, columns: Columns, hub: HubData | None = None) -> dict[SplitName | Literal["unlabelled"], Source]:
    """Open all that is given. A folder that is divided into splits, given as train, has them all.

    Raises:
        DataError: names the file that is missing, of an unknown kind, or without pictures, or what the hub refuses.
    """
    if (inputs.train is None) == (hub is None):
        raise DataError("the pictures are given neither as a file or folder nor on the hub, or both ways",
                        hint="give data.train: DIR or data.hub: {name: ID}")
    found = file_sources(inputs, columns)
    if hub is not None:
        names: dict[SplitName, str | None] = {"train": hub.train, "validation": hub.validation, "test": hub.test}
        found |= {split: open_hub_source(hub, name, columns) for split, name in names.items() if name is not None}
    return found


def file_sources(inputs: Inputs, columns: Columns) -> dict[SplitName | Literal["unlabelled"], Source]:
    """Open the files and folders alone; errors as `sources_of`."""
    found: dict[SplitName | Literal["unlabelled"], Source] = {}
    if inputs.train is not None:
        given: dict[SplitName, Path | None] = {"train": inputs.train, "validation": inputs.validation, "test": inputs.test}
        for split, source in open_splits(given, columns).items():
            found[split] = source
    if inputs.unlabelled is not None:
        found["unlabelled"] = open_source(inputs.unlabelled, columns, is_labelled=False)
    return found


def _requires(settings: Settings, inputs: Inputs) -> None:
    """Refuse missing files, unknown kinds and pictures of one class.

    Raises:
        DataError: names the file.
    """
    sources = sources_of(inputs, Columns(settings.image_column, settings.label_column), settings.hub)
    require_classes(sources["train"])


def _run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    """Write the examples of each split, the labels and the data report.

    Raises:
        DataError: names what cannot be used.
    """
    sources = sources_of(inputs, Columns(settings.image_column, settings.label_column), settings.hub)
    size = choose_size(sources["train"], side=settings.side, channels=settings.channels)
    read = {name: decode(sources[name], size, out / f"{name}.raw") for name in _FILES if name in sources}
    data = split_pictures(
        read, SplitPlan(settings.validation_share, settings.test_share, settings.seed, settings.label_order)
    )
    for split in (data.train, data.validation, data.test):
        kept, decoded = split.kept, split.decoded
        rows = Rows(split.ids, [decoded.names[i] for i in kept.rows], kept.labels.tolist())
        write_pictures(out / _FILES[kept.name], rows, batches_of(decoded.pixels, kept.rows), size=size)
    known = np.concatenate([item.hashes for item in read.values()])
    unlabelled = _write_unlabelled(sources.get("unlabelled"), known, size, out)
    (out / LABELS_FILE).write_text(Labels(labels=data.classes).to_json(), encoding="utf-8")
    report = _report(data, [*read.values(), *(item for item, _ in unlabelled)], size)
    (out / DATA_REPORT_FILE).write_text(report.to_json(), encoding="utf-8")
    decisions = list(_decisions(report, settings))
    decisions += [Decision(step=_STEP, what=f"took {rows} of {len(item)} pictures without labels",
                           why="data.unlabelled; repeats and pictures of train, validation and test are left out")
                  for item, rows in unlabelled]
    return Outcome(tuple(decisions), scratch=tuple(f"{name}.raw" for name in (*_FILES, "unlabelled")))


def _write_unlabelled(
    source: Source | None, known: NDArray[np.int64], size: PictureSize, out: Path
) -> list[tuple[Decoded, int]]:
    """Write the user's pictures without labels, each once and none that has a label; an empty file where there are none.

    Returns:
        what was decoded and how many rows were written, where there is a source.
    """
    if source is None:
        write_pictures(out / UNLABELLED_FILE, Rows((), (), ()), (), size=size)
        return []
    found = decode(source, size, out / "unlabelled.raw", is_labelled=False)
    firsts = np.unique(found.hashes, return_index=True)[1]
    kept = np.sort(firsts[~np.isin(found.hashes[firsts], known)])
    ids = [f"unlabelled-{i:07d}" for i in range(len(kept))]
    rows = Rows(ids, [found.names[i] for i in kept], [NO_LABEL] * len(kept))
    write_pictures(out / UNLABELLED_FILE, rows, batches_of(found.pixels, kept), size=size)
    return [(found, len(kept))]


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
        ignored=tuple(name for item in decoded for name in item.source.ignored),
        beside=tuple(name for item in decoded for name in item.source.beside),
        empty=tuple(name for item in decoded for name in item.source.empty),
        single=tuple(name for name, rows in totals.items() if rows == 1), conflicting=data.conflicting,
    )


def _said(setting: int | None, otherwise: str) -> str:
    return "the recipe" if setting else otherwise


def _decisions(report: PictureReport, settings: Settings) -> Iterator[Decision]:
    kind = "grey" if report.channels == 1 else "RGB"
    found = "the pictures of train"
    why = (f"the size by {_said(settings.side, found)}, grey or colour by {_said(settings.channels, found)}"
           if bool(settings.side) != bool(settings.channels) else f"by {_said(settings.side, found)}")
    yield Decision(step=_STEP, what=f"stored the pictures as {kind} of {report.side} x {report.side} pixels", why=why)
    if report.broken:
        yield Decision(step=_STEP, what=f"left {len(report.broken)} pictures out that cannot be decoded",
                       why=f"the first: {report.broken[0]}")
    yield from _left_out(report)
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
    splits: dict[SplitName, WrittenSplit] = {"train": report.train, "validation": report.validation, "test": report.test}
    yield from alike_classes(report.train.rows_by_class)
    yield from class_decisions(splits, noun="picture")
    yield from few_rows(splits)


def _left_out(report: PictureReport) -> Iterator[Decision]:
    """Name the files that look like pictures and are not among them; what else lies about is in the data report."""
    unread = [name for name in report.ignored if Path(name).suffix.lower() in UNREAD_SUFFIXES]
    if unread:
        kinds = sorted({Path(name).suffix.lower() for name in unread})
        yield Decision(step=_STEP, what=f"left {len(unread)} pictures out that are not read: {_some(unread)}",
                       why=f"convert them to JPEG to have them in; {', '.join(kinds)} cannot be decoded here")
    if report.beside:
        yield Decision(step=_STEP, what=f"left {len(report.beside)} pictures out that lie beside the folders of the classes: "
                       f"{_some(report.beside)}", why="move each into the folder of its class to have it in")
    if report.empty:
        yield Decision(step=_STEP, what=f"folders without a picture that is read: {_some(report.empty)}",
                       why="they are no classes; remove them, or put pictures in")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


_TREATMENTS = {
    "animated": "the first frame was taken", "rotated": "they were turned as their EXIF data say",
    "16 bits": "they were scaled to 8 bits, 65,535 becoming 255",
    "floats": "they were scaled to 8 bits, by 255 where no value of a picture is above 1, else as they are",
    "dark 16 bits": "no value is above 4,095 of 65,535, so they are nearly black; write them as 8 bits over their own range",
    "palette": "the palette was replaced by its colours",
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


STAGE = Stage(
    name="prepare", version=6, run=_run, requires=_requires, ensures=_ensures,
    tools=("pyarrow", "scikit-learn", "datasets", "pillow"),
)
