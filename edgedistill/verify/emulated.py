"""The int8 model on an emulated core against the same file on this host: rows in, one finding out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgedistill.decisions import (
    is_labelled,
    is_right,
    is_same,
    problem_of_folder,
    require_known_labels,
    require_logits,
)
from edgedistill.document import Document, read_text
from edgedistill.emulation.cores import Core
from edgedistill.emulation.environment import Environment
from edgedistill.emulation.findings import EmulatedCheck
from edgedistill.emulation.guest import Feeds
from edgedistill.emulation.replay import Replay, replay
from edgedistill.errors import BundleError
from edgedistill.evaluate.intervals import wilson
from edgedistill.evaluate.onnx_model import OnnxModel
from edgedistill.package.contents import GOLDEN_FILE, GoldenAnswers, InstructionSet
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS, ProblemType
from edgedistill.results import Interval
from edgedistill.verify.parity import Gate, compare_logits, emulated_gate, refused

_INSTRUCTION_SETS: Mapping[str, InstructionSet] = {"aarch64": "aarch64", "x86_64": "x86_64"}
"""By the core's architecture, as golden.json calls them; the emulated x86 is the one without VNNI."""


class GoldenCheck(Document):
    """The golden vectors of a bundle on an emulated core, against the logits that were packed."""

    vectors: int
    decisions_flipped: int
    max_abs_error: float
    tolerance: float = Field(description="what golden.json allows on that instruction set")
    passed: bool


class BundleEmulation(Document):
    """A bundle's model on one emulated core."""

    check: EmulatedCheck
    golden: GoldenCheck | None = Field(description="null: the model did not run, or it is no bundle")
    instructions_at_most: int | None = Field(default=None, description="of one inference; null: any number passes")
    passed: bool
    problems: tuple[str, ...] = Field(description="a sentence each")


class BundleEmulations(Document):
    """A bundle's model on one or more emulated cores."""

    cores: tuple[BundleEmulation, ...]


def judge(  # noqa: PLR0913 - what a check is made of
    found: Replay, reference: NDArray[np.float32], *, core: Core, emulator: str, gate: Gate,
    labels: NDArray[np.integer[Any]] | None = None, problem: ProblemType = ONE_LABEL,
) -> EmulatedCheck:
    """Compare what a replay answered with the host's logits to the same rows.

    Args:
        found: the replay.
        reference: the host's logits, shape (n, classes).
        core: which one answered.
        emulator: in words.
        gate: how far the answers may differ.
        labels: classes of the rows, shape (n,), `NO_LABEL` where there is none; of several a row shape (n, classes); None: nobody
            labelled them.
        problem: may a row have several labels?
    """
    known = np.zeros(0, np.int64) if labels is None else np.flatnonzero(is_labelled(labels))
    there, here = (None if labels is None or answers is None else _accuracy(answers[known], labels[known])
                   for answers in (found.logits, reference))
    return EmulatedCheck(
        labelled_rows=len(known), accuracy=there, host_accuracy=None if there is None else here,
        core=core.name, architecture=core.architecture, emulator=emulator, runtime=found.runtime,
        model_sha256=found.model_sha256,
        parity=refused(gate, len(reference), found.failure) if found.logits is None
        else compare_logits(reference, found.logits, gate=gate, problem=problem),
        peak_rss_bytes=found.peak_rss_bytes, baseline_rss_bytes=found.baseline_rss_bytes,
        instructions=found.instructions, not_counted_because=found.not_counted_because,
    )


def _accuracy(logits: NDArray[np.float32], labels: NDArray[np.integer[Any]]) -> Interval | None:
    """Return the share of right answers; one that holds no number is wrong. None without rows."""
    right = is_right(logits, labels) & ~np.isnan(logits).any(axis=1)
    return wilson(int(right.sum()), len(labels)) if len(labels) else None


def check_on_core(  # noqa: PLR0913 - what a check is made of
    model: Path, rows: Sequence[Feeds], *, core: Core, environment: Environment, min_agreement: float,
    golden: GoldenAnswers | None = None, labels: NDArray[np.integer[Any]] | None = None,
) -> BundleEmulation:
    """Let a model answer here and on an emulated core, and compare.

    Args:
        model: an .onnx or .ort file.
        rows: the inputs of each call; the golden vectors first, where there are any.
        core: which one.
        environment: where emulator and runtime are.
        min_agreement: least share of rows with the same decision, 0 to 1.
        golden: of the bundle; None for a model that is in none.
        labels: classes of the rows, as `judge` takes them.
    """
    problem = problem_of_folder(model.parent)
    gate = emulated_gate(min_agreement, core=core.name)
    here = OnnxModel(model)
    reference = np.concatenate([here.logits(row) for row in rows])
    require_logits(reference, problem, place=str(model))
    if labels is not None and is_labelled(labels).any():
        require_known_labels(labels, problem, classes=reference.shape[-1], place="the rows")
    found = replay(model, rows, core=core, environment=environment)
    check = judge(found, reference, core=core, emulator=f"qemu {environment.facts.emulator}", gate=gate, labels=labels,
                  problem=problem)
    problems = [f"{core.name}: {problem}" for problem in check.parity.problems]
    vectors = None
    if golden is not None and found.logits is not None:
        vectors = _golden_check(golden, found.logits, core, problem=problem)
        if not vectors.passed:
            problems.append(f"{core.name}: {vectors.decisions_flipped} of {vectors.vectors} golden vectors have another class, "
                            f"a logit is off by up to {vectors.max_abs_error:.3g}, {vectors.tolerance:g} is allowed")
    return BundleEmulation(check=check, golden=vectors, passed=not problems, problems=tuple(problems))


def limit_instructions(found: BundleEmulation, most: int) -> BundleEmulation:
    """Hold a model on an emulated core to a number of instructions of one inference; as many as that still pass.

    Args:
        found: from `check_on_core`.
        most: 1 or more.

    Returns:
        the same, failed with a sentence more when the model needs more, or when they were not counted.
    """
    core, counted = found.check.core, found.check.instructions
    if counted is None:
        problem = f"{core}: instructions were not counted ({found.check.not_counted_because}), at most {most:,} are allowed"
    elif counted.total > most:
        problem = (f"{core}: {counted.total:,} instructions an inference of shape {' x '.join(map(str, counted.row_shape))}, "
                   f"{counted.total / most - 1:.1%} more than the {most:,} that are allowed")
    else:
        return found.model_copy(update={"instructions_at_most": most})
    return found.model_copy(update={"instructions_at_most": most, "passed": False, "problems": (*found.problems, problem)})


def read_golden(folder: Path) -> GoldenAnswers:
    """Read the answers to the golden texts or pictures of a bundle's folder.

    Raises:
        BundleError: they are missing or damaged.
    """
    path = folder / GOLDEN_FILE
    try:
        return GoldenAnswers.model_validate_json(read_text(path, error=BundleError))
    except ValueError as bad:
        raise BundleError(f"{path}: is damaged ({bad})", hint="make the bundle again: edgedistill package --help") from None


def _golden_check(golden: GoldenAnswers, logits: NDArray[np.float32], core: Core, *, problem: ProblemType) -> GoldenCheck:
    packed = np.array([vector.logits for vector in golden.vectors])
    answers = logits[: len(packed)].astype(np.float64)
    # where a text may have several labels, a logit within the tolerance of 0 may be on either side
    decided = np.where(np.abs(packed) > golden.tolerance, answers, packed) if problem == SEVERAL_LABELS else answers
    flipped = int((~is_same(decided, packed, problem)).sum())
    error = float(np.nan_to_num(np.abs(answers - packed), nan=np.finfo(np.float64).max).max())
    tolerance = golden.tolerances.get(_INSTRUCTION_SETS[core.architecture], golden.tolerance)
    return GoldenCheck(vectors=len(packed), decisions_flipped=flipped, max_abs_error=error, tolerance=tolerance,
                       passed=not flipped and error <= tolerance)
