"""The door of `teach`: take or fine-tune the teacher, make the transfer set, write the teacher's soft labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import require_written
from edgedistill.document import Document
from edgedistill.errors import TeacherError
from edgedistill.examples import NO_LABEL, Examples, read_examples, write_examples
from edgedistill.manifest import Decision, warned
from edgedistill.problem_type import SEVERAL_LABELS
from edgedistill.processes import current_group
from edgedistill.recipe import FineTuning, TransferSet
from edgedistill.results import Labels, TrainingLog
from edgedistill.soft_labels import write_soft_labels
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.text_classification.encoding import TOKENIZER_FILE, TextEncoder, is_wordpiece
from edgedistill.tasks.text_classification.unread import unread_of
from edgedistill.teach.answer_parts import PARTS, parts_in
from edgedistill.teach.decoders import require_encoder
from edgedistill.teach.files import CURVE_FILE, ONE_FILE, SOFT_LABELS_FILE, TRANSFER_FILE, WEIGHTS_FILE
from edgedistill.teach.judgement import Answers, judge_taken, judged_rows, warn_of_accuracy
from edgedistill.teach.labelling import SoftLabelInputs, check_soft_labels, only_help, origin_of
from edgedistill.teach.labels import require_same_classes, require_same_problem, token_limit, trained_labels
from edgedistill.teach.learning_rate import rate_decisions
from edgedistill.teach.long_texts import (
    MOST_TOKENS,
    cut_decision,
    ends_of_reading,
    sampled_rows,
    unread_decision,
    whole_lengths,
)
from edgedistill.teach.sentence_vectors import keep_vectors
from edgedistill.teach.set_judgement import judge_taken_sets
from edgedistill.teach.sources import some_of, words_within
from edgedistill.teach.table_labelling import label_tables
from edgedistill.teach.tokenizer_files import cuts_the_beginning, require_known_tokens, require_tokenizer_packages
from edgedistill.teach.transfer import find_neighbours, make_transfer_texts, share_with_neighbours, words_of
from edgedistill.teach.units import Unit, UnitSplitter, unspaced_units

__all__ = ["CURVE_FILE", "SENTENCE_VECTORS_FILE", "SOFT_LABELS", "SOFT_LABELS_FILE", "TEACHER", "TOKEN_VECTORS_FILE",
           "TRANSFER_FILE", "WEIGHTS_FILE", "SoftLabelInputs", "SoftLabelSettings", "TeacherInputs", "TeacherSettings"]

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


def _require_readable(settings: TeacherSettings, inputs: TeacherInputs) -> None:
    """Refuse a teacher that cannot read the texts, before any work.

    Raises:
        TeacherError: it reads shorter texts only, is a decoder, gives one label where the texts may have several, or lacks
            tokens of its tokenizer.
        MissingDependencyError: its tokenizer needs a package that is not installed.
    """
    require_encoder(inputs.model)
    require_same_problem(inputs.model, Labels.read_json(inputs.labels).problem_type)
    require_tokenizer_packages(inputs.model)
    require_known_tokens(inputs.model)
    limit = token_limit(inputs.model)
    if limit is not None and settings.max_tokens > limit:
        raise TeacherError(f"{inputs.model}: the teacher reads {limit} tokens at most, not {settings.max_tokens}",
                           hint=f"--set teacher.max_tokens={limit}, or the same in the recipe")


def _make_teacher(settings: TeacherSettings, inputs: TeacherInputs, out: Path) -> Outcome:
    from edgedistill.teach.teacher_model import load_classifier

    group = current_group()
    known = Labels.read_json(inputs.labels)
    labels = known.labels
    group.on_main(lambda: _save_tokenizer(settings, inputs, out))
    told = group.on_main(lambda: (*_tell_what_is_cut(settings, inputs, out), *_tell_what_is_unread(inputs, out))) or ()
    if trained_labels(inputs.model) is not None:
        group.on_main(lambda: _take_as_it_is(inputs, labels, out))
        return _judge_taken(inputs, labels, out, told)
    # imported here: the training loop costs seconds to import and a fine-tuned teacher does not need it
    from edgedistill.teach.fine_tuning import epochs_of, tuning_schedule
    from edgedistill.teach.tried_rates import tune_at
    from edgedistill.training import BestBy, TrainingSet

    encoder = TextEncoder.load(out)
    training, validation = (
        TrainingSet(encoder.encode(examples.texts), examples.labels)
        for examples in (read_examples(inputs.train), read_examples(inputs.validation))
    )
    tuning, rows = settings.fine_tuning, len(training)
    # of looks alike in accuracy the lower loss counts, and is progress: a rare class is not answered before it is learned. Whole
    # sets of labels are right late, and by steps: there the loss alone says whether a teacher still learns
    best_by: BestBy = "loss" if known.problem_type == SEVERAL_LABELS else "accuracy-then-loss"
    schedule = tuning_schedule(tuning, rows, seed=settings.seed, best_by=best_by)
    kept = tune_at(tuning.learning_rates or (tuning.learning_rate,),
                   lambda: load_classifier(inputs.model, labels, problem=known.problem_type), (training, validation),
                   schedule=schedule, out=out)
    return Outcome(
        decisions=(
            Decision(step="teach", what=f"fine-tuned the teacher for at most {epochs_of(tuning, rows)} epochs; best validation "
                     f"accuracy {kept.accuracy:.4f}", why="the teacher's folder holds an encoder without a trained classifier"),
            *told,
            *kept.decisions,
            *rate_decisions(tuning, inputs.model),
            *(warn_of_accuracy(kept.accuracy, validation.labels) if group.is_main else ()),
        ),
        scratch=kept.scratch,
    )


def _save_tokenizer(settings: TeacherSettings, inputs: TeacherInputs, out: Path) -> None:
    from edgedistill.teach.teacher_model import save_tokenizer

    save_tokenizer(inputs.model, out, max_tokens=settings.max_tokens)
    require_known_tokens(inputs.model, tokenizer=out)  # a folder may have had no tokenizer.json before


def _tell_what_is_cut(settings: TeacherSettings, inputs: TeacherInputs, out: Path) -> tuple[Decision, ...]:
    """Say how many texts are longer than the teacher reads, before it is trained on what is left of them."""
    train = read_examples(inputs.train)
    lengths = whole_lengths(TextEncoder.load(out).tokenizer, train.take(sampled_rows(len(train))).texts)
    most = min(MOST_TOKENS, token_limit(inputs.model) or MOST_TOKENS)
    told = cut_decision(lengths, max_tokens=settings.max_tokens, most=most)
    if told is None:
        return ()
    if cuts_the_beginning(inputs.model):
        told = told.model_copy(update={"why": f"{told.why}. The beginning is read, by teacher and student, although the "
                                              "teacher's tokenizer_config.json says truncation_side: left"})
    return (warned(told),)


def _tell_what_is_unread(inputs: TeacherInputs, out: Path) -> tuple[Decision, ...]:
    """Say how much of the texts the teacher's tokenizer cannot read: whatever is trained, that is lost."""
    train, encoder = read_examples(inputs.train), TextEncoder.load(out)
    unread = unread_of(encoder.tokenizer, encoder.encode(train.take(sampled_rows(len(train))).texts))
    return tuple(map(warned, unread_decision(unread)))


def _take_as_it_is(inputs: TeacherInputs, labels: tuple[str, ...], out: Path) -> None:
    from edgedistill.teach.teacher_model import load_classifier

    require_same_classes(inputs.model, labels,
                         advice="give a teacher that was fine-tuned on these labels, or an encoder to fine-tune")
    load_classifier(inputs.model, labels, is_trained=True).save_pretrained(out, max_shard_size=ONE_FILE, safe_serialization=True)
    (out / CURVE_FILE).write_text(TrainingLog(points=()).to_json(), encoding="utf-8")


def _judge_taken(inputs: TeacherInputs, labels: tuple[str, ...], out: Path, told: tuple[Decision, ...]) -> Outcome:
    """Let the teacher in `out` answer validation; raises TeacherError where it is of no use."""
    from edgedistill.teach.teacher_model import label_texts, load_classifier
    from edgedistill.torch_setup import own_device

    group, rows = current_group(), judged_rows(read_examples(inputs.validation))
    model = load_classifier(out, labels).to(own_device(group.local_rank))
    logits = next(label_texts(model, TextEncoder.load(out), iter([rows.texts]))).logits
    warnings = group.on_main(lambda: _judgement(inputs.model, logits, rows, labels)) or ()
    return Outcome(decisions=(
        Decision(step="teach", what="took the teacher as it is", why="its folder holds a trained sequence classifier"), *told,
        *warnings,
    ))


def _judgement(folder: Path, logits: NDArray[np.float32], rows: Examples, names: tuple[str, ...]) -> tuple[Decision, ...]:
    truth = rows.labels
    if truth.ndim == 2:
        return judge_taken_sets(folder, logits, truth, names)
    return judge_taken(folder, Answers.of(logits, rows, names))


TEACHER = Stage(
    name="teach", version=3, run=_make_teacher, requires=_require_readable,
    ensures=partial(require_written, names=(WEIGHTS_FILE, TOKENIZER_FILE, "config.json")),
    tools=("torch", "transformers", "tokenizers"), is_resumable=True, is_shared=True,
)


class SoftLabelSettings(Document):
    """How much unlabelled text is made, and the seed."""

    transfer_set: TransferSet
    seed: int


def _make_soft_labels(settings: SoftLabelSettings, inputs: SoftLabelInputs, out: Path) -> Outcome:
    from edgedistill.teach.teacher_model import label_texts, load_classifier, no_token_vectors, token_vectors
    from edgedistill.torch_setup import own_device

    labels = Labels.read_json(inputs.labels).labels
    train, validation = read_examples(inputs.train), read_examples(inputs.validation)
    own = read_examples(inputs.unlabelled)
    group = current_group()
    noted = group.on_main(lambda: _write_transfer(settings, inputs, out)) or ()
    tables = (train, read_examples(out / TRANSFER_FILE), validation)
    model = load_classifier(inputs.teacher, labels).to(own_device(group.local_rank))
    encoder = TextEncoder.load(inputs.teacher)
    # a student of any other tokenizer gets a vocabulary of its own: nobody reads them, and of 250,000 tokens they take long
    of_tokens = partial(token_vectors, model, encoder) if is_wordpiece(encoder.tokenizer.to_str()) else no_token_vectors
    group.on_main(lambda: np.save(out / TOKEN_VECTORS_FILE, of_tokens(), allow_pickle=False))
    answers = label_tables(partial(label_texts, model, encoder), tables, parts_in(out))
    if not group.is_main:
        return only_help(answers)
    logits = keep_vectors(answers, out / SENTENCE_VECTORS_FILE, rows=sum(map(len, tables)))
    write_soft_labels(out / SOFT_LABELS_FILE, zip(_id_batches(tables), logits, strict=True), classes=len(labels),
                      origin=origin_of(inputs, encoder_file=TOKENIZER_FILE))
    return Outcome(decisions=(
        Decision(step="teach", what=f"made {len(tables[1]) - len(own)} unlabelled texts from "
                 + _told_sources(len(train), len(own), settings.transfer_set.rows),
                 why="a student learns most from the teacher's answers on many texts (Jiao et al. 2020, table 2)"),
        *noted,
    ), scratch=(PARTS,))


def _told_sources(train: int, own: int, most: int) -> str:
    """Return what texts were made from: `most` of those that are there, at most."""
    drawn = f"{most} of " if 0 < most < train + own else ""
    return f"{drawn}{train} training texts" + (f" and {own} unlabelled ones, and labelled these too" if own else "")


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
    teacher, kinds = inputs.teacher, settings.transfer_set
    encoder, texts = TextEncoder.load(teacher), some_of(texts, kinds.rows, seed=settings.seed)
    splitter, ends = UnitSplitter.of(encoder.tokenizer), ends_of_reading(encoder, texts)

    def words(index: int) -> Sequence[Unit]:
        return splitter.split_until(texts[index], ends[index]) if index in ends else splitter.split(texts[index])

    rows = words_within(len(texts), words, limit=kinds.words, seed=settings.seed)
    vectors = word_vectors(teacher)
    neighbours = find_neighbours(words_of(rows), vectors.words, vectors.vectors)
    if unspaced := unspaced_units(rows):
        theirs = unspaced_word_vectors(teacher)
        neighbours = neighbours.with_others(find_neighbours(unspaced, theirs.words, theirs.vectors))
    made = make_transfer_texts(rows, neighbours, kinds, mask_token=vectors.mask_token, seed=settings.seed,
                               without=read_examples(inputs.validation).texts)
    return made, (*_source_decisions(kinds, len(rows), len(texts)), *_masking_decisions(kinds, vectors.mask_token),
                  *_neighbour_decisions(kinds, share_with_neighbours(rows, neighbours)), *_warn_of_single_words(rows))


def _source_decisions(kinds: TransferSet, used: int, there: int) -> tuple[Decision, ...]:
    if used == there:
        return ()
    return (Decision(step="teach", what=f"made them of {used} of {there} texts, drawn at random",
                     why=f"these hold more words than are made (distillation.transfer_set.words: {kinds.words})"),)


def _masking_decisions(kinds: TransferSet, mask_token: str | None) -> tuple[Decision, ...]:
    if mask_token is not None or not (kinds.masking or kinds.spans):
        return ()
    return (Decision(step="teach", what="masked no words", why="the teacher's tokenizer has no mask token"),)


def _neighbour_decisions(kinds: TransferSet, share: float) -> tuple[Decision, ...]:
    if kinds.neighbours == 0 or share >= _FEW_NEIGHBOURS:
        return ()
    return (Decision(
        step="teach", what=f"only {share:.1%} of the words of the texts have neighbours: the others are not replaced by any",
        why="a word has neighbours where it is one token of the teacher's vocabulary; with a teacher of the texts' language "
            "more words are",
    ),)


def _warn_of_single_words(rows: Sequence[Sequence[Unit]]) -> tuple[Decision, ...]:
    single = sum(len(row) == 1 for row in rows)
    if 2 * single <= len(rows):
        return ()
    return (warned(Decision(
        step="teach", what=f"{single} of {len(rows)} texts are a single word to the transfer set",
        why="few others can be made of them: give texts of your own as data.unlabelled",
    )),)


def _id_batches(tables: tuple[Examples, ...]) -> Iterator[list[str]]:
    for table in tables:
        for batch in table.table.select(["id"]).to_batches(max_chunksize=10_000):
            yield batch.column(0).to_pylist()


SOFT_LABELS = Stage(
    name="teach", version=9, run=_make_soft_labels, ensures=check_soft_labels,
    tools=("torch", "transformers", "tokenizers", "numpy"), is_resumable=True, is_shared=True,
)
