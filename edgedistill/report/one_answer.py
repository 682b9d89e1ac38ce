"""Does the student that ships do more than give one answer? In words, from its answers to the test rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgedistill.constant import Constant, constant_class, constant_set, quoted, set_in_words
from edgedistill.decisions import is_labelled, is_right
from edgedistill.goals import paired_error
from edgedistill.report.wording import share_text


def doubt_text(logits: NDArray[np.floating], gold: NDArray[np.integer], labels: Sequence[str], *, macro_f1: float) -> str:
    """Say that a model is no better than one answer to everything, gives but one, or cannot be judged; empty where none holds.

    Args:
        logits: of the model, shape (n, classes).
        gold: classes of the rows, shape (n,), -1 for none; where several labels may apply 0 and 1, shape (n, classes).
        labels: the class names.
        macro_f1: of the model on these rows.

    Returns:
        sentences. No better: by accuracy, by one standard error of the difference to a model that always gives the answer which
        is right most often on these rows, paired by row.
    """
    known = is_labelled(gold)
    if not known.any():
        return ""
    logits, gold = logits[known], gold[known]
    given = logits.argmax(axis=1) if gold.ndim == 1 else (logits > 0).astype(np.int64)
    rows = [int(n) for n in np.bincount(gold, minlength=len(labels))] if gold.ndim == 1 else []
    constant = constant_class(rows, labels) if rows else constant_set(gold, labels)
    is_one = bool((given == given[0]).all())
    if constant.accuracy == 1:
        is_given = ", which it gives to each of them" if is_one and (given[0] == gold[0]).all() else ""
        return (f"But all test rows have one right answer, {constant.answer}{is_given}: whether it tells the classes apart is "
                "unknown.")
    if is_one:
        said = quoted(labels[int(given[0])]) if gold.ndim == 1 else set_in_words(given[0], labels)
        return f"But it gives one answer to all test rows, {said}: it tells nothing apart."
    return _no_better(is_right(logits, gold), _is_constant_right(gold), constant, macro_f1)


def _is_constant_right(gold: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return on which rows the most frequent answer is right, shape (n,)."""
    _, numbers, counts = np.unique(gold, axis=0, return_inverse=True, return_counts=True)
    return np.asarray(numbers.reshape(-1) == counts.argmax())


def _no_better(right: NDArray[np.bool_], constant_right: NDArray[np.bool_], constant: Constant, macro_f1: float) -> str:
    won, lost = int((right & ~constant_right).sum()), int((constant_right & ~right).sum())
    if (won - lost) / len(right) > paired_error(lost, won, len(right)):
        return ""
    return (f"But by accuracy it is no better than a model that always answers {constant.answer} ({share_text(right.mean())} of "
            f"the test rows against {share_text(constant.accuracy)}; macro-F1 {share_text(macro_f1)} against "
            f"{share_text(constant.macro_f1)}).")
