"""What labelling by a teacher has in common for every task: its inputs, the origin of the labels, their check."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgedistill.artifact import sha256_of_path
from edgedistill.soft_labels import Origin, read_soft_labels
from edgedistill.stage import Outcome
from edgedistill.teach.files import SOFT_LABELS_FILE, WEIGHTS_FILE
from edgedistill.teach.judgement import require_finite


@dataclass(frozen=True)
class SoftLabelInputs:
    """`teacher`: the trained teacher's folder; `labels`: the class names; the rest: examples."""

    teacher: Path
    train: Path
    validation: Path
    labels: Path
    unlabelled: Path


def origin_of(inputs: SoftLabelInputs, *, encoder_file: str) -> Origin:
    """Return what soft labels made from these inputs must say of their origin.

    Args:
        inputs: of the step.
        encoder_file: the file of the teacher's folder that its encoder is made from.
    """
    return Origin(
        teacher_sha256=sha256_of_path(inputs.teacher / WEIGHTS_FILE),
        tokenizer_sha256=sha256_of_path(inputs.teacher / encoder_file),
        data_sha256="+".join(sha256_of_path(path) for path in (inputs.train, inputs.validation, inputs.unlabelled)),
    )


def only_help(answers: Iterator[object]) -> Outcome:
    """Compute this process's share of the answers; the main process writes them."""
    for _ in answers:
        pass
    return Outcome()


def check_soft_labels(out: Path) -> None:
    """Read back what was written.

    Raises:
        ArtifactError: the file is missing or damaged.
        TeacherError: a logit is NaN or infinite.
    """
    require_finite(read_soft_labels(out / SOFT_LABELS_FILE).logits)
