"""The teacher as somebody fine-tunes it by hand, as a stage: transformers' Trainer, nothing of edgedistill in its training."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgedistill.document import Document
from edgedistill.stage import Outcome, Stage

RIGHT_FILE = "right.npz"


class HandTuning(Document):
    """What stands in TrainingArguments."""

    learning_rate: float
    epochs: int
    batch_size: int
    warmup_share: float
    weight_decay: float
    max_tokens: int
    seed: int


@dataclass(frozen=True)
class HandTuningInputs:
    """The encoder's folder, the examples of the three splits, and the names of the classes."""

    encoder: Path
    train: Path
    validation: Path
    test: Path
    labels: Path


def _run(settings: HandTuning, inputs: HandTuningInputs, out: Path) -> Outcome:
    import torch
    from plain_distillation import accuracy_of, encoded, read_tokenizer
    from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding, Trainer, TrainingArguments

    from edgedistill.examples import read_examples
    from edgedistill.host import this_host
    from edgedistill.results import Labels

    tokenizer = read_tokenizer(inputs.encoder, max_tokens=settings.max_tokens)
    splits = {name: read_examples(path) for name, path in
              (("train", inputs.train), ("validation", inputs.validation), ("test", inputs.test))}
    data = {name: encoded(rows.texts, rows.labels, tokenizer) for name, rows in splits.items()}
    names = Labels.read_json(inputs.labels).labels
    torch.manual_seed(settings.seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        inputs.encoder, local_files_only=True, id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)})
    arguments = TrainingArguments(
        output_dir=str(out / "checkpoints"), num_train_epochs=settings.epochs, learning_rate=settings.learning_rate,
        per_device_train_batch_size=settings.batch_size, per_device_eval_batch_size=64, warmup_ratio=settings.warmup_share,
        weight_decay=settings.weight_decay, seed=settings.seed, bf16=this_host().has_bf16, group_by_length=True,
        eval_strategy="epoch", save_strategy="epoch", save_total_limit=1, load_best_model_at_end=True,
        metric_for_best_model="accuracy", report_to=[], disable_tqdm=True, use_cpu=True, dataloader_pin_memory=False,
        logging_strategy="no",
    )
    trainer = Trainer(model, arguments, train_dataset=data["train"], eval_dataset=data["validation"],
                      data_collator=DataCollatorWithPadding(tokenizer), compute_metrics=accuracy_of)
    trainer.train()
    trainer.args.group_by_length = False  # else the answers come in the order of the lengths
    found = {name: trainer.predict(data[name]).predictions.argmax(-1) == splits[name].labels for name in ("validation", "test")}
    np.savez(out / RIGHT_FILE, **found)
    return Outcome(scratch=("checkpoints",))


HAND_TUNED = Stage(name="hand-tuned-teacher", version=1, run=_run, tools=("torch", "transformers", "tokenizers", "numpy"))
