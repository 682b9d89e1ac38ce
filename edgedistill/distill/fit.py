"""How closely a trained student follows its teacher: the figures that a diagnosis needs, measured, not guessed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from edgedistill.batch_parts import parts_of
from edgedistill.decisions import is_labelled, is_right, is_same, log_probabilities, problem_of_labels
from edgedistill.errors import ArtifactError
from edgedistill.problem_type import ONE_LABEL, ProblemType
from edgedistill.results import Fit, FitOn
from edgedistill.tasks.encoding import inputs_of
from edgedistill.training import TrainingSet

_SAMPLE_ROWS = 1000
_BATCH_ROWS = 64


def measure_fit(model: PreTrainedModel, training: TrainingSet, validation: TrainingSet, *, train_rows: int) -> Fit:
    """Let a student answer texts of its training and of validation, and compare with its teacher.

    Only labelled training texts are taken: they are of the kind that validation is made of, which made-up texts of the
    transfer set are not, so that the two figures differ by nothing but having been trained on.

    Args:
        model: the trained student.
        training: what it was trained on, with soft labels.
        validation: the validation split, with soft labels.
        train_rows: how many rows of `training`, from its start, are labelled texts; evenly spread ones are taken.

    Returns:
        KL in nats and agreement on both, and the counts of who is right on validation.

    Raises:
        ArtifactError: a set has no soft labels.
    """
    sample = np.arange(train_rows)[:: max(1, -(-train_rows // _SAMPLE_ROWS))]
    rows = np.arange(len(validation))
    teacher, student = _soft(validation, rows), _logits(model, validation, rows)
    truth, problem = validation.labels, problem_of_labels(validation.labels)
    counted = is_labelled(truth)
    is_teacher_right, is_student_right = is_right(teacher, truth) & counted, is_right(student, truth) & counted
    return Fit(
        train=compare(_soft(training, sample), _logits(model, training, sample), problem),
        validation=compare(teacher, student, problem),
        labelled_rows=int(counted.sum()),
        teacher_right=int(is_teacher_right.sum()),
        student_right=int(is_student_right.sum()),
        both_right=int((is_teacher_right & is_student_right).sum()),
        same_mistake=int((counted & ~is_teacher_right & is_same(teacher, student, problem)).sum()),
    )


def compare(teacher: NDArray[np.float32], student: NDArray[np.float32], problem: ProblemType = ONE_LABEL) -> FitOn:
    """Compare two models' raw logits, shape (n, classes), n >= 1; KL is at temperature 1 and in nats.

    With several labels a text it is the sum of the classes' divergences, each class a Bernoulli variable.
    """
    expected, got = log_probabilities(teacher, problem), log_probabilities(student, problem)
    probability = np.exp(expected)
    mean = np.log(np.maximum(probability.mean(axis=0), np.finfo(np.float64).tiny))
    return FitOn(
        rows=len(teacher),
        kl_nats=max(0.0, float((probability * (expected - got)).sum(axis=1).mean())),
        constant_kl_nats=max(0.0, float((probability * (expected - mean)).sum(axis=1).mean())),
        agreement=float(is_same(teacher, student, problem).mean()),
    )


def _soft(data: TrainingSet, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    if data.soft_labels is None:
        raise ArtifactError("no soft labels to compare a student with", hint="run the same command again")
    return np.asarray(data.soft_labels[rows], dtype=np.float32)


def _logits(model: PreTrainedModel, data: TrainingSet, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return a model's raw logits on some rows, in their order; batches hold texts of like length."""
    model.eval()
    names = inputs_of(type(model).forward)  # the model's own may be wrapped by the training
    order = np.argsort(data.encoded.lengths[rows], kind="stable")
    found: NDArray[np.float32] | None = None
    for start in range(0, len(order), _BATCH_ROWS):
        part = order[start : start + _BATCH_ROWS]
        batches = parts_of(data.encoded.batch(rows[part]))
        logits = np.concatenate([_answer(model, {k: v for k, v in batch.items() if k in names}) for batch in batches])
        if found is None:
            found = np.empty((len(rows), logits.shape[1]), np.float32)
        found[part] = logits
    if found is None:
        raise ArtifactError("no rows to compare a student with its teacher on", hint="run the same command again")
    return found


@torch.inference_mode()
def _answer(model: PreTrainedModel, batch: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    inputs = {name: torch.from_numpy(values).to(model.device) for name, values in batch.items()}
    return np.asarray(model(**inputs).logits.float().cpu().numpy())
