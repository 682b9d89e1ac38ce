"""The verdict of the court in words: a sentence, and a table of all candidates with the reason for each."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edgedistill.quantize.court import Court, Judged, least_divergent
from edgedistill.quantize.coverage import measure_coverage, with_runtime
from edgedistill.quantize.layers import measure_layers
from edgedistill.quantize.scheme_names import FLOAT
from edgedistill.quantize.sensitivity import Noise
from edgedistill.quantize.timing import FASTEST_WITHIN, Times
from edgedistill.results import Coverage, Int8Candidate, Interval, QuantizationVerdict

_NAMED_NODES = 5


@dataclass(frozen=True)
class Finding:
    """What the court came to.

    Attributes:
        chosen: what is shipped; None: the float model.
        judged: all that was tried, in order.
        times: how fast candidates are, measured or predicted.
        noise: the nodes that suffer most, where that was looked into.
        untried: reasons by scheme.
    """

    chosen: Judged | None
    judged: Sequence[Judged]
    times: Times
    noise: Sequence[Noise]
    untried: Mapping[str, str]


def write_verdict(
    finding: Finding, court: Court, *, because: str, limit: float | None, host_saturates: bool
) -> QuantizationVerdict:
    """Return the verdict.

    Args:
        finding: what the court came to.
        court: the goal, the judged rows and the float model.
        because: a clause about the target, why the schemes stood in that order.
        limit: bytes that the target's model budget allows; None: it does not count.
        host_saturates: does this machine saturate u8 x s8?
    """
    chosen, coverage = finding.chosen, _coverage(finding.chosen, court)
    agreements: dict[str, float] = {}
    for item in finding.judged:
        name = item.candidate.scheme.name
        agreements[name] = max(agreements.get(name, 0.0), item.evidence.agreement)
    return QuantizationVerdict(
        scheme=chosen.candidate.scheme.name if chosen else FLOAT,
        candidates=agreements, coverage=coverage,
        layers=measure_layers(chosen.file if chosen else court.source, float_nodes=coverage.float_nodes),
        decision=_sentence(finding, court, because=because, limit=limit, host_saturates=host_saturates),
        table=tuple(_row(item, finding, limit=limit) for item in finding.judged) + tuple(
            Int8Candidate(title=name, scheme=name, outcome="not tried", reason=why) for name, why in finding.untried.items()
        ),
        judged_rows=len(court.rows), float_accuracy=court.float_accuracy,
        float_size_bytes=court.source.stat().st_size,
        speed_source="measured" if finding.times.measured else "predicted" if finding.times.predicted else None,
        float_predicted_p50_s=finding.times.float_p50_s,
        noisiest_nodes={item.node: round(item.worst_db, 1) for item in _noisiest(finding)},
        noisiest_by=_noisiest_by(finding),
    )


def _coverage(chosen: Judged | None, court: Court) -> Coverage:
    file = chosen.file if chosen else court.source
    return with_runtime(measure_coverage(file), file)


def _sentence(finding: Finding, court: Court, *, because: str, limit: float | None, host_saturates: bool) -> str:
    chosen = finding.chosen
    if chosen is None:
        return f"{because}; ship float: {_why_float(finding)}{_named_nodes(finding)}"
    found = chosen.evidence
    parts = [because, f"it agrees with the float model on {found.agreement:.2%} of validation"]
    if found.accuracy_loss is not None:
        parts.append(f"its accuracy there differs by {100 * (0.0 - found.accuracy_loss):+.2f} points")
    if chosen.missed:
        parts.append(f"it {' and '.join(chosen.missed)}, which chance explains on {court.labelled_rows} labelled rows; no "
                     "candidate kept more")
    if chosen.candidate.by_row:
        parts.append(f"a scale for each row of {', '.join(chosen.candidate.by_row)}")
    if chosen.candidate.excluded:
        parts.append(f"{', '.join(chosen.candidate.excluded)} stay float, without which the goal was missed")
    parts.append(_speed_words(finding.times, chosen.candidate.title))
    if limit is not None and found.size_bytes > limit:
        parts.append(f"its {found.size_bytes} bytes are over the target's {limit:.0f}")
    if host_saturates and not chosen.candidate.scheme.is_reduced_range and chosen.candidate.scheme.weights == "wi8":
        parts.append("this host saturates u8 x s8 (no VNNI), so the device can only be closer to the float model")
    return "; ".join(parts)


def _speed_words(times: Times, title: str) -> str:
    """Say how fast the chosen candidate is against float, and where that is known from."""
    speed, told = times.measured.get(title), times.predicted.get(title)
    if speed is not None:
        here = "here, where the target's int8 instructions are"
        if speed.ratio.low <= 1 <= speed.ratio.high:
            return f"its speed cannot be told from float's {here}: {_ratio_text(speed.ratio)} times as fast"
        return f"{speed.ratio.value:.2f} times as fast as float {here}"
    if told is not None:
        return (f"speed predicted, not measured: p50 of {1e3 * told.p50_s:.2g} ms on {times.target}, "
                f"{1e3 * told.float_p50_s:.2g} ms in float")
    return "speed not checked"


def _ratio_text(ratio: Interval) -> str:
    return f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})"


def _why_float(finding: Finding) -> str:
    """Say why no candidate can be shipped."""
    if finding.times.predicted and finding.times.is_any_slower:
        return (f"what could be shipped is predicted slower than the float model on {finding.times.target}; speed predicted, "
                "not measured")
    if any(item.keeps_the_goal for item in finding.judged) or finding.times.is_any_slower:
        return "what could be shipped is slower than the float model here, where the target's int8 instructions are"
    nearest = least_divergent(finding.judged)
    return f"the nearest of {len(finding.judged)} candidates ({nearest.candidate.title}): {' and '.join(nearest.missed)}"


def _named_nodes(finding: Finding) -> str:
    worst = [f"{item.node} ({item.worst_db:.0f} dB)" for item in _noisiest(finding)]
    how = {"qdq-graph": "in its QDQ graph", "rounding": "rounded alone"}.get(_noisiest_by(finding) or "")
    return f"; {how}, int8 leaves least of {', '.join(worst)}" if worst else ""


def _noisiest(finding: Finding) -> list[Noise]:
    """Return the first of the nodes that suffer at all; one that only zeros flow into has no ratio."""
    return [item for item in finding.noise[:_NAMED_NODES] if math.isfinite(item.worst_db)]


def _noisiest_by(finding: Finding) -> Literal["qdq-graph", "rounding"] | None:
    """Say where the noise was measured; None: nowhere. Tables are always rounded alone."""
    if not finding.noise:
        return None
    return "qdq-graph" if any(item.is_from_graph for item in finding.noise) else "rounding"


def _row(item: Judged, finding: Finding, *, limit: float | None) -> Int8Candidate:
    found, candidate = item.evidence, item.candidate
    speed, told = finding.times.measured.get(candidate.title), finding.times.predicted.get(candidate.title)
    return Int8Candidate(
        title=candidate.title, scheme=candidate.scheme.name,
        calibration=candidate.method if candidate.scheme.needs_calibration else None, float_nodes=candidate.excluded,
        agreement=found.agreement, kl_nats=found.kl_nats if math.isfinite(found.kl_nats) else None, accuracy=found.accuracy,
        accuracy_loss=found.accuracy_loss, size_bytes=found.size_bytes, weight_bytes_share=found.coverage.weight_bytes_share,
        nodes_share=found.coverage.nodes_share, p50_s=speed.p50_s if speed else None,
        speed_ratio=speed.ratio if speed else None,
        predicted_p50_s=told.p50_s if told else None, predicted_interval_s=told.interval_s if told else None,
        outcome="chosen" if item is finding.chosen else "kept" if item.keeps_the_goal else "refused",
        reason=_reason(item, finding, limit=limit),
    )


def _reason(item: Judged, finding: Finding, *, limit: float | None) -> str:
    if item is finding.chosen:
        return "; ".join(item.missed) or "keeps the goal"
    if item.missed:
        return "; ".join(item.missed)
    told = finding.times.predicted.get(item.candidate.title)
    if told is not None and told.is_slower:
        return (f"predicted slower than float on {finding.times.target}: p50 of {1e3 * told.p50_s:.2g} ms, "
                f"{1e3 * told.float_p50_s:.2g} ms in float")
    speed = finding.times.measured.get(item.candidate.title)
    if speed is not None and speed.is_slower:
        return f"slower than float here: {_ratio_text(speed.ratio)} times as fast"
    if limit is not None and item.evidence.size_bytes > limit:
        return f"keeps the goal, but its {item.evidence.size_bytes} bytes are over the target's {limit:.0f}"
    chosen = finding.times.measured.get(finding.chosen.candidate.title) if finding.chosen else None
    if speed is not None and chosen is not None and speed.p50_s.value > FASTEST_WITHIN * chosen.p50_s.value:
        return f"keeps the goal, but is {speed.p50_s.value / chosen.p50_s.value:.2f} times as slow as the one chosen"
    return "keeps the goal, but diverges more from the float model than the one chosen, or comes after it"
