"""The door of the quantization-aware fine-tuning: a student, its graph and a scheme in, the fine-tuned student out."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from edgedistill.distill.stage import CONFIG_FILE, CURVE_FILE, WEIGHTS_FILE
from edgedistill.document import Document
from edgedistill.errors import ArtifactError
from edgedistill.int8_settings import Calibration
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.recipe import Distillation
from edgedistill.results import FitOn
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.text_classification.encoding import TOKENIZER_FILE

GAIN_FILE = "gain.json"


class Settings(Document):
    """For which scheme a student is fine-tuned, and how; loss, batches and weight decay are the distillation's."""

    scheme: str
    steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    distillation: Distillation
    calibration: Calibration = Calibration()
    seed: int


@dataclass(frozen=True)
class Inputs:
    """What is fine-tuned, and on what.

    Attributes:
        student: the model folder that `distill` made.
        graph: its float ONNX file, which says what is one matrix in int8.
        train: labelled examples.
        transfer: those that only the teacher labelled.
        validation: examples by which the best step is chosen.
        soft_labels: what the teacher says of all of them.
    """

    student: Path
    graph: Path
    train: Path
    transfer: Path
    validation: Path
    soft_labels: Path


class Gain(Document):
    """How closely the fake-quantized student follows its teacher on validation, before and after."""

    scheme: str
    steps: int = Field(description="optimizer steps until the best one by validation loss")
    before: FitOn
    after: FitOn


def _requires(settings: Settings, inputs: Inputs) -> None:
    parse_scheme(settings.scheme)
    for name in (CONFIG_FILE, WEIGHTS_FILE, TOKENIZER_FILE):
        if not (inputs.student / name).is_file():
            raise ArtifactError(f"{inputs.student / name}: no such file", hint="name a model folder that distill made")


def _run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    from edgedistill.distill.aware.work import tune_student  # imports torch: a step that is skipped does not wait for it

    return tune_student(settings, inputs, out)


def _ensures(out: Path) -> None:
    for name in (WEIGHTS_FILE, CONFIG_FILE, TOKENIZER_FILE, CURVE_FILE, GAIN_FILE):
        if not (out / name).is_file():
            raise ArtifactError(f"{out / name}: was not written", hint="run the same command again")


STAGE = Stage(
    name="distill", version=2, run=_run, requires=_requires, ensures=_ensures,
    tools=("torch", "transformers", "tokenizers", "numpy"), is_resumable=True, is_shared=True,
)
