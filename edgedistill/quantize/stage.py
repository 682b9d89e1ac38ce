"""The door of `quantize`: candidates are made and judged on validation; the first that keeps the answers is chosen."""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgedistill.document import Document
from edgedistill.errors import ArtifactError
from edgedistill.evaluate.predictor import open_predictor, predict
from edgedistill.examples import read_examples
from edgedistill.manifest import Decision
from edgedistill.quantize.coverage import measure_coverage
from edgedistill.quantize.onnx_quantizer import quantize_weights
from edgedistill.quantize.schemes import SchemeChoice, is_per_channel, is_reduced_range, is_static
from edgedistill.results import QuantizationVerdict
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.registry import open_encoder, task_of_model

log = logging.getLogger("edgedistill")

ONNX_FILE = "model.onnx"
VERDICT_FILE = "verdict.json"
CONFIG_FILE = "config.json"
_JUDGED_ROWS = 1000
_CALIBRATED_ROWS = 256
"""Evenly spread over train, whatever its order."""


class Settings(Document):
    """Which schemes are tried, in which order, why, and what a scheme must keep."""

    schemes: tuple[str, ...]
    order_because: str
    min_agreement: float
    host_saturates: bool


@dataclass(frozen=True)
class Inputs:
    """What is quantized.

    Attributes:
        model: a float ONNX model folder.
        validation: examples on which candidates are judged.
        calibration: examples of train, from which static schemes learn their ranges; None where no scheme is static.
    """

    model: Path
    validation: Path
    calibration: Path | None = None


def _requires(settings: Settings, inputs: Inputs) -> None:
    for name in (ONNX_FILE, task_of_model(inputs.model).encoder_file):
        if not (inputs.model / name).is_file():
            raise ArtifactError(f"{inputs.model / name}: no such file", hint="edgedistill export MODEL -o DIR")


def _run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    encoded = open_encoder(inputs.model).encode_examples(read_examples(inputs.validation).first(_JUDGED_ROWS))
    reference = predict(open_predictor(inputs.model), encoded, batch_size=32).argmax(1)
    agreements: dict[str, float] = {}
    chosen = settings.schemes[0]
    for scheme in settings.schemes:
        candidate = out / f"{scheme}.onnx"
        _quantize(scheme, inputs, candidate)
        answers = predict(open_predictor(candidate), encoded).argmax(1)
        agreements[scheme] = float(np.mean(answers == reference))
        log.info("%s: agrees with the float model on %.2f %% of validation", scheme, 100 * agreements[scheme])
        chosen = max(agreements, key=lambda name: agreements[name])
        if agreements[scheme] >= settings.min_agreement:
            chosen = scheme
            break
    (out / f"{chosen}.onnx").rename(out / ONNX_FILE)
    for left in [*out.glob("dynamic_*.onnx"), *out.glob("static_*.onnx")]:
        left.unlink()
    for name in (CONFIG_FILE, *task_of_model(inputs.model).companions):
        if (inputs.model / name).is_file():
            shutil.copyfile(inputs.model / name, out / name)
    verdict = _verdict(settings, chosen, agreements, out)
    (out / VERDICT_FILE).write_text(verdict.to_json(), encoding="utf-8")
    return Outcome(decisions=(Decision(step="quantize", what=verdict.scheme, why=verdict.decision),))


def _quantize(scheme: str, inputs: Inputs, candidate: Path) -> None:
    source = inputs.model / ONNX_FILE
    if not is_static(scheme):
        quantize_weights(source, candidate, reduced_range=is_reduced_range(scheme), per_channel=is_per_channel(scheme))
        return
    from edgedistill.quantize.scheme_names import parse_scheme
    from edgedistill.quantize.static_quantizer import Calibration, quantize_statically

    if inputs.calibration is None:
        raise ArtifactError(f"{source}: {scheme} needs rows to calibrate on", hint="edgedistill quantize MODEL --data DIR")
    examples = read_examples(inputs.calibration)
    encoded = open_encoder(inputs.model).encode_examples(examples)
    places = np.linspace(0, len(examples) - 1, min(_CALIBRATED_ROWS, len(examples))).round().astype(np.int64)
    quantize_statically(source, candidate, parse_scheme(scheme),
                        calibration=Calibration(lambda: (encoded.batch([int(row)]) for row in places)))


def _verdict(settings: Settings, chosen: str, agreements: dict[str, float], out: Path) -> QuantizationVerdict:
    decision = f"{settings.order_because}; it agrees with the float model on {agreements[chosen]:.2%} of validation"
    if agreements[chosen] < settings.min_agreement:
        decision += f", less than the {settings.min_agreement:.2%} asked for: no scheme reached it"
    if settings.host_saturates and not is_reduced_range(chosen):
        decision += "; this host saturates u8 x s8 (no VNNI), so the device can only be closer to the float model"
    return QuantizationVerdict(
        scheme=chosen, candidates=agreements, coverage=measure_coverage(out / ONNX_FILE), decision=decision
    )


def settings_for(choice: SchemeChoice, *, min_agreement: float, host_saturates: bool) -> Settings:
    """Return the stage's settings for a choice of schemes."""
    return Settings(schemes=choice.schemes, order_because=choice.why, min_agreement=min_agreement,
                    host_saturates=host_saturates)


STAGE = Stage(name="quantize", version=2, run=_run, requires=_requires, tools=("onnx", "onnxruntime", "numpy"))
