"""The door of `distill`: the student, trained with the teacher; and the baseline, the same student without."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgedistill.artifact import require_written
from edgedistill.distill.requirements import require_fitting_losses, require_one_target, require_same_length, require_views
from edgedistill.document import Document
from edgedistill.recipe import Distillation
from edgedistill.results import Labels, Milestone
from edgedistill.shape import StudentShape
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.text_classification.encoding import TOKENIZER_FILE

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
CURVE_FILE = "training_log.json"
FIT_FILE = "fit.json"


class StudentSettings(Document):
    """Which student, and how it is trained."""

    shape: StudentShape
    initialisation: str
    aliases: str = "contextual"
    distillation: Distillation
    max_tokens: int
    seed: int
    milestones: tuple[Milestone, ...] = ()


@dataclass(frozen=True)
class StudentInputs:
    """The teacher's folder, the examples, what the teacher says of train, transfer and validation, and of its tokens.

    `sentence_vectors` stand in the order of the soft labels; they are read where a loss compares them.
    """

    teacher: Path
    train: Path
    transfer: Path
    validation: Path
    soft_labels: Path
    labels: Path
    token_vectors: Path
    sentence_vectors: Path


@dataclass(frozen=True)
class BaselineInputs:
    """The student's configuration and tokenizer, and the labelled examples; nothing of the teacher."""

    config: Path
    tokenizer: Path
    train: Path
    validation: Path


def _require_fitting_losses(settings: StudentSettings, inputs: StudentInputs) -> None:
    require_same_length(settings.max_tokens, inputs.teacher)
    require_one_target(settings.distillation.losses, Labels.read_json(inputs.labels).problem_type)
    require_fitting_losses(settings.distillation.losses, inputs.teacher)
    require_views(settings.distillation.losses, inputs.sentence_vectors)


def _distill(settings: StudentSettings, inputs: StudentInputs, out: Path) -> Outcome:
    from edgedistill.distill.work import distill_student  # imports torch: a step that is skipped does not wait for it

    return distill_student(settings, inputs, out)


def _train_baseline(settings: StudentSettings, inputs: BaselineInputs, out: Path) -> Outcome:
    from edgedistill.distill.work import train_baseline

    return train_baseline(settings, inputs, out)


_check_student = partial(require_written, names=(WEIGHTS_FILE, CONFIG_FILE, TOKENIZER_FILE))

STUDENT = Stage(
    name="distill", version=10, run=_distill, requires=_require_fitting_losses, ensures=_check_student,
    tools=("torch", "transformers", "tokenizers", "numpy"), is_resumable=True, is_shared=True,
)


BASELINE = Stage(
    name="distill", version=5, run=_train_baseline, ensures=_check_student,
    tools=("torch", "transformers", "tokenizers", "numpy"), is_resumable=True, is_shared=True,
)
