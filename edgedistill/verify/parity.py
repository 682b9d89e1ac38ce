"""Parity: does a converted model give the answers of the model it was made from, on the same real rows?

    reference, candidate   raw logits, shape (n, C), row i of both for the same text
    flipped                rows on which the two decide for different classes, or, of several labels, for different sets
    agreement              1 - flipped / n
    error                  |candidate - reference|, over all logits

NaN and infinity never pass. A row that holds one has no decision and counts as flipped; it has no error either, so the
errors are those of the rows that are finite in both (0 when there is none) and stay numbers that a document can hold.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgedistill.decisions import is_same
from edgedistill.errors import ArtifactError, ParityError
from edgedistill.problem_type import ONE_LABEL, ProblemType
from edgedistill.quantize.scheme_names import computes_in_float, in_seven_bits, parse_scheme
from edgedistill.recipe import Parity
from edgedistill.results import ParityReport, ParityResult, Source

_HINT_ROWS = "evaluate both models on the same split"
_REFUSED = "it does not run there"
_USUAL_IN_SEVEN_BITS = "dynamic_wi8_afp32_per_channel_reduced_range"
_HINT_BROKEN = "do not ship it: evaluate the float model, and if that answers, export and quantize again"


BUNDLE = "the bundle"
"""The candidate of a comparison in which a file of the bundle answered otherwise than the student that was packed."""


@dataclass(frozen=True)
class Gate:
    """What a candidate must keep of its reference.

    Attributes:
        reference: what it is called, for example "torch".
        candidate: what it is called.
        min_agreement: least top-1 agreement that passes, 0 to 1.
        max_error: largest difference of a logit that passes; None where only decisions are judged.
        key: its recipe keys are `parity.<key>_min_agreement` and `_max_error`; empty: the candidate's name.
        source: how the candidate's answers were got.
    """

    reference: str
    candidate: str
    min_agreement: float
    max_error: float | None = None
    key: str = ""
    source: Source = "measured"


def onnx_gate(gates: Parity) -> Gate:
    """Return the gate of the float ONNX model: the same arithmetic, so its very logits must be kept."""
    return Gate("torch", "onnx", min_agreement=gates.onnx_min_agreement, max_error=gates.onnx_max_error)


def int8_gate(gates: Parity, *, reference: str = "onnx") -> Gate:
    """Return the gate of the int8 model: rounding moves every logit, so only its decisions are judged."""
    return Gate(reference, "int8", min_agreement=gates.int8_min_agreement)


def emulated_gate(min_agreement: float, *, core: str) -> Gate:
    """Return the gate of the int8 model on an emulated core: the same file, so all but near ties must be decided alike."""
    return Gate("int8", core, min_agreement=min_agreement, key="emulated", source="emulated")


def refused(gate: Gate, n: int, why: str) -> ParityResult:
    """Return the result of a candidate that gave no answer at all to n rows."""
    return ParityResult(
        reference=gate.reference, candidate=gate.candidate, n=n, top1_agreement=0.0, decisions_flipped=n, max_abs_error=0.0,
        mean_abs_error=0.0, passed=False, problems=(f"{_REFUSED}: {why}",), source=gate.source,
    )


def is_refused(result: ParityResult) -> bool:
    """Did the candidate give no answer at all? Its figures then say nothing."""
    return any(problem.startswith(_REFUSED) for problem in result.problems)


def compare_logits(
    reference: ArrayLike, candidate: ArrayLike, *, gate: Gate, problem: ProblemType = ONE_LABEL
) -> ParityResult:
    """Compare two models' answers and judge them by a gate.

    Args:
        reference: raw logits, shape (n, C), n >= 1.
        candidate: the same of the converted model, row by row.
        gate: names and limits; a figure that equals its limit passes.
        problem: may a row have several labels?

    Returns:
        The figures, whether every gate holds, and a sentence in `problems` for each that does not.

    Raises:
        ArtifactError: the shapes differ, or there are no rows: a comparison of nothing proves nothing.
    """
    first, second = np.asarray(reference, dtype=np.float64), np.asarray(candidate, dtype=np.float64)
    _require_comparable(first, second, gate)
    is_finite = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    agrees = is_finite & is_same(first, second, problem)
    errors = np.abs(second[is_finite] - first[is_finite])
    n, kept = len(first), int(agrees.sum())
    agreement, max_error = kept / n, float(errors.max(initial=0.0))
    problems = _problems(gate, n=n, kept=kept, broken=n - int(is_finite.sum()), max_error=max_error)
    return ParityResult(
        reference=gate.reference,
        candidate=gate.candidate,
        n=n,
        top1_agreement=agreement,
        decisions_flipped=n - kept,
        max_abs_error=max_error,
        mean_abs_error=float(errors.mean()) if errors.size else 0.0,
        passed=not problems,
        problems=problems,
        source=gate.source,
    )


def require_parity(report: ParityReport) -> None:
    """Refuse a report in which a comparison failed.

    Raises:
        ParityError: names every gate that failed with its figures; the hint says what to type.
    """
    failed = [result for result in report.gates.values() if not result.passed]
    if failed:
        raise ParityError("\n".join(explanation_of(result) for result in failed), hint=advice_of(failed[0]))


def _require_comparable(first: NDArray[np.float64], second: NDArray[np.float64], gate: Gate) -> None:
    if first.ndim != 2 or first.shape != second.shape:
        raise ArtifactError(f"logits of {gate.reference} have shape {first.shape}, of {gate.candidate} {second.shape}",
                            hint=_HINT_ROWS)
    if first.size == 0:
        raise ArtifactError(f"no rows to compare {gate.candidate} with {gate.reference} on", hint=_HINT_ROWS)


def _problems(gate: Gate, *, n: int, kept: int, broken: int, max_error: float) -> tuple[str, ...]:
    key, problems = f"parity.{gate.key or gate.candidate}", []
    if broken:
        problems.append(f"{broken} of {n} rows hold NaN or infinity")
    if kept / n < gate.min_agreement:
        problems.append(f"{key}_min_agreement: {n - kept} of {n} decisions flipped, top-1 agreement {kept / n:.4f}, "
                        f"at least {gate.min_agreement:g} is asked for")
    if gate.max_error is not None and max_error > gate.max_error:
        problems.append(f"{key}_max_error: the largest difference of a logit is {max_error:.3g}, "
                        f"at most {gate.max_error:g} is asked for")
    return tuple(problems)


def explanation_of(result: ParityResult) -> str:
    """Return a sentence about a comparison that failed: who does not answer as whom, and every gate with its figures."""
    figures = result.problems or (
        f"{result.decisions_flipped} of {result.n} decisions flipped, largest difference of a logit "
        f"{result.max_abs_error:.3g}",
    )
    return f"{result.candidate} does not answer as {result.reference} does: {'; '.join(figures)}"


def advice_alone(result: ParityResult, scheme: str | None = None) -> str:
    """Return what to do about two models that were compared by themselves, outside of a run, and do not answer alike.

    Args:
        result: the comparison.
        scheme: by which the second was made int8; None: it is not known.
    """
    if any("NaN" in problem for problem in result.problems):
        return _HINT_BROKEN
    narrower = _in_fewer_bits(scheme)
    return "see on labelled rows whether anything is lost: edgedistill evaluate MODEL --data DATA" + (
        f"; an int8 model may be better with 7-bit weights: edgedistill quantize MODEL --data DATA --scheme {narrower}"
        if narrower else "")


def _in_fewer_bits(scheme: str | None) -> str:
    """Return the same scheme with 7-bit weights; empty where there is none. Of one that is not known the usual one."""
    if scheme is None:
        return _USUAL_IN_SEVEN_BITS
    narrower = scheme if computes_in_float(scheme) else in_seven_bits(parse_scheme(scheme)).name
    return "" if narrower == scheme else narrower


def advice_of(result: ParityResult, scheme: str | None = None) -> str:
    """Return what to do about a comparison that failed; of several about the first: what comes later was made from it.

    Args:
        result: the comparison.
        scheme: by which the int8 model was made; None: it is not known.
    """
    if any("NaN" in problem for problem in result.problems):
        return _HINT_BROKEN
    if result.candidate == BUNDLE:
        return "what ships besides model.onnx answers otherwise: see docs/package.md, and the versions with `edgedistill doctor`"
    if is_refused(result):
        return (f"look whether another version of the runtime runs it: edgedistill verify MODEL --emulate {result.candidate} "
                "--onnxruntime VERSION; see docs/verify.md")
    if result.candidate in ("int8", "device"):
        floor = math.floor(result.top1_agreement * 1000) / 1000
        narrower = _in_fewer_bits(scheme)
        return (f"try the 7-bit weights: edgedistill run --set quantization.scheme={narrower}; " if narrower else "") + (
            f"to accept what it loses: edgedistill run --set parity.int8_min_agreement={floor:g}")
    if result.source == "emulated":
        return ("try the 7-bit weights, or name the target that it is for: edgedistill quantize MODEL --target TARGET; to "
                "accept what differs there: parity.emulated_min_agreement; see docs/verify.md")
    if result.candidate == "onnx" and result.decisions_flipped == 0 and result.max_abs_error > 0:
        return f"no decision changed; to accept it: --set parity.onnx_max_error={_round_up(result.max_abs_error):g}"
    return "the conversion changed the model: compare the versions in constraints.txt with `edgedistill doctor`"


def _round_up(value: float) -> float:
    """Return a value with one significant digit that is not below the given one, for a person to type."""
    unit = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.ceil(value / unit) * unit:.1g}")
