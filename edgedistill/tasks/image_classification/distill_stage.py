"""The distill stages of pictures: the student, trained with the teacher; and the baseline, the same student without."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgedistill.artifact import require_written
from edgedistill.distill.stage import CONFIG_FILE, CURVE_FILE, FIT_FILE, WEIGHTS_FILE
from edgedistill.document import Document
from edgedistill.picture_settings import PictureChanges
from edgedistill.recipe import Distillation
from edgedistill.results import Milestone
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.image_classification.encoding import PREPROCESSOR_FILE
from edgedistill.tasks.image_classification.shape import ImageShape


class StudentSettings(Document):
    """Which student, and how it is trained."""

    shape: ImageShape
    distillation: Distillation
    seed: int
    milestones: tuple[Milestone, ...] = ()


class BaselineSettings(Document):
    """Which student, and how it is trained without a teacher: on changed copies of train, each of its own class."""

    shape: ImageShape
    distillation: Distillation
    changes: PictureChanges
    copies: int
    seed: int


@dataclass(frozen=True)
class StudentInputs:
    """The teacher's folder, the examples, which copies of them are made, and what the teacher says of all."""

    teacher: Path
    train: Path
    unlabelled: Path
    transfer: Path
    validation: Path
    soft_labels: Path
    labels: Path


@dataclass(frozen=True)
class BaselineInputs:
    """The labelled examples and the class names; nothing of the teacher."""

    train: Path
    validation: Path
    labels: Path


def _distill(settings: StudentSettings, inputs: StudentInputs, out: Path) -> Outcome:
    from edgedistill.tasks.image_classification.distill_work import distill_student  # imports torch

    return distill_student(settings, inputs, out)


def _train_baseline(settings: BaselineSettings, inputs: BaselineInputs, out: Path) -> Outcome:
    from edgedistill.tasks.image_classification.distill_work import train_baseline

    return train_baseline(settings, inputs, out)


_check_student = partial(require_written, names=(WEIGHTS_FILE, CONFIG_FILE, PREPROCESSOR_FILE))

STUDENT = Stage(
    name="distill", version=4, run=_distill, ensures=_check_student,
    tools=("torch", "transformers", "numpy"), is_resumable=True, is_shared=True,
)

BASELINE = Stage(
    name="distill", version=5, run=_train_baseline, ensures=_check_student,
    tools=("torch", "transformers", "numpy"), is_resumable=True, is_shared=True,
)

__all__ = ["BASELINE", "CURVE_FILE", "FIT_FILE", "STUDENT", "BaselineInputs", "BaselineSettings", "StudentInputs",
           "StudentSettings"]
