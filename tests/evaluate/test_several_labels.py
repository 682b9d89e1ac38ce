"""Figures where an example may have several labels, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_fscore_support

from edgedistill.evaluate import several_labels
from edgedistill.evaluate.metrics import calibration_error, figures_of_tallies

RNG = np.random.default_rng(5)
LABELS = (RNG.random((400, 4)) < [0.5, 0.3, 0.1, 0.02]).astype(np.int64)
LOGITS = np.where(LABELS == 1, 1.0, -1.0) + RNG.normal(0, 1.2, LABELS.shape)
DECIDED = (LOGITS > 0).astype(np.int64)


def test_f1_when_compared_with_scikit_learn_then_the_same() -> None:
    macro = several_labels.macro_f1_interval(LABELS, DECIDED, seed=1)
    micro = several_labels.micro_f1_interval(LABELS, DECIDED, seed=1)
    assert macro.value == pytest.approx(f1_score(LABELS, DECIDED, average="macro"))
    assert micro.value == pytest.approx(f1_score(LABELS, DECIDED, average="micro"))
    assert macro.low < macro.value < macro.high
    assert micro.low < micro.value < micro.high
    # the rare class makes the mean over classes less certain than the figure of all labels
    assert macro.high - macro.low > micro.high - micro.low


def test_intervals_when_the_seed_is_the_same_then_the_same() -> None:
    first, second = (several_labels.micro_f1_interval(LABELS, DECIDED, seed=3) for _ in range(2))
    assert first == second


def test_interval_of_micro_f1_then_is_about_as_wide_as_resampling_by_hand() -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 400, 400) for _ in range(400)]
    by_hand = [f1_score(LABELS[r], DECIDED[r], average="micro") for r in rows]
    found = several_labels.micro_f1_interval(LABELS, DECIDED, seed=1)
    assert [found.low, found.high] == pytest.approx(np.percentile(by_hand, [2.5, 97.5]), abs=0.01)


def test_class_figures_when_compared_with_scikit_learn_then_the_same() -> None:
    figures = figures_of_tallies(*several_labels.tallies(LABELS, DECIDED), ["a", "b", "c", "d"])
    expected = precision_recall_fscore_support(LABELS, DECIDED, zero_division=0)
    for name, column in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [getattr(row, name) for row in figures] == pytest.approx(column.tolist()), name


def test_f1_when_nothing_is_labelled_and_nothing_decided_then_one() -> None:
    nothing = np.zeros((5, 3), np.int64)
    assert several_labels.macro_f1_interval(nothing, nothing, seed=1).value == 1.0
    assert several_labels.micro_f1_interval(nothing, nothing, seed=1).value == 1.0


def test_macro_f1_interval_of_a_model_that_never_finds_a_rare_class_stays_below_a_half() -> None:
    labels, decided = np.zeros((300, 2), np.int64), np.zeros((300, 2), np.int64)
    labels[:, 0] = decided[:, 0] = labels[:2, 1] = 1
    found = several_labels.macro_f1_interval(labels, decided, seed=1)
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)


def test_calibration_interval_then_is_that_of_every_yes_and_no() -> None:
    found = several_labels.calibration_interval(LOGITS, LABELS, seed=1)
    sure = 1 / (1 + np.exp(-np.abs(LOGITS)))
    assert found.value == pytest.approx(calibration_error(sure.ravel(), (DECIDED == LABELS).ravel()))
    assert found.low <= found.value <= found.high


def test_calibration_interval_of_a_model_that_is_always_sure_and_right_then_is_zero() -> None:
    found = several_labels.calibration_interval(np.where(LABELS == 1, 50.0, -50.0), LABELS, seed=1)
    assert found.value == pytest.approx(0.0, abs=1e-9)
