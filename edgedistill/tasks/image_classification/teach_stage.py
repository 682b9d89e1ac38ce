"""The teach stages of pictures: take, fine-tune or train the teacher; make the transfer set and let the teacher label it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import sha256_of_path
from edgedistill.document import Document
from edgedistill.errors import ArtifactError, TeacherError
from edgedistill.examples import NO_LABEL, read_examples
from edgedistill.manifest import Decision
from edgedistill.picture_settings import PictureChanges
from edgedistill.processes import current_group
from edgedistill.recipe import Configuration, FineTuning
from edgedistill.results import Labels, TrainingLog
from edgedistill.soft_labels import Origin, read_soft_labels, write_soft_labels
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.image_classification.encoding import (
    PREPROCESSOR_FILE,
    PictureEncoder,
    Preprocessing,
    read_preprocessing,
)
from edgedistill.tasks.image_classification.pictures import Pixels, Rows, pixels_of, write_pictures
from edgedistill.teach.labels import label_order, trained_labels
from edgedistill.teach.stage import CURVE_FILE, SOFT_LABELS_FILE, TRANSFER_FILE, WEIGHTS_FILE, enough_epochs

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
    own, labels = trained_labels(inputs.model), Labels.read_json(inputs.labels).labels
    if own is None:
        return
    if len(own) != len(labels):
        raise TeacherError(f"{inputs.model}: the teacher has {len(own)} classes, the data {len(labels)}",
                           hint="give a teacher that was trained on these classes, or one without a classifier to fine-tune")
    if label_order(inputs.model) not in (None, labels):
        raise TeacherError(f"{inputs.model}: the teacher's classes stand in another order than the data's",
                           hint="prepare the data with this teacher: edgedistill prepare --recipe RECIPE -o DIR")


def preprocessing_for(pixels: Pixels) -> Preprocessing:
    """Return the pre-processing of a model that sees pictures as they are stored."""
    values = (_HALF,) * pixels.size.channels
    return Preprocessing(pixels.size, values, values)


def _check_teacher(out: Path) -> None:
    for name in (WEIGHTS_FILE, PREPROCESSOR_FILE, "config.json"):
        if not (out / name).is_file():
            raise ArtifactError(f"{out / name}: was not written", hint="run the same command again")


TEACHER = Stage(
    name="teach", version=1, run=_make_teacher, requires=_require_classes, ensures=_check_teacher,
    tools=("torch", "transformers", "pillow"), is_resumable=True, is_shared=True,
)


class SoftLabelSettings(Document):
    """How many pictures are made, how, and the seed."""

    rows: int
    copies: int
    changes: PictureChanges
    seed: int


@dataclass(frozen=True)
class SoftLabelInputs:
    """`teacher`: the trained teacher's folder; `labels`: the class names; the rest: examples."""

    teacher: Path
    train: Path
    validation: Path
    labels: Path
    unlabelled: Path


def origin_of(inputs: SoftLabelInputs) -> Origin:
    """Return what soft labels made from these inputs must say of their origin."""
    return Origin(
        teacher_sha256=sha256_of_path(inputs.teacher / WEIGHTS_FILE),
        tokenizer_sha256=sha256_of_path(inputs.teacher / PREPROCESSOR_FILE),
        data_sha256="+".join(sha256_of_path(path) for path in (inputs.train, inputs.validation, inputs.unlabelled)),
    )


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
        for table in tables:
            ids, start = table.ids, 0
            for logits in label_pictures(model, encoder.encode_examples(table)):
                yield ids[start : start + len(logits)], logits
                start += len(logits)

    if not group.is_main:
        for _ in answers():  # compute this process's share; the main process writes it
            pass
        return Outcome()
    write_soft_labels(out / SOFT_LABELS_FILE, answers(), classes=len(labels), origin=origin_of(inputs))
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

    write_pictures(out / TRANSFER_FILE, Rows(names, names, [NO_LABEL] * total), batches(), size=train.size)


def _check_soft_labels(out: Path) -> None:
    labels = read_soft_labels(out / SOFT_LABELS_FILE)
    if not np.isfinite(labels.logits).all():
        raise TeacherError("the teacher answers with NaN or infinity", hint="check the teacher: edgedistill evaluate TEACHER")


SOFT_LABELS = Stage(
    name="teach", version=1, run=_make_soft_labels, ensures=_check_soft_labels,
    tools=("torch", "transformers", "numpy", "pillow"), is_shared=True,
)


def empty_log() -> str:
    """Return the log of a teacher that was not trained here."""
    return TrainingLog(points=()).to_json()


__all__ = ["CURVE_FILE", "SOFT_LABELS", "SOFT_LABELS_FILE", "TEACHER", "TRANSFER_FILE", "SoftLabelInputs",
           "SoftLabelSettings", "TeacherInputs", "TeacherSettings", "enough_epochs", "origin_of", "preprocessing_for"]
