"""A training whose batches are taken in parts is the training with whole batches."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from edgedistill import batch_parts, training
from edgedistill.results import TrainingLog
from edgedistill.tasks.text_classification.encoding import TextEncoder
from edgedistill.training import Schedule, TrainingSet, train

SCHEDULE = Schedule(steps=6, batch_size=8, learning_rate=4e-3, warmup_share=0.1, weight_decay=0.01, evaluations=2, patience=9,
                    best_by="loss", seed=5)


@pytest.fixture
def run(
    make_classifier: Callable[..., Any], model_folder: Callable[[str], Path], rows: Callable[..., Any], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[dict[str, torch.Tensor], TrainingLog, list[int]]]:
    # bfloat16 rounds more than this compares; transformers leaves word of an earlier training's in the environment
    monkeypatch.setattr(training, "multiplies_bf16", lambda _: False)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")

    def run_with(*, most_rows: int) -> tuple[dict[str, torch.Tensor], TrainingLog, list[int]]:
        """Train a classifier without dropout; the rows of every forward pass with gradients are told."""
        monkeypatch.setattr(batch_parts, "_SHORT", 0)
        monkeypatch.setattr(batch_parts, "rows_that_fit", lambda tokens: most_rows)
        model = make_classifier(initializer_range=0.1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        encoder, seen = TextEncoder.load(model_folder("bert")), []
        sets = []
        for n, seed in ((36, 1), (30, 2)):
            texts, classes = rows(n, seed=seed)
            sets.append(TrainingSet(encoder.encode(texts), np.array(classes, np.int32)))

        def loss(logits: torch.Tensor, hard: torch.Tensor, soft: torch.Tensor | None) -> torch.Tensor:
            if torch.is_grad_enabled():
                seen.append(len(logits))
            return cross_entropy(logits, hard)

        log = train(model, *sets, loss=loss, schedule=SCHEDULE, out=tmp_path / str(most_rows))
        return {name: values.detach().clone() for name, values in model.state_dict().items()}, log, seen

    return run_with


def test_train_when_batches_are_taken_in_parts_then_weights_and_figures_are_those_of_whole_batches(
    run: Callable[..., tuple[dict[str, torch.Tensor], TrainingLog, list[int]]], make_classifier: Callable[..., Any],
) -> None:
    whole, log, seen = run(most_rows=1000)
    parts, log_of_parts, seen_of_parts = run(most_rows=3)
    assert len(seen) == 6
    assert seen_of_parts == [size for rows in seen for size in {8: (3, 3, 2), 4: (2, 2)}[rows]]
    start = make_classifier(initializer_range=0.1).state_dict()
    moved, apart = (sum(float((one[name] - whole[name]).square().sum()) for name in whole) for one in (start, parts))
    assert moved > 1e-2
    # of all weights together: AdamW makes steps of equal size of gradients that are nothing but rounding
    assert apart < 1e-6 * moved
    for one, other in zip(log.points, log_of_parts.points, strict=True):
        assert other.loss == pytest.approx(one.loss, abs=1e-4)
        assert other.validation_loss == pytest.approx(one.validation_loss, abs=1e-5)
        assert other.validation_accuracy == one.validation_accuracy
