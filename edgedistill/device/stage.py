"""The door of `device`: measure a model on a device, and judge its answers by those of this host."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import sha256_of_file
from edgedistill.decisions import is_labelled, is_right, problem_of_folder, require_known_labels
from edgedistill.device.address import parse_address
from edgedistill.device.connect import open_transport
from edgedistill.device.judge import device_warnings
from edgedistill.device.measure import Observed, observe
from edgedistill.device.results import DeviceFacts, DeviceMeasurement
from edgedistill.device.session import Device, find_device
from edgedistill.document import Document
from edgedistill.errors import ArtifactError, DataError, TargetError
from edgedistill.evaluate.intervals import share_interval
from edgedistill.evaluate.predictor import open_predictor, predict
from edgedistill.examples import Examples, read_examples
from edgedistill.manifest import Decision, GivenWarning, warned
from edgedistill.problem_type import ONE_LABEL, ProblemType
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.results import Interval, Source
from edgedistill.runtime import is_older
from edgedistill.stage import Outcome, Stage
from edgedistill.target import DeniedVersion, Target
from edgedistill.tasks.registry import open_encoder, task_of_model
from edgedistill.verify.parity import Gate, compare_logits

DEVICE_FILE = "device.json"
LOGITS_FILE = "logits.npy"


class Settings(Document):
    """What is measured, where and how: another device, or another onnxruntime on it, gives another result."""

    address: str
    device: DeviceFacts
    protocol: BenchmarkProtocol
    min_agreement: float
    denied: tuple[DeniedVersion, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """A model and rows.

    Attributes:
        model: an .onnx file; tokenizer.json, or of pictures preprocessor_config.json, beside it.
        data: examples, with labels or without.
        tokenizer: that file, found from `model`; a field, so that its bytes are part of the step's key.
    """

    model: Path
    data: Path
    tokenizer: Path = field(init=False)

    def __post_init__(self) -> None:
        folder = self.model.parent
        object.__setattr__(self, "tokenizer", folder / task_of_model(folder).encoder_file)  # the way to fill a frozen dataclass


def reach(address: str) -> Device:
    """Look at a device.

    Raises:
        EdgedistillError: see `find_device`; UsageError when the address is none.
    """
    return find_device(open_transport(parse_address(address)))


def refuse_denied(address: str, facts: DeviceFacts, denied: tuple[DeniedVersion, ...]) -> None:
    """Refuse to measure with an onnxruntime that must not be used on the device.

    Raises:
        TargetError: it is one.
    """
    for version in denied:
        if facts.onnxruntime is not None and version.covers(facts.onnxruntime):
            raise TargetError(f"{address}: onnxruntime {facts.onnxruntime} must not be used there: {version.reason} "
                              f"({version.reference})", hint="install another version there: pip install 'onnxruntime!="
                              f"{facts.onnxruntime}'")


def refuse_older(device: Device, oldest: str) -> None:
    """Refuse a device whose onnxruntime does not load what is made for its target.

    Args:
        device: from `reach`.
        oldest: the oldest onnxruntime of the target or of the bundle.

    Raises:
        TargetError: its onnxruntime is older.
    """
    installed = device.facts.onnxruntime
    if installed is not None and is_older(installed, oldest):
        name = device.transport.name
        raise TargetError(f"{name}: has onnxruntime {installed}, and {oldest} is the oldest that loads the model",
                          hint=f"install a newer one there: {device.python} -m pip install --upgrade 'onnxruntime>={oldest}'")


def refuse_other_target(device: Device, target: Target) -> None:
    """Refuse to take a device for a target that it cannot be.

    Raises:
        TargetError: its architecture is another one, or its onnxruntime is denied for the target, or older than its oldest.
    """
    found = device.facts.profile_architecture
    if found != target.cpu.architecture:
        raise TargetError(f"{device.transport.name}: is {found}, and {target.id} is {target.cpu.architecture}",
                          hint=f"name the address of a device of the class {target.id}: edgedistill targets show {target.id}")
    refuse_denied(device.transport.name, device.facts, target.runtime.denied)
    refuse_older(device, target.runtime.oldest)


def _require(settings: Settings, inputs: Inputs) -> None:
    for path in (inputs.model, inputs.tokenizer):
        if not path.is_file():
            raise ArtifactError(f"{path}: no such file, needed to measure on a device",
                                hint=f"name a bundle, or a model folder with model.onnx and {inputs.tokenizer.name}")
    if len(read_examples(inputs.data)) == 0:
        raise DataError(f"{inputs.data}: has no examples", hint="give at least one row")
    refuse_denied(settings.address, settings.device, settings.denied)


def _run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    device = reach(settings.address)
    if device.facts.model_copy(update={"ram_bytes": settings.device.ram_bytes}) != settings.device:
        raise TargetError(f"{settings.address}: is not the device any more that answered a moment ago",
                          hint="run the same command again")
    examples, problem = read_examples(inputs.data), problem_of_folder(inputs.model.parent)
    here = predict(open_predictor(inputs.model), open_encoder(inputs.model.parent).encode_examples(examples))
    if is_labelled(examples.labels).any():
        require_known_labels(examples.labels, problem, classes=here.shape[1], place=str(inputs.data))
    observed = observe(device, inputs.model, examples, protocol=settings.protocol)
    found = judged(settings, sha256_of_file(inputs.model), observed, here=here, examples=examples, problem=problem)
    np.save(out / LOGITS_FILE, observed.logits)
    (out / DEVICE_FILE).write_text(found.to_json(), encoding="utf-8")
    return Outcome(decisions=(_decision(found), *given_warnings(found)))


def given_warnings(found: DeviceMeasurement) -> Iterator[GivenWarning]:
    """Warn of what is to be known of the device's figures."""
    for warning in found.warnings:
        yield warned(Decision(step="device", what=f"{found.address}: {warning}", why="the samples are kept either way"))


def judged(
    settings: Settings, model_sha256: str, observed: Observed, *, here: NDArray[np.float32], examples: Examples,
    problem: ProblemType = ONE_LABEL,
) -> DeviceMeasurement:
    """Put together what was measured; `here` are this host's logits of the same rows, which may have several labels each."""
    facts = settings.device
    gate = Gate("host", "device", min_agreement=settings.min_agreement, key="int8")
    source: Source = "emulated" if facts.is_emulated else "measured"
    return DeviceMeasurement(
        address=settings.address,
        source=source,
        device=facts,
        model_sha256=model_sha256,
        runtime=f"onnxruntime {facts.onnxruntime}",
        protocol=settings.protocol,
        sequence_tokens=observed.sequence_tokens,
        rounds=observed.rounds,
        rows=len(observed.logits),
        accuracy=_accuracy(observed.logits, examples),
        against_host=compare_logits(here, observed.logits, gate=gate, problem=problem).model_copy(update={"source": source}),
        reconnections=observed.reconnections,
        warnings=device_warnings(facts, observed.rounds, threads=settings.protocol.threads,
                                 reconnections=observed.reconnections),
    )


def _accuracy(logits: NDArray[np.float32], examples: Examples) -> Interval | None:
    truth = examples.labels
    return share_interval(is_right(logits, truth)) if is_labelled(truth).all() else None


def _decision(found: DeviceMeasurement) -> Decision:
    return Decision(
        step="device",
        what=f"{found.source} on {found.address}: {found.rows} rows answered, {found.against_host.decisions_flipped} "
        f"otherwise than on this host; {len(found.rounds)} timed round(s)",
        why=f"{found.device.model or found.device.cpu} with {found.runtime} is what will run the model",
    )


def _ensure(out: Path) -> None:
    found = DeviceMeasurement.read_json(out / DEVICE_FILE)
    timed = 0 if found.device.is_emulated else found.protocol.rounds
    if len(found.rounds) != timed or len(np.load(out / LOGITS_FILE, allow_pickle=False)) != found.rows:
        raise ArtifactError(f"{out / DEVICE_FILE}: is not whole", hint="run the same command again")


STAGE = Stage(
    name="device", version=3, run=_run, requires=_require, ensures=_ensure, tools=("onnxruntime", "numpy", "tokenizers")
)
