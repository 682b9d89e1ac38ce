"""Logit distillation as one writes it today: transformers' Trainer, a padded batch, fp32. What ours is measured against.

The loss is the same as in `edgedistill.distill.losses`: alpha * T^2 * KL(teacher_T || student_T) + (1 - alpha) * CE.
Nothing of edgedistill takes part in the training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from numpy.typing import ArrayLike
from torch.nn import functional
from transformers import AutoTokenizer, DataCollatorWithPadding, PreTrainedModel, Trainer, TrainingArguments


@dataclass(frozen=True)
class PlainSchedule:
    """What goes into TrainingArguments.

    Attributes:
        steps: optimizer steps.
        batch_size: texts a step.
        learning_rate: its peak.
        warmup_share: of the steps.
        evaluations: looks at validation, evenly spread; the best weights are taken. 0: none, the last are taken.
        temperature: T of the loss.
        alpha: weight of the soft term.
        seed: of order and dropout.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup_share: float
    evaluations: int
    temperature: float
    alpha: float
    seed: int


class PaddedPair(DataCollatorWithPadding):
    """Pads the student's inputs, and beside them the teacher's, whose tokenizer is another one."""

    def __init__(self, student: Any, teacher: Any) -> None:
        super().__init__(student)
        self._teacher = teacher

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        ids = [feature.pop("teacher_ids") for feature in features if "teacher_ids" in feature]
        batch: dict[str, Any] = dict(super().__call__(features))
        if ids:
            padded = self._teacher.pad({"input_ids": ids}, return_tensors="pt")
            batch |= {f"teacher_{name}": values for name, values in padded.items()}
        return batch


class PlainTrainer(Trainer):
    """Trainer with the loss of distillation; the teacher answers in every step, unless its answers are in the batch."""

    def __init__(self, *args: Any, teacher: PreTrainedModel | None, schedule: PlainSchedule, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._teacher, self._schedule = teacher, schedule
        self.model_accepts_loss_kwargs = False

    def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **_: Any) -> Any:
        """Return the loss."""
        labels = inputs["labels"]
        own = {name: inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids") if name in inputs}
        logits = model(**own).logits
        if model.training:
            if self._teacher is None:
                soft = inputs["soft_labels"]
            else:
                with torch.no_grad():
                    soft = self._teacher(input_ids=inputs["teacher_input_ids"],
                                         attention_mask=inputs["teacher_attention_mask"]).logits
            t, alpha = self._schedule.temperature, self._schedule.alpha
            divergence = functional.kl_div(functional.log_softmax(logits / t, -1), functional.softmax(soft / t, -1),
                                           reduction="batchmean")
            loss = alpha * t * t * divergence + (1 - alpha) * functional.cross_entropy(logits, labels)
        else:
            loss = functional.cross_entropy(logits, labels)
        return (loss, {"logits": logits}) if return_outputs else loss


def encoded(
    texts: Sequence[str], labels: ArrayLike, student: Any, *, teacher: Any = None, soft_labels: ArrayLike | None = None
) -> Dataset:
    """Tokenize texts for the student, for the teacher too if there is one, and put soft labels beside them."""
    columns: dict[str, Any] = dict(student(list(texts), truncation=True))
    columns["labels"] = [int(label) for label in labels]  # type: ignore[union-attr]
    if teacher is not None:
        columns["teacher_ids"] = teacher(list(texts), truncation=True)["input_ids"]
    if soft_labels is not None:
        columns["soft_labels"] = [row.tolist() for row in soft_labels]  # type: ignore[union-attr]
    return Dataset.from_dict(columns)


def plain_trainer(
    model: PreTrainedModel, tokenizer: Any, data: Mapping[str, Dataset], schedule: PlainSchedule, out: Path,
    *, teacher: tuple[PreTrainedModel, Any] | None = None,
) -> PlainTrainer:
    """Return a trainer that is ready to train.

    Args:
        model: the student.
        tokenizer: its tokenizer.
        data: `train`, and `validation` when the schedule looks at it.
        schedule: how long and how fast.
        out: where checkpoints go.
        teacher: model and tokenizer; None when the data hold soft labels.
    """
    every = max(1, schedule.steps // schedule.evaluations) if schedule.evaluations else 0
    looks = {"eval_strategy": "steps", "eval_steps": every, "save_strategy": "steps", "save_steps": every,
             "load_best_model_at_end": True, "metric_for_best_model": "accuracy", "save_total_limit": 1,
             } if every else {"save_strategy": "no"}
    arguments = TrainingArguments(
        output_dir=str(out), max_steps=schedule.steps, per_device_train_batch_size=schedule.batch_size,
        per_device_eval_batch_size=64, learning_rate=schedule.learning_rate, warmup_ratio=schedule.warmup_share,
        weight_decay=0.01, seed=schedule.seed, remove_unused_columns=False, label_names=["labels"], report_to=[],
        disable_tqdm=True, use_cpu=True, dataloader_pin_memory=False, logging_strategy="no", **looks,
    )
    return PlainTrainer(
        model, arguments, train_dataset=data["train"], eval_dataset=data.get("validation"), compute_metrics=accuracy_of,
        data_collator=PaddedPair(tokenizer, teacher[1] if teacher else None), teacher=teacher[0].eval() if teacher else None,
        schedule=schedule,
    )


def read_tokenizer(folder: Path, *, max_tokens: int) -> Any:
    """Return the tokenizer of a model folder."""
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, model_max_length=max_tokens)


def accuracy_of(prediction: Any) -> dict[str, float]:
    """Return the accuracy of predictions, for a Trainer."""
    logits = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
    return {"accuracy": float((logits.argmax(-1) == prediction.label_ids).mean())}
