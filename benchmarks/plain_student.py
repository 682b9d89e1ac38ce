"""The rival student as a stage: a BERT of random weights, distilled by plain transformers on the training texts.

Its first weights are spread by its width as our random ones are (docs/adr/0023); the rest of its configuration is BERT's own.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from suite_files import PlainStudent, PlainTraining

from edgedistill.document import Document
from edgedistill.shape import StudentShape, weigh
from edgedistill.stage import Outcome, Stage

ACCURACY_FILE = "validation_accuracy.json"
_EVALUATIONS = 10


class PlainSettings(Document):
    """Which student, and what stands in TrainingArguments."""

    student: PlainStudent
    vocabulary: int | None
    training: PlainTraining
    learning_rate: float
    rows_seen: int
    max_tokens: int
    seed: int


@dataclass(frozen=True)
class PlainInputs:
    """The teacher's folder, the examples, and the soft labels of train."""

    teacher: Path
    train: Path
    validation: Path
    soft_labels: Path
    labels: Path


def shape_of_plain(student: PlainStudent, vocabulary: int) -> StudentShape:
    """Return the shape with a vocabulary."""
    return StudentShape(id=student.name, layers=student.layers, hidden=student.hidden, heads=student.heads,
                        intermediate=student.intermediate, vocabulary=vocabulary)


def fitting_vocabulary(student: PlainStudent, *, limit_bytes: float, classes: int, positions: int, most: int) -> int:
    """Return the largest vocabulary with which the int8 file has at most `limit_bytes`; at least 100 tokens."""
    def is_small(size: int) -> bool:
        return weigh(shape_of_plain(student, size), classes=classes, positions=positions).int8_bytes <= limit_bytes

    low, high = 100, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if is_small(middle) else (low, middle - 1)
    return low


def _run(settings: PlainSettings, inputs: PlainInputs, out: Path) -> Outcome:
    import torch
    from plain_distillation import PlainSchedule, encoded, plain_trainer, read_tokenizer
    from transformers import BertConfig, BertForSequenceClassification

    from edgedistill.distill.student_model import random_range
    from edgedistill.examples import read_examples
    from edgedistill.results import Labels
    from edgedistill.soft_labels import read_soft_labels

    train, validation = read_examples(inputs.train), read_examples(inputs.validation)
    _write_tokenizer(settings, inputs, train.texts, out)
    tokenizer = read_tokenizer(out, max_tokens=settings.max_tokens)
    names = Labels.read_json(inputs.labels).labels
    torch.manual_seed(settings.seed)
    student, training = settings.student, settings.training
    model = BertForSequenceClassification(BertConfig(
        vocab_size=len(tokenizer), hidden_size=student.hidden, num_hidden_layers=student.layers,
        num_attention_heads=student.heads, intermediate_size=student.intermediate,
        max_position_embeddings=settings.max_tokens, initializer_range=random_range(student.hidden),
        id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)},
    ))
    soft = read_soft_labels(inputs.soft_labels)
    data = {"train": encoded(train.texts, train.labels, tokenizer, soft_labels=np.asarray(soft.logits[soft.rows_of(train.ids)])),
            "validation": encoded(validation.texts, validation.labels, tokenizer)}
    schedule = PlainSchedule(
        steps=max(_EVALUATIONS, settings.rows_seen // training.batch_size), batch_size=training.batch_size,
        learning_rate=settings.learning_rate, warmup_share=training.warmup_share, evaluations=_EVALUATIONS,
        temperature=training.temperature, alpha=training.alpha, seed=settings.seed,
    )
    trainer = plain_trainer(model, tokenizer, data, schedule, out / "checkpoints")
    trainer.train()
    accuracy = trainer.evaluate()["eval_accuracy"]
    trainer.model.save_pretrained(out, safe_serialization=True)
    (out / ACCURACY_FILE).write_text(json.dumps({"accuracy": accuracy, "rows_seen": schedule.steps * schedule.batch_size}),
                                     encoding="utf-8")
    return Outcome(scratch=("checkpoints",))


def _write_tokenizer(settings: PlainSettings, inputs: PlainInputs, texts: list[str], out: Path) -> None:
    """Write the teacher's tokenizer, or a WordPiece vocabulary learned from the training texts."""
    if settings.vocabulary is None:
        from edgedistill.teach.teacher_model import save_tokenizer

        save_tokenizer(inputs.teacher, out, max_tokens=settings.max_tokens)
        return
    from tokenizers.normalizers import BertNormalizer
    from transformers import BertTokenizerFast

    from edgedistill.distill.wordpiece import count_words, learn_pieces
    from edgedistill.tasks.text_classification.encoding import SPECIAL_TOKENS

    tokens = learn_pieces(count_words(texts, normalizer=BertNormalizer()), SPECIAL_TOKENS, size=settings.vocabulary)
    (out / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    tokenizer = BertTokenizerFast(str(out / "vocab.txt"), model_max_length=settings.max_tokens)
    tokenizer.backend_tokenizer.enable_truncation(settings.max_tokens)
    tokenizer.save_pretrained(out)
    tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))


PLAIN = Stage(name="plain-distill", version=2, run=_run, tools=("torch", "transformers", "tokenizers", "numpy"))
