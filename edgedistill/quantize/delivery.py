"""What a model of any maker gets beside its verdict: model.ort, and the file that ships on emulated cores.

Both are of the file that the verdict ships, int8 or float. What cannot be made or checked is said, with what to type.
"""

import dataclasses
import logging
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgedistill.document import Document
from edgedistill.emulation.choice import Choice
from edgedistill.emulation.cores import core_named
from edgedistill.emulation.environment import Environment, find
from edgedistill.emulation.findings import as_line
from edgedistill.emulation.qemu import EmulatorTimeoutError
from edgedistill.emulation.replay import replay
from edgedistill.errors import ArtifactError, MissingDependencyError
from edgedistill.examples import spread_rows
from edgedistill.package.ort_format import convert_to_ort
from edgedistill.quantize.court import Court, answers_of
from edgedistill.quantize.rows import Rows, SomeRows, each
from edgedistill.results import InstructionSetCheck, OrtFile, ParityResult, QuantizationVerdict
from edgedistill.verify.emulated import judge
from edgedistill.verify.parity import Gate, compare_logits, emulated_gate

log = logging.getLogger("edgedistill")

_ORT_ROWS = 32
"""Rows on which model.ort must decide as model.onnx does; as many as a bundle has golden vectors."""


class ReplayOrder(Document):
    """A core, and how many of the judged rows it answers at most."""

    core: str
    rows_limit: int = Field(ge=1)
    is_target: bool


class Delivery(Document):
    """What is made and checked. The environment is no input but a tool, so its versions and hash stand here."""

    architecture: Literal["aarch64", "x86_64"] = Field(description="what model.ort is optimised for")
    oldest: str = Field(description="the release of onnxruntime that must load model.ort")
    min_agreement: float = Field(description="share of rows that the file must decide alike elsewhere")
    replays: tuple[ReplayOrder, ...] = ()
    unchecked: tuple[InstructionSetCheck, ...] = ()
    emulator: str = Field("", description="QEMU's version; empty: nothing is replayed")
    onnxruntime: str = Field("", description="version of the runtime in the emulator")
    environment_sha256: str = Field("", description="of all files of the environment")


def delivery_for(
    choice: Choice, *, architecture: Literal["aarch64", "x86_64"], oldest: str, min_agreement: float
) -> Delivery:
    """Return what is made and checked.

    Args:
        choice: the cores on which the file is replayed, and those on which it is not.
        architecture: the target's.
        oldest: the oldest onnxruntime that the target allows.
        min_agreement: share of rows that must be decided alike in another format or on another core, 0 to 1.
    """
    replays = tuple(ReplayOrder(core=order.core.name, rows_limit=order.rows_limit, is_target=order.is_target)
                    for order in choice.orders)
    bare = Delivery(architecture=architecture, oldest=oldest, min_agreement=min_agreement, replays=replays,
                    unchecked=choice.unchecked)
    if not choice.orders:
        return bare
    facts = choice.orders[0].environment.facts
    return bare.model_copy(update={"emulator": facts.emulator, "onnxruntime": facts.onnxruntime,
                                   "environment_sha256": facts.tree_sha256})


def open_environment(delivery: Delivery) -> Environment | None:
    """Return the environment in which the replays run; None where there are none.

    Raises:
        MissingDependencyError: it is gone, or another one since the replays were chosen.
    """
    if not delivery.replays:
        return None
    found = find(delivery.onnxruntime)
    if found is None or found.facts.tree_sha256 != delivery.environment_sha256:
        raise MissingDependencyError("the emulated environment is not the one that the replays were planned with",
                                     hint="edgedistill arm-env; then the same command again")
    return found


def deliver(verdict: QuantizationVerdict, court: Court, delivery: Delivery, *, model: Path, ort: Path) -> QuantizationVerdict:
    """Write model.ort, replay the file that ships, and return the verdict with what came of it.

    Args:
        verdict: of the court.
        court: whose rows answer, and which knows what the numbers are that the model puts out.
        delivery: what is wanted.
        model: the file that the verdict ships.
        ort: where model.ort goes; it is not there afterwards where it cannot be made.
    """
    made = _make_ort(model, ort, court, delivery)
    environment = open_environment(delivery)
    replayed = () if environment is None else tuple(
        _replay(model, court, order, environment, delivery.min_agreement) for order in delivery.replays)
    lines = sorted((*replayed, *delivery.unchecked), key=lambda line: not line.is_target)
    changes = {"instruction_sets": tuple(lines), "ort": None if isinstance(made, str) else made,
               "no_ort_because": made if isinstance(made, str) else ""}
    return verdict.model_copy(update=changes)


def _make_ort(model: Path, ort: Path, court: Court, delivery: Delivery) -> OrtFile | str:
    """Write model.ort where it answers as model.onnx does; else say why there is none."""
    try:
        ort.write_bytes(convert_to_ort(model.read_bytes(), delivery.architecture, oldest=delivery.oldest).model)
        parity = _compare_formats(model, ort, _some(court.rows, _ORT_ROWS), court, delivery.min_agreement)
    except ArtifactError as refused:  # the int8 model is there and judged: what ships is model.onnx then
        ort.unlink(missing_ok=True)
        log.warning("no model.ort: %s", refused.message)
        return refused.message
    if parity.passed:
        return OrtFile(size_bytes=ort.stat().st_size, architecture=delivery.architecture, parity=parity)
    ort.unlink()
    return f"it does not answer as model.onnx does: {'; '.join(parity.problems)}"


def _compare_formats(model: Path, ort: Path, rows: Rows, court: Court, min_agreement: float) -> ParityResult:
    gate = Gate("model.onnx", "model.ort", min_agreement=min_agreement, key="emulated")
    before, after = (court.logits_of_numbers(answers_of(file, rows)) for file in (model, ort))
    return compare_logits(before, after, gate=gate, problem=court.problem)


def _replay(
    model: Path, court: Court, order: ReplayOrder, environment: Environment, min_agreement: float
) -> InstructionSetCheck:
    core, rows = core_named(order.core), _some(court.rows, order.rows_limit)
    log.info("replaying %d rows on %s", len(rows), core.name)
    reference = court.logits_of_numbers(answers_of(model, rows))
    try:
        found = replay(model, list(each(rows)), core=core, environment=environment)
    except EmulatorTimeoutError as failure:  # what was made and judged before it is not lost
        log.warning("%s: %s", core.name, failure.message)
        return InstructionSetCheck(core=core.name, is_target=order.is_target, not_checked=failure.message, hint=failure.hint)
    if found.logits is not None:
        found = dataclasses.replace(found, logits=court.logits_of_numbers(found.logits))
    check = judge(found, reference, core=core, emulator=f"qemu {environment.facts.emulator}",
                  gate=emulated_gate(min_agreement, core=core.name), labels=_labels_of(rows, reference), problem=court.problem)
    return as_line(check, is_target=order.is_target)


def _labels_of(rows: Rows, answers: NDArray[np.float32]) -> NDArray[np.int64] | None:
    """Return the classes of answers; None where there are none, as of a model that answers for each token."""
    labels = rows.labels
    return labels if labels is not None and len(labels) == len(answers) else None


def _some(rows: Rows, limit: int) -> Rows:
    return SomeRows(rows, spread_rows(len(rows), limit))
