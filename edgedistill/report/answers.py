"""What the logits of the test rows show: where two models differ, how sure a model may be, what it confuses."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgedistill.evaluate.metrics import CALIBRATION_BINS, calibration_bin, softmax
from edgedistill.examples import NO_LABEL
from edgedistill.report.model import (
    AnswersApart,
    ClassProbability,
    ConfusedPair,
    PairedProbability,
    ReliabilityBin,
    RightModel,
    TellingRow,
)

Floats = NDArray[np.float64]

TELLING_ROWS = 20
TOP_CLASSES = 3
LEAST_APART = 0.001
"""A row with the same decision is not shown where no class's probability differs by this: both columns would read the same."""
NO_LABEL_TEXT = "(no label)"


def divergence(a: Floats, b: Floats) -> Floats:
    """Return the Jensen-Shannon divergence of every row, bits, 0 (same) to 1 (disjoint); shapes (n, classes).

    Reference: Lin 1991, "Divergence measures based on the Shannon entropy", equation 3.1.
    """
    middle = (a + b) / 2
    return np.clip((_relative_entropy(a, middle) + _relative_entropy(b, middle)) / 2, 0.0, 1.0)


def _relative_entropy(a: Floats, b: Floats) -> Floats:
    terms = np.where(a > 0, a * np.log2(np.where(a > 0, a, 1.0) / np.where(b > 0, b, 1.0)), 0.0)
    return np.asarray(terms.sum(axis=1))


def telling_rows(
    texts: Sequence[str], labels: NDArray[np.int32], names: Sequence[str], *, teacher: NDArray[np.floating],
    student: NDArray[np.floating], thumbnail_of: Callable[[int], str | None] = lambda row: None,
) -> tuple[TellingRow, ...]:
    """Return at most `TELLING_ROWS` rows: those whose decisions differ, then those of one decision, each by falling divergence.

    The latter show what a decision hides: 80 % and 99 % of the same class are not the same answer.

    Args:
        texts: n texts.
        labels: their classes, shape (n,), `NO_LABEL` for none.
        names: the class names.
        teacher: raw logits, shape (n, classes).
        student: raw logits, shape (n, classes).
        thumbnail_of: gives the picture of a row as a data URI; None for texts.
    """
    theirs, ours = softmax(teacher), softmax(student)
    apart = divergence(theirs, ours)
    is_same = teacher.argmax(axis=1) == student.argmax(axis=1)
    kept = np.flatnonzero(~is_same | (np.abs(theirs - ours).max(axis=1) >= LEAST_APART))
    order = kept[np.lexsort((-apart[kept], is_same[kept]))][:TELLING_ROWS]
    return tuple(
        TellingRow(
            text=texts[row],
            thumbnail=thumbnail_of(int(row)),
            true_label=NO_LABEL_TEXT if labels[row] == NO_LABEL else names[labels[row]],
            teacher=_top(theirs[row], names),
            student=_top(ours[row], names),
            divergence=float(apart[row]),
            right=_right(teacher[row].argmax() == labels[row], student[row].argmax() == labels[row]),
            classes=_paired(theirs[row], ours[row], names, truth=int(labels[row])),
            same_answer=bool(is_same[row]),
        )
        for row in order
    )


def _right(is_teacher_right: bool, is_student_right: bool) -> RightModel:
    if is_teacher_right and is_student_right:
        return "both"
    return "teacher" if is_teacher_right else "student" if is_student_right else "neither"


def _top(distribution: Floats, names: Sequence[str]) -> tuple[ClassProbability, ...]:
    best = np.argsort(-distribution, kind="stable")[:TOP_CLASSES]
    return tuple(ClassProbability(label=names[c], probability=float(distribution[c])) for c in best)


def _paired(
    teacher: Floats, student: Floats, names: Sequence[str], *, truth: int
) -> tuple[PairedProbability, ...]:
    """Return the likeliest classes of both models and the true one, each with both probabilities, then the rest."""
    shown = {int(c) for of_model in (teacher, student) for c in np.argsort(-of_model, kind="stable")[:TOP_CLASSES]}
    shown |= set() if truth == NO_LABEL else {truth}
    order = sorted(shown, key=lambda c: (-max(teacher[c], student[c]), c))
    rows = [PairedProbability(label=names[c], teacher=float(teacher[c]), student=float(student[c])) for c in order]
    if len(shown) == len(names):
        return tuple(rows)
    rest = np.ones(len(names), bool)
    rest[order] = False
    return (*rows, PairedProbability(label=None, teacher=float(teacher[rest].sum()), student=float(student[rest].sum())))


def answers_apart(
    labels: NDArray[np.int32], names: Sequence[str], *, teacher: NDArray[np.floating], student: NDArray[np.floating]
) -> tuple[AnswersApart, ...]:
    """Return every pair of different answers, the most frequent first; arguments as those of `telling_rows`."""
    theirs, ours = teacher.argmax(axis=1), student.argmax(axis=1)
    counts: dict[tuple[int, int], list[int]] = {}
    for row in np.flatnonzero(theirs != ours):
        count = counts.setdefault((int(theirs[row]), int(ours[row])), [0, 0, 0])
        count[0] += 1
        count[1] += int(theirs[row] == labels[row])
        count[2] += int(ours[row] == labels[row])
    return tuple(
        AnswersApart(teacher=names[t], student=names[s], n=n, teacher_right=t_right, student_right=s_right)
        for (t, s), (n, t_right, s_right) in sorted(counts.items(), key=lambda item: (-item[1][0], item[0]))
    )


def reliability(logits: NDArray[np.floating], labels: NDArray[np.int32]) -> tuple[ReliabilityBin, ...]:
    """Return the filled bins of a reliability diagram, the same bins as the calibration error's.

    Reference: Guo et al. 2017, "On calibration of modern neural networks", section 2.
    """
    sure = softmax(logits)
    confidence, is_right = sure.max(axis=1), sure.argmax(axis=1) == labels
    place = calibration_bin(confidence)
    return tuple(
        ReliabilityBin(
            low=b / CALIBRATION_BINS,
            high=(b + 1) / CALIBRATION_BINS,
            n=int((place == b).sum()),
            confidence=float(confidence[place == b].mean()),
            accuracy=float(is_right[place == b].mean()),
        )
        for b in range(CALIBRATION_BINS)
        if (place == b).any()
    )


def confused_pairs(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> tuple[ConfusedPair, ...]:
    """Return every wrong (true, answer) pair that occurs, the most frequent first; rows of `confusion` are true."""
    pairs = [
        ConfusedPair(true_label=names[t], answer=names[a], n=count, support=sum(row))
        for t, row in enumerate(confusion)
        for a, count in enumerate(row)
        if a != t and count
    ]
    return tuple(sorted(pairs, key=lambda pair: -pair.n))
