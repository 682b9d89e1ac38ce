"""The second door of `benchmark`: one model in detail."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.benchmark.cases import Case, Detail, case_rows, cases_of, rows_near
from edgedistill.benchmark.protocol import Candidate, measure
from edgedistill.benchmark.raw_rows import write_raw
from edgedistill.benchmark.stage import encoder_file_of, measurement_of
from edgedistill.document import Document
from edgedistill.errors import ArtifactError, DataError
from edgedistill.examples import Examples, read_examples
from edgedistill.host import Host
from edgedistill.manifest import Decision
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.results import Variant
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.encoding import Encoder
from edgedistill.tasks.registry import open_encoder, task_of_model

log = logging.getLogger("edgedistill")

DETAIL_FILE = "detail.json"
_INPUTS_FOLDER = "inputs"


class Settings(Document):
    """How, and on which machine."""

    variant: Variant
    protocol: BenchmarkProtocol
    host: Host
    seed: int


@dataclass(frozen=True)
class Inputs:
    """A model and the rows whose lengths decide the cases.

    Attributes:
        model: an .onnx file; the file that its encoder is made from beside it.
        data: examples.
        encoder_file: found from `model`; a field, so that its bytes are part of the step's key.
    """

    model: Path
    data: Path
    encoder_file: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "encoder_file", encoder_file_of(self.model))  # the way to fill a frozen dataclass


def _require(settings: Settings, inputs: Inputs) -> None:
    for path in (inputs.model, inputs.encoder_file):
        if not path.is_file():
            raise ArtifactError(f"{path}: no such file, needed to measure in detail",
                                hint=f"name an .onnx file with its {inputs.encoder_file.name} beside it, or a model folder")
    if len(read_examples(inputs.data)) == 0:
        raise DataError(f"{inputs.data}: has no examples", hint="give at least one row to time the model on")


def _run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    source = _source(inputs)
    unit = task_of_model(inputs.model.parent).length_unit
    cases = cases_of(source.lengths, threads=settings.protocol.threads, cores=settings.host.cores, unit=unit)
    folder = out / _INPUTS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    candidates = [_candidate(case, inputs.model, folder / f"{i}.npz", source) for i, case in enumerate(cases)]
    traces = measure(candidates, settings.protocol, seed=settings.seed)
    measurements = [
        measurement_of(settings.variant, c, traces[c.name], settings.protocol, settings.host.at_present) for c in candidates
    ]
    (out / DETAIL_FILE).write_text(case_rows(cases, measurements).to_json(), encoding="utf-8")
    why = "one thing is changed at a time, all cases in turn"
    return Outcome((Decision(step="benchmark", what=f"measured {len(cases)} cases", why=why),), scratch=(_INPUTS_FOLDER,))


@dataclass(frozen=True)
class _Source:
    """What the timed rows are taken from: the examples, what makes model inputs of them, and the length of each."""

    examples: Examples
    encoder: Encoder
    lengths: NDArray[np.int64]


def _source(inputs: Inputs) -> _Source:
    examples, encoder = read_examples(inputs.data), open_encoder(inputs.model.parent)
    return _Source(examples, encoder, np.concatenate([encoder.encode_examples(part).lengths for part in examples.parts()]))


def _candidate(case: Case, model: Path, file: Path, source: _Source) -> Candidate:
    """Write what a case is timed on, and say how it runs."""
    rows = source.examples.take(rows_near(source.lengths, case.sequence_tokens, batch=case.batch))
    encoder = ""
    if case.is_end_to_end:
        kind = type(source.encoder)
        encoder = f"{kind.__module__}:{kind.__qualname__}"
        write_raw(file, source.encoder.raw(rows))
    else:
        arrays = source.encoder.encode_examples(rows).batch(range(len(rows)))
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy types the keywords by allow_pickle
    return Candidate(case.name, "onnx", model, file, case.sequence_tokens, threads=case.threads, batch=case.batch,
                     arena=case.arena, encoder=encoder)


def _ensure(out: Path) -> None:
    found = Detail.read_json(out / DETAIL_FILE)
    if any(len(row.measurement.rounds_s) != row.measurement.protocol.rounds for row in found.rows):
        raise ArtifactError(f"{out / DETAIL_FILE}: a case has less rounds than its protocol asks for", hint="run it again")


STAGE = Stage(
    name="benchmark-detail", version=4, run=_run, requires=_require, ensures=_ensure,
    tools=("onnxruntime", "numpy", "tokenizers", "pillow"),
)
