"""The door of `teach`: take or fine-tune the teacher, make the transfer set, write the teacher's soft labels."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgedistill.artifact import sha256_of_path
from edgedistill.document import Document
from edgedistill.errors import ArtifactError, TeacherError
from edgedistill.examples import NO_LABEL, Examples, read_examples, write_examples
from edgedistill.manifest import Decision
from edgedistill.processes import current_group
from edgedistill.recipe import FineTuning, TransferSet
from edgedistill.results import Labels, TrainingLog
from edgedistill.soft_labels import Origin, read_soft_labels, write_soft_labels
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.text_classification.encoding import TOKENIZER_FILE, TextEncoder
from edgedistill.teach.labels import label_order, token_limit, trained_labels
from edgedistill.teach.sentence_vectors import TextAnswers, keep_vectors
from edgedistill.teach.transfer import find_neighbours, make_transfer_texts, words_of

log = logging.getLogger("edgedistill")

WEIGHTS_FILE = "model.safetensors"
TRANSFER_FILE = "transfer.arrow"
SOFT_LABELS_FILE = "soft_labels.arrow"
SENTENCE_VECTORS_FILE = "sentence_vectors.npy"
TOKEN_VECTORS_FILE = "token_vectors.npy"  # noqa: S105 - tokens of a vocabulary, no secret
CURVE_FILE = "training_log.json"


_ENOUGH_STEPS, _LEAST_EPOCHS, _MOST_EPOCHS = 1500, 3, 12


class TeacherSettings(Document):
    """How the teacher is made ready."""

    fine_tuning: FineTuning
    max_tokens: int
    seed: int


@dataclass(frozen=True)
class TeacherInputs:
    """`model`: a transformers folder; `train`, `validation`: examples; `labels`: the class names."""

    model: Path
    train: Path
    validation: Path
    labels: Path


def _require_room(settings: TeacherSettings, inputs: TeacherInputs) -> None:
    limit = token_limit(inputs.model)
    if limit is not None and settings.max_tokens > limit:
        raise TeacherError(f"{inputs.model}: the teacher reads {limit} tokens at most, not {settings.max_tokens}",
                           hint=f"--set teacher.max_tokens={limit}, or the same in the recipe")


def _make_teacher(settings: TeacherSettings, inputs: TeacherInputs, out: Path) -> Outcome:
    from edgedistill.teach.teacher_model import load_classifier, save_tokenizer

    group = current_group()
    labels = Labels.read_json(inputs.labels).labels
    group.on_main(lambda: save_tokenizer(inputs.model, out, max_tokens=settings.max_tokens))
    if trained_labels(inputs.model) is not None:
        return group.on_main(lambda: _take_as_it_is(inputs, labels, out)) or Outcome()
    # imported here: the training loop costs seconds to import and a fine-tuned teacher does not need it
    import torch

    from edgedistill.training import CHECKPOINTS, Schedule, TrainingSet, train

    torch.manual_seed(settings.seed)
    model = load_classifier(inputs.model, labels)
    encoder = TextEncoder.load(out)
    tuning = settings.fine_tuning
    sets = [
        TrainingSet(encoder.encode(examples.texts), examples.labels)
        for examples in (read_examples(inputs.train), read_examples(inputs.validation))
    ]
    steps_a_pass = -(-len(sets[0]) // tuning.batch_size)
    epochs = tuning.epochs or enough_epochs(steps_a_pass)
    curve = train(
        model,
        sets[0],
        sets[1],
        loss=lambda logits, hard, soft: torch.nn.functional.cross_entropy(logits, hard),
        schedule=Schedule(
            steps=steps_a_pass * epochs, batch_size=tuning.batch_size, learning_rate=tuning.learning_rate,
            warmup_share=tuning.warmup_share, weight_decay=tuning.weight_decay, evaluations=epochs,
            patience=tuning.patience, best_by="accuracy", seed=settings.seed,
        ),
        out=out,
    )
    if group.is_main:
        model.save_pretrained(out, safe_serialization=True)
        (out / CURVE_FILE).write_text(curve.to_json(), encoding="utf-8")
    best = max((p.validation_accuracy or 0.0) for p in curve.points)
    return Outcome(
        decisions=(
            Decision(step="teach", what=f"fine-tuned the teacher for at most {epochs} epochs; best validation "
                     f"accuracy {best:.4f}", why="the teacher's folder holds an encoder without a trained classifier"),
        ),
        scratch=(CHECKPOINTS,),
    )


def enough_epochs(steps_a_pass: int) -> int:
    """Return how many passes fine-tuning makes where the recipe does not say: a small data set needs more of them."""
    return min(_MOST_EPOCHS, max(_LEAST_EPOCHS, -(-_ENOUGH_STEPS // steps_a_pass)))


def _take_as_it_is(inputs: TeacherInputs, labels: tuple[str, ...], out: Path) -> Outcome:
    from edgedistill.teach.teacher_model import load_classifier

    own = trained_labels(inputs.model) or ()
    if len(own) != len(labels):
        raise TeacherError(f"{inputs.model}: the teacher has {len(own)} classes, the data {len(labels)}",
                           hint="give a teacher that was fine-tuned on these labels, or an encoder to fine-tune")
    if label_order(inputs.model) not in (None, labels):
        raise TeacherError(f"{inputs.model}: the teacher's classes stand in another order than the data's",
                           hint="prepare the data with this teacher: edgedistill prepare --recipe RECIPE -o DIR")
    load_classifier(inputs.model, labels, is_trained=True).save_pretrained(out, safe_serialization=True)
    (out / CURVE_FILE).write_text(TrainingLog(points=()).to_json(), encoding="utf-8")
    return Outcome(decisions=(
        Decision(step="teach", what="took the teacher as it is", why="its folder holds a trained sequence classifier"),
    ))


def _check_teacher(out: Path) -> None:
    for name in (WEIGHTS_FILE, TOKENIZER_FILE, "config.json"):
        if not (out / name).is_file():
            raise ArtifactError(f"{out / name}: was not written", hint="run the same command again")


TEACHER = Stage(
    name="teach", version=1, run=_make_teacher, requires=_require_room, ensures=_check_teacher,
    tools=("torch", "transformers", "tokenizers"), is_resumable=True, is_shared=True,
)


class SoftLabelSettings(Document):
    """How much unlabelled text is made, and the seed."""

    transfer_set: TransferSet
    seed: int


@dataclass(frozen=True)
class SoftLabelInputs:
    """`teacher`: the fine-tuned teacher's folder; `labels`: the class names; the rest: examples."""

    teacher: Path
    train: Path
    validation: Path
    labels: Path
    unlabelled: Path


def origin_of(inputs: SoftLabelInputs) -> Origin:
    """Return what soft labels made from these inputs must say of their origin."""
    return Origin(
        teacher_sha256=sha256_of_path(inputs.teacher / WEIGHTS_FILE),
        tokenizer_sha256=sha256_of_path(inputs.teacher / TOKENIZER_FILE),
        data_sha256="+".join(sha256_of_path(path) for path in (inputs.train, inputs.validation, inputs.unlabelled)),
    )


def _make_soft_labels(settings: SoftLabelSettings, inputs: SoftLabelInputs, out: Path) -> Outcome:
    from edgedistill.teach.teacher_model import label_texts, load_classifier, token_vectors
    from edgedistill.torch_setup import own_device

    labels = Labels.read_json(inputs.labels).labels
    train, validation = read_examples(inputs.train), read_examples(inputs.validation)
    own = read_examples(inputs.unlabelled)
    group = current_group()
    group.on_main(lambda: _write_transfer(settings, inputs.teacher, [*train.texts, *own.texts], out, own=own.texts))
    tables = (train, read_examples(out / TRANSFER_FILE), validation)
    model = load_classifier(inputs.teacher, labels).to(own_device(group.local_rank))
    encoder = TextEncoder.load(inputs.teacher)
    group.on_main(lambda: np.save(out / TOKEN_VECTORS_FILE, token_vectors(model, encoder), allow_pickle=False))
    answers = label_texts(model, encoder, (texts for table in tables for texts in table.text_batches()))
    if not group.is_main:
        return _only_help(answers)
    logits = keep_vectors(answers, out / SENTENCE_VECTORS_FILE, rows=sum(len(table) for table in tables))
    write_soft_labels(out / SOFT_LABELS_FILE, zip(_id_batches(tables), logits, strict=True), classes=len(labels),
                      origin=origin_of(inputs))
    return Outcome(decisions=(
        Decision(step="teach", what=f"made {len(tables[1]) - len(own)} unlabelled texts from {len(train)} training texts"
                 + (f" and {len(own)} unlabelled ones, and labelled these too" if len(own) else ""),
                 why="a student learns most from the teacher's answers on many texts (Jiao et al. 2020, table 2)"),
    ))


def _only_help(answers: Iterator[TextAnswers]) -> Outcome:
    """Compute this process's share; the main process writes it."""
    for _ in answers:
        pass
    return Outcome()


def _write_transfer(
    settings: SoftLabelSettings, teacher: Path, sources: list[str], out: Path, *, own: list[str]
) -> None:
    """Write the user's unlabelled texts and those that are made from all."""
    texts = [*own, *_make_transfer(settings, teacher, sources)]
    write_examples(out / TRANSFER_FILE, [f"transfer-{i:07d}" for i in range(len(texts))], texts,
                   [NO_LABEL] * len(texts))


def _make_transfer(settings: SoftLabelSettings, teacher: Path, texts: list[str]) -> list[str]:
    from edgedistill.teach.teacher_model import word_vectors

    if settings.transfer_set.rows == 0:
        return []
    vectors = word_vectors(teacher)
    neighbours = find_neighbours(words_of(texts), vectors.words, vectors.vectors)
    return make_transfer_texts(texts, neighbours, settings.transfer_set, mask_token=vectors.mask_token, seed=settings.seed)


def _id_batches(tables: tuple[Examples, ...]) -> Iterator[list[str]]:
    for table in tables:
        for batch in table.table.select(["id"]).to_batches(max_chunksize=10_000):
            yield batch.column(0).to_pylist()


def _check_soft_labels(out: Path) -> None:
    labels = read_soft_labels(out / SOFT_LABELS_FILE)
    if not np.isfinite(labels.logits).all():
        raise TeacherError("the teacher answers with NaN or infinity", hint="check the teacher: edgedistill evaluate TEACHER")


SOFT_LABELS = Stage(
    name="teach", version=3, run=_make_soft_labels, ensures=_check_soft_labels,
    tools=("torch", "transformers", "tokenizers", "numpy"), is_shared=True,
)
