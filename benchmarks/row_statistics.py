"""Means over seeds with 95 % intervals, from which test rows were answered right. Pure functions.

With one seed the difference of two students is Newcombe's paired interval (`edgedistill.evaluate.intervals`). With several,
and for every ratio, it is a two-level bootstrap: each resample draws test rows, the same for all models and seeds, because
they answer the same rows; and then draws seeds, the same for both sides of a comparison. It holds the spread of the test
rows and, as far as a few seeds show it, that of the trainings. The draws of each task have a seed of their own, as its test
rows have nothing to do with those of another task.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistill.evaluate.intervals import mcnemar, paired_difference
from edgedistill.results import Interval

RESAMPLES = 2000
Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Drawn:
    """A figure and what it came to in each resample, shape (RESAMPLES,)."""

    value: float
    resamples: NDArray[np.float64]

    @property
    def interval(self) -> Interval:
        """The figure with the 2.5th and 97.5th percentile of its resamples, which are widened to hold it."""
        low, high = np.percentile(self.resamples, [2.5, 97.5])
        return Interval(value=self.value, low=min(self.value, float(low)), high=max(self.value, float(high)))


def draws_of(task: str) -> int:
    """Return the seed of the bootstrap for a task, the same in every process."""
    return zlib.crc32(task.encode())


def retention(student: Bits, teacher: Bits, *, seed: int) -> Drawn:
    """Return the mean over seeds of student accuracy / teacher accuracy.

    Args:
        student: which rows the student of each seed answers right, shape (seeds, n).
        teacher: the same of its teacher; where all seeds share one, its row stands repeated.
        seed: of the bootstrap; `draws_of` the task, so that the draws of two tasks are independent.
    """
    value = float(np.mean(student.mean(1) / teacher.mean(1)))
    ours, theirs, picked = _resampled(student, teacher, seed)
    ratios = ours / np.maximum(theirs, 1e-9)
    return Drawn(value, np.take_along_axis(ratios, picked, 1).mean(1))


def gain(student: Bits, other: Bits, *, seed: int) -> Drawn:
    """Return the mean over seeds of student accuracy - the other's accuracy; shapes as in `retention`."""
    value = float(np.mean(student.mean(1) - other.mean(1)))
    ours, theirs, picked = _resampled(student, other, seed)
    return Drawn(value, np.take_along_axis(ours - theirs, picked, 1).mean(1))


def gain_interval(student: Bits, other: Bits, *, seed: int) -> Interval:
    """Return the gain with its interval: Newcombe's for one seed, the bootstrap's for several."""
    if len(student) == 1:
        return paired_difference(student[0], other[0])
    return gain(student, other, seed=seed).interval


def significant_seeds(student: Bits, other: Bits) -> int:
    """Return for how many seeds McNemar's exact test finds the two different at p < 0.05."""
    return sum(mcnemar(theirs, ours).p_value < 0.05 for ours, theirs in zip(student, other, strict=True))


def mean_over_tasks(figures: Sequence[Drawn]) -> Drawn:
    """Return the mean over tasks; each was drawn with its own seed, so resamples are averaged one by one."""
    return Drawn(float(np.mean([f.value for f in figures])), np.mean([f.resamples for f in figures], axis=0))


def _resampled(
    first: Bits, second: Bits, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return both sides' accuracies by resample and seed, and the seeds drawn; all of shape (RESAMPLES, seeds)."""
    if first.shape != second.shape:
        raise ValueError(f"answers of shape {first.shape} and {second.shape} are not to the same rows")
    random = np.random.default_rng(seed)
    seeds, n = first.shape
    # rows that all models answer alike are interchangeable: drawing how often each pattern comes is drawing the rows
    patterns, counts = np.unique(np.concatenate([first, second]), axis=1, return_counts=True)
    drawn = random.multinomial(n, counts / n, size=RESAMPLES) @ patterns.T.astype(np.float64) / n
    return drawn[:, :seeds], drawn[:, seeds:], random.integers(0, seeds, (RESAMPLES, seeds))
