"""Figures of merit of a classifier, as pure functions on arrays.

    n         examples, C classes; labels and predictions are integers 0 .. C - 1, shape (n,)
    logits    shape (n, C), raw (T = 1), finite
    decision  the class of the largest logit; of equal ones the first, as numpy and ONNX have it

No figure is defined on no example: every function that would divide by n refuses n = 0 with a `DataError`, because a
made-up 0 or 1 would pass for a result.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgedistill.errors import DataError
from edgedistill.results import ClassFigures

CALIBRATION_BINS = 15
"""Equal-width bins of the calibration error, as in Guo et al. 2017, table 1."""

_Integers = NDArray[np.int64]


def decisions(logits: ArrayLike) -> _Integers:
    """Return the decided class of each example, shape (n,); logits of shape (n, C), C >= 1."""
    return np.asarray(np.asarray(logits).argmax(axis=1), dtype=np.int64)


def softmax(logits: ArrayLike) -> NDArray[np.float64]:
    """Return probabilities, shape (n, C), each row summing to 1; the largest logit is subtracted, so none overflows."""
    values = np.asarray(logits, dtype=np.float64)
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def negative_log_likelihood(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean of -ln p(label), in nats, 0 or more.

    Raises:
        DataError: there are no examples.
    """
    values, truth = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    _require_some(len(truth))
    shifted = values - values.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    return float(np.mean(log_sum - shifted[np.arange(len(truth)), truth]))


def accuracy(labels: ArrayLike, predicted: ArrayLike) -> float:
    """Return the share of examples whose decision is the label, 0 to 1.

    Raises:
        DataError: there are no examples.
    """
    truth, answers = np.asarray(labels), np.asarray(predicted)
    _require_some(len(truth))
    return float(np.mean(truth == answers))


def agreement(reference: ArrayLike, candidate: ArrayLike) -> float:
    """Return the share of examples on which two models decide the same, 0 to 1; right or wrong does not matter.

    Raises:
        DataError: there are no examples.
    """
    return accuracy(reference, candidate)


def confusion(labels: ArrayLike, predicted: ArrayLike, *, classes: int) -> _Integers:
    """Return the counts by true class (rows) and decided class (columns), shape (classes, classes).

    No examples give zeros: a count of nothing is defined.
    """
    codes = np.asarray(labels, dtype=np.int64) * classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(codes, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def class_figures(counts: ArrayLike, names: Sequence[str]) -> tuple[ClassFigures, ...]:
    """Return precision, recall and F1 of every class.

    Args:
        counts: a confusion, shape (C, C), rows the true classes.
        names: the C class names.

    Returns:
        One row a class, in order. A figure whose denominator is 0 (a class never decided, or never present) is 0, as
        in scikit-learn with `zero_division=0`; `support` tells such a class.
    """
    table = np.asarray(counts, dtype=np.int64)
    return figures_of_tallies(np.diag(table), table.sum(axis=1), table.sum(axis=0), names)


def figures_of_tallies(
    right: _Integers, support: _Integers, decided: _Integers, names: Sequence[str]
) -> tuple[ClassFigures, ...]:
    """Return the same of tallies, each of shape (C,): how often a class was decided and true, was true, was decided."""
    precision, recall = _share(right, decided), _share(right, support)
    f1 = _share(2 * right, support + decided)
    return tuple(
        ClassFigures(label=name, support=int(support[i]), precision=float(precision[i]), recall=float(recall[i]),
                     f1=float(f1[i]))
        for i, name in enumerate(names)
    )


def macro_f1(labels: ArrayLike, predicted: ArrayLike, *, classes: int) -> float:
    """Return the unweighted mean of the classes' F1, 0 to 1.

    The mean is over the classes that occur among the labels or the decisions, as in scikit-learn: a class that a small
    split does not hold, and that nobody decided for, says nothing about the model.

    Raises:
        DataError: there are no examples.
    """
    truth = np.asarray(labels)
    _require_some(len(truth))
    table = confusion(truth, predicted, classes=classes)
    return float(mean_f1(np.diag(table), table.sum(axis=1), table.sum(axis=0)))


def mean_f1(right: _Integers, support: _Integers, decided: _Integers) -> NDArray[np.float64]:
    """Return the macro-F1 of counts per class, over the classes that occur.

    Args:
        right: how often each class was decided and true, shape (C,).
        support: how often it was true.
        decided: how often it was decided.

    Returns:
        Shape (). At least one class must occur.
    """
    occurs = support + decided > 0
    return np.asarray(_share(2 * right, support + decided).sum(axis=-1) / occurs.sum(axis=-1))


def mean_f1_of_samples(
    right: _Integers, support: _Integers, decided: _Integers, *, split: tuple[_Integers, _Integers, _Integers]
) -> NDArray[np.float64]:
    """Return the macro-F1 of samples of a split, over the classes that occur in the split.

    A class that a sample does not hold, and for which nothing in it was decided, keeps the F1 that it has in the split: left out,
    it would lift a model that never finds a rare class to 1 in each sample without that class.

    Args:
        right: how often each class was decided and true, shape (samples, C).
        support: how often it was true.
        decided: how often it was decided.
        split: the same three of the split that they are drawn from, shape (C,).

    Returns:
        Shape (samples,).
    """
    found = _share(2 * split[0], split[1] + split[2])
    by_class = np.where(support + decided > 0, _share(2 * right, support + decided), found)
    return np.asarray(by_class[..., split[1] + split[2] > 0].mean(axis=-1))


def calibration_error(confidence: ArrayLike, is_right: ArrayLike, *, bins: int = CALIBRATION_BINS) -> float:
    """Return the expected calibration error, 0 to 1: how far confidence and accuracy lie apart, weighted by bin.

    ECE = sum over the bins B of |B| / n * |accuracy(B) - mean confidence(B)|, bins ((m - 1) / M, m / M]. Since
    |B| * (accuracy - confidence) is the sum of (right - confidence) over B, no bin mean is ever taken.

    Args:
        confidence: probability of the decided class, shape (n,), 0 to 1.
        is_right: whether the decision is the label, shape (n,).
        bins: M, equal-width bins.

    Raises:
        DataError: there are no examples.

    Reference: Guo, Pleiss, Sun and Weinberger 2017, "On calibration of modern neural networks", eq. 3.
    """
    gaps = np.asarray(is_right, dtype=np.float64) - np.asarray(confidence, dtype=np.float64)
    _require_some(len(gaps))
    sums = np.bincount(calibration_bin(confidence, bins=bins), weights=gaps, minlength=bins)
    return float(np.abs(sums).sum() / len(gaps))


def calibration_bin(confidence: ArrayLike, *, bins: int = CALIBRATION_BINS) -> _Integers:
    """Return the bin of each confidence, 0 .. bins - 1, shape (n,); a value on an edge belongs to the bin below it."""
    inner_edges = np.arange(1, bins) / bins
    return np.searchsorted(inner_edges, np.asarray(confidence, dtype=np.float64), side="left").astype(np.int64)


def _share(part: _Integers, whole: _Integers) -> NDArray[np.float64]:
    """Return part / whole, and 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros(whole.shape, np.float64), where=whole > 0)


def _require_some(n: int) -> None:
    if n == 0:
        raise DataError("no examples: a share of nothing is not defined", hint="give a split with at least one row")
