"""What the logits of the test rows show: where two models differ, how sure a model may be, what it confuses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistill.decisions import is_right, is_same, log_probabilities, problem_of_labels
from edgedistill.evaluate.metrics import CALIBRATION_BINS, calibration_bin, softmax
from edgedistill.examples import NO_LABEL
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS, ProblemType
from edgedistill.report.model import (
    AnswersApart,
    ClassProbability,
    ConfusedPair,
    MissedAndAdded,
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
NONE_APPLIES_TEXT = "(no label applies)"


def divergence(a: Floats, b: Floats) -> Floats:
    """Return the Jensen-Shannon divergence of every row, bits, 0 (same) to 1 (disjoint); shapes (n, classes).

    Reference: Lin 1991, "Divergence measures based on the Shannon entropy", equation 3.1.
    """
    middle = (a + b) / 2
    return np.clip((_relative_entropy(a, middle) + _relative_entropy(b, middle)) / 2, 0.0, 1.0)


def _relative_entropy(a: Floats, b: Floats) -> Floats:
    terms = np.where(a > 0, a * np.log2(np.where(a > 0, a, 1.0) / np.where(b > 0, b, 1.0)), 0.0)
    return np.asarray(terms.sum(axis=1))


def divergence_of_labels(a: Floats, b: Floats) -> Floats:
    """Return the mean over the classes of the divergence of yes and no, bits, 0 to 1; shapes (n, classes), of a yes."""
    first, second = (np.stack([p, 1 - p], axis=-1).reshape(-1, 2) for p in (a, b))
    return np.asarray(divergence(first, second).reshape(a.shape).mean(axis=1))


@dataclass(frozen=True)
class _Answers:
    """What one model answers: raw `logits` and the probability of every class at temperature 1, shapes (n, classes)."""

    logits: NDArray[np.floating]
    probability: Floats
    problem: ProblemType

    @classmethod
    def of(cls, logits: NDArray[np.floating], problem: ProblemType) -> "_Answers":
        if problem == ONE_LABEL:
            return cls(logits, softmax(logits), problem)
        return cls(logits, np.exp(log_probabilities(logits, problem)[:, : logits.shape[1]]), problem)

    def named(self, row: int) -> list[int]:
        """Return the likeliest classes; where several labels may apply those that it gives, or the likeliest if it gives none."""
        most = TOP_CLASSES if self.problem == ONE_LABEL else max(1, int((self.logits[row] > 0).sum()))
        return [int(c) for c in np.argsort(-self.probability[row], kind="stable")[:most]]


def telling_rows(
    texts: Sequence[str], labels: NDArray[np.int32], names: Sequence[str], *, teacher: NDArray[np.floating],
    student: NDArray[np.floating], thumbnail_of: Callable[[int], str | None] = lambda row: None,
) -> tuple[TellingRow, ...]:
    """Return at most `TELLING_ROWS` rows: those whose decisions differ, then those of one decision, each by falling divergence.

    The latter show what a decision hides: 80 % and 99 % of the same class are not the same answer.

    Args:
        texts: n texts.
        labels: their classes, shape (n,), `NO_LABEL` for none; where several may apply 0 and 1, shape (n, classes).
        names: the class names.
        teacher: raw logits, shape (n, classes).
        student: raw logits, shape (n, classes).
        thumbnail_of: gives the picture of a row as a data URI; None for texts.
    """
    problem = problem_of_labels(labels)
    theirs, ours = _Answers.of(teacher, problem), _Answers.of(student, problem)
    apart = (divergence if problem == ONE_LABEL else divergence_of_labels)(theirs.probability, ours.probability)
    alike = is_same(teacher, student, problem)
    kept = np.flatnonzero(~alike | (np.abs(theirs.probability - ours.probability).max(axis=1) >= LEAST_APART))
    order = kept[np.lexsort((-apart[kept], alike[kept]))][:TELLING_ROWS]
    right = is_right(teacher, labels), is_right(student, labels)
    return tuple(
        TellingRow(
            text=texts[row],
            thumbnail=thumbnail_of(int(row)),
            true_label=_true_text(labels[row], names),
            true_labels=None if problem == ONE_LABEL else tuple(names[c] for c in _true_classes(labels[row])),
            teacher=_listed(theirs, row, names),
            student=_listed(ours, row, names),
            divergence=float(apart[row]),
            right=_right(*(bool(of_model[row]) for of_model in right)),
            classes=_paired(theirs, ours, row, names, truth=_true_classes(labels[row])),
            same_answer=bool(alike[row]),
        )
        for row in order
    )


def _true_classes(label: NDArray[np.int32]) -> list[int]:
    """Return the classes that apply to a row: a class number or none; or where 0 and 1 of every class say so."""
    if label.ndim == 1:
        return [int(c) for c in np.flatnonzero(label == 1)]
    return [] if label == NO_LABEL else [int(label)]


def _true_text(label: NDArray[np.int32], names: Sequence[str]) -> str:
    classes = _true_classes(label)
    if classes:
        return ", ".join(names[c] for c in classes)
    return NO_LABEL_TEXT if (label == NO_LABEL).any() else NONE_APPLIES_TEXT


def _right(is_teacher_right: bool, is_student_right: bool) -> RightModel:
    if is_teacher_right and is_student_right:
        return "both"
    return "teacher" if is_teacher_right else "student" if is_student_right else "neither"


def _listed(answers: _Answers, row: int, names: Sequence[str]) -> tuple[ClassProbability, ...]:
    return tuple(ClassProbability(label=names[c], probability=float(answers.probability[row, c])) for c in answers.named(row))


def _paired(
    theirs: _Answers, ours: _Answers, row: int, names: Sequence[str], *, truth: Sequence[int]
) -> tuple[PairedProbability, ...]:
    """Return the classes that either model names and the true ones, each with both probabilities, then the rest of one variable.

    Where several labels may apply, no rest adds up; the class on which the models differ most is then shown too.
    """
    teacher, student = theirs.probability[row], ours.probability[row]
    shown = {*theirs.named(row), *ours.named(row), *truth}
    if theirs.problem == SEVERAL_LABELS:
        shown.add(int(np.abs(teacher - student).argmax()))
    order = sorted(shown, key=lambda c: (-max(teacher[c], student[c]), c))
    rows = [PairedProbability(label=names[c], teacher=float(teacher[c]), student=float(student[c])) for c in order]
    if theirs.problem == SEVERAL_LABELS or len(shown) == len(names):
        return tuple(rows)
    rest = np.ones(len(names), bool)
    rest[order] = False
    return (*rows, PairedProbability(label=None, teacher=float(teacher[rest].sum()), student=float(student[rest].sum())))


def answers_apart(
    labels: NDArray[np.int32], names: Sequence[str], *, teacher: NDArray[np.floating], student: NDArray[np.floating]
) -> tuple[AnswersApart, ...]:
    """Return every pair of different answers, the most frequent first; arguments as those of `telling_rows`."""
    problem = problem_of_labels(labels)
    t_right, s_right = is_right(teacher, labels), is_right(student, labels)
    counts: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for row in np.flatnonzero(~is_same(teacher, student, problem)):
        count = counts.setdefault((_decided(teacher[row], problem), _decided(student[row], problem)), [0, 0, 0])
        count[0] += 1
        count[1] += int(t_right[row])
        count[2] += int(s_right[row])
    return tuple(
        AnswersApart(
            teacher=_answer_text(theirs, names), student=_answer_text(ours, names), n=n, teacher_right=by_teacher,
            student_right=by_student,
        )
        for (theirs, ours), (n, by_teacher, by_student) in sorted(counts.items(), key=lambda item: (-item[1][0], item[0]))
    )


def _decided(logits: NDArray[np.floating], problem: ProblemType) -> tuple[int, ...]:
    """Return the classes that a row is answered with."""
    return (int(logits.argmax()),) if problem == ONE_LABEL else tuple(int(c) for c in np.flatnonzero(logits > 0))


def _answer_text(classes: Sequence[int], names: Sequence[str]) -> str:
    return ", ".join(names[c] for c in classes) if classes else NO_LABEL_TEXT


def reliability(logits: NDArray[np.floating], labels: NDArray[np.int32]) -> tuple[ReliabilityBin, ...]:
    """Return the filled bins of a reliability diagram, the same bins as the calibration error's.

    Where several labels may apply, each yes and each no is an answer of its own: n * classes of them.

    Reference: Guo et al. 2017, "On calibration of modern neural networks", section 2.
    """
    confidence, right = _confidence(logits, labels)
    place = calibration_bin(confidence)
    return tuple(
        ReliabilityBin(
            low=b / CALIBRATION_BINS,
            high=(b + 1) / CALIBRATION_BINS,
            n=int((place == b).sum()),
            confidence=float(confidence[place == b].mean()),
            accuracy=float(right[place == b].mean()),
        )
        for b in range(CALIBRATION_BINS)
        if (place == b).any()
    )


def _confidence(logits: NDArray[np.floating], labels: NDArray[np.int32]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the probability that every answer is given, and whether it is right; both flat."""
    if problem_of_labels(labels) == SEVERAL_LABELS:
        sure = 1 / (1 + np.exp(-np.abs(np.asarray(logits, np.float64))))
        return sure.reshape(-1), np.asarray((logits > 0) == labels).reshape(-1)
    sure = softmax(logits)
    return sure.max(axis=1), np.asarray(sure.argmax(axis=1) == labels)


def missed_and_added(
    labels: NDArray[np.int32], names: Sequence[str], *, teacher: NDArray[np.floating], student: NDArray[np.floating]
) -> tuple[MissedAndAdded, ...]:
    """Return for every class how often it is not found, and how often it is given where it does not apply.

    Empty where each row has one label: its answers are confused, see `confused_pairs`. Arguments as those of `telling_rows`.
    """
    if problem_of_labels(labels) == ONE_LABEL:
        return ()
    missed, added = (
        [((labels == truth) & ((logits > 0) != truth)).sum(axis=0) for logits in (student, teacher)] for truth in (1, 0)
    )
    return tuple(
        MissedAndAdded(
            label=name, support=int((labels[:, c] == 1).sum()), missed=int(missed[0][c]), added=int(added[0][c]),
            teacher_missed=int(missed[1][c]), teacher_added=int(added[1][c]),
        )
        for c, name in enumerate(names)
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
