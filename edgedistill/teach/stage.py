"""The door of `teach`: take or fine-tune the teacher, make the transfer set, write the teacher's soft labels."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from edgedistill.artifact import require_written
from edgedistill.document import Document
from edgedistill.errors import TeacherError
from edgedistill.examples import NO_LABEL, Examples, read_examples, write_examples
from edgedistill.manifest import Decision
from edgedistill.processes import current_group
from edgedistill.progress import Progress
from edgedistill.recipe import FineTuning, TransferSet
from edgedistill.results import Labels, TrainingLog
from edgedistill.soft_labels import write_soft_labels
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.text_classification.encoding import TOKENIZER_FILE, TextEncoder
from edgedistill.teach.files import CURVE_FILE, SOFT_LABELS_FILE, TRANSFER_FILE, WEIGHTS_FILE
from edgedistill.teach.labelling import SoftLabelInputs, check_soft_labels, only_help, origin_of
from edgedistill.teach.labels import require_same_classes, token_limit, trained_labels
from edgedistill.teach.sentence_vectors import keep_vectors
from edgedistill.teach.transfer import find_neighbours, make_transfer_texts, share_with_neighbours, words_of
from edgedistill.teach.units import UnitSplitter, unspaced_units

__all__ = ["CURVE_FILE", "SENTENCE_VECTORS_FILE", "SOFT_LABELS", "SOFT_LABELS_FILE", "TEACHER", "TOKEN_VECTORS_FILE",
           "TRANSFER_FILE", "WEIGHTS_FILE", "SoftLabelInputs", "SoftLabelSettings", "TeacherInputs", "TeacherSettings"]

log = logging.getLogger("edgedistill")

SENTENCE_VECTORS_FILE = "sentence_vectors.npy"
TOKEN_VECTORS_FILE = "token_vectors.npy"  # noqa: S105 - tokens of a vocabulary, no secret

_FEW_NEIGHBOURS = 0.2
"""Below this share of words with neighbours it is said: replacing words then makes hardly any new texts."""


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

    from edgedistill.teach.fine_tuning import epochs_of, fine_tune, tuning_schedule
    from edgedistill.training import CHECKPOINTS, TrainingSet

    torch.manual_seed(settings.seed)
    model = load_classifier(inputs.model, labels)
    encoder = TextEncoder.load(out)
    training, validation = (
        TrainingSet(encoder.encode(examples.texts), examples.labels)
        for examples in (read_examples(inputs.train), read_examples(inputs.validation))
    )
    tuning, rows = settings.fine_tuning, len(training)
    best = fine_tune(
        model, (training, validation), schedule=tuning_schedule(tuning, rows, seed=settings.seed), out=out
    )
    return Outcome(
        decisions=(
            Decision(step="teach", what=f"fine-tuned the teacher for at most {epochs_of(tuning, rows)} epochs; best validation "
                     f"accuracy {best:.4f}", why="the teacher's folder holds an encoder without a trained classifier"),
        ),
        scratch=(CHECKPOINTS,),
    )


def _take_as_it_is(inputs: TeacherInputs, labels: tuple[str, ...], out: Path) -> Outcome:
    from edgedistill.teach.teacher_model import load_classifier

    require_same_classes(inputs.model, labels,
                         advice="give a teacher that was fine-tuned on these labels, or an encoder to fine-tune")
    load_classifier(inputs.model, labels, is_trained=True).save_pretrained(out, safe_serialization=True)
    (out / CURVE_FILE).write_text(TrainingLog(points=()).to_json(), encoding="utf-8")
    return Outcome(decisions=(
        Decision(step="teach", what="took the teacher as it is", why="its folder holds a trained sequence classifier"),
    ))


TEACHER = Stage(
    name="teach", version=1, run=_make_teacher, requires=_require_room,
    ensures=partial(require_written, names=(WEIGHTS_FILE, TOKENIZER_FILE, "config.json")),
    tools=("torch", "transformers", "tokenizers"), is_resumable=True, is_shared=True,
)


class SoftLabelSettings(Document):
    """How much unlabelled text is made, and the seed."""

    transfer_set: TransferSet
    seed: int


def _make_soft_labels(settings: SoftLabelSettings, inputs: SoftLabelInputs, out: Path) -> Outcome:
    from edgedistill.teach.teacher_model import label_texts, load_classifier, token_vectors
    from edgedistill.torch_setup import own_device

    labels = Labels.read_json(inputs.labels).labels
    train, validation = read_examples(inputs.train), read_examples(inputs.validation)
    own = read_examples(inputs.unlabelled)
    group = current_group()
    noted = group.on_main(lambda: _write_transfer(settings, inputs, out)) or ()
    tables = (train, read_examples(out / TRANSFER_FILE), validation)
    model = load_classifier(inputs.teacher, labels).to(own_device(group.local_rank))
    encoder = TextEncoder.load(inputs.teacher)
    group.on_main(lambda: np.save(out / TOKEN_VECTORS_FILE, token_vectors(model, encoder), allow_pickle=False))
    batches = (texts for table in tables for texts in table.text_batches())
    with Progress("labelling", total=sum(map(len, tables)), unit="texts") as progress:
        answers = label_texts(model, encoder, batches, on_texts=progress.advance)
        if not group.is_main:
            return only_help(answers)
        logits = keep_vectors(answers, out / SENTENCE_VECTORS_FILE, rows=sum(map(len, tables)))
        write_soft_labels(out / SOFT_LABELS_FILE, zip(_id_batches(tables), logits, strict=True), classes=len(labels),
                          origin=origin_of(inputs, encoder_file=TOKENIZER_FILE))
    return Outcome(decisions=(
        Decision(step="teach", what=f"made {len(tables[1]) - len(own)} unlabelled texts from {len(train)} training texts"
                 + (f" and {len(own)} unlabelled ones, and labelled these too" if len(own) else ""),
                 why="a student learns most from the teacher's answers on many texts (Jiao et al. 2020, table 2)"),
        *noted,
    ))


def _write_transfer(settings: SoftLabelSettings, inputs: SoftLabelInputs, out: Path) -> tuple[Decision, ...]:
    """Write the user's unlabelled texts and those that are made from all; returns what the report should say of them."""
    own = read_examples(inputs.unlabelled).texts
    made, noted = _make_transfer(settings, inputs, [*read_examples(inputs.train).texts, *own])
    texts = [*own, *made]
    write_examples(out / TRANSFER_FILE, [f"transfer-{i:07d}" for i in range(len(texts))], texts,
                   [NO_LABEL] * len(texts))
    return noted


def _make_transfer(
    settings: SoftLabelSettings, inputs: SoftLabelInputs, texts: list[str]
) -> tuple[list[str], tuple[Decision, ...]]:
    from edgedistill.teach.teacher_model import unspaced_word_vectors, word_vectors

    if settings.transfer_set.rows == 0:
        return [], ()
    teacher = inputs.teacher
    splitter = UnitSplitter.of(TextEncoder.load(teacher).tokenizer)
    rows = [splitter.split(text) for text in texts]
    vectors = word_vectors(teacher)
    neighbours = find_neighbours(words_of(rows), vectors.words, vectors.vectors)
    if unspaced := unspaced_units(rows):
        theirs = unspaced_word_vectors(teacher)
        neighbours = neighbours.with_others(find_neighbours(unspaced, theirs.words, theirs.vectors))
    single = sum(len(row) == 1 for row in rows)
    if 2 * single > len(rows):
        log.warning("teach: %d of %d texts are a single word to the transfer set, of which few others can be made: give texts "
                    "of your own as data.unlabelled", single, len(rows))
    made = make_transfer_texts(rows, neighbours, settings.transfer_set, mask_token=vectors.mask_token, seed=settings.seed,
                               without=read_examples(inputs.validation).texts)
    share = share_with_neighbours(rows, neighbours)
    if settings.transfer_set.neighbours == 0 or share >= _FEW_NEIGHBOURS:
        return made, ()
    return made, (Decision(
        step="teach", what=f"only {share:.1%} of the words of the texts have neighbours: the others are not replaced by any",
        why="a word has neighbours where it is one token of the teacher's vocabulary; with a teacher of the texts' language "
            "more words are",
    ),)


def _id_batches(tables: tuple[Examples, ...]) -> Iterator[list[str]]:
    for table in tables:
        for batch in table.table.select(["id"]).to_batches(max_chunksize=10_000):
            yield batch.column(0).to_pylist()


SOFT_LABELS = Stage(
    name="teach", version=5, run=_make_soft_labels, ensures=check_soft_labels,
    tools=("torch", "transformers", "tokenizers", "numpy"), is_shared=True,
)
