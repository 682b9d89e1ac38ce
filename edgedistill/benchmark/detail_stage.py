"""The second door of `benchmark`: one model in detail."""

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgedistill.benchmark.cases import Case, Detail, case_rows, cases_of, rows_near
from edgedistill.benchmark.protocol import Candidate, measure
from edgedistill.benchmark.stage import measurement_of
from edgedistill.document import Document
from edgedistill.errors import ArtifactError, DataError
from edgedistill.examples import read_examples
from edgedistill.host import Host
from edgedistill.manifest import Decision
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.results import Variant
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.text_classification.encoding import TOKENIZER_FILE, EncodedTexts, TextEncoder

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
        model: an .onnx file; tokenizer.json beside it.
        data: examples.
        tokenizer: found from `model`; a field, so that its bytes are part of the step's key.
    """

    model: Path
    data: Path
    tokenizer: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokenizer", self.model.parent / TOKENIZER_FILE)  # the way to fill a frozen dataclass


def _require(settings: Settings, inputs: Inputs) -> None:
    for path in (inputs.model, inputs.tokenizer):
        if not path.is_file():
            raise ArtifactError(f"{path}: no such file, needed to measure in detail",
                                hint="name an .onnx file with its tokenizer.json beside it, or a model folder")
    if len(read_examples(inputs.data)) == 0:
        raise DataError(f"{inputs.data}: has no examples", hint="give at least one row to time the model on")


def _run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    texts = read_examples(inputs.data).texts
    encoded = TextEncoder.load(inputs.model.parent).encode(texts)
    cases = cases_of(encoded.lengths, threads=settings.protocol.threads, cores=settings.host.cores)
    folder = out / _INPUTS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    candidates = [_candidate(case, inputs.model, folder / f"{i}", encoded, texts) for i, case in enumerate(cases)]
    traces = measure(candidates, settings.protocol, seed=settings.seed)
    measurements = [
        measurement_of(settings.variant, c, traces[c.name], settings.protocol, settings.host) for c in candidates
    ]
    (out / DETAIL_FILE).write_text(case_rows(cases, measurements).to_json(), encoding="utf-8")
    why = "one thing is changed at a time, all cases in turn"
    return Outcome((Decision(step="benchmark", what=f"measured {len(cases)} cases", why=why),), scratch=(_INPUTS_FOLDER,))


def _candidate(case: Case, model: Path, path: Path, encoded: EncodedTexts, texts: list[str]) -> Candidate:
    """Write what a case is timed on, and say how it runs."""
    rows = rows_near(encoded.lengths, case.sequence_tokens, batch=case.batch)
    file = path.with_suffix(".json" if case.is_end_to_end else ".npz")
    if case.is_end_to_end:
        file.write_text(json.dumps([texts[row] for row in rows]), encoding="utf-8")
    else:
        np.savez(file, **encoded.batch(rows))  # type: ignore[arg-type]  # numpy types the keywords by allow_pickle
    return Candidate(case.name, "onnx", model, file, case.sequence_tokens, threads=case.threads, batch=case.batch,
                     arena=case.arena)


def _ensure(out: Path) -> None:
    found = Detail.read_json(out / DETAIL_FILE)
    if any(len(row.measurement.rounds_s) != row.measurement.protocol.rounds for row in found.rows):
        raise ArtifactError(f"{out / DETAIL_FILE}: a case has less rounds than its protocol asks for", hint="run it again")


STAGE = Stage(
    name="benchmark-detail", version=1, run=_run, requires=_require, ensures=_ensure, tools=("onnxruntime", "numpy", "tokenizers")
)
