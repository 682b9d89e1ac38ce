"""The training loop: batches laid out beforehand, and a killed run that ends with the bytes of one that was not."""

import gc
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from transformers import BertForSequenceClassification, TrainingArguments

from edgedistill import training
from edgedistill.errors import UsageError
from edgedistill.objective import Objective, Scored, TrainingBatch
from edgedistill.results import Milestone, TrainingLog
from edgedistill.tasks.text_classification.encoding import TextEncoder
from edgedistill.training import Schedule, TrainingSet, train

SCHEDULE = Schedule(steps=12, batch_size=8, learning_rate=4e-3, warmup_share=0.1, weight_decay=0.01, evaluations=4,
                    patience=9, best_by="loss", seed=5)
EVERY = 3  # steps between checkpoints: 12 / 4
LONG_AND_WILD = replace(SCHEDULE, steps=24, evaluations=12, learning_rate=0.05)


class Killed(BaseException):
    """Stands for SIGKILL: nothing between here and the test may catch it."""


def test_arguments_when_an_earlier_training_left_bfloat16_then_a_family_that_knows_float_alone_does_not_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    made = training._arguments(SCHEDULE, tmp_path, model_type="deberta", is_learning_beside=False)
    assert not made.bf16
    assert os.environ["ACCELERATE_MIXED_PRECISION"] == "no"


@dataclass(frozen=True)
class Trained:
    weights: bytes
    log: TrainingLog
    loss_calls: int


@pytest.fixture(scope="module", autouse=True)
def _quick_garbage_collection() -> Iterator[None]:
    """Trainer collects garbage after every training; what stood before these tests need not be looked through."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def start(make_classifier: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier before its training, with dropout: resuming must restore the random state too."""
    folder = tmp_path_factory.mktemp("start")
    make_classifier(initializer_range=0.1).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def sets(model_folder: Callable[[str], Path], rows: Callable[..., Any]) -> tuple[TrainingSet, TrainingSet]:
    encoder = TextEncoder.load(model_folder("bert"))
    made = []
    for n, seed in ((70, 1), (30, 2)):
        texts, classes = rows(n, seed=seed)
        made.append(TrainingSet(encoder.encode(texts), np.array(classes, np.int32)))
    return made[0], made[1]


@pytest.fixture(scope="module")
def run(start: Path, sets: tuple[TrainingSet, TrainingSet]) -> Callable[..., Trained]:
    def run_in(out: Path, *, schedule: Schedule = SCHEDULE, killed_at: int | None = None) -> Trained:
        """Train from the same start; `killed_at` n dies in the n-th training step of this process."""
        model = BertForSequenceClassification.from_pretrained(start)
        calls = 0

        def loss(logits: torch.Tensor, hard: torch.Tensor, soft: torch.Tensor | None) -> torch.Tensor:
            nonlocal calls
            calls += torch.is_grad_enabled()
            if calls == killed_at:
                raise Killed
            return cross_entropy(logits, hard)

        torch.manual_seed(np.random.randint(1000))  # what went on before in a process must not matter
        log = train(model, *sets, loss=loss, schedule=schedule, out=out)
        model.save_pretrained(out / "model")
        return Trained((out / "model" / "model.safetensors").read_bytes(), log, calls)

    return run_in


@pytest.fixture(scope="module")
def uninterrupted(run: Callable[..., Trained], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return run(tmp_path_factory.mktemp("uninterrupted"))


def test_train_when_a_milestone_is_missed_then_gives_up_there_and_says_so(run: Callable[..., Trained], tmp_path: Path) -> None:
    must = Milestone(share_of_steps=0.5, validation_accuracy=1.0)  # of 4 evaluations the second is the first to be judged
    trained = run(tmp_path, schedule=replace(SCHEDULE, milestones=(must,)))
    assert (trained.log.given_up_at_step, trained.log.steps_planned) == (6, 12)
    assert [point.step for point in trained.log.points] == [3, 6]


def test_train_when_the_milestones_are_reached_then_same_bytes_as_without(
    run: Callable[..., Trained], uninterrupted: Trained, tmp_path: Path
) -> None:
    reached = replace(SCHEDULE, milestones=(Milestone(share_of_steps=0.5, validation_accuracy=0.0),))
    trained = run(tmp_path, schedule=reached)
    assert trained.log.given_up_at_step is None
    assert trained.weights == uninterrupted.weights


def test_training_set_returns_a_batch_with_the_rows_asked_for(sets: tuple[TrainingSet, TrainingSet]) -> None:
    soft = np.arange(len(sets[0]) * 3, dtype=np.float32).reshape(-1, 3)
    batch = replace(sets[0], soft_labels=soft).__getitems__([4, 2, 9])
    assert batch["labels"].tolist() == sets[0].labels[[4, 2, 9]].tolist()
    assert batch["soft_labels"].tolist() == soft[[4, 2, 9]].tolist()
    for row, index in enumerate((4, 2, 9)):
        start, end = sets[0].encoded.offsets[index : index + 2]
        mask = batch["attention_mask"][row].astype(bool)
        assert batch["input_ids"][row][mask].tolist() == sets[0].encoded.ids[start:end].tolist()


def test_train_twice_gives_the_same_weights_and_log(
    run: Callable[..., Trained], uninterrupted: Trained, tmp_path: Path
) -> None:
    again = run(tmp_path)
    assert again.weights == uninterrupted.weights
    assert again.log == uninterrupted.log
    assert uninterrupted.loss_calls == SCHEDULE.steps


def test_train_counts_the_rows_of_short_batches_as_they_are(run: Callable[..., Trained], tmp_path: Path) -> None:
    schedule = replace(SCHEDULE, batch_size=40)  # 70 rows: every other batch has 30
    assert run(tmp_path / "all", schedule=schedule).log.rows_seen == 6 * 70
    must = Milestone(share_of_steps=0.5, validation_accuracy=1.0)
    assert run(tmp_path / "half", schedule=replace(schedule, milestones=(must,))).log.rows_seen == 3 * 70


def test_train_learns(uninterrupted: Trained) -> None:
    points = uninterrupted.log.points
    assert [point.step for point in points] == [3, 6, 9, 12]
    assert points[-1].validation_loss < points[0].validation_loss - 0.05


def test_train_with_another_seed_gives_other_weights(
    run: Callable[..., Trained], uninterrupted: Trained, tmp_path: Path
) -> None:
    assert run(tmp_path, schedule=replace(SCHEDULE, seed=6)).weights != uninterrupted.weights


@pytest.mark.parametrize("step", [2, 5, 10, 12])
def test_train_when_killed_and_resumed_ends_with_the_same_bytes(
    run: Callable[..., Trained], uninterrupted: Trained, tmp_path: Path, step: int
) -> None:
    with pytest.raises(Killed):
        run(tmp_path, killed_at=step)
    resumed = run(tmp_path)
    assert resumed.weights == uninterrupted.weights
    assert resumed.log == uninterrupted.log
    assert resumed.loss_calls == SCHEDULE.steps - (step - 1) // EVERY * EVERY  # goes on from its last checkpoint


def test_train_when_killed_twice_and_moved_ends_with_the_same_bytes(
    run: Callable[..., Trained], uninterrupted: Trained, tmp_path: Path
) -> None:
    for place, step in (("first", 5), ("second", 4)):
        with pytest.raises(Killed):
            run(tmp_path / place, killed_at=step)
        (tmp_path / place).rename(tmp_path / {"first": "second", "second": "third"}[place])
    assert run(tmp_path / "third").weights == uninterrupted.weights


def test_train_when_killed_after_its_last_checkpoint_and_moved_ends_with_the_same_bytes(
    run: Callable[..., Trained], tmp_path: Path
) -> None:
    finished = run(tmp_path / "first", schedule=LONG_AND_WILD)
    best = min(finished.log.points, key=lambda point: point.validation_loss)
    assert best.step < LONG_AND_WILD.steps
    shutil.copytree(tmp_path / "first" / "checkpoints", tmp_path / "second" / "checkpoints")
    shutil.rmtree(tmp_path / "first")
    resumed = run(tmp_path / "second", schedule=LONG_AND_WILD)
    assert (resumed.weights, resumed.log, resumed.loss_calls) == (finished.weights, finished.log, 0)


@pytest.fixture
def scripted_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation that gets better, worse twice, and would get much better later."""
    losses = {2: 1.0, 4: 0.9, 6: 1.0, 8: 1.1, 10: 0.5, 12: 0.4}
    compute = training._BatchTrainer.compute_loss

    def scripted(self: Any, model: Any, inputs: Any, return_outputs: bool = False, **rest: Any) -> Any:
        result = compute(self, model, inputs, return_outputs, **rest)
        return (result[0] * 0 + losses[self.state.global_step], result[1]) if return_outputs else result

    monkeypatch.setattr(training._BatchTrainer, "compute_loss", scripted)


@pytest.mark.usefixtures("scripted_validation")
@pytest.mark.parametrize(("patience", "last"), [(1, 6), (2, 8)])
def test_train_when_killed_after_it_stopped_early_ends_with_the_same_bytes(
    run: Callable[..., Trained], tmp_path: Path, patience: int, last: int
) -> None:
    stops = replace(SCHEDULE, evaluations=6, patience=patience)
    finished = run(tmp_path / "first", schedule=stops)
    assert finished.log.points[-1].step == finished.loss_calls == last
    resumed = run(tmp_path / "first", schedule=stops)
    assert (resumed.weights, resumed.log) == (finished.weights, finished.log)
    with pytest.raises(Killed):
        run(tmp_path / "second", schedule=stops, killed_at=last)  # its patience so far must not be forgotten either
    resumed = run(tmp_path / "second", schedule=stops)
    assert (resumed.weights, resumed.log) == (finished.weights, finished.log)


def test_train_with_a_half_written_checkpoint_removes_it_and_goes_on_from_the_one_before(
    run: Callable[..., Trained], uninterrupted: Trained, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        run(tmp_path, killed_at=8)
    half = shutil.copytree(tmp_path / "checkpoints" / "checkpoint-6", tmp_path / "checkpoints" / "checkpoint-9")
    (half / "complete").unlink()
    (half / "optimizer.pt").write_bytes(b"half")
    with pytest.raises(Killed):
        run(tmp_path, killed_at=1)
    assert not half.exists()
    resumed = run(tmp_path)
    assert resumed.weights == uninterrupted.weights
    assert resumed.loss_calls == SCHEDULE.steps - 6


def test_train_when_killed_between_the_last_file_and_the_mark_goes_on_from_the_one_before(
    run: Callable[..., Trained], uninterrupted: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = training._MarkComplete.on_save

    def die_at_9(self: Any, args: Any, state: Any, control: Any, **rest: Any) -> None:
        if state.global_step == 9:
            raise Killed
        mark(self, args, state, control, **rest)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(training._MarkComplete, "on_save", die_at_9)
        run(tmp_path)
    resumed = run(tmp_path)
    assert resumed.weights == uninterrupted.weights
    assert resumed.loss_calls == SCHEDULE.steps - 6


def test_train_when_the_best_checkpoint_is_gone_then_ends_with_the_same_bytes_all_the_same(
    run: Callable[..., Trained], tmp_path: Path
) -> None:
    finished = run(tmp_path / "whole", schedule=LONG_AND_WILD)
    best = min(finished.log.points, key=lambda point: point.validation_loss).step
    with pytest.raises(Killed):
        run(tmp_path / "cut", schedule=LONG_AND_WILD, killed_at=LONG_AND_WILD.steps)
    shutil.rmtree(tmp_path / "cut" / "checkpoints" / f"checkpoint-{best}")
    assert run(tmp_path / "cut", schedule=LONG_AND_WILD).weights == finished.weights


def test_train_when_the_clock_was_set_back_then_the_newest_checkpoints_are_kept(run: Callable[..., Trained], tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(tmp_path, schedule=LONG_AND_WILD, killed_at=8)
    ahead = time.time() + 3600
    for folder in (tmp_path / "checkpoints").iterdir():
        os.utime(folder, (ahead, ahead))
    with pytest.raises(Killed):
        run(tmp_path, schedule=LONG_AND_WILD, killed_at=8)  # from step 6 on
    assert (tmp_path / "checkpoints" / "checkpoint-12" / "complete").is_file()


@pytest.mark.parametrize(("better", "worse"), [
    ((0.75, 9.0), (0.5, 0.0)), ((0.5, 0.3), (0.5, 0.4)), ((0.0, 1e-6), (0.0, 2e-6)), ((1.0, 50.0), (0.75, 0.0)),
])
def test_accuracy_then_loss_puts_a_row_more_above_any_loss_and_of_equals_the_least(
    better: tuple[float, float], worse: tuple[float, float]
) -> None:
    assert training.accuracy_then_loss(*better, 4) > training.accuracy_then_loss(*worse, 4)


def test_train_by_accuracy_then_loss_keeps_of_equal_accuracies_the_least_loss_not_the_first(
    start: Path, sets: tuple[TrainingSet, TrainingSet], model_folder: Callable[[str], Path], rows: Callable[..., Any],
    tmp_path: Path,
) -> None:
    texts, classes = rows(4, seed=2)  # few, so that many looks are equal
    few = TrainingSet(TextEncoder.load(model_folder("bert")).encode(texts), np.array(classes, np.int32))
    schedule = replace(SCHEDULE, steps=24, evaluations=12, best_by="accuracy-then-loss")
    points = train(BertForSequenceClassification.from_pretrained(start), sets[0], few, schedule=schedule, out=tmp_path,
                   loss=lambda logits, hard, soft: cross_entropy(logits, hard)).points
    equals = [point for point in points if point.validation_accuracy == max(p.validation_accuracy or 0 for p in points)]
    best = min(equals, key=lambda point: point.validation_loss)
    assert best is not equals[0]
    state = json.loads((tmp_path / "checkpoints" / f"checkpoint-{points[-1].step}" / "trainer_state.json").read_text())
    assert state["best_global_step"] == best.step


def test_train_returns_the_best_weights_by_validation_not_the_last(run: Callable[..., Trained], tmp_path: Path) -> None:
    trained = run(tmp_path, schedule=LONG_AND_WILD)
    best = min(trained.log.points, key=lambda point: point.validation_loss)
    assert best.step < trained.log.points[-1].step
    kept = load_file(tmp_path / "checkpoints" / f"checkpoint-{best.step}" / "model.safetensors")
    final = load_file(tmp_path / "model" / "model.safetensors")
    assert all(torch.equal(kept[name], final[name]) for name in kept)
    state = json.loads((tmp_path / "checkpoints" / f"checkpoint-{best.step}" / "trainer_state.json").read_text())
    assert state["best_metric"] == pytest.approx(best.validation_loss)


class Aligned(Objective):
    """Cross-entropy, and a learned matrix that maps the embedding's output onto fixed targets in the first half."""

    def __init__(self, *, killed_at: int | None) -> None:
        self.learned = torch.nn.ParameterDict({"matrix": torch.eye(32)})
        self.seen: list[float] = []
        self._killed_at = killed_at

    def __call__(self, model: Any, batch: TrainingBatch) -> Scored:
        output = model(**batch.inputs, output_hidden_states=True)
        loss = cross_entropy(output.logits.float(), batch.tensors["labels"])
        if model.training:
            self.seen.append(batch.progress)
            if len(self.seen) == self._killed_at:
                raise Killed
            if batch.progress < 0.5:
                loss = loss + (output.hidden_states[0].float() @ self.learned["matrix"] - 0.3).square().mean()
        return Scored(loss, output.logits)


@dataclass(frozen=True)
class Guided:
    weights: bytes
    matrix: torch.Tensor
    progress: list[float]
    modules: set[str]


@pytest.fixture(scope="module")
def run_guided(start: Path, sets: tuple[TrainingSet, TrainingSet]) -> Callable[..., Guided]:
    def run_in(out: Path, *, killed_at: int | None = None) -> Guided:
        model = BertForSequenceClassification.from_pretrained(start)
        objective = Aligned(killed_at=killed_at)
        try:
            train(model, *sets, loss=objective, schedule=SCHEDULE, out=out)
        finally:
            modules = {name for name, _ in model.named_children()}
        model.save_pretrained(out / "model")
        weights = (out / "model" / "model.safetensors").read_bytes()
        return Guided(weights, objective.learned["matrix"].detach().clone(), objective.seen, modules)

    return run_in


def test_train_with_an_objective_tells_it_the_progress_and_throws_its_parameters_away(
    run_guided: Callable[..., Guided], uninterrupted: Trained, tmp_path: Path
) -> None:
    guided = run_guided(tmp_path)
    assert guided.progress == pytest.approx([i / 12 for i in range(12)])
    assert not torch.equal(guided.matrix, torch.eye(32))  # it has learned
    assert guided.modules == {"bert", "dropout", "classifier"}
    assert load_file(tmp_path / "model" / "model.safetensors").keys().isdisjoint({"learned_beside.matrix"})
    assert "learned_beside.matrix" in load_file(tmp_path / "checkpoints" / "checkpoint-12" / "model.safetensors")
    assert guided.weights != uninterrupted.weights


@pytest.mark.parametrize("step", [2, 5, 11])
def test_train_with_an_objective_when_killed_and_resumed_ends_with_the_same_bytes(
    run_guided: Callable[..., Guided], tmp_path: Path, step: int
) -> None:
    whole = run_guided(tmp_path / "whole")
    with pytest.raises(Killed):
        run_guided(tmp_path / "killed", killed_at=step)
    resumed = run_guided(tmp_path / "killed")
    assert resumed.weights == whole.weights
    assert torch.equal(resumed.matrix, whole.matrix)
    assert resumed.progress == whole.progress[(step - 1) // EVERY * EVERY :]


def test_train_with_several_labels_a_text_counts_the_texts_that_are_all_right(
    start: Path, sets: tuple[TrainingSet, TrainingSet], tmp_path: Path
) -> None:
    several = [replace(part, labels=np.stack([part.labels == i for i in (0, 1, 1)], 1).astype(np.int32)) for part in sets]
    model = BertForSequenceClassification.from_pretrained(start)
    log = train(
        model, *several, schedule=SCHEDULE, out=tmp_path,
        loss=lambda logits, hard, soft: torch.nn.functional.binary_cross_entropy_with_logits(logits, hard.float()),
    )
    model.eval()
    right = 0
    for i in range(len(several[1])):
        inputs = {name: torch.from_numpy(values) for name, values in several[1].encoded.batch([i]).items()}
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=training.multiplies_bf16("cpu")):
            right += bool(((model(**inputs).logits[0] > 0).numpy() == several[1].labels[i]).all())
    best = min(log.points, key=lambda point: point.validation_loss)
    assert best.validation_accuracy == pytest.approx(right / 30, abs=0.04)  # rounding of a padded batch


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"labels": np.zeros(69, np.int32)}, "labels of shape"),
        ({"labels": np.zeros((70, 3, 1), np.int32)}, "labels of shape"),
        ({"soft_labels": np.zeros((30, 3), np.float32)}, "soft labels of shape"),
        ({"teacher_encoded": None}, "same tokens"),
    ],
)
def test_training_set_whose_parts_do_not_fit_is_refused(
    sets: tuple[TrainingSet, TrainingSet], changes: dict[str, Any], problem: str
) -> None:
    if "teacher_encoded" in changes:
        changes = {"teacher_encoded": sets[1].encoded}
    with pytest.raises(ValueError, match=problem):
        replace(sets[0], **changes)


@pytest.mark.parametrize("family", ["distilbert", "roberta"])
def test_train_of_another_family_feeds_it_the_inputs_it_knows(
    family: str, make_classifier: Callable[..., Any], sets: tuple[TrainingSet, TrainingSet], tmp_path: Path
) -> None:
    short = replace(SCHEDULE, steps=2, evaluations=1)
    log = train(make_classifier(family), *sets, loss=lambda logits, hard, soft: cross_entropy(logits, hard),
                schedule=short, out=tmp_path)
    assert len(log.points) == 1


@pytest.mark.parametrize("n", [129, 130, 257])
def test_validation_loss_is_the_mean_over_rows_however_few_are_left_for_the_last_batch(
    n: int, start: Path, sets: tuple[TrainingSet, TrainingSet], model_folder: Callable[[str], Path], rows: Callable[..., Any],
    tmp_path: Path,
) -> None:
    texts, classes = rows(n, seed=4)
    many = TrainingSet(TextEncoder.load(model_folder("bert")).encode(texts), np.array(classes, np.int32))
    model = BertForSequenceClassification.from_pretrained(start)
    log = train(model, sets[0], many, schedule=replace(SCHEDULE, steps=1, evaluations=1, learning_rate=1e-12), out=tmp_path,
                loss=lambda logits, hard, soft: cross_entropy(logits, hard))
    batch = {name: torch.from_numpy(values) for name, values in many.encoded.batch(np.arange(n)).items()}
    with torch.no_grad():
        expected = cross_entropy(model.float().eval()(**batch).logits, torch.tensor(classes)).item()
    assert log.points[-1].validation_loss == pytest.approx(expected, rel=2e-3)  # the training computes in bf16 where it can


def test_train_that_diverges_ends_at_the_first_look_that_shows_it_and_says_what_to_change(
    start: Path, sets: tuple[TrainingSet, TrainingSet], tmp_path: Path
) -> None:
    steps = 0

    def loss(logits: torch.Tensor, hard: torch.Tensor, soft: torch.Tensor | None) -> torch.Tensor:
        nonlocal steps
        steps += torch.is_grad_enabled()
        return cross_entropy(logits, hard) * float("nan")

    with pytest.raises(UsageError, match=r"diverged: at step 3 .* nan") as failure:
        train(BertForSequenceClassification.from_pretrained(start), *sets, loss=loss, schedule=SCHEDULE, out=tmp_path)
    assert "learning_rate" in failure.value.hint
    assert steps == EVERY


def test_arguments_when_the_process_sees_several_gpus_then_it_takes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(TrainingArguments, "n_gpu", property(lambda self: 4))
        made = training._arguments(SCHEDULE, tmp_path, model_type="bert", is_learning_beside=False)
    assert made.n_gpu == 1  # with more Trainer wraps the model in torch's DataParallel
    usual = training._arguments(SCHEDULE, tmp_path, model_type="bert", is_learning_beside=False)
    assert usual.n_gpu == min(1, torch.cuda.device_count())
