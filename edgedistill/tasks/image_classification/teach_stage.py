"""The teach stages of pictures: take, fine-tune or train the teacher; make the transfer set and let the teacher label it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import require_written
from edgedistill.document import Document
from edgedistill.examples import read_examples
from edgedistill.manifest import Decision
from edgedistill.picture_settings import MOST_SIDE, PictureChanges
from edgedistill.problem_type import ONE_LABEL
from edgedistill.processes import current_group
from edgedistill.progress import Progress
from edgedistill.recipe import Configuration, FineTuning
from edgedistill.results import Labels, TrainingLog
from edgedistill.soft_labels import write_soft_labels
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.encoding import Encoded
from edgedistill.tasks.image_classification.encoding import (
    PREPROCESSOR_FILE,
    PictureEncoder,
    Preprocessing,
    pictures_a_batch,
    read_preprocessing,
)
from edgedistill.tasks.image_classification.pictures import Pixels
from edgedistill.teach.answer_parts import PARTS, Arrays, parts_in, resume
from edgedistill.teach.files import SOFT_LABELS_FILE, TRANSFER_FILE, WEIGHTS_FILE
from edgedistill.teach.labelling import SoftLabelInputs, check_soft_labels, only_help, origin_of
from edgedistill.teach.labels import kept_order, label_order, require_same_classes, require_same_problem, trained_labels

_HALF = 0.5
"""Mean and deviation where no model says: pixels become -1 to 1."""

_MIDDLE = 128 / 255
"""Mean of what a student sees. An asymmetric int8 step is then a level of the pixels, and each level falls on a step; with a mean
of a half every level falls half way between two, and which one it becomes is the rounding of the runtime."""


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
    from edgedistill.tasks.image_classification.teacher_work import judged_teacher, take_teacher, train_teacher

    if inputs.model is not None and is_taken(inputs.model, Labels.read_json(inputs.labels).labels):
        taken = current_group().on_main(lambda: take_teacher(inputs, out)) or Outcome()
        warnings = judged_teacher(inputs.model, inputs, out)
        return Outcome(decisions=(*taken.decisions, *warnings))
    return train_teacher(settings, inputs, out)


def _require_classes(settings: TeacherSettings, inputs: TeacherInputs) -> None:
    """Refuse data that do not have the classes of their trained teacher as it has them, before any work.

    Raises:
        ArtifactError: its pre-processing is not understood.
        TeacherError: it knows the data's classes, but their number or order is another one; or it gives several labels a picture.
    """
    if inputs.model is None:
        return
    require_same_problem(inputs.model, ONE_LABEL)
    read_preprocessing(inputs.model)
    labels = Labels.read_json(inputs.labels).labels
    if is_taken(inputs.model, labels):
        require_same_classes(inputs.model, labels,
                             advice="prepare the data with this teacher: edgedistill prepare --recipe RECIPE -o DIR")


def is_taken(model: Path, labels: Sequence[str]) -> bool:
    """Does a folder hold a trained classifier that knows all classes of the data? Else it is fine-tuned.

    Args:
        model: the teacher's folder.
        labels: the data's class names. A teacher that knows its classes by number alone must have as many.
    """
    own = trained_labels(model)
    if own is None:
        return False
    order = label_order(model)
    return len(own) == len(labels) if order is None else kept_order(order, labels) is not None


def enlarged(how: Preprocessing, pixels: Pixels) -> str:
    """Say that a teacher takes larger pictures than are stored; empty where it does not."""
    stored, taken = pixels.size.side, how.resized
    return f"pictures of {stored} x {stored} pixels, enlarged to {taken} x {taken}" if taken > stored else ""


def larger_pictures(how: Preprocessing, pixels: Pixels) -> str:
    """Say what to type for a teacher that takes larger pictures than are stored; nothing that a recipe would refuse."""
    side = min(how.resized, MOST_SIDE)
    if side <= pixels.size.side:
        return f"no larger ones than {MOST_SIDE} x {MOST_SIDE} are stored"
    return f"--set pictures.side={side} stores {'what the teacher takes' if side == how.resized else 'larger ones'}, for both"


def what_is_seen(how: Preprocessing, pixels: Pixels) -> tuple[Decision, ...]:
    """Return the decision that a teacher must do with smaller pictures than it takes; none where it need not."""
    sides = enlarged(how, pixels)
    why = f"they are stored at the side that the student sees; {larger_pictures(how, pixels)}"
    return (Decision(step="teach", what=f"the teacher sees {sides}", why=why),) if sides else ()


def preprocessing_for(pixels: Pixels) -> Preprocessing:
    """Return the pre-processing of a teacher that sees pictures as they are stored."""
    values = (_HALF,) * pixels.size.channels
    return Preprocessing(pixels.size, values, values)


def student_preprocessing(pixels: Pixels) -> Preprocessing:
    """Return the pre-processing of a student, which sees pictures as they are stored."""
    channels = pixels.size.channels
    return Preprocessing(pixels.size, (_MIDDLE,) * channels, (_HALF,) * channels)


TEACHER = Stage(
    name="teach", version=3, run=_make_teacher, requires=_require_classes,
    ensures=partial(require_written, names=(WEIGHTS_FILE, PREPROCESSOR_FILE, "config.json")),
    tools=("torch", "transformers", "pillow"), is_resumable=True, is_shared=True,
)


class LabelsPictures(Protocol):
    """A teacher that answers pictures batch by batch, from one with a number on."""

    def __call__(self, encoded: Encoded, *, first: int) -> Iterator[NDArray[np.float32]]:
        """Yield the raw logits of each batch from one on, shape (rows, classes)."""
        ...


class SoftLabelSettings(Document):
    """How many pictures are made, how, and the seed."""

    rows: int
    copies: int
    changes: PictureChanges
    seed: int


def _make_soft_labels(settings: SoftLabelSettings, inputs: SoftLabelInputs, out: Path) -> Outcome:
    from edgedistill.tasks.image_classification.changes import ChangedPictures
    from edgedistill.tasks.image_classification.teacher_model import label_pictures, load_image_classifier
    from edgedistill.tasks.image_classification.transfer_set import draw_transfer_set, write_transfer_set
    from edgedistill.torch_setup import own_device

    labels = Labels.read_json(inputs.labels).labels
    group = current_group()
    train, own, validation = (read_examples(path) for path in (inputs.train, inputs.unlabelled, inputs.validation))
    rows = min(settings.rows, settings.copies * (len(train) + len(own)))
    made = draw_transfer_set(train, own, settings.changes, rows=rows, seed=settings.seed)
    group.on_main(lambda: write_transfer_set(out / TRANSFER_FILE, made))
    model = load_image_classifier(inputs.teacher, labels).to(own_device(group.local_rank))
    encoder = PictureEncoder.load(inputs.teacher)
    ids = [*train.ids, *made.ids, *validation.ids]
    pictures = (encoder.encode_examples(train), ChangedPictures(made.changer, encoder.how, made.numbers),
                encoder.encode_examples(validation))
    at_once = pictures_a_batch(encoder.how)
    answers = resume(parts_in(out), partial(_answers, partial(label_pictures, model, at_once=at_once), pictures, at_once))
    if not group.is_main:
        return only_help(answers)
    origin = origin_of(inputs, encoder_file=PREPROCESSOR_FILE)
    write_soft_labels(out / SOFT_LABELS_FILE, _with_ids(ids, answers), classes=len(labels), origin=origin)
    return Outcome(decisions=(
        Decision(step="teach", what=f"let the teacher label {rows} changed copies of {len(train) + len(own)} pictures",
                 why="student and teacher see the same changed picture (Beyer et al. 2022); see docs/images.md"),
    ), scratch=(PARTS,))


def _answers(label: LabelsPictures, tables: Sequence[Encoded], at_once: int, first: int) -> Iterator[Arrays]:
    """Yield the logits of each batch of some tables, one after the other, from the batch with the number `first` on."""
    batches = [-(-len(pictures) // at_once) for pictures in tables]
    skipped = [min(count, max(0, first - sum(batches[:i]))) for i, count in enumerate(batches)]
    done = sum(min(len(pictures), count * at_once) for pictures, count in zip(tables, skipped, strict=True))
    with Progress("labelling", total=sum(map(len, tables)), unit="pictures", done=done) as progress:
        for pictures, count in zip(tables, skipped, strict=True):
            for logits in label(pictures, first=count):
                progress.advance(len(logits))
                yield {"logits": logits}


def _with_ids(ids: list[str], answers: Iterable[Arrays]) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    start = 0
    for arrays in answers:
        logits = arrays["logits"]
        yield ids[start : start + len(logits)], logits
        start += len(logits)


SOFT_LABELS = Stage(
    name="teach", version=4, run=_make_soft_labels, ensures=check_soft_labels,
    tools=("torch", "transformers", "numpy", "pillow"), is_resumable=True, is_shared=True,
)


def empty_log() -> str:
    """Return the log of a teacher that was not trained here."""
    return TrainingLog(points=()).to_json()


__all__ = ["SOFT_LABELS", "TEACHER", "SoftLabelInputs", "SoftLabelSettings", "TeacherInputs", "TeacherSettings",
           "enlarged", "is_taken", "larger_pictures", "preprocessing_for", "student_preprocessing", "what_is_seen"]
