"""The door of `verify`: compare the logits of torch, ONNX and int8 on the same rows.

It finishes whether the gates hold or not, so that the figures are there to be looked at; `parity.require_parity` turns
a failed report into exit code 4.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from edgedistill.document import Document
from edgedistill.errors import ArtifactError
from edgedistill.evaluate.logits import read_logits
from edgedistill.recipe import Parity
from edgedistill.results import ParityReport
from edgedistill.stage import Outcome, Stage
from edgedistill.verify.parity import compare_logits, int8_gate, onnx_gate

log = logging.getLogger("edgedistill")

PARITY_FILE = "parity.json"


class Settings(Document):
    """The gates."""

    gates: Parity


@dataclass(frozen=True)
class Inputs:
    """Logits files of the student, all on the same rows in the same order: as torch, as float ONNX, as int8."""

    torch_logits: Path
    onnx_logits: Path
    int8_logits: Path


def _require(settings: Settings, inputs: Inputs) -> None:
    expected = read_logits(inputs.torch_logits).shape
    for path in (inputs.onnx_logits, inputs.int8_logits):
        shape = read_logits(path).shape
        if shape != expected:
            raise ArtifactError(f"{path}: logits of shape {shape}, {inputs.torch_logits} has {expected}",
                                hint="evaluate all three models on the same split")


def _run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    onnx = read_logits(inputs.onnx_logits)
    report = ParityReport(
        onnx=compare_logits(read_logits(inputs.torch_logits), onnx, gate=onnx_gate(settings.gates)),
        int8=compare_logits(onnx, read_logits(inputs.int8_logits), gate=int8_gate(settings.gates)),
    )
    for result in (report.onnx, report.int8):
        for problem in result.problems:
            log.warning("verify: %s against %s: %s", result.candidate, result.reference, problem)
    (out / PARITY_FILE).write_text(report.to_json(), encoding="utf-8")
    return Outcome()


def _ensure(out: Path) -> None:
    ParityReport.read_json(out / PARITY_FILE)


STAGE = Stage(name="verify", version=1, run=_run, requires=_require, ensures=_ensure, tools=("numpy",))
