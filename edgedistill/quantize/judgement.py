"""What a candidate is judged by: accuracy, divergence from the float model, agreement, bytes, coverage, and time."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistill.decisions import is_labelled, is_right, is_same, log_probabilities
from edgedistill.problem_type import ONE_LABEL, ProblemType
from edgedistill.results import Coverage

_Logits = NDArray[np.float32]

NEAR = 1.1
"""Candidates whose divergence is within a tenth of the least are alike; the order in which they are tried decides."""


@dataclass(frozen=True)
class Goal:
    """What an int8 model must keep.

    Attributes:
        min_agreement: share of rows decided as the float model decides them.
        max_accuracy_loss: accuracy that may be lost against the float model, as a share of the labelled rows.
        min_coverage: share of the weight bytes, and of the nodes on weights, that must be int8.
    """

    min_agreement: float
    max_accuracy_loss: float
    min_coverage: float


@dataclass(frozen=True)
class Evidence:
    """What was seen of a candidate on the judged rows.

    Attributes:
        agreement: share of rows decided as the float model decides them.
        kl_nats: mean KL(float || candidate) of the answers at T = 1.
        accuracy: on the labelled rows; None where there are none.
        accuracy_loss: float model's accuracy minus this one's; None where there are no labels.
        loss_error: one standard error of the loss, from the rows that only one of the two has right.
        size_bytes: of the file.
        coverage: of the graph.
        int8_share: what the floor is for: the least of the shares of weight bytes and of nodes; of a weight-only scheme, which
            promises bytes alone, that of the bytes.
    """

    agreement: float
    kl_nats: float
    accuracy: float | None
    accuracy_loss: float | None
    loss_error: float
    size_bytes: int
    coverage: Coverage
    int8_share: float


def judge_answers(  # noqa: PLR0913 - what a candidate is judged by
    reference: _Logits, answers: _Logits, labels: NDArray[np.int64] | None, *, size_bytes: int, coverage: Coverage,
    needs_int8_nodes: bool = True, own: _Logits | None = None, problem: ProblemType = ONE_LABEL,
) -> Evidence:
    """Compare a candidate's answers with the float model's.

    Args:
        reference: logits of the float model whose accuracy is to be kept, shape (n, classes).
        answers: the candidate's.
        labels: the classes, shape (n,), `NO_LABEL` for none, or of several a row shape (n, classes); None without labels, or when
            the rows of the logits are not those of the labels (a model that answers for each token).
        size_bytes: of the candidate's file.
        coverage: of its graph.
        needs_int8_nodes: must its nodes run in int8, too?
        own: logits of the float model that the candidate was made of, where that is the reference tuned for int8. Agreement
            and divergence are from the one of the two that it agrees with more: a student that went on learning leaves the
            reference, and one that learned to live with rounding needs it. Accuracy is against the reference.
        problem: may a row have several labels?
    """
    share = min(coverage.weight_bytes_share, coverage.nodes_share) if needs_int8_nodes else coverage.weight_bytes_share
    accuracy = loss = None
    error = 0.0
    if labels is not None and len(labels) == len(reference) and is_labelled(labels).any():
        was, now = (is_right(logits, labels)[is_labelled(labels)] for logits in (reference, answers))
        # of counts: a difference of two means may be a rounding above what is allowed
        accuracy, loss = float(now.mean()), (int(was.sum()) - int(now.sum())) / len(was)
        error = _paired_error(was, now)
    origin = max((reference,) if own is None else (reference, own), key=lambda logits: is_same(logits, answers, problem).mean())
    agreement = float(is_same(origin, answers, problem).mean())
    return Evidence(agreement, divergence(origin, answers, problem), accuracy, loss, error, size_bytes, coverage, share)


def divergence(reference: _Logits, answers: _Logits, problem: ProblemType = ONE_LABEL) -> float:
    """Return the mean KL(reference || answers) in nats at T = 1; infinite where an answer is no number.

    Of the softmax; where a row may have several labels the sum over the classes, each a yes or no.
    """
    p, q = log_probabilities(reference, problem), log_probabilities(answers, problem)
    found = float(np.mean(np.sum(np.exp(p) * (p - q), axis=1)))
    return max(0.0, found) if math.isfinite(found) else math.inf


def _paired_error(was_right: NDArray[np.bool_], is_right: NDArray[np.bool_]) -> float:
    """Return sqrt(b + c - (b - c)^2 / n) / n, b and c the rows that only one of two models has right.

    Source: Agresti 2013, "Categorical data analysis", section 11.1: the variance of a difference of paired proportions.
    """
    n = len(was_right)
    lost, won = int(np.sum(was_right & ~is_right)), int(np.sum(~was_right & is_right))
    return math.sqrt(max(0.0, lost + won - (lost - won) ** 2 / n)) / n


def misses(evidence: Evidence, goal: Goal) -> tuple[str, ...]:
    """Return a clause for all that a candidate does not keep; none when it keeps the goal."""
    found = []
    if not math.isfinite(evidence.kl_nats):
        found.append("answers that are no numbers")
    if evidence.agreement < goal.min_agreement:
        found.append(f"agrees with the float model on {evidence.agreement:.2%}, less than {goal.min_agreement:.2%}")
    if evidence.accuracy_loss is not None and evidence.accuracy_loss > goal.max_accuracy_loss:
        found.append(f"loses {100 * evidence.accuracy_loss:.2f} points of accuracy, more than {100 * goal.max_accuracy_loss:.2f}")
    return tuple(found) + uncovered(evidence, goal)


def uncovered(evidence: Evidence, goal: Goal) -> tuple[str, ...]:
    """Return a clause where less than the floor is int8."""
    coverage = evidence.coverage
    if evidence.int8_share >= goal.min_coverage:
        return ()
    return (f"only {coverage.weight_bytes_share:.1%} of the weight bytes and {coverage.nodes_share:.1%} of the nodes on weights "
            f"are int8, the floor is {goal.min_coverage:.0%}",)


def may_be_chance(evidence: Evidence, goal: Goal) -> bool:
    """Is all that a candidate misses some accuracy, and no more of it than two standard errors explain?"""
    if evidence.agreement < goal.min_agreement or uncovered(evidence, goal) or not math.isfinite(evidence.kl_nats):
        return False
    return evidence.accuracy_loss is not None and evidence.accuracy_loss - 2 * evidence.loss_error <= goal.max_accuracy_loss
