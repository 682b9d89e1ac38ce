"""The door of `verify`: compare the logits of torch, ONNX and int8 on the same rows, here and on the target's core.

Two stages: `EMULATED` replays the int8 student on an emulated core, `STAGE` compares all.

It finishes whether the gates hold or not, so that the figures are there to be looked at; `parity.require_parity` turns
a failed report into exit code 4.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from edgedistill.decisions import problem_of_labels
from edgedistill.document import Document, without_defaults
from edgedistill.emulation.cores import core_named
from edgedistill.emulation.environment import Environment, find
from edgedistill.emulation.findings import EmulatedCheck
from edgedistill.emulation.replay import replay
from edgedistill.errors import ArtifactError, MissingDependencyError
from edgedistill.evaluate.logits import read_logits
from edgedistill.examples import read_examples, spread_rows
from edgedistill.manifest import Decision
from edgedistill.problem_type import ONE_LABEL, ProblemType
from edgedistill.recipe import Parity
from edgedistill.results import ParityReport, ParityResult
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.registry import open_encoder
from edgedistill.verify.emulated import judge
from edgedistill.verify.parity import compare_logits, emulated_gate, int8_gate, onnx_gate

log = logging.getLogger("edgedistill")

PARITY_FILE = "parity.json"
EMULATED_FILE = "emulated.json"


class Settings(Document):
    """The gates, and whether a row may have several labels."""

    gates: Parity
    problem_type: ProblemType = ONE_LABEL

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(self, write(self), "problem_type")


class EmulatedSettings(Document):
    """The core and what runs there. The environment is no input but a tool, so its versions and hash stand here."""

    core: str
    emulator: str = Field(description="QEMU's version")
    onnxruntime: str = Field(description="version of the runtime in the emulator")
    environment_sha256: str = Field(description="of all files of the environment")
    rows_limit: int = Field(ge=1)
    min_agreement: float


@dataclass(frozen=True)
class EmulatedInputs:
    """The int8 model's folder, the test split, and the model's logits on this host, of every row in order."""

    model: Path
    data: Path
    host_logits: Path


@dataclass(frozen=True)
class Inputs:
    """Logits files of the student, all on the same rows in the same order: as torch, as float ONNX, as int8.

    `emulated` is what `EMULATED` found; None where the target's core cannot be emulated here. `tuned_logits`: float ONNX of the
    student that was fine-tuned for int8, where int8 was made of that one; it may answer as either does, as in the court.
    """

    torch_logits: Path
    onnx_logits: Path
    int8_logits: Path
    emulated: Path | None = None
    tuned_logits: Path | None = None


def _require(settings: Settings, inputs: Inputs) -> None:
    expected = read_logits(inputs.torch_logits).shape
    for path in (inputs.onnx_logits, inputs.int8_logits, *([] if inputs.tuned_logits is None else [inputs.tuned_logits])):
        shape = read_logits(path).shape
        if shape != expected:
            raise ArtifactError(f"{path}: logits of shape {shape}, {inputs.torch_logits} has {expected}",
                                hint="evaluate all three models on the same split")


def _run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    onnx, problem_type = read_logits(inputs.onnx_logits), settings.problem_type
    check = None if inputs.emulated is None else EmulatedCheck.read_json(inputs.emulated)
    report = ParityReport(
        onnx=compare_logits(read_logits(inputs.torch_logits), onnx, gate=onnx_gate(settings.gates), problem=problem_type),
        int8=_int8_against_float(settings, inputs, onnx),
        arm64=check.parity if check is not None and check.architecture == "aarch64" else None,
        x86_64=check.parity if check is not None and check.architecture == "x86_64" else None,
    )
    for result in report.gates.values():
        for problem in result.problems:
            log.warning("verify: %s against %s: %s", result.candidate, result.reference, problem)
    (out / PARITY_FILE).write_text(report.to_json(), encoding="utf-8")
    return Outcome()


def _int8_against_float(settings: Settings, inputs: Inputs, onnx: NDArray[np.float32]) -> ParityResult:
    """Compare int8 with the float model that it answers more like: the student's, or that of the student that was fine-tuned."""
    floats = {"onnx": onnx}
    if inputs.tuned_logits is not None:
        floats["fine-tuned onnx"] = read_logits(inputs.tuned_logits)
    int8 = read_logits(inputs.int8_logits)
    found = [compare_logits(logits, int8, gate=int8_gate(settings.gates, reference=name), problem=settings.problem_type)
             for name, logits in floats.items()]
    return max(found, key=lambda result: result.top1_agreement)  # of equals the first


def _ensure(out: Path) -> None:
    ParityReport.read_json(out / PARITY_FILE)


def _require_emulated(settings: EmulatedSettings, inputs: EmulatedInputs) -> None:
    _environment(settings)
    rows, answers = len(read_examples(inputs.data)), len(read_logits(inputs.host_logits))
    if rows != answers:
        raise ArtifactError(f"{inputs.host_logits}: {answers} rows, {inputs.data} has {rows}",
                            hint="evaluate the int8 model on this split again")


def _environment(settings: EmulatedSettings) -> Environment:
    found = find(settings.onnxruntime)
    if found is None or found.facts.tree_sha256 != settings.environment_sha256:
        raise MissingDependencyError("the emulated environment is not the one that this step was planned with",
                                     hint="edgedistill arm-env; then the same command again")
    return found


def _run_emulated(settings: EmulatedSettings, inputs: EmulatedInputs, out: Path) -> Outcome:
    core, environment = core_named(settings.core), _environment(settings)
    examples, reference = read_examples(inputs.data), read_logits(inputs.host_logits)
    chosen = spread_rows(len(examples), settings.rows_limit)
    encoded = open_encoder(inputs.model).encode_examples(examples.take(chosen))
    rows = [encoded.batch([index]) for index in range(len(encoded))]
    found = replay(inputs.model / "model.onnx", rows, core=core, environment=environment)
    check = judge(found, reference[chosen], core=core, emulator=f"qemu {settings.emulator}",
                  gate=emulated_gate(settings.min_agreement, core=core.name), labels=examples.labels[chosen],
                  problem=problem_of_labels(examples.labels))
    (out / EMULATED_FILE).write_text(check.to_json(), encoding="utf-8")
    what = (f"int8 answers on {core.name}: {check.parity.n - check.parity.decisions_flipped} of {check.parity.n} decisions as "
            f"on the host, largest difference of a logit {check.parity.max_abs_error:.3g}")
    if check.accuracy is not None and check.host_accuracy is not None:
        what += f", accuracy {check.accuracy.value:.4f} there and {check.host_accuracy.value:.4f} here"
    why = f"{check.runtime} under {check.emulator}, {check.parity.n} of {len(examples)} test rows"
    return Outcome(decisions=(Decision(step="verify-emulated", what=what, why=why),))


def _ensure_emulated(out: Path) -> None:
    EmulatedCheck.read_json(out / EMULATED_FILE)


STAGE = Stage(name="verify", version=2, run=_run, requires=_require, ensures=_ensure, tools=("numpy",))
EMULATED = Stage(name="verify-emulated", version=2, run=_run_emulated, requires=_require_emulated,
                 ensures=_ensure_emulated, tools=("tokenizers",))
