"""The door of `benchmark`: measure latency and memory of all variants side by side on this host."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import Field

from edgedistill.artifact import sha256_of_file
from edgedistill.benchmark.comparison import FEWEST_PAIRS
from edgedistill.benchmark.inputs import choose_inputs
from edgedistill.benchmark.machine import thread_warnings
from edgedistill.benchmark.messages import Engine
from edgedistill.benchmark.protocol import Candidate, Trace, measure
from edgedistill.benchmark.separation import separated, too_few_processes
from edgedistill.benchmark.shape_of_times import shape_warnings
from edgedistill.benchmark.statistics import noise_warnings, pooled
from edgedistill.document import Document
from edgedistill.errors import ArtifactError, DataError, UsageError
from edgedistill.examples import read_examples
from edgedistill.host import Host
from edgedistill.manifest import Decision, GivenWarning, warned
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.results import Measurement, Variant
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.registry import open_encoder, task_of_model

MEASUREMENTS_FILE = "measurements.json"
WEIGHTS_FILE = "model.safetensors"
_INPUTS_FOLDER = "inputs"
_ROUNDING = 1 - 1e-9
"""Samples are stored in seconds: their sum may miss the nanoseconds that were counted by a rounding error."""


class Settings(Document):
    """What is measured, how, and on which machine: a result of another host is another result."""

    protocol: BenchmarkProtocol
    host: Host
    variants: tuple[Variant, ...] = Field(min_length=1, description="the first gives the sequence length of the whole")
    seed: int


@dataclass(frozen=True)
class Inputs:
    """Models by variant, and the examples that they are timed on.

    Attributes:
        models: an .onnx file, or a transformers folder for torch; a tokenizer.json stands beside it or in it.
        data: the test split.
        tokenizers: found from `models`; a field, so that their bytes are part of the step's key.
    """

    models: Mapping[str, Path]
    data: Path
    tokenizers: Mapping[str, Path] = field(init=False)

    def __post_init__(self) -> None:
        found = {name: encoder_file_of(model) for name, model in self.models.items()}
        object.__setattr__(self, "tokenizers", found)  # the way to fill a field of a frozen dataclass


class Measurements(Document):
    """Everything that one benchmark measured."""

    sequence_tokens: int = Field(ge=1, description="length of the timed inputs by the first variant's tokenizer")
    measurements: tuple[Measurement, ...]


def encoder_file_of(model: Path) -> Path:
    """Return the file that a model's encoder is made from; it may be missing."""
    folder = _model_folder(model)
    return folder / task_of_model(folder).encoder_file


def _model_folder(model: Path) -> Path:
    return model if model.is_dir() else model.parent


def _weights(model: Path) -> Path:
    return model / WEIGHTS_FILE if model.is_dir() else model


def _require(settings: Settings, inputs: Inputs) -> None:
    """Refuse before any process is started."""
    if len(set(settings.variants)) != len(settings.variants) or set(settings.variants) != set(inputs.models):
        raise UsageError(
            f"variants {', '.join(settings.variants)} do not match the models given: {', '.join(inputs.models)}",
            hint="name one model for each variant, and each variant once",
        )
    for name in settings.variants:
        for path in (_weights(inputs.models[name]), inputs.tokenizers[name]):
            if not path.is_file():
                raise ArtifactError(
                    f"{path}: no such file, needed to measure {name}",
                    hint="name an .onnx file with its tokenizer.json beside it, or a model folder",
                )
    if len(read_examples(inputs.data)) == 0:
        raise DataError(f"{inputs.data}: has no examples", hint="give at least one row to time the models on")


def _run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    candidates = _make_candidates(settings, inputs, out / _INPUTS_FOLDER)
    traces = measure(candidates, settings.protocol, seed=settings.seed)
    measurements = separated(tuple(
        measurement_of(name, candidate, traces[candidate.name], settings.protocol, settings.host.at_present)
        for name, candidate in zip(settings.variants, candidates, strict=True)
    ))
    result = Measurements(sequence_tokens=candidates[0].sequence_tokens, measurements=measurements)
    (out / MEASUREMENTS_FILE).write_text(result.to_json(), encoding="utf-8")
    decision = _decision(result, settings.protocol, unit=_unit(inputs))
    return Outcome(decisions=(decision, *given_warnings(measurements)), scratch=(_INPUTS_FOLDER,))


def given_warnings(measurements: Sequence[Measurement]) -> Iterator[GivenWarning]:
    """Warn of what is to be known of the models' figures, once where it holds for several, and of what was not compared."""
    for warning in dict.fromkeys(warning for m in measurements for warning in m.warnings):
        names = ", ".join(m.variant for m in measurements if warning in m.warnings)
        yield warned(Decision(step="benchmark", what=f"{names}: {warning}", why="the samples are kept either way"))
    if too_few := too_few_processes(measurements):
        why = f"take one, compared by its rounds, or at least {FEWEST_PAIRS}: benchmark.processes, or --processes"
        yield warned(Decision(step="benchmark", what=too_few, why=why))


def _make_candidates(settings: Settings, inputs: Inputs, folder: Path) -> list[Candidate]:
    """Write the timed inputs of every variant below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    examples = read_examples(inputs.data)
    candidates = []
    for name in settings.variants:
        model = inputs.models[name]
        chosen = choose_inputs(examples, open_encoder(_model_folder(model)))
        arrays = folder / f"{name}.npz"
        np.savez(arrays, **chosen.arrays)  # type: ignore[arg-type]  # numpy types the keywords by allow_pickle
        engine: Engine = "torch" if model.is_dir() else "onnx"
        candidates.append(Candidate(name, engine, model, arrays, chosen.sequence_tokens))
    return candidates


def measurement_of(
    variant: Variant, candidate: Candidate, trace: Trace, protocol: BenchmarkProtocol, host: Host
) -> Measurement:
    """Put together what was seen of a candidate, with what is to be said of it alone."""
    noise = noise_warnings(trace.rounds_s) + shape_warnings(trace.rounds_s)
    runs = len(pooled(trace.rounds_s))
    return Measurement(
        variant=variant,
        model_sha256=sha256_of_file(_weights(candidate.model)),
        host=host,
        runtime=trace.runtime,
        protocol=protocol,
        sequence_tokens=candidate.sequence_tokens,
        rounds_s=trace.rounds_s,
        warmup_s=trace.warmup_s,
        load_s=trace.load_s,
        first_run_s=trace.first_run_s,
        peak_rss_bytes=trace.peak_rss_bytes,
        baseline_rss_bytes=trace.baseline_rss_bytes,
        is_noisy=bool(noise),
        warnings=noise + thread_warnings(candidate.threads or protocol.threads, host.cores),
        cpus=trace.cpus,
        loads_s=trace.loads_s,
        first_runs_s=trace.first_runs_s,
        energy_per_run_j=None if trace.energy_j is None else trace.energy_j / runs,
    )


def _unit(inputs: Inputs) -> str:
    """Return what the length of an example is counted in."""
    return task_of_model(next(iter(inputs.tokenizers.values())).parent).length_unit


def _decision(result: Measurements, protocol: BenchmarkProtocol, *, unit: str) -> Decision:
    noisy = [m.variant for m in result.measurements if m.is_noisy]
    return Decision(
        step="benchmark",
        what=f"measured {len(result.measurements)} variants at {result.sequence_tokens} {unit} on {protocol.threads} "
        f"thread(s); " + (f"noisy: {', '.join(noisy)}" if noisy else "none was noisy"),
        why=f"each in a process of its own ({protocol.processes} for each), in turn over {protocol.rounds} rounds, so that what "
        f"disturbs the machine disturbs all of them",
    )


def _ensure(out: Path) -> None:
    """Check that every variant ran as often and as long as the protocol promises."""
    result = Measurements.read_json(out / MEASUREMENTS_FILE)
    for measurement in result.measurements:
        samples, protocol = pooled(measurement.rounds_s), measurement.protocol
        is_whole = (
            len(measurement.rounds_s) == protocol.rounds * protocol.processes
            and len(samples) >= protocol.min_runs
            and sum(samples) >= protocol.min_duration_s * _ROUNDING
            and min(samples) > 0
        )
        if not is_whole:
            raise ArtifactError(
                f"{out / MEASUREMENTS_FILE}: {measurement.variant} has {len(samples)} runs in "
                f"{len(measurement.rounds_s)} rounds, less than its protocol asks for",
                hint="run the same command again",
            )


STAGE = Stage(
    name="benchmark", version=4, run=_run, requires=_require, ensures=_ensure, tools=("onnxruntime", "numpy")
)
