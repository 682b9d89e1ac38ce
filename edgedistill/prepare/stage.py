"""The prepare stage: reads, checks and splits the data into files of examples."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from edgedistill.data_settings import HubData
from edgedistill.decisions import problem_of_labels
from edgedistill.document import Document, without_defaults
from edgedistill.errors import ArtifactError, DataError
from edgedistill.examples import NO_LABEL, read_examples, write_examples
from edgedistill.manifest import Decision, warned
from edgedistill.prepare.absent_classes import class_decisions
from edgedistill.prepare.alike_classes import alike_classes
from edgedistill.prepare.assemble import CleanData, Sources, assemble
from edgedistill.prepare.check import other_separator, require_flagged, require_named
from edgedistill.prepare.clean import SplitPlan
from edgedistill.prepare.columns import Columns
from edgedistill.prepare.data_report import DataReport, SplitName, WrittenSplit
from edgedistill.prepare.few_rows import few_rows
from edgedistill.prepare.hub import read_hub_split
from edgedistill.prepare.read import detect_format, read_labelled_texts
from edgedistill.prepare.rows import LabelledTexts
from edgedistill.prepare.unlabelled import read_unlabelled_texts, require_unlabelled
from edgedistill.results import Labels
from edgedistill.stage import Outcome, Stage

__all__ = ["DATA_REPORT_FILE", "LABELS_FILE", "STAGE", "TEST_FILE", "TRAIN_FILE", "UNLABELLED_FILE", "VALIDATION_FILE",
           "DataReport", "Inputs", "Labels", "Settings"]

TRAIN_FILE = "train.arrow"
VALIDATION_FILE = "validation.arrow"
TEST_FILE = "test.arrow"
UNLABELLED_FILE = "unlabelled.arrow"
LABELS_FILE = "labels.json"
DATA_REPORT_FILE = "data_report.json"

_STEP = "prepare"


class Settings(Document):
    """What prepare must know besides the files."""

    text_column: str = Field("text", description="column that holds the text")
    label_column: str = Field("label", description="column that holds the label")
    label_columns: tuple[str, ...] = Field((), description="instead: columns of 0 and 1, one for each class")
    label_separator: str | None = Field(None, description="between the labels of a text that may have several; null: it has one")
    validation_share: float = Field(0.15, gt=0, lt=0.5, description="of train, where validation is missing")
    test_share: float = Field(0.2, gt=0, lt=0.5, description="of train, where test is missing")
    hub: HubData | None = Field(None, description="read from the hub instead of files")
    seed: int = Field(13, ge=0, le=2**32 - 1, description="of the splits that are made here")
    label_order: tuple[str, ...] | None = Field(None, description="the order of the classes that the teacher knows")

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(self, write(self), "label_separator", "label_columns")

    def columns(self) -> Columns:
        """Return where texts and labels are."""
        return Columns(self.text_column, self.label_column, separator=self.label_separator, flags=self.label_columns)


@dataclass(frozen=True)
class Inputs:
    """Data files or saved `datasets` folders; all None where settings name a data set of the hub."""

    train: Path | None
    validation: Path | None = None
    test: Path | None = None
    unlabelled: Path | None = None


def _requires(settings: Settings, inputs: Inputs) -> None:
    """Refuse missing files and unknown formats.

    Raises:
        DataError: names the file.
    """
    if (inputs.train is None) == (settings.hub is None):
        raise DataError("the training data is given neither as a file nor on the hub, or both ways",
                        hint="give data.train: FILE (--train FILE) or data.hub: {name: ID}")
    for path in (inputs.train, inputs.validation, inputs.test):
        if path is not None:
            detect_format(path)
    if inputs.unlabelled is not None:
        require_unlabelled(inputs.unlabelled)


def _run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    """Write the examples of each split, the labels and the data report.

    Raises:
        DataError: names file and line of what cannot be used.
    """
    sources = _read_hub(settings, settings.hub) if settings.hub is not None else _read_files(settings, inputs)
    if settings.label_order is None:
        require_flagged(sources.train, settings.label_columns)
    require_named(sources.train, settings.columns(), order=settings.label_order)
    plan = SplitPlan(settings.validation_share, settings.test_share, settings.seed, settings.label_order)
    data = assemble(sources, plan)
    for file, split in ((TRAIN_FILE, data.train), (VALIDATION_FILE, data.validation), (TEST_FILE, data.test)):
        write_examples(out / file, split.ids(), split.rows.texts.to_pylist(), split.kept.labels)
    unlabelled = _read_unlabelled(settings, inputs, data)
    write_examples(out / UNLABELLED_FILE, [f"unlabelled-{i:07d}" for i in range(len(unlabelled))], unlabelled,
                   [NO_LABEL] * len(unlabelled))
    problem = problem_of_labels(data.train.kept.labels)
    (out / LABELS_FILE).write_text(Labels(labels=data.classes, problem_type=problem).to_json(), encoding="utf-8")
    (out / DATA_REPORT_FILE).write_text(data.report.to_json(), encoding="utf-8")
    decisions = [*_decisions(data, plan), *_separator_decisions(sources.train, data.classes, settings)]
    if inputs.unlabelled is not None:
        taken = Decision(step=_STEP, what=f"took {_count(len(unlabelled), 'text')} without labels",
                         why="data.unlabelled; repeats and texts of train, validation and test are left out")
        decisions.append(taken if unlabelled else warned(taken))
    return Outcome(tuple(decisions))


def _separator_decisions(train: LabelledTexts, classes: tuple[str, ...], settings: Settings) -> Iterator[Decision]:
    """Ask about classes that look like several, where another separator would part them."""
    separator = settings.label_separator
    other = None if separator is None or settings.label_columns else other_separator(train, classes, separator)
    if other is not None:
        name = next(name for name in classes if other in name)
        yield warned(Decision(
            step=_STEP, what=f"took {name!r} for one class: no text has two labels with {separator!r} between them",
            why=f"where {other!r} stands between labels in a string: --set \"data.label_separator='{other}'\""
                f"; with init: --label-separator '{other}'; in a list each label is an item of its own",
        ))


def _read_unlabelled(settings: Settings, inputs: Inputs, data: CleanData) -> list[str]:
    """Read the user's texts without labels; none that is tested may be learned."""
    if inputs.unlabelled is None:
        return []
    labelled = (text for split in (data.train, data.validation, data.test) for text in split.rows.texts.to_pylist())
    return read_unlabelled_texts(inputs.unlabelled, settings.text_column, without=labelled)


def _read_files(settings: Settings, inputs: Inputs) -> Sources:
    columns = settings.columns()

    def read(path: Path | None, split: SplitName) -> LabelledTexts | None:
        return None if path is None else read_labelled_texts(path, columns, split=split)

    train = read(inputs.train, "train")
    if train is None:
        raise DataError("no training data", hint="give data.train: FILE (--train FILE)")
    return Sources(train, read(inputs.validation, "validation"), read(inputs.test, "test"))


def _read_hub(settings: Settings, hub: HubData) -> Sources:
    columns = settings.columns()

    def read(split: str | None) -> LabelledTexts | None:
        return None if split is None else read_hub_split(hub, split, columns)

    return Sources(read_hub_split(hub, hub.train, columns), read(hub.validation), read(hub.test))


def _decisions(data: CleanData, plan: SplitPlan) -> Iterator[Decision]:
    report = data.report
    if report.train.dropped_duplicates:
        yield Decision(step=_STEP, what=f"left {_count(report.train.dropped_duplicates, 'repeated row')} out of train",
                       why="their text and label stand in an earlier row; repeats weigh more without saying more")
    for name, split in (("train", report.train), ("validation", report.validation)):
        if split.dropped_in_other_splits:
            others = "validation or test" if name == "train" else "test"
            yield Decision(step=_STEP, what=f"left {_count(split.dropped_in_other_splits, 'row')} out of {name}",
                           why=f"their texts stand in {others} too: what is tested must not be learned")
    if report.conflicting_texts:
        texts = _count(report.conflicting_texts, "text")
        yield Decision(step=_STEP, what=f"left {texts} with two or more different labels as they are",
                       why="only the data's owner can say which one is right")
    yield from _split_decisions(report, plan)


def _split_decisions(report: DataReport, plan: SplitPlan) -> Iterator[Decision]:
    shares = (("test", report.test, plan.test_share), ("validation", report.validation, plan.validation_share))
    asked = [report.train, *(split for _, split, _ in shares if split.is_made_here)]
    rows = sum(split.rows + split.dropped_in_other_splits for split in asked)
    for name, split, share in shares:
        if split.is_made_here:
            is_more = split.rows > share * rows + 1
            told = f"a row of each class is more than the share of {share:g}" if is_more else f"share {share:g}"
            yield Decision(step=_STEP, what=f"split {_count(split.rows, 'row')} off train for {name}",
                           why=f"no {name} data was given; {told}, stratified by class, seed {plan.seed}")
    splits: dict[SplitName, WrittenSplit] = {"train": report.train, "validation": report.validation, "test": report.test}
    yield from alike_classes(report.train.rows_by_class)
    yield from class_decisions(splits, noun="text")
    yield from few_rows(splits)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _ensures(out: Path) -> None:
    """Read back what was written.

    Raises:
        ArtifactError: the rows are not those of the data report.
    """
    report = DataReport.read_json(out / DATA_REPORT_FILE)
    for file, split in ((TRAIN_FILE, report.train), (VALIDATION_FILE, report.validation), (TEST_FILE, report.test)):
        if len(read_examples(out / file)) != split.rows:
            raise ArtifactError(f"{out / file}: does not hold the rows of {DATA_REPORT_FILE}",
                                hint="run the same command again")


STAGE = Stage(
    name="prepare",
    version=5,
    run=_run,
    requires=_requires,
    ensures=_ensures,
    tools=("pyarrow", "scikit-learn", "datasets"),
)
