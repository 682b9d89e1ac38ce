"""What replaying a model on an emulated core finds, as documents. Times are not among it: an emulator's mean nothing."""

from pydantic import Field

from edgedistill.document import Document
from edgedistill.processor import Int8Path
from edgedistill.results import InstructionSetCheck, Interval, ParityResult


class InstructionCount(Document):
    """Instructions of one inference: the model's run alone, without load and warm-up, on one thread."""

    total: int
    by_class: dict[str, int] = Field(description="see edgedistill/emulation/instructions.py")
    row_shape: tuple[int, ...] = Field(description="shape of the first input of the row that was counted")
    inferences: int = Field(description="in each of the rounds; the round with the fewest instructions counts")
    spread: float = Field(ge=0, description="the dearest round over the cheapest, less 1")
    int8_path: Int8Path | None = Field(description="the instructions that made the int8 products; null: none of the known")


class EmulatedCheck(Document):
    """An int8 model on another core's instruction set, compared with the host's answers."""

    core: str
    architecture: str
    emulator: str = Field(description="for example 'qemu 7.2.22'")
    runtime: str = Field(description="the runtime in the emulator, for example 'onnxruntime 1.32.0'")
    model_sha256: str
    parity: ParityResult = Field(description="reference: the host's answers to the same rows")
    labelled_rows: int = Field(0, description="rows of these that have a label")
    accuracy: Interval | None = Field(
        None, description="share of the labelled rows that the core answers right, with its 95 % interval; null: not known")
    host_accuracy: Interval | None = Field(None, description="the same of the host's answers to the same rows")
    peak_rss_bytes: int | None = Field(
        description="resident memory of the guest alone, the most seen after loading and after rows; null: not known")
    baseline_rss_bytes: int | None = Field(description="the same before a model is loaded")
    instructions: InstructionCount | None
    not_counted_because: str = ""


def as_line(check: EmulatedCheck, *, is_target: bool) -> InstructionSetCheck:
    """Return what a table of instruction sets says of a replay.

    Args:
        check: the replay, compared with the host.
        is_target: was it on the target's core, or the one that stands for it?
    """
    counted = check.instructions
    return InstructionSetCheck(
        core=check.core, is_target=is_target, parity=check.parity, labelled_rows=check.labelled_rows, accuracy=check.accuracy,
        host_accuracy=check.host_accuracy, int8_path=None if counted is None else counted.int8_path, emulator=check.emulator,
        runtime=check.runtime,
    )


def answers_text(line: InstructionSetCheck) -> str:
    """Return in words how the answers on a core compare with the host's, or why they are not known and what to type."""
    if line.parity is None:
        return f"not checked on this instruction set: {line.not_checked} ({line.hint})"
    parity = line.parity
    failed = [problem for problem in parity.problems if problem.startswith("it does not run")]
    return "; ".join([f"{parity.decisions_flipped} of {parity.n} decisions flipped", *failed])
