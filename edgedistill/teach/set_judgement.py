"""Is a teacher that was taken as it is any good, where a text may have several labels? Needs no torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.manifest import Decision
from edgedistill.teach.judgement import TAKEN_AS_IT_IS, is_far_better, other_order, require_finite, warn_of_accuracy
from edgedistill.teach.labels import label_order


def judge_taken_sets(
    folder: Path, logits: NDArray[np.float32], truth: NDArray[np.int32], names: Sequence[str]
) -> tuple[Decision, ...]:
    """Judge a teacher of several labels a text.

    Args:
        folder: the teacher's.
        logits: its own on validation, shape (n, classes).
        truth: 0 and 1, shape (n, classes).
        names: of the data's classes.

    Returns:
        the warning where it is no better than the most frequent set of labels would be.

    Raises:
        TeacherError: a logit is NaN or infinite; or it knows its classes by number, and another order of them fits far better.
    """
    require_finite(logits)
    given = (logits > 0).astype(np.int64)
    if label_order(folder) is None:
        _require_order(folder, given, truth.astype(np.int64), names)
    return warn_of_accuracy(float((given == truth).all(axis=1).mean()), truth, why=TAKEN_AS_IT_IS)


def _require_order(folder: Path, given: NDArray[np.int64], truth: NDArray[np.int64], names: Sequence[str]) -> None:
    """Refuse another order of the classes, found on every second row and judged on the rest by the share of right yes and no."""
    if len(truth) < 2:
        return
    order = _best_order(given[::2], truth[::2])
    before, after = ((given[1::2] == truth[1::2, columns]).mean(axis=1) for columns in (np.arange(len(names)), order))
    if is_far_better(after, before):
        raise other_order(folder, _best_order(given, truth), names, before=before.mean(), after=after.mean())


def _best_order(given: NDArray[np.int64], truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each of the teacher's classes the data's class that it is, shape (classes,), so that most yes and no are right.

    An assignment problem on the counts of equal answers (Kuhn 1955, "The Hungarian method for the assignment problem").
    """
    from scipy.optimize import linear_sum_assignment

    equal = given.T @ truth + (1 - given).T @ (1 - truth)
    return np.asarray(linear_sum_assignment(equal, maximize=True)[1], np.int64)
