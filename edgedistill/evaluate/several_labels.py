"""Figures of merit where an example may have several labels: each class is a yes or no of its own.

    n        examples, C classes
    labels   0 and 1, shape (n, C)
    logits   shape (n, C), raw; a logit above 0 is a yes

Intervals are percentile bootstraps over the examples (Efron and Tibshirani 1993, section 13.3): the classes of an example stay
together. A sample is a row of weights, how often it holds each example, so that all tallies of all samples are one product.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgedistill.evaluate.intervals import percentile_interval, resamples
from edgedistill.evaluate.metrics import CALIBRATION_BINS, calibration_bin, mean_f1, mean_f1_of_samples
from edgedistill.results import Interval

_Integers = NDArray[np.int64]


def tallies(labels: _Integers, decided: _Integers) -> tuple[_Integers, _Integers, _Integers]:
    """Return by class how often it was decided and true, was true, was decided; each of shape (C,)."""
    return (labels * decided).sum(axis=0), labels.sum(axis=0), decided.sum(axis=0)


def macro_f1_interval(labels: _Integers, decided: _Integers, *, seed: int) -> Interval:
    """Return the mean of the classes' F1, over those that occur among labels or decisions, with its interval.

    Where no class occurs at all, every answer is right and nothing was to be found: it is then 1, as is the micro-F1.
    """
    split = tallies(labels, decided)
    if not (split[1] + split[2]).any():
        return percentile_interval(1.0, np.ones(1))
    figures = [mean_f1_of_samples(*found, split=split) for found in _sampled(labels, decided, seed)]
    return percentile_interval(float(mean_f1(*split)), np.concatenate(figures))


def micro_f1_interval(labels: _Integers, decided: _Integers, *, seed: int) -> Interval:
    """Return the F1 of all yes and no together, 2 right / (true + decided), with its interval."""
    value = float(_micro_f1(*tallies(labels, decided)))
    return percentile_interval(value, np.concatenate([_micro_f1(*found) for found in _sampled(labels, decided, seed)]))


def calibration_interval(logits: NDArray[np.floating], labels: _Integers, *, seed: int) -> Interval:
    """Return the expected calibration error of all n * C answers, each with its own probability, with its interval.

    Reference: Guo et al. 2017, eq. 3, as `edgedistill.evaluate.metrics.calibration_error`, for yes and no.
    """
    sure = 1 / (1 + np.exp(-np.abs(np.asarray(logits, np.float64))))
    gaps = ((logits > 0) == labels) - sure
    bins = calibration_bin(sure.reshape(-1)).reshape(gaps.shape)
    by_bin = np.stack([np.where(bins == b, gaps, 0.0).sum(axis=1) for b in range(CALIBRATION_BINS)], axis=1)
    value = float(np.abs(by_bin.sum(axis=0)).sum() / gaps.size)
    figures = [np.abs(weights @ by_bin).sum(axis=1) / gaps.size for weights in _weights(len(gaps), seed)]
    return percentile_interval(value, np.concatenate(figures))


def _micro_f1(right: _Integers, support: _Integers, decided: _Integers) -> NDArray[np.float64]:
    whole = (support + decided).sum(axis=-1)
    return np.where(whole == 0, 1.0, 2 * right.sum(axis=-1) / np.maximum(whole, 1))


def _sampled(labels: _Integers, decided: _Integers, seed: int) -> Iterator[tuple[_Integers, _Integers, _Integers]]:
    """Yield the tallies of samples, each of shape (samples, C)."""
    columns = [part.astype(np.float64) for part in (labels * decided, labels, decided)]  # whole numbers: products are exact
    for weights in _weights(len(labels), seed):
        right, support, found = ((weights @ column).astype(np.int64) for column in columns)
        yield right, support, found


def _weights(n: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each sample holds each example, in parts of shape (samples, n)."""
    for rows in resamples(n, seed):
        places = rows + np.arange(len(rows))[:, None] * n
        yield np.bincount(places.ravel(), minlength=len(rows) * n).reshape(len(rows), n).astype(np.float64)
