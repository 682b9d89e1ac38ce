"""The training of a picture teacher: fine-tuned from a folder, or trained from a configuration."""

import shutil
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

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
    read_preprocessing,
)
from edgedistill.tasks.image_classification.pictures import pixels_of
from edgedistill.tasks.image_classification.teach_stage import (
    TeacherInputs,
    TeacherSettings,
    empty_log,
    preprocessing_for,
)
from edgedistill.tasks.image_classification.teacher_model import load_image_classifier, make_image_classifier
from edgedistill.teach.files import CURVE_FILE
from edgedistill.teach.fine_tuning import fine_tune, tuning_schedule
from edgedistill.torch_setup import set_up_torch
from edgedistill.training import CHECKPOINTS, TrainingSet

_MOST_EVALUATIONS = 20


def take_teacher(inputs: TeacherInputs, out: Path) -> Outcome:
    """Copy a trained teacher; its weights are written as one file."""
    if inputs.model is None:
        raise ValueError("no folder to take a teacher from")
    labels = Labels.read_json(inputs.labels).labels
    load_image_classifier(inputs.model, labels, is_trained=True).save_pretrained(out, safe_serialization=True)
    shutil.copyfile(inputs.model / PREPROCESSOR_FILE, out / PREPROCESSOR_FILE)
    (out / CURVE_FILE).write_text(empty_log(), encoding="utf-8")
    return Outcome(decisions=(
        Decision(step="teach", what="took the teacher as it is", why="its folder holds a trained image classifier"),
    ))


def train_teacher(settings: TeacherSettings, inputs: TeacherInputs, out: Path) -> Outcome:
    """Train on the pictures and changed copies of them; continues from a checkpoint in `out`."""
    set_up_torch()
    torch.manual_seed(settings.seed)
    group = current_group()
    examples, validation = read_examples(inputs.train), read_examples(inputs.validation)
    model, how = _start(settings, inputs, examples)
    group.on_main(lambda: (out / PREPROCESSOR_FILE).write_text(how.to_json(), encoding="utf-8"))
    training = _with_copies(settings, examples, how)
    schedule = tuning_schedule(settings.fine_tuning, len(examples), seed=settings.seed, most_evaluations=_MOST_EVALUATIONS)
    judged = TrainingSet(PictureEncoder(how).encode_examples(validation), validation.labels)
    best = fine_tune(model, (training, judged), schedule=schedule, out=out)
    how_made = "its folder holds no trained classifier" if inputs.model else "the recipe gives a configuration"
    return Outcome(
        decisions=(Decision(step="teach", what=f"trained the teacher on {schedule.steps * schedule.batch_size} pictures, "
                            f"repeats and changed copies counted; best validation accuracy {best:.4f}", why=how_made),),
        scratch=(CHECKPOINTS,),
    )


def _start(settings: TeacherSettings, inputs: TeacherInputs, examples: Examples) -> tuple[PreTrainedModel, Preprocessing]:
    """Return the untrained classifier and what it sees."""
    labels = Labels.read_json(inputs.labels).labels
    if inputs.model is not None:
        return load_image_classifier(inputs.model, labels), read_preprocessing(inputs.model)
    how = preprocessing_for(pixels_of(examples))
    return make_image_classifier(settings.configuration or {}, labels, how.size), how


def _with_copies(settings: TeacherSettings, examples: Examples, how: Preprocessing) -> TrainingSet:
    changer = Changer(pixels_of(examples), settings.changes, settings.seed, is_mixing=False)
    return TrainingSet(ChangedPictures(changer, how, settings.copies), np.tile(examples.labels, 1 + settings.copies))
