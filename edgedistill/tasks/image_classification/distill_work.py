"""The trainings of picture students: with the teacher, and the baseline without."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from edgedistill.checkpoints import CHECKPOINTS
from edgedistill.distill.fit import measure_fit
from edgedistill.distill.losses import hard_label_loss
from edgedistill.distill.objective import loss_terms, teacher_loss
from edgedistill.distill.schedule import baseline_schedule, distillation_schedule
from edgedistill.distill.without_teacher import SLOWER, train_without_teacher
from edgedistill.examples import Examples, read_examples
from edgedistill.manifest import Decision
from edgedistill.objective import LogitObjective, Objective
from edgedistill.processes import current_group
from edgedistill.results import Labels, TrainingLog
from edgedistill.soft_labels import SoftLabels, read_soft_labels
from edgedistill.stage import Outcome
from edgedistill.tasks.image_classification.changes import ChangedPictures, Changer
from edgedistill.tasks.image_classification.distill_stage import (
    CURVE_FILE,
    FIT_FILE,
    BaselineInputs,
    BaselineSettings,
    StudentInputs,
    StudentSettings,
)
from edgedistill.tasks.image_classification.encoding import (
    PREPROCESSOR_FILE,
    EncodedPictures,
    PictureEncoder,
    Preprocessing,
)
from edgedistill.tasks.image_classification.features import FeatureObjective
from edgedistill.tasks.image_classification.pictures import pixels_of
from edgedistill.tasks.image_classification.student_model import build_student
from edgedistill.tasks.image_classification.teach_stage import student_preprocessing
from edgedistill.tasks.image_classification.teacher_model import load_image_classifier
from edgedistill.tasks.image_classification.training_settings import BEST_BY
from edgedistill.tasks.image_classification.transfer_set import TransferSet, read_transfer_set
from edgedistill.torch_setup import set_up_torch
from edgedistill.training import TrainingSet, train


def distill_student(settings: StudentSettings, inputs: StudentInputs, out: Path) -> Outcome:
    """Train a student from random weights with the teacher's soft labels; continues from a checkpoint in `out`."""
    set_up_torch()
    labels = Labels.read_json(inputs.labels).labels
    labelled, own, judged = (read_examples(path) for path in (inputs.train, inputs.unlabelled, inputs.validation))
    made = read_transfer_set(inputs.transfer, train=labelled, unlabelled=own)
    soft = read_soft_labels(inputs.soft_labels)
    how = student_preprocessing(pixels_of(labelled))
    torch.manual_seed(settings.seed)
    model = build_student(settings.shape, how.size, labels)
    objective = _objective(settings, inputs, model, labels)
    of_teacher = PictureEncoder.load(inputs.teacher) if isinstance(objective, FeatureObjective) else None
    training = _training_set(how, labelled, made, soft, teacher=of_teacher)
    validation = TrainingSet(EncodedPictures(pixels_of(judged), how), judged.labels, soft.logits_of(judged.ids))
    curve = train(
        model, training, validation, loss=objective,
        schedule=distillation_schedule(settings.distillation, seed=settings.seed, milestones=settings.milestones),
        out=out,
    )
    if current_group().is_main:
        _write(model, how, curve, out)
        fit = measure_fit(model, training, validation, train_rows=len(labelled))
        (out / FIT_FILE).write_text(fit.to_json(), encoding="utf-8")
    return Outcome(
        decisions=(Decision(step="distill", what=f"started {settings.shape.id} from random weights",
                            why="no picture student is cut out of its teacher"),),
        scratch=(CHECKPOINTS,),
    )


def _objective(
    settings: StudentSettings, inputs: StudentInputs, student: PreTrainedModel, labels: tuple[str, ...]
) -> Objective:
    """Return the loss on logits; with the loss on features, where the recipe has it. It tells its terms, for the report."""
    objective = _without_terms(settings, inputs, student, labels)
    objective.terms = partial(loss_terms, settings.distillation)
    return objective


def _without_terms(
    settings: StudentSettings, inputs: StudentInputs, student: PreTrainedModel, labels: tuple[str, ...]
) -> Objective:
    base = partial(teacher_loss, settings.distillation)
    terms = [term for term in settings.distillation.losses if not term.is_on_logits]
    if not terms:
        return LogitObjective(base)
    teacher = load_image_classifier(inputs.teacher, labels)
    return FeatureObjective(base, terms, student=student, teacher=teacher, seed=settings.seed)


def _training_set(
    how: Preprocessing, labelled: Examples, made: TransferSet, soft: SoftLabels, *, teacher: PictureEncoder | None
) -> TrainingSet:
    """Return the pictures of train and then the transfer set; with `teacher` also as the teacher sees them."""
    numbers = np.concatenate([np.arange(len(labelled)), made.numbers])
    return TrainingSet(
        ChangedPictures(made.changer, how, numbers, None if teacher is None else teacher.how),
        np.concatenate([labelled.labels, made.labels]),
        soft.logits_of([*labelled.ids, *made.ids]),
    )


def _write(model: PreTrainedModel, how: Preprocessing, curve: TrainingLog, out: Path) -> None:
    model.save_pretrained(out, safe_serialization=True)
    (out / PREPROCESSOR_FILE).write_text(how.to_json(), encoding="utf-8")
    (out / CURVE_FILE).write_text(curve.to_json(), encoding="utf-8")


def train_baseline(settings: BaselineSettings, inputs: BaselineInputs, out: Path) -> Outcome:
    """Train the same shape on hard labels alone: on train and on changed copies of it, as the teacher was."""
    set_up_torch()
    labelled, validation = read_examples(inputs.train), read_examples(inputs.validation)
    how, labels = student_preprocessing(pixels_of(labelled)), Labels.read_json(inputs.labels).labels

    def untrained() -> PreTrainedModel:
        torch.manual_seed(settings.seed)
        return build_student(settings.shape, how.size, labels)

    changer = Changer(pixels_of(labelled), settings.changes, settings.seed, is_mixing=False)
    trained = train_without_teacher(
        untrained,
        TrainingSet(ChangedPictures.all_of(changer, how, copies=settings.copies), np.tile(labelled.labels, 1 + settings.copies)),
        TrainingSet(EncodedPictures(pixels_of(validation), how), validation.labels),
        loss=lambda logits, hard, soft: hard_label_loss(logits, hard),
        schedule=baseline_schedule(settings.distillation, rows=len(labelled), seed=settings.seed, best_by=BEST_BY),
        out=out,
    )
    if current_group().is_main:
        _write(trained.model, how, trained.curve, out)
    return Outcome(
        decisions=(Decision(step="baseline", what="trained the same student without the teacher, on changed pictures too",
                            why="only against it can be said what distillation bought"), *trained.decisions),
        scratch=(CHECKPOINTS, *SLOWER),
    )
