"""Is a teacher any good? Its answers on validation, compared with the labels. The same for every task; needs no torch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.decisions import set_numbers
from edgedistill.errors import TeacherError
from edgedistill.examples import Examples
from edgedistill.manifest import Decision, warned
from edgedistill.teach.labels import label_order

_MOST_ROWS = 2000
_LEAST_GAIN = 0.1
_LEAST_ERRORS = 3.0
_TRY = ("try a lower teacher.fine_tuning.learning_rate or more teacher.fine_tuning.epochs, and check the labels: a student "
        "learns what its teacher says")
_OTHER_ROWS = "give rows of the other classes there: data.validation, or more rows of them, of which some are split off"
TAKEN_AS_IT_IS = ("it is taken as it is: check whether it was trained for these labels, or name an encoder as teacher.name, "
                  "which is fine-tuned on them")


@dataclass(frozen=True)
class Answers:
    """What a teacher decided on validation, beside the labels.

    Attributes:
        truth: class numbers of the labels, shape (n,).
        decided: class numbers of the answers, shape (n,).
        names: of the classes, in the order of their numbers.
    """

    truth: NDArray[np.int64]
    decided: NDArray[np.int64]
    names: Sequence[str]

    @classmethod
    def of(cls, logits: NDArray[np.float32], examples: Examples, names: Sequence[str]) -> "Answers":
        """Return the answers that raw logits, shape (n, classes), give for labelled examples.

        Raises:
            TeacherError: a logit is NaN or infinite.
        """
        require_finite(logits)
        return cls(examples.labels.astype(np.int64), np.asarray(logits.argmax(axis=1), np.int64), names)

    @property
    def accuracy(self) -> float:
        """The share of right answers, 0 to 1."""
        return float(np.mean(self.truth == self.decided))


def require_finite(logits: NDArray[np.float32]) -> None:
    """Refuse a teacher that answers with no numbers.

    Raises:
        TeacherError: a logit is NaN or infinite.
    """
    if not np.isfinite(logits).all():
        raise TeacherError("the teacher answers with NaN or infinity", hint="check the teacher: edgedistill evaluate TEACHER")


def judged_rows(validation: Examples) -> Examples:
    """Return the rows that a teacher is judged by: at most 2,000, evenly spread."""
    step = max(1, -(-len(validation) // _MOST_ROWS))
    return validation.take(np.arange(0, len(validation), step))


def warn_of_accuracy(accuracy: float, truth: NDArray[np.int32], *, why: str = _TRY) -> tuple[Decision, ...]:
    """Say, on the terminal too, that a teacher answers no better than the largest class would, or that nothing can be said.

    Args:
        accuracy: of the teacher on validation, 0 to 1.
        truth: class numbers of validation, shape (n,), n >= 1; of several labels a text 0 and 1, shape (n, classes).
        why: what to try where it is no better.

    Returns:
        the decision for the report; none where the accuracy is above the largest class's share by more than one standard
        error. Where all rows are of one class it says that: they judge nothing.
    """
    share, error = _largest_share(truth)
    if share == 1.0:
        all_are = "have the same set of labels" if truth.ndim == 2 else "are of one class"
        what, why = f"nothing can be said of the teacher: all {len(truth)} rows of validation {all_are}", _OTHER_ROWS
    elif accuracy <= share + error:
        constant = "the most frequent set of labels" if truth.ndim == 2 else "the largest class"
        what = (f"the teacher answers no better than {constant} would ({accuracy:.2f} against {share:.2f} right on "
                f"{len(truth)} rows of validation)")
    else:
        return ()
    return (warned(Decision(step="teach", what=what, why=why)),)


def judge_taken(folder: Path, answers: Answers) -> tuple[Decision, ...]:
    """Judge a teacher that is taken as it is.

    Args:
        folder: the teacher's.
        answers: its own on validation.

    Returns:
        the warning where it is no better than the largest class would be.

    Raises:
        TeacherError: it knows its classes by number, and another order of them fits far better; it is worse than always
            answering the largest class, by more than one standard error, and tells the classes apart no better than chance.
    """
    if label_order(folder) is None:
        _require_order(folder, answers)
    share, error = _largest_share(answers.truth)
    recall, classes = _mean_recall(answers)
    if share < 1.0 and answers.accuracy < share - error and recall <= 1 / classes:
        raise TeacherError(
            f"{folder}: the teacher answers worse than the largest class would: {answers.accuracy:.2f} of its answers on "
            f"validation are right, always {answers.names[int(np.bincount(answers.truth).argmax())]!r} would be {share:.2f}",
            hint="check the labels of the data, or name an encoder as teacher.name, which is fine-tuned on them",
        )
    return warn_of_accuracy(answers.accuracy, answers.truth.astype(np.int32), why=TAKEN_AS_IT_IS)


def best_order(answers: Answers) -> NDArray[np.int64]:
    """Return for each of the teacher's classes the data's class that it is, shape (classes,), so that most answers are right.

    An assignment problem on the confusion counts (Kuhn 1955, "The Hungarian method for the assignment problem").
    """
    from scipy.optimize import linear_sum_assignment

    classes = len(answers.names)
    pairs = np.bincount(answers.decided * classes + answers.truth, minlength=classes * classes).reshape(classes, classes)
    return np.asarray(linear_sum_assignment(pairs, maximize=True)[1], np.int64)


def _require_order(folder: Path, answers: Answers) -> None:
    """Refuse classes that are known by number and stand in another order than the data's.

    The other order is found on every second row and judged on the rest: of many classes some order fits any answers.
    """
    found, rest = (Answers(answers.truth[i::2], answers.decided[i::2], answers.names) for i in (0, 1))
    if not len(rest.truth):
        return
    as_it_is = rest.decided == rest.truth
    in_order = best_order(found)[rest.decided] == rest.truth
    if is_far_better(in_order.astype(float), as_it_is.astype(float)):
        raise other_order(folder, best_order(answers), answers.names, before=as_it_is.mean(), after=in_order.mean())


def is_far_better(after: NDArray[np.float64], before: NDArray[np.float64]) -> bool:
    """Do answers fit far better in another order of the classes, and by more than chance? Shares that are right, row by row."""
    gain = after - before
    error = np.sqrt(max(gain.var(), 1 / len(gain)) / len(gain))
    return bool(gain.mean() > max(_LEAST_GAIN, _LEAST_ERRORS * error))


def other_order(folder: Path, order: NDArray[np.int64], named: Sequence[str], *, before: float, after: float) -> TeacherError:
    """Return the refusal of a teacher whose classes stand in another order, with what to write into its config.json.

    Args:
        folder: the teacher's.
        order: for each of its classes the data's class that it is.
        named: the data's classes.
        before: the share of right answers as they are.
        after: the same in that order.
    """
    names = {str(number): named[i] for number, i in enumerate(order)}
    return TeacherError(
        f"{folder}: the teacher knows its classes by number alone, and not in the order of the data's: {before:.2f} of its "
        f"answers on validation are right as they are, {after:.2f} in another order",
        hint=f'write the names into its config.json, by validation "id2label": {json.dumps(names, ensure_ascii=False)}, and '
             "prepare the data again",
    )


def _largest_share(truth: NDArray[np.integer]) -> tuple[float, float]:
    """Return the share of the largest class, or of the most frequent set of labels, and its standard error."""
    share = float(np.bincount(set_numbers(truth)).max() / len(truth))
    return share, float(np.sqrt(share * (1 - share) / len(truth)))


def _mean_recall(answers: Answers) -> tuple[float, int]:
    """Return the mean of the classes' recall, over those that occur, and how many these are; chance gives 1 / classes."""
    rows = np.bincount(answers.truth)
    right = np.bincount(answers.truth[answers.truth == answers.decided], minlength=len(rows))
    occurs = rows > 0
    return float(np.mean(right[occurs] / rows[occurs])), int(occurs.sum())
