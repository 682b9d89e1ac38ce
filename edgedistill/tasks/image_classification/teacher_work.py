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
    CURVE_FILE,
    TeacherInputs,
    TeacherSettings,
    empty_log,
    enough_epochs,
    preprocessing_for,
)
from edgedistill.tasks.image_classification.teacher_model import load_image_classifier, make_image_classifier
from edgedistill.torch_setup import set_up_torch
from edgedistill.training import CHECKPOINTS, Schedule, TrainingSet, train


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
    tuning = settings.fine_tuning
    steps_a_pass = -(-len(examples) // tuning.batch_size)
    epochs = tuning.epochs or enough_epochs(steps_a_pass)
    curve = train(
        model, training, TrainingSet(PictureEncoder(how).encode_examples(validation), validation.labels),
        loss=lambda logits, hard, soft: torch.nn.functional.cross_entropy(logits, hard),
        schedule=Schedule(
            steps=steps_a_pass * epochs, batch_size=tuning.batch_size, learning_rate=tuning.learning_rate,
            warmup_share=tuning.warmup_share, weight_decay=tuning.weight_decay, evaluations=min(epochs, 20),
            patience=tuning.patience, best_by="accuracy", seed=settings.seed,
        ),
        out=out,
    )
    if group.is_main:
        model.save_pretrained(out, safe_serialization=True)
        (out / CURVE_FILE).write_text(curve.to_json(), encoding="utf-8")
    best = max((p.validation_accuracy or 0.0) for p in curve.points)
    how_made = "its folder holds no trained classifier" if inputs.model else "the recipe gives a configuration"
    return Outcome(
        decisions=(Decision(step="teach", what=f"trained the teacher on {steps_a_pass * epochs * tuning.batch_size} pictures, "
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
