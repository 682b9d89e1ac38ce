"""The tables of what is answered: confused pairs, classes, reliability. Plain text in cells, like those of `tables`."""

from collections.abc import Sequence

from edgedistill.evaluate.intervals import wilson
from edgedistill.report.model import ClassProbability, MissedAndAdded, ReliabilityBin, TargetReport, TellingRow
from edgedistill.report.tables import UNKNOWN, Table
from edgedistill.report.wording import has_several_labels, range_text, share_text
from edgedistill.results import ClassFigures, Variant

MOST_CONFUSED = 15
MOST_ROWS = 300
"""Longer tables are cut in the page: with hundreds of classes they would outgrow everything else in it."""
GIVEN_ABOVE = 0.5
"""Where several labels may apply, those above this probability are given: a logit above 0."""
_WHO_IS_RIGHT = {"teacher": "the teacher is right", "student": "the student is right", "both": "both are right",
                 "neither": "neither is right"}


def standing(row: TellingRow) -> str:
    """Return who is right on a row, and whether the two differ in more than how sure they are."""
    return ("same answer, differently sure; " if row.same_answer else "") + _WHO_IS_RIGHT[row.right]


def is_true(row: TellingRow, label: str | None) -> bool:
    """Does a label apply to a row?"""
    return label == row.true_label if row.true_labels is None else label in row.true_labels


def is_given(row: TellingRow, probability: float) -> bool:
    """Is a label given by itself at this probability? Only where several may apply."""
    return row.true_labels is not None and probability > GIVEN_ABOVE


def given_text(answer: Sequence[ClassProbability]) -> str:
    """Return the labels that a model gives where several may apply, or none and which comes nearest."""
    given = [f"{item.label} ({share_text(item.probability)})" for item in answer if item.probability > GIVEN_ABOVE]
    return ", ".join(given) or "none" + "".join(f", likeliest {c.label} ({share_text(c.probability)})" for c in answer[:1])


def shown_text(target: TargetReport) -> str:
    """Say which classes the telling rows show, and why."""
    if has_several_labels(target):
        return ("Shown are the labels that apply, those that either model gives, its likeliest where it gives none, and the one "
                "on which the two differ most. ✓ marks the labels that apply. These probabilities are what the student learns "
                "from: “80 % yes” says more than the answer alone.")
    return ("Shown are the true class and the three likeliest of each. ✓ marks the true label. These distributions are what the "
            "student learns from: “80 % this, 20 % that” says more than the answer alone.")


def differing(target: TargetReport) -> int:
    """Return how many of the telling rows have two different answers; they stand first."""
    return sum(not row.same_answer for row in target.telling_rows)


def confused(target: TargetReport) -> Table:
    """Return the pairs that the int8 student confuses most."""
    rows = tuple(
        (pair.true_label, pair.answer, str(pair.n), share_text(pair.n / max(pair.support, 1)))
        for pair in target.confused_pairs[:MOST_CONFUSED]
    )
    return Table(("true label", "answered", "rows", "of the class"), rows, words=2)


def missed_and_added(target: TargetReport) -> Table:
    """Return the labels that the int8 student misses or adds most often, with their figures and the teacher's errors beside."""
    figures = {c.label: c for c in target.classes}
    worst = sorted((c for c in target.missed_and_added if c.missed + c.added), key=lambda c: -(c.missed + c.added))
    headers = ("label", "test rows", "missed", "added", "precision", "recall", "F1", "teacher missed", "teacher added")
    return Table(headers, tuple(_errors_row(c, figures[c.label]) for c in worst[:MOST_CONFUSED]))


def _errors_row(errors: MissedAndAdded, figures: ClassFigures) -> tuple[str, ...]:
    shares = (figures.precision, figures.recall, figures.f1)
    return (errors.label, *map(str, (errors.support, errors.missed, errors.added)),
            *(share_text(share) if figures.support else UNKNOWN for share in shares),
            str(errors.teacher_missed), str(errors.teacher_added))


def confusions(target: TargetReport) -> Table:
    """Return the pairs of true label and wrong answer, of the int8 student and of the teacher, the `MOST_ROWS` most frequent."""
    rows = _confusion_rows(target)
    return Table(("true label", "answered", "int8 student", "teacher"), rows[:MOST_ROWS], words=2)


def confusions_left_out(target: TargetReport) -> str:
    """Return a sentence on the pairs that `confusions` leaves out; empty when it has all."""
    count = len(_confusion_rows(target))
    return f"The table has the {MOST_ROWS} most frequent of {count:,} pairs, report.json all." if count > MOST_ROWS else ""


def _confusion_rows(target: TargetReport) -> tuple[tuple[str, ...], ...]:
    counts: dict[tuple[int, int], list[int]] = {}
    for place, matrix in enumerate((target.confusion, target.teacher_confusion)):
        for truth, row in enumerate(matrix):
            for answer, n in enumerate(row):
                if n and answer != truth:
                    counts.setdefault((truth, answer), [0, 0])[place] = n
    return tuple(
        (target.labels[truth], target.labels[answer], *map(str, n))
        for (truth, answer), n in sorted(counts.items(), key=lambda item: (-max(item[1]), item[0]))
    )


def apart(target: TargetReport) -> Table:
    """Return the answers by which the teacher and the int8 student differ most often."""
    rows = tuple(
        (pair.teacher, pair.student, str(pair.n), str(pair.teacher_right), str(pair.student_right),
         str(pair.n - pair.teacher_right - pair.student_right))
        for pair in target.answers_apart[:MOST_CONFUSED]
    )
    headers = ("teacher answers", "int8 student answers", "rows", "teacher is right", "student is right", "neither")
    return Table(headers, rows, words=2)


def classes(target: TargetReport) -> Table:
    """Return the int8 student's figures by class, the worst first, and the teacher's F1 beside.

    A class without test rows has no F1 and no recall; it stands last.
    """
    of_teacher = {c.label: c for c in target.teacher_classes}
    rows = tuple(
        (c.label, str(c.support), share_text(c.precision) if c.support else UNKNOWN, _recall_text(c),
         share_text(c.f1) if c.support else UNKNOWN, *_teacher_f1(c, of_teacher.get(c.label)))
        for c in sorted(target.classes, key=lambda c: (not c.support, c.f1))
    )
    headers = ("label", "test rows", "precision", "recall (95 % interval)", "F1", "teacher's F1", "difference, points")
    return Table(headers, rows[:MOST_ROWS])


def classes_title(target: TargetReport) -> str:
    """Return what stands over `classes`, with how many of them it has when that is not all."""
    count = len(target.classes)
    cut = f"; {MOST_ROWS} of {count:,}, report.json has all" if count > MOST_ROWS else ""
    return f"The int8 student by class, the worst first{cut}"


def _recall_text(figures: ClassFigures) -> str:
    if not figures.support:
        return UNKNOWN
    around = wilson(round(figures.recall * figures.support), figures.support)
    return f"{share_text(figures.recall)} ({range_text((around.low, around.high))})"


def _teacher_f1(student: ClassFigures, teacher: ClassFigures | None) -> tuple[str, str]:
    if teacher is None or not student.support:
        return UNKNOWN, UNKNOWN
    return share_text(teacher.f1), f"{(student.f1 - teacher.f1) * 100:+.1f}"


def calibration(target: TargetReport) -> Table:
    """Return how sure the teacher and the int8 student are against how often they are right."""
    both: tuple[Variant, ...] = ("teacher", "student_int8")
    is_by_label = has_several_labels(target)
    rows = []
    for name in both:
        bins, error = target.reliability.get(name, ()), target.variants[name].calibration_error
        whole = sum(b.n for b in bins)
        sure = sum(b.n * b.confidence for b in bins) / whole if whole else None
        right = _share_right(bins) if is_by_label else target.variants[name].accuracy
        rows.append((name, f"{share_text(error.value)} ({range_text((error.low, error.high))})",
                     UNKNOWN if sure is None else share_text(sure), UNKNOWN if right is None else share_text(right)))
    last = ("mean probability of a yes or no", "yes or no right") if is_by_label else ("mean top probability", "right")
    return Table(("variant", "calibration error (95 % interval)", *last), tuple(rows))


def _share_right(bins: Sequence[ReliabilityBin]) -> float | None:
    whole = sum(b.n for b in bins)
    return sum(b.n * b.accuracy for b in bins) / whole if whole else None


def reliabilities(target: TargetReport) -> Table:
    """Return how often the teacher and the int8 student are right when they are so sure."""
    rows = tuple(
        (name, f"{b.low:.2f} to {b.high:.2f}", str(b.n), share_text(b.confidence), share_text(b.accuracy))
        for name in ("teacher", "student_int8")
        for b in target.reliability[name]
    )
    what = ("probability of the yes or no", "answers") if has_several_labels(target) else ("top probability", "rows")
    return Table(("variant", *what, "mean probability", "right"), rows, words=2)
