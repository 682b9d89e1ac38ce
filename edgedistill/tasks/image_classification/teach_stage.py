"""The teach stages of pictures: take, fine-tune or train the teacher; make the transfer set and let the teacher label it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import require_written
from edgedistill.document import Document
from edgedistill.examples import NO_LABEL, read_examples
from edgedistill.manifest import Decision
from edgedistill.picture_settings import PictureChanges
from edgedistill.processes import current_group
from edgedistill.progress import Progress, counted
from edgedistill.recipe import Configuration, FineTuning
from edgedistill.results import Labels, TrainingLog
from edgedistill.soft_labels import write_soft_labels
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.image_classification.encoding import (
    PREPROCESSOR_FILE,
    PictureEncoder,
    Preprocessing,
    read_preprocessing,
)
from edgedistill.tasks.image_classification.pictures import Pixels, Rows, pixels_of, write_pictures
from edgedistill.teach.files import SOFT_LABELS_FILE, TRANSFER_FILE, WEIGHTS_FILE
from edgedistill.teach.labelling import SoftLabelInputs, check_soft_labels, only_help, origin_of
from edgedistill.teach.labels import require_same_classes, trained_labels

_BATCH = 512
_HALF = 0.5
"""Mean and deviation where no model says: pixels become -1 to 1."""


class TeacherSettings(Document):
    """How the teacher is made ready."""

    fine_tuning: FineTuning
    configuration: Configuration | None
    copies: int
    changes: PictureChanges
    seed: int


@dataclass(frozen=True)
class TeacherInputs:
    """`model`: a transformers folder, None where the settings have a configuration; the rest: examples and class names."""

    model: Path | None
    train: Path
    validation: Path
    labels: Path


def _make_teacher(settings: TeacherSettings, inputs: TeacherInputs, out: Path) -> Outcome:
    from edgedistill.tasks.image_classification.teacher_work import take_teacher, train_teacher

    if inputs.model is not None and trained_labels(inputs.model) is not None:
        return current_group().on_main(lambda: take_teacher(inputs, out)) or Outcome()
    return train_teacher(settings, inputs, out)


def _require_classes(settings: TeacherSettings, inputs: TeacherInputs) -> None:
    """Refuse a trained teacher of other classes, before any work.

    Raises:
        TeacherError: their number or order is another one.
    """
    if inputs.model is None:
        return
    read_preprocessing(inputs.model)
    require_same_classes(
        inputs.model, Labels.read_json(inputs.labels).labels,
        advice="give a teacher that was trained on these classes, or one without a classifier to fine-tune",
    )


def preprocessing_for(pixels: Pixels) -> Preprocessing:
    """Return the pre-processing of a model that sees pictures as they are stored."""
    values = (_HALF,) * pixels.size.channels
    return Preprocessing(pixels.size, values, values)


TEACHER = Stage(
    name="teach", version=1, run=_make_teacher, requires=_require_classes,
    ensures=partial(require_written, names=(WEIGHTS_FILE, PREPROCESSOR_FILE, "config.json")),
    tools=("torch", "transformers", "pillow"), is_resumable=True, is_shared=True,
)


class SoftLabelSettings(Document):
    """How many pictures are made, how, and the seed."""

    rows: int
    copies: int
    changes: PictureChanges
    seed: int


def _make_soft_labels(settings: SoftLabelSettings, inputs: SoftLabelInputs, out: Path) -> Outcome:
    from edgedistill.tasks.image_classification.teacher_model import label_pictures, load_image_classifier
    from edgedistill.torch_setup import own_device

    labels = Labels.read_json(inputs.labels).labels
    group = current_group()
    made = transfer_rows(settings, len(read_examples(inputs.train)) + len(read_examples(inputs.unlabelled)))
    group.on_main(lambda: _write_transfer(settings, inputs, out, rows=made))
    model = load_image_classifier(inputs.teacher, labels).to(own_device(group.local_rank))
    encoder = PictureEncoder.load(inputs.teacher)
    tables = [read_examples(path) for path in (inputs.train, out / TRANSFER_FILE, inputs.validation)]

    def answers() -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        with Progress("labelling", total=sum(map(len, tables)), unit="pictures") as progress:
            for table in tables:
                ids, start = table.ids, 0
                for logits in label_pictures(model, encoder.encode_examples(table)):
                    yield ids[start : start + len(logits)], logits
                    start += len(logits)
                    progress.advance(len(logits))

    if not group.is_main:
        return only_help(answers())
    origin = origin_of(inputs, encoder_file=PREPROCESSOR_FILE)
    write_soft_labels(out / SOFT_LABELS_FILE, answers(), classes=len(labels), origin=origin)
    return Outcome(decisions=(
        Decision(step="teach", what=f"made {made} pictures from {len(tables[0])} of train, and let the teacher label them",
                 why="student and teacher see the same changed picture (Beyer et al. 2022); see docs/images.md"),
    ))


def transfer_rows(settings: SoftLabelSettings, pictures: int) -> int:
    """Return how many pictures are made."""
    return min(settings.rows, settings.copies * pictures)


def _write_transfer(settings: SoftLabelSettings, inputs: SoftLabelInputs, out: Path, *, rows: int) -> None:
    """Write the user's pictures without labels and those that are made from all."""
    from edgedistill.tasks.image_classification.changes import Changer

    own = read_examples(inputs.unlabelled)
    train, given = pixels_of(read_examples(inputs.train)), pixels_of(own)
    every = Pixels(tuple(part for part in (*train.parts, *given.parts) if len(part)), train.size)
    changer = Changer(every, settings.changes, settings.seed, is_mixing=True)
    total = len(own) + rows
    names = [f"transfer-{i:07d}" for i in range(total)]

    def batches() -> Iterator[NDArray[np.uint8]]:
        for start in range(0, len(given), _BATCH):
            yield given.take(np.arange(start, min(start + _BATCH, len(given))))
        yield from changer.batches(rows)

    shown = counted(batches(), what="making", total=total, unit="pictures", size=len)
    write_pictures(out / TRANSFER_FILE, Rows(names, names, [NO_LABEL] * total), shown, size=train.size)


SOFT_LABELS = Stage(
    name="teach", version=2, run=_make_soft_labels, ensures=check_soft_labels,
    tools=("torch", "transformers", "numpy", "pillow"), is_shared=True,
)


def empty_log() -> str:
    """Return the log of a teacher that was not trained here."""
    return TrainingLog(points=()).to_json()


__all__ = ["SOFT_LABELS", "TEACHER", "SoftLabelInputs", "SoftLabelSettings", "TeacherInputs", "TeacherSettings",
           "preprocessing_for"]
