"""When every scheme misses the goal: which candidates are tried next, and in which order.

0   the same scheme in 7 bits, where the target saturates
1   a scale for each embedding row, where the tables suffer most
2   the other ways to calibrate, of a static scheme
3   the nodes that suffer most back to float: one, then two, and so on, on top of 1 where that helped
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgedistill.quantize.calibration import CalibrationMethod
from edgedistill.quantize.candidates import Candidate
from edgedistill.quantize.court import Court, Judged, least_divergent
from edgedistill.quantize.judgement import misses, uncovered
from edgedistill.quantize.rows import SomeRows, each
from edgedistill.quantize.sensitivity import Noise, noise_by_node
from edgedistill.quantize.static_quantizer import Calibration

log = logging.getLogger("edgedistill")

NOISE_ROWS = 16
"""Rows by whose activations the nodes are ranked."""

SUBSET_ROWS = 128
"""Judged rows on which nodes are left out one at a time."""

LEFT_OUT = 8
"""Nodes that are left out one at a time: those of the lowest signal-to-noise ratio, without those that are too large to be
float."""

POOR_TABLE_DB = 35.0
"""A table whose median row keeps less than this gets a scale a row; 8 bits of an even table keep about 40."""

_METHODS: tuple[CalibrationMethod, ...] = ("percentile", "entropy", "min-max")


def noisiest(court: Court, start: Candidate) -> tuple[Noise, ...]:
    """Return the nodes of the float model by what a candidate's scheme leaves of them, the worst first."""
    few = SomeRows(court.rows, np.arange(min(NOISE_ROWS, len(court.rows))))
    calibration = None if court.calibration is None else Calibration(court.calibration, start.method)
    return noise_by_node(court.source, lambda: each(few), start.scheme, calibration=calibration)


def rescue_candidates(court: Court, start: Candidate, noise: Sequence[Noise]) -> tuple[Candidate, ...]:
    """Return what to try after a scheme missed the goal, the least departure from it first.

    Args:
        court: where single nodes are left out, on a part of its rows.
        start: the candidate that diverges least.
        noise: its nodes, the worst first.
    """
    tables = tuple(item.node for item in noise if item.is_table and item.worst_db < POOR_TABLE_DB)
    found: list[Candidate] = []
    base = start
    if court.saturates and start.scheme.weights == "wi8" and not start.scheme.is_reduced_range:
        base = replace(start, scheme=replace(start.scheme, is_reduced_range=True))
        found.append(base)
    if tables and not start.by_row:
        base = replace(base, by_row=tables)
        found.append(base)
    if start.scheme.needs_calibration:
        found += [replace(base, method=method) for method in _METHODS if method != base.method]
    ranked = _by_leaving_one_out(court, base, noise)
    prefixes = (ranked[:count] for count in range(1, len(ranked) + 1))
    found += [base.without(nodes) for nodes in prefixes if _int8_share(nodes, noise) >= court.goal.min_coverage]
    return tuple(dict.fromkeys(found))


def _int8_share(left_out: Sequence[str], noise: Sequence[Noise]) -> float:
    """Return the share of weight bytes that stays int8 with some nodes in float, four bytes a number."""
    floating = sum(item.weights for item in noise if item.node in left_out)
    rest = sum(item.weights for item in noise if item.node not in left_out)
    return rest / max(1, rest + 4 * floating)


def _by_leaving_one_out(court: Court, base: Candidate, noise: Sequence[Noise]) -> list[str]:
    """Return the noisiest nodes by what leaving each in float alone brings, on a subset of the judged rows."""
    subset = replace(court, rows=SomeRows(court.rows, np.arange(min(SUBSET_ROWS, len(court.rows)))), _made={})
    left: dict[str, float] = {}
    for item in [item for item in noise if _int8_share([item.node], noise) >= court.goal.min_coverage][:LEFT_OUT]:
        judged = subset.judge(base.without([item.node]))
        left[item.node] = judged.evidence.kl_nats
        judged.file.unlink()
    for node, kl in left.items():
        log.info("with %s in float the divergence is %.3g nats", node, kl)
    return sorted(left, key=lambda node: left[node])


def rescue(court: Court, *, trials: int, time_limit_s: float) -> tuple[Noise, ...]:
    """Try candidates until one keeps the goal, through neural-compressor's tuning loop; the court holds what came of it.

    Args:
        court: has judged at least one candidate.
        trials: candidates tried at most.
        time_limit_s: no further one is started after so long.

    Returns:
        the nodes that suffer most, the worst first.
    """
    from edgedistill.quantize.tuning import tune

    start = least_divergent(court.judged)
    noise = noisiest(court, start.candidate)
    candidates = rescue_candidates(court, start.candidate, noise)
    if trials and candidates:
        baseline, tolerable = _baseline(court, start)
        tune(candidates, lambda candidate: _score(court, court.judge(candidate)), baseline=baseline, tolerable_loss=tolerable,
             max_trials=trials, time_limit_s=time_limit_s)
    return noise


def _baseline(court: Court, start: Judged) -> tuple[float, float]:
    """Return the float model's score and the share of it that may be lost: accuracy with labels, else agreement."""
    evidence = start.evidence
    if evidence.accuracy is None or evidence.accuracy_loss is None or evidence.accuracy + evidence.accuracy_loss <= 0:
        return 1.0, 1.0 - court.goal.min_agreement
    right = evidence.accuracy + evidence.accuracy_loss
    return right, court.goal.max_accuracy_loss / right


def _score(court: Court, judged: Judged) -> float:
    """Return what the tuning loop compares with the baseline; 0 for what is not to be had at any accuracy."""
    evidence = judged.evidence
    is_saturated = judged.missed != misses(evidence, court.goal)
    if is_saturated or uncovered(evidence, court.goal) or evidence.agreement < court.goal.min_agreement:
        return 0.0
    return evidence.agreement if evidence.accuracy is None else evidence.accuracy
