"""The trainings of `distill`: make the untrained student, train it with the teacher, train the baseline without."""

import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification, PreTrainedModel

from edgedistill.checkpoints import CHECKPOINTS
from edgedistill.distill.contextual import contextual_embeddings
from edgedistill.distill.cut import why_not_cut
from edgedistill.distill.fit import measure_fit
from edgedistill.distill.losses import hard_label_loss, hard_multi_label_loss
from edgedistill.distill.low_rank_embedding import merge_embedding, round_to_rank, split_embedding
from edgedistill.distill.objective import GuidedObjective, loss_terms, teacher_loss
from edgedistill.distill.own_tokenizer import MANY_UNKNOWN, unknown_share
from edgedistill.distill.schedule import baseline_schedule, distillation_schedule
from edgedistill.distill.stage import CURVE_FILE, FIT_FILE, BaselineInputs, StudentInputs, StudentSettings
from edgedistill.distill.student_model import (
    StudentTokenizer,
    cut_student,
    make_tokenizer,
    random_range,
    sample_texts,
    student_config,
    write_student,
    write_tokenizer,
)
from edgedistill.distill.text_sets import LOOKED_AT_ROWS, ids_of, text_training_set, texts_of
from edgedistill.distill.vocabulary import prove_ids
from edgedistill.distill.vocabulary_loss import StandInEncoder, measure_vocabulary
from edgedistill.distill.without_teacher import SLOWER, train_without_teacher
from edgedistill.examples import Examples, read_examples
from edgedistill.manifest import Decision, warned
from edgedistill.objective import LogitObjective, Objective
from edgedistill.processes import current_group
from edgedistill.results import FitOn, Labels
from edgedistill.soft_labels import read_soft_labels
from edgedistill.stage import Outcome
from edgedistill.tasks.text_classification.encoding import SPECIAL_TOKENS, TextEncoder
from edgedistill.teach.labels import token_limit
from edgedistill.teach.long_texts import MOST_TOKENS, cut_by_student_decision, sampled_rows, whole_lengths
from edgedistill.teach.teacher_model import load_classifier
from edgedistill.torch_setup import quickest_attention, set_up_torch
from edgedistill.training import TrainingSet, train

_START = "start"
_VOCABULARY_ROWS = 1000
_BASELINE_DROPOUT = 0.1


def distill_student(settings: StudentSettings, inputs: StudentInputs, out: Path) -> Outcome:
    """Make the untrained student and train it with the teacher's soft labels; continues from a checkpoint in `out`."""
    set_up_torch()
    labels = Labels.read_json(inputs.labels).labels
    tables = [read_examples(path) for path in (inputs.train, inputs.transfer, inputs.validation)]
    soft = read_soft_labels(inputs.soft_labels)
    start = out / _START
    group = current_group()
    begun = group.on_main(lambda: _make_start(settings, inputs, labels, start)) or Start()
    torch.manual_seed(settings.seed)
    model = BertForSequenceClassification.from_pretrained(
        start, use_safetensors=True, attn_implementation=quickest_attention()
    )
    split_embedding(model)
    encoder = TextEncoder.load(start)
    objective = _objective(settings, inputs, model, labels)
    looked_at = tables[2].spread(LOOKED_AT_ROWS)
    training, validation = text_training_set(encoder, tables[:2], soft), text_training_set(encoder, [looked_at], soft)
    if isinstance(objective, GuidedObjective):
        training = _with_guidance(training, tables[:2], objective, inputs)
        objective.fit_projections(training)
    curve = train(
        model,
        training,
        validation,
        loss=objective,
        schedule=distillation_schedule(settings.distillation, seed=settings.seed, milestones=settings.milestones),
        out=out,
    )
    if group.is_main:
        _finish(model, start, out)
        (out / CURVE_FILE).write_text(curve.to_json(), encoding="utf-8")
        fit = measure_fit(model, training, validation, train_rows=len(tables[0]))
        fit = fit.model_copy(update={"vocabulary": begun.vocabulary})
        (out / FIT_FILE).write_text(fit.to_json(), encoding="utf-8")
    seen = _few_passes(settings, len(tables[0]), len(tables[1]))
    return Outcome(decisions=(*begun.decisions, *seen), scratch=(CHECKPOINTS, _START))


def _few_passes(settings: StudentSettings, train_rows: int, transfer_rows: int) -> tuple[Decision, ...]:
    """Say that a training sees not even every text once, and so not every labelled one: they are shuffled together."""
    schedule, there = distillation_schedule(settings.distillation, seed=settings.seed), train_rows + transfer_rows
    seen = schedule.steps * schedule.batch_size  # a short training is longer than it was asked to be
    if seen >= there:
        return ()
    what = f"the student sees {seen} of {there} texts: {train_rows} for training and {transfer_rows} of the transfer set"
    return (warned(Decision(step="distill", what=what, why="distillation.rows_seen says so; --set "
                            f"distillation.rows_seen={there} shows it all of them once")),)


def _objective(
    settings: StudentSettings, inputs: StudentInputs, student: PreTrainedModel, labels: tuple[str, ...]
) -> Objective:
    """Return the loss on logits; with the losses that look inside the teacher, where the recipe has any."""
    base = partial(teacher_loss, settings.distillation)
    inside = [term for term in settings.distillation.losses if not term.is_on_logits]
    objective: Objective = LogitObjective(base)
    if inside:
        is_asking = any(term.asks_the_teacher for term in inside)
        teacher = load_classifier(inputs.teacher, labels) if is_asking else None
        objective = GuidedObjective(base, inside, student=student, teacher=teacher, seed=settings.seed)
    objective.terms = partial(loss_terms, settings.distillation)
    return objective


def _with_guidance(
    training: TrainingSet, tables: list[Examples], objective: GuidedObjective, inputs: StudentInputs
) -> TrainingSet:
    """Add what the objective needs of the teacher: its ids of the same tokens, its vectors of the texts."""
    if objective.is_asking:
        training = replace(training, teacher_encoded=TextEncoder.load(inputs.teacher).encode(texts_of(tables)))
    if objective.is_on_sentences:
        vectors = np.load(inputs.sentence_vectors, mmap_mode="r", allow_pickle=False)
        rows = read_soft_labels(inputs.soft_labels).rows_of(ids_of(tables))
        # rows in file order stay mapped; a copy is made only where the order differs
        is_in_order = np.array_equal(rows, np.arange(len(rows)))
        training = replace(training, sentence_vectors=vectors[: len(rows)] if is_in_order else vectors[rows])
    return training


@dataclass(frozen=True)
class Start:
    """How the untrained student was made, and what its vocabulary loses by itself (None: nothing to compare)."""

    decisions: tuple[Decision, ...] = ()
    vocabulary: FitOn | None = None


def _make_start(
    settings: StudentSettings, inputs: StudentInputs, labels: tuple[str, ...], start: Path
) -> Start:
    """Make the untrained student; a training that resumes makes it again, to the same bytes, and takes its weights over."""
    torch.manual_seed(settings.seed)
    teacher = load_classifier(inputs.teacher, labels).eval()
    encoder = TextEncoder.load(inputs.teacher)
    train_set, transfer = read_examples(inputs.train), read_examples(inputs.transfer)
    texts = (batch for table in (train_set, transfer) for batch in table.text_batches())
    vectors = np.load(inputs.token_vectors, mmap_mode="r", allow_pickle=False)
    tokenizer = make_tokenizer(encoder, vectors, texts, size=settings.shape.vocabulary,
                               aliases=settings.aliases)
    config = student_config(settings.shape, labels, vocabulary=tokenizer.size, positions=settings.max_tokens,
                            teacher=teacher)
    model, decision = _first_weights(settings, teacher, encoder, config, tokenizer, train_set)
    if settings.shape.embedding_rank is not None:
        importance = None if tokenizer.uses is None else np.sqrt(1.0 + tokenizer.uses)
        round_to_rank(model, settings.shape.embedding_rank, importance=importance)
    if start.exists():
        shutil.rmtree(start)
    start.mkdir(parents=True)
    write_student(model, tokenizer.json, start, max_tokens=settings.max_tokens)
    own, validation = TextEncoder.load(start), read_examples(inputs.validation)
    if tokenizer.vocabulary is None:
        most = min(MOST_TOKENS, token_limit(inputs.teacher) or MOST_TOKENS)
        return Start((decision, _vocabulary_decision(tokenizer, None), _unknown_decision(own, train_set, validation),
                      *_warn_of_cut(own, encoder, train_set, most=most)))
    for table in (train_set, transfer, validation):
        for batch in table.text_batches():
            prove_ids(encoder, own, tokenizer.vocabulary.student_id_of, batch)
    some, soft = validation.spread(_VOCABULARY_ROWS), read_soft_labels(inputs.soft_labels)
    lost = measure_vocabulary(
        teacher, StandInEncoder(encoder, tokenizer.vocabulary), some.texts, expected=soft.logits[soft.rows_of(some.ids)],
    )
    return Start((decision, _vocabulary_decision(tokenizer, lost)), lost)


def _first_weights(  # noqa: PLR0913 - private, and every argument is a different kind of thing
    settings: StudentSettings, teacher: PreTrainedModel, encoder: TextEncoder, config: BertConfig,
    tokenizer: StudentTokenizer, train_set: Examples,
) -> tuple[BertForSequenceClassification, Decision]:
    """Return the untrained student and how it was made."""
    shape, wanted = settings.shape, settings.initialisation
    heads = "" if config.num_attention_heads == shape.heads else (
        f", with {config.num_attention_heads} heads, which fit the teacher's, and not the {shape.heads} of the shape")
    against = why_not_cut(teacher.config, shape)
    if not against and tokenizer.kept_tokens is None:
        against = "its tokenizer is no WordPiece"
    if wanted == "cut" and tokenizer.kept_tokens is not None and not against:
        sample = encoder.encode(sample_texts(train_set.texts, seed=settings.seed))
        model = cut_student(teacher, config, shape, tokenizer.kept_tokens, sample, seed=settings.seed)
        sizes = [c.hidden_size // c.num_attention_heads for c in (teacher.config, config)]
        resized = f", its heads of {sizes[0]} made heads of {sizes[1]}" if sizes[0] != sizes[1] else ""
        return model, Decision(step="distill", what=f"cut {shape.id} out of the teacher{resized}{heads}",
                               why="a student cut from its teacher starts close to it (see docs/distill.md)")
    config.initializer_range = random_range(shape.hidden)
    model = BertForSequenceClassification(config)
    if wanted == "random":
        return model, Decision(step="distill", what=f"started {shape.id} from random weights{heads}", why="the recipe says so")
    embeddings = model.bert.embeddings.word_embeddings.weight.data
    special = len(SPECIAL_TOKENS)
    embeddings[special:] = contextual_embeddings(teacher, encoder, tokenizer.tokens[special:], width=shape.hidden,
                                                 positions_std=config.initializer_range)
    why = "the recipe says so" if wanted == "contextual" else f"this teacher cannot be cut to that shape: {against}"
    return model, Decision(step="distill", why=why, what=f"started {shape.id} from random layers and embeddings out of the "
                           f"teacher's contextual output{heads}")


def _vocabulary_decision(tokenizer: StudentTokenizer, lost: FitOn | None) -> Decision:
    what = tokenizer.note
    if lost is not None:
        what += (f"; the teacher itself, reading these tokens, gives {lost.agreement:.1%} of its answers on validation "
                 f"(KL {lost.kl_nats:.3f} nats)")
    return Decision(step="distill", what=what, why="the embedding is the largest part of a small student")


def _unknown_decision(encoder: TextEncoder, train_set: Examples, validation: Examples) -> Decision:
    """Say how much the student's own vocabulary cannot read; warn where it is much."""
    shares = [unknown_share(encoder, table.text_batches()) for table in (train_set, validation)]
    what = f"the student's tokenizer knows all but {shares[0]:.2%} of its tokens of train and {shares[1]:.2%} of validation"
    why = "a word with a character that its vocabulary lacks becomes one [UNK]"
    if max(shares) <= MANY_UNKNOWN:
        return Decision(step="distill", what=what, why=why)
    why += ", and what it says is lost: a larger vocabulary, or a teacher with a WordPiece tokenizer, reads more"
    return warned(Decision(step="distill", what=what, why=why))


def _warn_of_cut(own: TextEncoder, teacher: TextEncoder, train_set: Examples, *, most: int) -> tuple[Decision, ...]:
    """Warn where the student's own vocabulary makes so many tokens of texts that it cuts what its teacher reads whole."""
    truncation = own.tokenizer.truncation
    if truncation is None:
        return ()
    texts = train_set.texts
    some = [texts[row] for row in sampled_rows(len(texts))]
    lengths = [whole_lengths(encoder.tokenizer, some) for encoder in (own, teacher)]
    told = cut_by_student_decision(*lengths, max_tokens=truncation["max_length"], most=most)
    return () if told is None else (warned(told),)


def _finish(model: PreTrainedModel, start: Path, out: Path) -> None:
    merge_embedding(model)
    model.save_pretrained(out, safe_serialization=True)
    for file in start.glob("*token*.json"):
        shutil.copyfile(file, out / file.name)


def train_baseline(settings: StudentSettings, inputs: BaselineInputs, out: Path) -> Outcome:
    """Train the same shape on hard labels alone, from random weights, with the dropout such a training wants."""
    set_up_torch()
    group, tokenizer = current_group(), inputs.tokenizer.read_text(encoding="utf-8")
    group.on_main(lambda: write_tokenizer(tokenizer, out, max_tokens=settings.max_tokens))
    encoder = TextEncoder.load(out)
    labelled = read_examples(inputs.train)
    trained = train_without_teacher(
        partial(_untrained_baseline, settings, inputs.config),
        text_training_set(encoder, [labelled], None),
        text_training_set(encoder, [read_examples(inputs.validation).spread(LOOKED_AT_ROWS)], None),
        loss=lambda logits, hard, soft: hard_multi_label_loss(logits, hard) if hard.ndim == 2 else hard_label_loss(logits, hard),
        schedule=baseline_schedule(
            settings.distillation, rows=len(labelled), seed=settings.seed, milestones=settings.milestones,
            best_by="loss" if labelled.labels.ndim == 2 else "accuracy-then-loss",  # whole sets are right late, and by steps
        ),
        out=out,
    )
    if group.is_main:
        merge_embedding(trained.model)
        trained.model.save_pretrained(out, safe_serialization=True)
        (out / CURVE_FILE).write_text(trained.curve.to_json(), encoding="utf-8")
    return Outcome(
        decisions=(Decision(step="baseline", what="trained the same student without the teacher, from random weights",
                            why="only against it can be said what distillation bought"), *trained.decisions),
        scratch=(CHECKPOINTS, *SLOWER),
    )


def _untrained_baseline(settings: StudentSettings, config_file: Path) -> PreTrainedModel:
    torch.manual_seed(settings.seed)
    config = BertConfig.from_json_file(config_file)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = _BASELINE_DROPOUT
    config.initializer_range = random_range(config.hidden_size)
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation=quickest_attention())
    split_embedding(model)
    return model
