import math

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, log_loss, precision_recall_fscore_support

from edgedistill.errors import DataError
from edgedistill.evaluate import metrics


@pytest.fixture(scope="module")
def split():
    random = np.random.default_rng(3)
    truth = random.integers(0, 9, 400)  # class 9 never occurs; class 8 is never decided
    predicted = np.where(random.random(400) < 0.7, truth, random.integers(0, 8, 400))
    predicted[predicted == 8] = 0
    return truth, predicted


def test_accuracy_of_four_rows_is_the_share_right():
    assert metrics.accuracy([0, 1, 2, 2], [0, 1, 1, 2]) == 0.75


def test_agreement_does_not_ask_who_is_right():
    assert metrics.agreement([2, 2, 0], [2, 1, 0]) == pytest.approx(2 / 3)


def test_decision_of_equal_logits_is_the_first_class():
    assert metrics.decisions([[1.0, 1.0], [0.0, 3.0]]).tolist() == [0, 1]


def test_macro_f1_equals_sklearn(split):
    truth, predicted = split
    assert metrics.macro_f1(truth, predicted, classes=10) == pytest.approx(f1_score(truth, predicted, average="macro"))


def test_macro_f1_with_an_absent_class_leaves_it_out():
    # classes 0 and 1 are perfect, class 2 occurs nowhere: 1, not 2/3
    assert metrics.macro_f1([0, 1], [0, 1], classes=3) == 1.0


def test_class_figures_equal_sklearn(split):
    truth, predicted = split
    figures = metrics.class_figures(metrics.confusion(truth, predicted, classes=10), [str(i) for i in range(10)])
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=range(10), zero_division=0
    )
    assert [f.precision for f in figures] == pytest.approx(precision.tolist())
    assert [f.recall for f in figures] == pytest.approx(recall.tolist())
    assert [f.f1 for f in figures] == pytest.approx(f1.tolist())
    assert [f.support for f in figures] == support.tolist()


def test_confusion_equals_sklearn(split):
    truth, predicted = split
    expected = confusion_matrix(truth, predicted, labels=range(10))
    assert (metrics.confusion(truth, predicted, classes=10) == expected).all()


def test_confusion_of_nothing_is_zero():
    assert metrics.confusion([], [], classes=2).tolist() == [[0, 0], [0, 0]]


def test_softmax_of_huge_logits_does_not_overflow():
    assert metrics.softmax([[1000.0, 1000.0 + math.log(3)]])[0].tolist() == pytest.approx([0.25, 0.75])


def test_negative_log_likelihood_equals_sklearn():
    logits = np.random.default_rng(0).normal(size=(50, 4)) * 3
    labels = np.arange(50) % 4
    powers = np.exp(logits)
    expected = log_loss(labels, powers / powers.sum(1, keepdims=True))
    assert metrics.negative_log_likelihood(logits, labels) == pytest.approx(expected)


def test_negative_log_likelihood_of_a_hopeless_answer_is_finite():
    assert metrics.negative_log_likelihood([[0.0, 2000.0]], [0]) == pytest.approx(2000.0)


def test_calibration_error_by_hand():
    # bin (14/15, 1]: (1 - 0.95) + (0 - 0.95) = -0.90; bin (8/15, 9/15]: 1 - 0.55 = 0.45; (0.90 + 0.45) / 3
    assert metrics.calibration_error([0.95, 0.95, 0.55], [True, False, True]) == pytest.approx(0.45)


def test_calibration_error_within_a_bin_cancels():
    assert metrics.calibration_error([0.5, 0.5], [True, False]) == pytest.approx(0.0)


def test_calibration_bin_on_an_edge_is_the_bin_below():
    # Guo et al.: bin m is ((m - 1) / M, m / M]
    assert metrics.calibration_bin([0.0, 1 / 15, 0.0667, 0.2, 0.6, 0.61, 1.0]).tolist() == [0, 0, 1, 2, 8, 9, 14]


@pytest.mark.parametrize(
    "figure",
    [
        lambda: metrics.accuracy([], []),
        lambda: metrics.agreement([], []),
        lambda: metrics.macro_f1([], [], classes=3),
        lambda: metrics.calibration_error([], []),
        lambda: metrics.negative_log_likelihood(np.zeros((0, 3)), []),
    ],
)
def test_figure_of_no_examples_is_refused(figure):
    with pytest.raises(DataError, match="no examples"):
        figure()
