"""Adapter to transformers' Trainer: the one training loop, for teachers and students alike.

Deterministic on one host: every batch of the whole training is laid out beforehand from the seed, so a run that was
killed continues from its last complete checkpoint to the same bytes. Batches hold texts of like length, assembled from
flat token arrays without a Python loop over examples.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import EarlyStoppingCallback, PreTrainedModel, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from edgedistill.batch_order import plan_batches
from edgedistill.batch_parts import WEIGHT
from edgedistill.checkpoints import CHECKPOINTS, checkpoint_of, last_complete, mark_complete
from edgedistill.heap import give_back_freed
from edgedistill.loss_curve import TermMeans, add_batch, require_finite, training_log
from edgedistill.objective import LogitObjective, LossFunction, Objective, TrainingBatch, learned_beside
from edgedistill.processes import Group
from edgedistill.progress import Progress
from edgedistill.results import Milestone, TrainingLog
from edgedistill.shared_training import Batches, SharedTrainer, agreed_path, answered_right, group_of_training, in_parts
from edgedistill.tasks.encoding import Encoded, inputs_of
from edgedistill.torch_setup import multiplies_bf16, set_up_torch, takes_bf16

log = logging.getLogger("edgedistill")

BestBy = Literal["accuracy", "accuracy-then-loss", "loss"]
_LOOKED_AT_ONCE = 128
"""Validation rows of a batch, at most."""

_METRICS: dict[BestBy, str] = {"accuracy": "eval_accuracy", "accuracy-then-loss": "eval_accuracy_then_loss", "loss": "eval_loss"}


@dataclass(frozen=True)
class TrainingSet:
    """Encoded examples with what is to be learned from them.

    Attributes:
        encoded: n texts.
        labels: hard labels, shape (n,), -1 where there is none; or, where a text may have several, 0 or 1 for each
            class, shape (n, classes).
        soft_labels: raw teacher logits, shape (n, classes), may be memory-mapped; None without a teacher.
        teacher_encoded: the same texts in the teacher's ids, token by token, for an objective that asks the teacher
            itself; batches then hold `teacher_input_ids`.
        sentence_vectors: the teacher's reduced vectors, shape (n, views, dimensions), may be memory-mapped.

    Raises:
        ValueError: the parts are not of the same n texts, or the teacher's tokens of other lengths.
    """

    encoded: Encoded
    labels: NDArray[np.int32]
    soft_labels: NDArray[np.float32] | None = None
    teacher_encoded: Encoded | None = None
    sentence_vectors: NDArray[np.float16] | None = None

    def __post_init__(self) -> None:
        if self.labels.ndim not in (1, 2) or len(self.labels) != len(self):
            raise ValueError(f"labels of shape {self.labels.shape} for {len(self)} texts")
        if self.soft_labels is not None and len(self.soft_labels) != len(self):
            raise ValueError(f"soft labels of shape {self.soft_labels.shape} for {len(self)} texts")
        if self.teacher_encoded is not None and not np.array_equal(self.teacher_encoded.lengths, self.encoded.lengths):
            raise ValueError("the teacher does not split these texts into the same tokens")
        if self.sentence_vectors is not None and len(self.sentence_vectors) != len(self):
            raise ValueError(f"sentence vectors of shape {self.sentence_vectors.shape} for {len(self)} texts")

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitems__(self, indices: Sequence[int]) -> Mapping[str, NDArray[Any]]:
        """Return a whole batch at once; torch's DataLoader calls this instead of __getitem__."""
        batch: dict[str, NDArray[Any]] = dict(self.encoded.batch(indices))
        batch["labels"] = self.labels[indices].astype(np.int64)
        if self.soft_labels is not None:
            batch["soft_labels"] = np.asarray(self.soft_labels[indices], dtype=np.float32)
        if self.teacher_encoded is not None:
            batch |= {f"teacher_{name}": values for name, values in self.teacher_encoded.batch(indices).items()}
        if self.sentence_vectors is not None:
            batch["sentence_vectors"] = np.asarray(self.sentence_vectors[indices], dtype=np.float32)
        return batch


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes:
        steps: optimizer steps at most.
        batch_size: examples a step.
        learning_rate: peak; rises linearly over `warmup_share` of the steps, then falls linearly to 0.
        weight_decay: on matrices other than embeddings.
        evaluations: how often validation is looked at, evenly spread: after each of as many parts of the steps, rounded down, so
            that a short training is looked at more often, and its last few steps may not be.
        patience: evaluations without a better validation figure before it stops.
        best_by: what of validation says which model is the best, the one that is returned: "accuracy" (of the hard labels;
            the first of equals), "accuracy-then-loss" (of equals the one with the least loss) or "loss".
        seed: of dropout.
        milestones: accuracies on validation that must be reached by shares of the steps; else the training is given up.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup_share: float
    weight_decay: float
    evaluations: int
    patience: int
    best_by: BestBy
    seed: int
    milestones: tuple[Milestone, ...] = ()


def train(
    model: PreTrainedModel,
    training: TrainingSet,
    validation: TrainingSet,
    *,
    loss: LossFunction | Objective,
    schedule: Schedule,
    out: Path,
) -> TrainingLog:
    """Train a model in place and leave it with its best weights by validation; all processes of a group call it.

    Args:
        model: a sequence classifier.
        training: what it learns from.
        validation: what the best step is chosen by.
        loss: of the logits, see `LossFunction`; or an `Objective`, whose learned parameters train with the model.
        schedule: how long and how fast.
        out: folder for `checkpoints/`; complete ones found there are continued from.

    Returns:
        the loss and validation figures over the steps.

    Raises:
        TrainingDivergedError: a loss on validation is not finite.
    """
    objective = loss if isinstance(loss, Objective) else LogitObjective(loss)
    with learned_beside(model, objective):
        return _train(model, training, validation, loss=objective, schedule=schedule, out=out)


def _train(
    model: PreTrainedModel, training: TrainingSet, validation: TrainingSet, *, loss: Objective, schedule: Schedule, out: Path
) -> TrainingLog:
    """Train a model that the objective's own parameters are a part of; see `train`."""
    set_up_torch()
    group = group_of_training()
    checkpoints = out / CHECKPOINTS
    watch = _GiveUp(schedule.milestones)
    trainer = _BatchTrainer(
        model=model,
        args=_arguments(schedule, checkpoints, model_type=model.config.model_type, is_learning_beside=loss.learned is not None),
        train_dataset=training,
        eval_dataset=validation,
        optimizers=(_optimizer(model, schedule), None),
        callbacks=[
            _StopDiverged(),
            EarlyStoppingCallback(early_stopping_patience=schedule.patience),
            watch,
            _MarkComplete(group),
            *([_Progress()] if group.is_main else []),
        ],
        compute_metrics=_accuracy,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.setup(training, validation, loss, schedule)
    trainer.share(group, seed=schedule.seed)
    found = agreed_path(lambda: last_complete(checkpoints), group)
    if found is not None:
        log.info("continuing from %s", found.name)
    trainer.train(resume_from_checkpoint=str(found) if found else None)
    return training_log(trainer.state.log_history).model_copy(update={
        "steps_planned": schedule.steps, "given_up_at_step": watch.given_up_at_step, "rows_seen": trainer.rows_seen,
    })


class _BatchTrainer(SharedTrainer):
    """Trainer with our batches and our loss."""

    def setup(self, training: TrainingSet, validation: TrainingSet, loss: Objective, schedule: Schedule) -> None:
        """Give it what Trainer's own arguments have no place for."""
        self._training, self._validation = training, validation
        self._loss, self._schedule = loss, schedule
        self._terms = {"loss": TermMeans(), "eval_loss": TermMeans()}
        self.model_accepts_loss_kwargs = False
        self._inputs = inputs_of(self.model.forward)
        self._rows: list[int] = []

    @property
    def rows_seen(self) -> int:
        """Examples in the steps so far, repeats counted, those before a restart too; the last batch of a pass is often short."""
        return sum(self._rows[: self.state.global_step])

    def get_train_dataloader(self) -> Any:
        """See Trainer; the batches are laid out beforehand."""
        schedule = self._schedule
        batches = plan_batches(
            self._training.encoded.lengths, batch_size=schedule.batch_size, steps=schedule.steps, seed=schedule.seed
        )
        self._rows = [len(batch) for batch in batches]
        return self._loader(in_parts(self._training, self.group, model=self.model), batches)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        order = np.argsort(self._validation.encoded.lengths, kind="stable")
        # of equal sizes: Trainer averages over batches, and a short last one, of the longest texts, would weigh as much as any
        batches = np.array_split(order, -(-len(order) // _LOOKED_AT_ONCE))
        return self._loader(self._validation, self.own(batches))

    def _sorted_checkpoints(self, *arguments: Any, **named: Any) -> list[str]:
        """See Trainer, which goes by the time of change: where the clock was set back it would delete the newest."""
        found: list[str] = super()._sorted_checkpoints(*arguments, **(named | {"use_mtime": False}))
        return found

    def evaluation_loop(self, dataloader: Any, *arguments: Any, **named: Any) -> Any:
        """See Trainer; its figures get one that puts equal accuracies in order."""
        found = super().evaluation_loop(dataloader, *arguments, **named)
        figures = found.metrics
        rank = accuracy_then_loss(figures["eval_accuracy"], figures["eval_loss"], found.num_samples)
        figures[_METRICS["accuracy-then-loss"]] = rank
        return found

    @staticmethod
    def _loader(data: Batches, batches: list[NDArray[np.int64]]) -> Any:
        def tensors(batch: Mapping[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
            return {name: torch.from_numpy(values) for name, values in batch.items()}

        return torch.utils.data.DataLoader(data, batch_sampler=batches, collate_fn=tensors)  # type: ignore[arg-type]

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """See Trainer; the loss is the objective's."""
        give_back_freed(self.state.global_step)
        progress = self.state.global_step / self._schedule.steps
        scored = self._loss(model, TrainingBatch(inputs, self._inputs, progress))
        add_batch(self._terms["loss" if model.training else "eval_loss"], self._loss.terms, scored.logits, inputs)
        loss = scored.loss * inputs[WEIGHT] if WEIGHT in inputs else scored.loss
        return (loss, {"logits": scored.logits}) if return_outputs else loss

    def log(self, logs: dict[str, float], *arguments: Any, **named: Any) -> None:
        for name, means in self._terms.items():
            if name in logs and self._loss.terms is not None:
                logs |= means.take(self.group, prefix=name.removesuffix("loss"))
        super().log(logs, *arguments, **named)


def _arguments(schedule: Schedule, checkpoints: Path, *, model_type: str, is_learning_beside: bool) -> TrainingArguments:
    every = max(1, schedule.steps // schedule.evaluations)
    is_bf16 = multiplies_bf16("cuda" if torch.cuda.is_available() else "cpu") and takes_bf16(model_type)
    # where bf16 is off transformers takes what accelerate, or the training before this one, has left there
    os.environ["ACCELERATE_MIXED_PRECISION"] = "bf16" if is_bf16 else "no"
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=schedule.steps,
        per_device_train_batch_size=schedule.batch_size,
        warmup_ratio=schedule.warmup_share,
        lr_scheduler_type="linear",
        learning_rate=schedule.learning_rate,
        max_grad_norm=1.0,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        logging_steps=every,
        save_total_limit=2,  # with 1 the last complete one is deleted before the new one is marked
        load_best_model_at_end=True,
        metric_for_best_model=_METRICS[schedule.best_by],
        greater_is_better=schedule.best_by != "loss",
        restore_callback_states_from_checkpoint=True,
        label_names=["labels"],
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to=[],
        seed=schedule.seed,
        use_cpu=not torch.cuda.is_available(),
        bf16=is_bf16,
        dataloader_pin_memory=False,
        # what the objective learns is used after the model's forward pass: a search for unused parameters would find it
        ddp_find_unused_parameters=False if is_learning_beside else None,
        save_safetensors=True,
    )
    # a process takes one GPU: where it sees more, Trainer would make the model a DataParallel
    arguments._n_gpu = min(1, arguments.n_gpu)  # noqa: SLF001 - as Trainer does for models in parts; there is no setting for it
    return arguments


def _optimizer(model: PreTrainedModel, schedule: Schedule) -> torch.optim.Optimizer:
    """AdamW, fused; weight decay on matrices only, not on embeddings, biases and LayerNorms."""
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    decayed = [p for p in model.parameters() if p.ndim >= 2 and id(p) not in embeddings]
    rest = [p for p in model.parameters() if p.ndim < 2 or id(p) in embeddings]
    groups = [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True)


def accuracy_then_loss(accuracy: float, loss: float, rows: int) -> float:
    """Return a figure that is greater where the accuracy is, and of equal accuracies where the loss is less.

    Args:
        accuracy: 0 to 1.
        loss: mean over validation, 0 or more.
        rows: of validation; one row more answered right outweighs any loss.
    """
    return accuracy + 1 / (1 + loss) / (2 * rows)


def _accuracy(prediction: Any) -> dict[str, float]:
    logits = prediction.predictions
    logits = logits[0] if isinstance(logits, tuple) else logits
    return {"accuracy": float(answered_right(logits, prediction.label_ids).mean())}


class _MarkComplete(TrainerCallback):
    """Marks a checkpoint after its last file is written, so that a kill in the middle of one is noticed.

    The checkpoint of a training that stops early is never marked: Trainer would forget on resuming that it had stopped,
    and train on to other weights.
    """

    def __init__(self, group: Group) -> None:
        self._group = group

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.best_global_step:  # the state holds the path of the first run, which may have been moved since
            state.best_model_checkpoint = str(checkpoint_of(Path(args.output_dir), state.best_global_step))

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark what was just saved; the main process does it, after all have written their part."""
        if control.should_training_stop and state.global_step < state.max_steps:
            return
        self._group.wait()  # every process has written its random state
        folder = checkpoint_of(Path(args.output_dir), state.global_step)
        if self._group.is_main and folder.is_dir():
            mark_complete(folder)


class _StopDiverged(TrainerCallback):
    """Ends a training whose loss is no number any more at the first look that shows it; all processes see the same figures."""

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **_: Any) -> None:
        require_finite(state.global_step, (metrics or {}).get("eval_loss", 0.0))


class _GiveUp(TrainerCallback):
    """Stops a training that misses a milestone; its best accuracy so far counts, and all of it stands in the state."""

    def __init__(self, milestones: tuple[Milestone, ...]) -> None:
        self._milestones = milestones
        self.given_up_at_step: int | None = None

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        due = [m.validation_accuracy for m in self._milestones if m.share_of_steps <= state.global_step / state.max_steps]
        best = max((entry["eval_accuracy"] for entry in state.log_history if "eval_accuracy" in entry), default=0.0)
        if due and best < max(due):
            self.given_up_at_step = int(state.global_step)
            control.should_training_stop = True


class _Progress(TrainerCallback):
    """Tells how far the training is."""

    def __init__(self) -> None:
        self._progress = Progress("training", total=0, unit="steps")

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._progress = Progress("training", total=state.max_steps, unit="steps", done=state.global_step)
        self._progress.__enter__()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._progress.advance()

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **_: Any) -> None:
        if metrics and state.max_steps:
            log.info("step %d of %d: validation loss %.4f, accuracy %.4f; %s at most", state.global_step, state.max_steps,
                     metrics["eval_loss"], metrics["eval_accuracy"], self._progress.left())

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._progress.__exit__(None, None, None)
