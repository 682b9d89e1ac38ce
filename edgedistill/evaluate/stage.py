"""The door of `evaluate`: let a model answer a labelled split, keep its logits, and say how good they are."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgedistill.artifact import sha256_of_file
from edgedistill.decisions import (
    are_shares,
    is_labelled,
    is_right,
    is_same,
    logits_of_shares,
    problem_of_labels,
    require_logits,
)
from edgedistill.document import Document, read_text
from edgedistill.errors import ArtifactError, DataError, ParityError
from edgedistill.evaluate import intervals, metrics, several_labels
from edgedistill.evaluate.logits import read_logits, write_logits
from edgedistill.evaluate.predictor import ONNX_FILE, TORCH_FILE, open_predictor, predict
from edgedistill.evaluate.weights import Weights, read_weights
from edgedistill.examples import NO_LABEL, Examples, read_examples
from edgedistill.host import available_cores
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS, ProblemType, problem_of
from edgedistill.recipe import Task
from edgedistill.results import ClassFigures, Evaluation, Interval, Labels, Variant
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.registry import open_encoder, task_of_model

LOGITS_FILE = "logits.npy"
EVALUATION_FILE = "evaluation.json"
CONFIG_FILE = "config.json"
LABELS_FILE = "labels.json"

_HINT = "edgedistill evaluate --help"


class Settings(Document):
    """What is evaluated, on what, and how.

    `batch_size` 1 is for dynamic int8, whose answers depend on the neighbours in a batch; it runs on one thread, for a
    single short text gains nothing from more.
    """

    variant: Variant
    split: str = Field(description="name of the split, for the reader")
    task: Task
    batch_size: int = Field(ge=1, description="examples a call; 1 for dynamic int8")
    seed: int = Field(ge=0, description="of the bootstrap")


@dataclass(frozen=True)
class Inputs:
    """What is read.

    Attributes:
        model: a folder with config.json (a bundle: labels.json), the file of its encoder, and model.onnx (taken first) or
            model.safetensors.
        data: examples, every one with a label.
        labels: the class names in the order of the logits (`results.Labels`).
        teacher_logits: what the teacher answered on the same rows; None when the model is the teacher.
    """

    model: Path
    data: Path
    labels: Path
    teacher_logits: Path | None


@dataclass(frozen=True)
class _Answers:
    """What was asked and answered: `truth` (n,) or (n, classes), `logits` and `teacher` (n, classes)."""

    truth: NDArray[np.int32]
    logits: NDArray[np.float32]
    teacher: NDArray[np.float32] | None


def _require(settings: Settings, inputs: Inputs) -> None:
    """Refuse before the model is opened."""
    _require_model(inputs.model)
    known = Labels.read_json(inputs.labels)
    names = known.labels
    said_in = _classes_file(inputs.model)
    _require_same_order(said_in, names)
    _require_same_problem(said_in, known.problem_type)
    examples = read_examples(inputs.data)
    _require_labels(examples, inputs.data, known)
    if inputs.teacher_logits is not None:
        _require_teacher(inputs.teacher_logits, rows=len(examples), classes=len(names))


def _run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    names = Labels.read_json(inputs.labels).labels
    examples = read_examples(inputs.data)
    logits = _answer(settings, inputs.model, examples, classes=len(names))
    write_logits(out / LOGITS_FILE, logits)
    teacher = read_logits(inputs.teacher_logits) if inputs.teacher_logits is not None else None
    file = _weights_file(inputs.model)
    evaluation = _evaluate(
        _Answers(examples.labels, logits, teacher), settings,
        names=names, model_sha256=sha256_of_file(file), weights=read_weights(file),
    )
    (out / EVALUATION_FILE).write_text(evaluation.to_json(), encoding="utf-8")
    return Outcome()


def _answer(settings: Settings, model: Path, examples: Examples, *, classes: int) -> NDArray[np.float32]:
    """Return the logits of every example, shape (n, classes), finite; of a graph that ends in a Softmax the logarithms."""
    encoded = open_encoder(model).encode_examples(examples)
    predictor = open_predictor(model, threads=available_cores() if settings.batch_size > 1 else 1)
    width = predictor.logits(encoded.batch([0])).shape[1]  # one row first: a wrong model is refused before the work
    if width != classes:
        raise ArtifactError(f"{model}: answers with {width} classes, the labels name {classes}",
                            hint="evaluate the model with the labels.json of the run that trained it")
    logits = predict(predictor, encoded, batch_size=settings.batch_size)
    broken = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(broken):
        # a conversion that overflows is a failed conversion; a torch model that does so is a failed training
        error = ParityError if _weights_file(model).name == ONNX_FILE else ArtifactError
        raise error(
            f"{model}: {len(broken)} of {len(logits)} answers hold NaN or infinity, first that to row {broken[0]} "
            f"(id {examples.ids[broken[0]]!r})",
            hint="evaluate the model that it was made from; if that answers, export and quantize again",
        )
    problem = problem_of_labels(examples.labels)
    require_logits(logits, problem, place=str(model))
    return logits_of_shares(logits) if problem == ONE_LABEL and are_shares(logits) else logits


def _evaluate(
    answers: _Answers, settings: Settings, *, names: tuple[str, ...], model_sha256: str, weights: Weights
) -> Evaluation:
    truth, logits, taught = answers.truth, answers.logits, answers.teacher
    right = is_right(logits, truth)
    agrees = None if taught is None else is_same(taught, logits, problem_of_labels(truth))
    return Evaluation(
        variant=settings.variant,
        model_sha256=model_sha256,
        parameters=weights.parameters,
        size_bytes=weights.size_bytes,
        split=settings.split,
        n=len(right),
        accuracy=intervals.share_interval(right),
        agreement_with_teacher=None if agrees is None else intervals.share_interval(agrees),
        mcnemar_against_teacher=None if taught is None else intervals.mcnemar(is_right(taught, truth), right),
        **vars(_by_class(truth, logits, names, seed=settings.seed)),
    )


@dataclass(frozen=True)
class _ByClass:
    """The figures of an evaluation that look at classes, by its names."""

    macro_f1: Interval
    calibration_error: Interval
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...] = ()
    micro_f1: Interval | None = None


def _by_class(truth: NDArray[np.int32], logits: NDArray[np.float32], names: tuple[str, ...], *, seed: int) -> _ByClass:
    if truth.ndim == 2:
        labels, decided = truth.astype(np.int64), (logits > 0).astype(np.int64)
        return _ByClass(
            macro_f1=several_labels.macro_f1_interval(labels, decided, seed=seed),
            micro_f1=several_labels.micro_f1_interval(labels, decided, seed=seed),
            calibration_error=several_labels.calibration_interval(logits, labels, seed=seed),
            classes=metrics.figures_of_tallies(*several_labels.tallies(labels, decided), names),
        )
    predicted, confidence = metrics.decisions(logits), metrics.softmax(logits).max(axis=1)
    counts = metrics.confusion(truth, predicted, classes=len(names))
    return _ByClass(
        macro_f1=intervals.macro_f1_interval(truth, predicted, classes=len(names), seed=seed),
        calibration_error=intervals.calibration_interval(confidence, predicted == truth, seed=seed),
        classes=metrics.class_figures(counts, names),
        confusion=tuple(tuple(int(count) for count in row) for row in counts),
    )


def _weights_file(model: Path) -> Path:
    """Return the file that `open_predictor` takes from a model folder."""
    return model / (ONNX_FILE if (model / ONNX_FILE).is_file() else TORCH_FILE)


def _require_model(model: Path) -> None:
    if not _weights_file(model).is_file():
        raise ArtifactError(f"{model}: holds neither {ONNX_FILE} nor {TORCH_FILE} (pickled weights are never loaded)",
                            hint="name a model folder; transformers writes one with save_pretrained(DIR)")
    for file in (model / task_of_model(model).encoder_file, _classes_file(model)):
        if not file.is_file():
            raise ArtifactError(f"{file}: no such file", hint="copy it from the model that this one was made from")


def _classes_file(model: Path) -> Path:
    """Return the file that says a model's classes: a folder's config.json, or a bundle's labels.json."""
    return model / (LABELS_FILE if (model / LABELS_FILE).is_file() and not (model / CONFIG_FILE).is_file() else CONFIG_FILE)


def _require_same_order(config: Path, names: tuple[str, ...]) -> None:
    """Refuse a model that has the same classes in another order: it would run, and be wrong on nearly every row."""
    try:
        content = json.loads(read_text(config, error=ArtifactError))
        found = content.get("id2label") or dict(enumerate(content.get("labels") or ()))
        own = tuple(str(found[key]) for key in sorted(found, key=int))
    except (ValueError, AttributeError, TypeError) as bad:
        raise ArtifactError(f"{config}: is not a model's configuration ({bad})", hint="make the model folder again"
                            ) from None
    if own != names and sorted(own) == sorted(names):
        at = next(i for i, name in enumerate(names) if own[i] != name)
        raise ArtifactError(f"{config}: class {at} is {own[at]!r}, in the labels it is {names[at]!r}",
                            hint="evaluate the model with the labels.json of the run that trained it")


def _require_same_problem(config: Path, problem: ProblemType) -> None:
    """Refuse a model that gives one label where the examples may have several, or the other way round."""
    own = problem_of(json.loads(read_text(config, error=ArtifactError)))
    if own != problem:
        raise ArtifactError(f"{config}: problem_type is {own}, and of the labels it is {problem}",
                            hint="evaluate the model with the labels.json of the run that trained it")


def _require_labels(examples: Examples, path: Path, known: Labels) -> None:
    if len(examples) == 0:
        raise DataError(f"{path}: has no examples", hint="give a split with at least one row")
    truth, classes = examples.labels, len(known.labels)
    if problem_of_labels(truth) != known.problem_type or truth.shape[1:] not in ((), (classes,)):
        raise DataError(f"{path}: its labels are of the shape {truth.shape}, and {classes} classes with problem_type "
                        f"{known.problem_type} are expected",
                        hint="evaluate with the labels.json that was prepared with the data")
    most = 1 if known.problem_type == SEVERAL_LABELS else classes - 1
    for is_bad, problem in ((~is_labelled(truth), "no label"), (truth > most, f"a label above {most}"),
                            (truth < NO_LABEL, "a negative label")):
        rows = np.flatnonzero(is_bad.reshape(len(truth), -1).any(axis=1))
        if len(rows):
            raise DataError(f"{path}: {len(rows)} of {len(truth)} rows have {problem}, first row {rows[0]} "
                            f"(id {examples.ids[rows[0]]!r})",
                            hint="evaluate on a split whose rows all have a known label")


def _require_teacher(path: Path, *, rows: int, classes: int) -> None:
    logits = read_logits(path)
    if logits.shape != (rows, classes):
        raise ArtifactError(f"{path}: holds {logits.shape[0]} rows of {logits.shape[1]} classes, the split has {rows} "
                            f"rows and {classes} classes", hint="evaluate the teacher on the same split first")
    if not np.isfinite(logits).all():
        raise ArtifactError(f"{path}: holds NaN or infinity", hint="evaluate the teacher on the same split again")


def _ensure(out: Path) -> None:
    logits, evaluation = read_logits(out / LOGITS_FILE), Evaluation.read_json(out / EVALUATION_FILE)
    if logits.shape != (evaluation.n, len(evaluation.classes)):
        raise ArtifactError(f"{out}: {LOGITS_FILE} and {EVALUATION_FILE} do not belong together", hint=_HINT)


STAGE = Stage(
    name="evaluate", version=2, run=_run, requires=_require, ensures=_ensure,
    tools=("onnxruntime", "torch", "transformers", "tokenizers", "numpy", "scipy"),
)
