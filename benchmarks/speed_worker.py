"""One training of benchmarks/training_speed.py, in a process of its own: `python speed_worker.py JOB.json`.

Imports, loading of models and the making of the untrained student are not timed; tokenizing, soft labels and training are, each
by itself.
"""

import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgedistill.examples import Examples, read_examples
from edgedistill.results import Labels
from edgedistill.shape import StudentShape

Job = dict[str, Any]


def make_start(job: Job) -> Path:
    """Cut the untrained student out of the teacher, once for all variants, in a process that times nothing."""
    from edgedistill.distill.student_model import cut_student, make_tokenizer, sample_texts, student_config, write_student
    from edgedistill.stage import write_text_durably
    from edgedistill.tasks.text_classification.encoding import TextEncoder
    from edgedistill.teach.teacher_model import load_classifier, token_vectors

    start, teacher_folder = Path(job["start"]), Path(job["teacher"])
    if (start / "done").is_file():
        return start
    start.mkdir(parents=True, exist_ok=True)
    names, shape = Labels.read_json(Path(job["labels"])).labels, StudentShape(**job["shape"])
    teacher, encoder = load_classifier(teacher_folder, names).eval(), TextEncoder.load(teacher_folder)
    train = read_examples(Path(job["train"]))
    tokenizer = make_tokenizer(encoder, token_vectors(teacher, encoder), train.text_batches(), size=shape.vocabulary,
                               aliases="contextual")
    config = student_config(shape, names, vocabulary=tokenizer.size, positions=job["max_tokens"], teacher=teacher)
    if tokenizer.kept_tokens is None:
        raise ValueError("the teacher's vocabulary cannot be cut: the variants would not start from one student")
    sample = encoder.encode(sample_texts(train.texts, seed=0))
    model = cut_student(teacher, config, shape, tokenizer.kept_tokens, sample, seed=0)  # type: ignore[arg-type]
    write_student(model, tokenizer.json, start, max_tokens=job["max_tokens"])
    write_text_durably(start / "done", "")
    return start


def ours(job: Job, start: Path, train: Examples) -> tuple[Any, dict[str, float]]:
    """Label, tokenize and train as `edgedistill distill` does, with the job's losses and looks at validation."""
    import torch
    from transformers import BertForSequenceClassification

    from edgedistill.distill.low_rank_embedding import merge_embedding, split_embedding
    from edgedistill.recipe import Distillation
    from edgedistill.tasks.text_classification.encoding import TextEncoder
    from edgedistill.teach.teacher_model import load_classifier
    from edgedistill.torch_setup import quickest_attention, set_up_torch
    from edgedistill.training import train as train_loop

    set_up_torch()
    torch.manual_seed(job["seed"])
    model = BertForSequenceClassification.from_pretrained(
        start, use_safetensors=True, attn_implementation=quickest_attention()
    )
    split_embedding(model)
    teacher = load_classifier(Path(job["teacher"]), Labels.read_json(Path(job["labels"])).labels)
    teacher_encoder, encoder = TextEncoder.load(Path(job["teacher"])), TextEncoder.load(start)
    tables = [train, read_examples(Path(job["validation"]))]
    with tempfile.TemporaryDirectory() as scratch:
        clock = [_now()]
        logits, vectors = _labelled(teacher, teacher_encoder, tables, Path(scratch) / "vectors.npy")
        clock.append(_now())
        sets = _training_sets(encoder, tables, logits)
        clock.append(_now())
        training, objective = _guided(Distillation.model_validate(job["distillation"]), model, sets[0], vectors)
        train_loop(model, training, sets[1], loss=objective, schedule=_schedule(job), out=Path(scratch))
        clock.append(_now())
    merge_embedding(model)
    return model, _phases(clock)


def _labelled(teacher: Any, encoder: Any, tables: list[Examples], vectors: Path) -> tuple[Any, Any]:
    """Return the teacher's logits of some tables, one after the other, and its vectors of their texts; as `teach` does."""
    from edgedistill.teach.answer_parts import AnswerParts
    from edgedistill.teach.sentence_vectors import keep_vectors
    from edgedistill.teach.table_labelling import label_tables
    from edgedistill.teach.teacher_model import label_texts

    answers = label_tables(partial(label_texts, teacher, encoder), tables, AnswerParts(vectors.parent / "parts"))
    logits = list(keep_vectors(answers, vectors, rows=sum(map(len, tables))))
    return np.concatenate(logits), np.load(vectors, mmap_mode="r")


def _training_sets(encoder: Any, tables: list[Examples], logits: Any) -> list[Any]:
    from edgedistill.training import TrainingSet

    parts = np.split(logits, np.cumsum([len(table) for table in tables])[:-1])
    return [TrainingSet(encoder.encode(table.texts), table.labels, part) for table, part in zip(tables, parts, strict=True)]


def _guided(distillation: Any, model: Any, training: Any, vectors: Any) -> tuple[Any, Any]:
    """Return the training set with what the losses need, and the product's objective; no loss may ask the teacher itself."""
    from dataclasses import replace
    from functools import partial

    from edgedistill.distill.objective import GuidedObjective, teacher_loss
    from edgedistill.objective import LogitObjective

    base = partial(teacher_loss, distillation)
    inside = [term for term in distillation.losses if not term.is_on_logits]
    if not inside:
        return training, LogitObjective(base)
    objective = GuidedObjective(base, inside, student=model, seed=0)  # the seed is of projections that no loss here has
    training = replace(training, sentence_vectors=vectors[: len(training)])
    objective.fit_projections(training)
    return training, objective


def _schedule(job: Job) -> Any:
    """Return how long and how fast; nothing stops early, so that all loops see as many samples."""
    from edgedistill.training import Schedule

    wanted = job["distillation"]
    return Schedule(steps=_steps(job), batch_size=job["batch_size"], learning_rate=job["learning_rate"],
                    warmup_share=job["warmup_share"], weight_decay=wanted["weight_decay"], evaluations=job["evaluations"],
                    patience=100, best_by="loss", seed=job["seed"])


def plain(job: Job, start: Path, train: Examples, *, is_precomputed: bool) -> tuple[Any, dict[str, float]]:
    """Train with plain transformers as its defaults are; precomputed soft labels are made by padded fp32 batches too."""
    import torch
    from plain_distillation import PlainSchedule, encoded, plain_trainer, read_tokenizer
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(job["seed"])
    model = AutoModelForSequenceClassification.from_pretrained(start)
    teacher = AutoModelForSequenceClassification.from_pretrained(job["teacher"]).eval()
    tokenizer = read_tokenizer(start, max_tokens=job["max_tokens"])
    teacher_tokenizer = read_tokenizer(Path(job["teacher"]), max_tokens=job["max_tokens"])
    clock = [_now()]
    soft = _padded_logits(teacher, teacher_tokenizer, train.texts) if is_precomputed else None
    clock.append(_now())
    data = {"train": encoded(train.texts, train.labels, tokenizer, soft_labels=soft,
                             teacher=None if is_precomputed else teacher_tokenizer)}
    clock.append(_now())
    schedule = PlainSchedule(steps=_steps(job), batch_size=job["batch_size"], learning_rate=job["learning_rate"],
                             warmup_share=job["warmup_share"], evaluations=0, temperature=job["temperature"],
                             alpha=job["alpha"], seed=job["seed"])
    with tempfile.TemporaryDirectory() as scratch:
        trainer = plain_trainer(model, tokenizer, data, schedule, Path(scratch),
                                teacher=None if is_precomputed else (teacher, teacher_tokenizer))
        trainer.train()
        clock.append(_now())
    return model, _phases(clock)


def _now() -> tuple[float, float]:
    """Return the time, and the CPU time of this process over its threads: on a busy machine the steadier of the two."""
    return time.perf_counter(), time.process_time()


def _phases(clock: list[tuple[float, float]]) -> dict[str, float]:
    wall, cpu = np.diff(np.array(clock), axis=0).T.tolist()
    names = ("soft_labels", "tokenize", "train")
    return {f"{name}_s": s for name, s in zip(names, wall, strict=True)} | {
        f"{name}_cpu_s": s for name, s in zip(names, cpu, strict=True)}


def _padded_logits(teacher: Any, tokenizer: Any, texts: list[str]) -> np.ndarray:
    import torch

    parts = []
    for at in range(0, len(texts), 32):
        batch = tokenizer(texts[at : at + 32], truncation=True, padding=True, return_tensors="pt")
        with torch.no_grad():
            parts.append(teacher(**batch).logits.numpy())
    return np.concatenate(parts)


def _steps(job: Job) -> int:
    return max(1, -(-job["samples"] // job["batch_size"]))


def right_answers(model: Any, start: Path, test: Examples) -> list[bool]:
    """Return which rows of test are answered right, in float, by one code for all variants."""
    from edgedistill.evaluate.predictor import predict
    from edgedistill.evaluate.torch_model import TorchModel
    from edgedistill.tasks.text_classification.encoding import TextEncoder

    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, safe_serialization=True)
        logits = predict(TorchModel(Path(folder)), TextEncoder.load(start).encode(test.texts), batch_size=64)
    return list((logits.argmax(1) == test.labels).tolist())


def main() -> None:
    """Read the job, train, write the figures."""
    path = Path(sys.argv[1])
    job: Job = json.loads(path.read_text(encoding="utf-8"))
    start = Path(job["start"])
    if job["loop"] == "start":
        make_start(job)
        return
    train, test = read_examples(Path(job["train"])), read_examples(Path(job["test"]))
    if "distillation" in job:
        model, seconds = ours(job, start, train)
    else:
        model, seconds = plain(job, start, train, is_precomputed=job["loop"] == "plain_precomputed")
    result = {**seconds, "samples": _steps(job) * job["batch_size"], "train_rows": len(train),
              "right": right_answers(model, start, test)}
    path.with_suffix(".result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
