"""The training of a picture teacher: fine-tuned from a folder, or trained from a configuration."""

import shutil
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from edgedistill.checkpoints import CHECKPOINTS
from edgedistill.examples import Examples, read_examples
from edgedistill.manifest import Decision
from edgedistill.processes import current_group
from edgedistill.results import Labels
from edgedistill.stage import Outcome
from edgedistill.tasks.image_classification.changes import ChangedPictures, Changer
from edgedistill.tasks.image_classification.encoding import (
    PREPROCESSOR_FILE,
    PictureEncoder,
    Preprocessing,
    pictures_a_batch,
    read_preprocessing,
)
from edgedistill.tasks.image_classification.pictures import pixels_of
from edgedistill.tasks.image_classification.teach_stage import (
    TeacherInputs,
    TeacherSettings,
    empty_log,
    preprocessing_for,
    what_is_seen,
)
from edgedistill.tasks.image_classification.teacher_model import (
    label_pictures,
    load_image_classifier,
    load_with_new_head,
    make_image_classifier,
)
from edgedistill.tasks.image_classification.training_settings import BEST_BY
from edgedistill.teach.files import CURVE_FILE
from edgedistill.teach.fine_tuning import fine_tune, tuning_schedule
from edgedistill.teach.judgement import Answers, judge_taken, judged_rows, warn_of_accuracy
from edgedistill.teach.labels import trained_labels
from edgedistill.torch_setup import own_device, set_up_torch
from edgedistill.training import TrainingSet

_MOST_EVALUATIONS = 20


def take_teacher(inputs: TeacherInputs, out: Path) -> Outcome:
    """Copy a trained teacher; its weights are written as one file."""
    if inputs.model is None:
        raise ValueError("no folder to take a teacher from")
    labels = Labels.read_json(inputs.labels).labels
    how, pixels = read_preprocessing(inputs.model), pixels_of(read_examples(inputs.train))
    load_image_classifier(inputs.model, labels, is_trained=True).save_pretrained(out, safe_serialization=True)
    shutil.copyfile(inputs.model / PREPROCESSOR_FILE, out / PREPROCESSOR_FILE)
    (out / CURVE_FILE).write_text(empty_log(), encoding="utf-8")
    return Outcome(decisions=(
        Decision(step="teach", what="took the teacher as it is", why="its folder holds a trained image classifier"),
        *what_is_seen(how, pixels),
    ))


def judged_teacher(model: Path, inputs: TeacherInputs, out: Path) -> tuple[Decision, ...]:
    """Let the taken teacher in `out` answer validation, and return what must be said of it.

    Args:
        model: the folder that it was taken from.
        inputs: of the step.
        out: the folder of the step.

    Raises:
        TeacherError: it is of no use, see `judge_taken`.
    """
    group, labels = current_group(), Labels.read_json(inputs.labels).labels
    rows = judged_rows(read_examples(inputs.validation))
    classifier = load_image_classifier(out, labels).to(own_device(group.local_rank))
    encoder = PictureEncoder.load(out)
    answers = label_pictures(classifier, encoder.encode_examples(rows), at_once=pictures_a_batch(encoder.how))
    logits = np.concatenate(list(answers))
    return group.on_main(lambda: judge_taken(model, Answers.of(logits, rows, labels))) or ()


def train_teacher(settings: TeacherSettings, inputs: TeacherInputs, out: Path) -> Outcome:
    """Train on the pictures and changed copies of them; continues from a checkpoint in `out`."""
    set_up_torch()
    torch.manual_seed(settings.seed)
    group = current_group()
    examples, validation = read_examples(inputs.train), read_examples(inputs.validation)
    model, how = _start(settings, inputs, examples)
    group.on_main(lambda: _write_preprocessing(inputs, how, out))
    training = _with_copies(settings, examples, how)
    schedule = tuning_schedule(settings.fine_tuning, len(examples), seed=settings.seed, most_evaluations=_MOST_EVALUATIONS,
                               best_by=BEST_BY)
    judged = TrainingSet(PictureEncoder(how).encode_examples(validation), validation.labels)
    best = fine_tune(model, (training, judged), schedule=schedule, out=out)
    return Outcome(
        decisions=(Decision(step="teach", what=f"trained the teacher on {schedule.steps * schedule.batch_size} pictures, "
                            f"repeats and changed copies counted; best validation accuracy {best:.4f}", why=_why_trained(inputs)),
                   *what_is_seen(how, pixels_of(examples)),
                   *(warn_of_accuracy(best, validation.labels) if group.is_main else ())),
        scratch=(CHECKPOINTS,),
    )


def _start(settings: TeacherSettings, inputs: TeacherInputs, examples: Examples) -> tuple[PreTrainedModel, Preprocessing]:
    """Return the untrained classifier and what it sees."""
    labels = Labels.read_json(inputs.labels).labels
    if inputs.model is not None:
        return load_with_new_head(inputs.model, labels), read_preprocessing(inputs.model)
    how = preprocessing_for(pixels_of(examples))
    return make_image_classifier(settings.configuration or {}, labels, how.size), how


def _why_trained(inputs: TeacherInputs) -> str:
    if inputs.model is None:
        return "the recipe gives a configuration"
    own = trained_labels(inputs.model)
    if own is None:
        return "its folder holds no trained classifier"
    known = f"{', '.join(own[:3])}{', ...' if len(own) > 3 else ''}"
    return f"its folder holds a classifier of other classes than the data's ({len(own)}: {known}): it got a new head"


def _write_preprocessing(inputs: TeacherInputs, how: Preprocessing, out: Path) -> None:
    """Write what the teacher sees; a file that says more than `to_json` can is copied."""
    if inputs.model is not None and not how.is_plain:
        shutil.copyfile(inputs.model / PREPROCESSOR_FILE, out / PREPROCESSOR_FILE)
    else:
        (out / PREPROCESSOR_FILE).write_text(how.to_json(), encoding="utf-8")


def _with_copies(settings: TeacherSettings, examples: Examples, how: Preprocessing) -> TrainingSet:
    changer = Changer(pixels_of(examples), settings.changes, settings.seed, is_mixing=False)
    every = ChangedPictures.all_of(changer, how, copies=settings.copies)
    return TrainingSet(every, np.tile(examples.labels, 1 + settings.copies))
