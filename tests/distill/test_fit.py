"""How closely a student follows its teacher: KL by hand and by scipy, and the counts of who is right."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from scipy.stats import entropy

from edgedistill import batch_parts
from edgedistill.distill.fit import compare, measure_fit
from edgedistill.errors import ArtifactError
from edgedistill.problem_type import SEVERAL_LABELS
from edgedistill.tasks.text_classification.encoding import TextEncoder
from edgedistill.training import TrainingSet


def test_compare_when_two_classes_then_kl_is_that_by_hand() -> None:
    # teacher (0.5, 0.5), student (0.8, 0.2): KL = 0.5 ln(0.5/0.8) + 0.5 ln(0.5/0.2) = 0.5 ln(0.25/0.16)
    found = compare(np.log([[0.5, 0.5]]).astype(np.float32), np.log([[0.8, 0.2]]).astype(np.float32))
    assert found.kl_nats == pytest.approx(0.5 * np.log(0.25 / 0.16), rel=1e-5)
    assert found.constant_kl_nats == pytest.approx(0.0, abs=1e-6)


def test_compare_when_many_rows_then_kl_is_scipys_mean() -> None:
    random = np.random.default_rng(3)
    teacher, student = random.normal(0, 3, (50, 7)).astype(np.float32), random.normal(0, 3, (50, 7)).astype(np.float32)
    p, q = np.exp(log_softmax(teacher, axis=1)), np.exp(log_softmax(student, axis=1))
    found = compare(teacher, student)
    assert found.kl_nats == pytest.approx(entropy(p, q, axis=1).mean(), rel=1e-5)
    assert found.constant_kl_nats == pytest.approx(entropy(p, np.broadcast_to(p.mean(0), p.shape), axis=1).mean(), rel=1e-5)


def test_compare_when_the_student_is_the_teacher_then_no_divergence_and_full_agreement() -> None:
    logits = np.random.default_rng(1).normal(0, 3, (20, 4)).astype(np.float32)
    found = compare(logits, logits)
    assert (found.kl_nats, found.agreement, found.rows) == (0.0, 1.0, 20)


def test_compare_when_texts_have_several_labels_then_kl_is_the_sum_over_classes_and_sets_agree() -> None:
    teacher, student = np.array([[0.0, 3.0]], np.float32), np.array([[np.log(4.0), 3.0]], np.float32)
    found = compare(teacher, student, SEVERAL_LABELS)
    # of the first class (0.5, 0.5) against (0.8, 0.2), of the second nothing
    assert found.kl_nats == pytest.approx(0.5 * np.log(0.25 / 0.16), rel=1e-5)
    assert found.agreement == 0.0  # 0 is no yes, ln 4 is one


class FixedModel(torch.nn.Module):
    """Answers each text with the class that its first token after [CLS] names in a table."""

    def __init__(self, answers: dict[int, int]) -> None:
        super().__init__()
        self._answers = answers
        self.device = torch.device("cpu")

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        logits = torch.zeros(len(input_ids), 3)
        for row, ids in enumerate(input_ids):
            logits[row, self._answers[int(ids[1])]] = 5.0
        return SimpleNamespace(logits=logits)


def test_measure_fit_when_answers_are_known_then_counts_are_those_by_hand(model_folder: Callable[[str], Path]) -> None:
    encoder = TextEncoder.load(model_folder("bert"))
    words = ["lamp", "song", "rain", "sun", "wind"]
    encoded = encoder.encode([f"{word} please the now" if i % 2 else word for i, word in enumerate(words)])
    first = [int(encoded.ids[start + 1]) for start in encoded.offsets[:-1]]
    #            both right, teacher alone, student alone, same mistake, no label
    truth = np.array([0, 1, 2, 0, -1], np.int32)
    teacher, student = [0, 1, 0, 1, 2], [0, 2, 2, 1, 2]
    soft = (5.0 * np.eye(3)[teacher]).astype(np.float32)
    data = TrainingSet(encoded, truth, soft)
    fit = measure_fit(FixedModel(dict(zip(first, student, strict=True))), data, data, train_rows=3)
    assert (fit.labelled_rows, fit.teacher_right, fit.student_right, fit.both_right, fit.same_mistake) == (4, 2, 2, 1, 1)
    assert fit.validation.agreement == pytest.approx(3 / 5)
    assert (fit.train.rows, fit.train.agreement) == (3, pytest.approx(1 / 3))


def test_measure_fit_when_there_are_no_soft_labels_then_refused(model_folder: Callable[[str], Path]) -> None:
    encoded = TextEncoder.load(model_folder("bert")).encode(["lamp"])
    data = TrainingSet(encoded, np.array([0], np.int32))
    with pytest.raises(ArtifactError, match="no soft labels"):
        measure_fit(FixedModel({}), data, data, train_rows=1)


def test_measure_fit_when_a_batch_is_taken_in_parts_then_the_same_figures(
    model_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = TextEncoder.load(model_folder("bert"))
    encoded = encoder.encode(["lamp", "song please", "rain", "sun the now", "wind"])
    model = FixedModel({int(encoded.ids[start + 1]): number % 3 for number, start in enumerate(encoded.offsets[:-1])})
    data = TrainingSet(encoded, np.array([0, 1, 2, 1, 1], np.int32), np.eye(3, dtype=np.float32)[[0, 1, 0, 0, 2]])
    whole = measure_fit(model, data, data, train_rows=5)
    monkeypatch.setattr(batch_parts, "_SHORT", 0)
    monkeypatch.setattr(batch_parts, "rows_that_fit", lambda tokens: 2)
    assert measure_fit(model, data, data, train_rows=5) == whole
    assert (whole.student_right, whole.validation.agreement) == (4, pytest.approx(3 / 5))
