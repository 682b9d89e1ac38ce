"""The report as documents: `RunReport` is report.json. The names are a contract; tools read them."""

from typing import Literal

from pydantic import AwareDatetime, Field, JsonValue

from edgedistill.device.results import DeviceFacts
from edgedistill.document import Document
from edgedistill.emulation.findings import EmulatedCheck
from edgedistill.frontier import FrontierRow
from edgedistill.host import Host
from edgedistill.manifest import Decision
from edgedistill.problem_type import ONE_LABEL, ProblemType
from edgedistill.results import (
    AwareGain,
    BudgetCheck,
    ClassFigures,
    Coverage,
    GoalCheck,
    InstructionSetCheck,
    Interval,
    McNemar,
    ParityReport,
    ParityResult,
    Prediction,
    QuantizationVerdict,
    Source,
    TrainingPoint,
    Variant,
)

Verdict = Literal["pass", "fail"]

QUANTILES_PERCENT = tuple(range(0, 101, 5))
"""The percentiles at which a latency distribution is kept: 0, 5, ... 100."""


class HostLatency(Document):
    """Measured latency on the host. Percentiles are over the runs of all rounds together."""

    threads: int
    p50_s: float
    p90_s: float
    p99_s: float
    n: int = Field(description="timed runs")
    noisy: bool = Field(description="the machine was disturbed, or cannot tell this variant from another")
    p50_interval_s: tuple[float, float] | None = Field(
        None, description="95 % interval of the p50, the round as the unit, of several processes the process; null below two"
    )
    p90_interval_s: tuple[float, float] | None = Field(
        None, description="95 % interval of the p90 from order statistics, the run as the unit; null below 36 runs"
    )
    p99_interval_s: tuple[float, float] | None = Field(None, description="the same of the p99; null below 368 runs")
    mad_s: float | None = Field(None, description="median absolute deviation of the runs; null in older reports")
    quantiles_s: tuple[float, ...] = Field((), description="at 0, 5, ... 100 percent")
    load_s: float
    first_run_s: float
    energy_per_run_j: float | None = Field(
        None, description="of the whole processor package; null: there is no counter that may be read"
    )
    sequence_tokens: int
    runtime: str
    warnings: tuple[str, ...] = ()


class TargetLatency(Document):
    """Latency on the target, with where it comes from: a prediction is never shown as a measurement."""

    p50_s: float
    interval_s: tuple[float, float]
    source: Source


class LatencyReport(Document):
    """Latency of a variant here and there; null where nobody knows."""

    host: HostLatency | None
    target: TargetLatency | None


class PeakRss(Document):
    """Peak resident memory of the measuring process, and of the same process without a model; bytes."""

    value: int
    baseline: int
    source: Source


class Int8Form(Document):
    """What an int8 variant is made of; `float_reasons` of the coverage say which nodes stayed in float, and why."""

    scheme: str = Field(description="of the court; 'float' where its verdict was to ship the float model")
    coverage: Coverage


class VariantReport(Document):
    """One variant: what it weighs, how well it answers, what it costs."""

    parameters: int
    size_bytes: int = Field(description="model files that would ship")
    accuracy: float = Field(description="share of right answers; where several labels may apply, all of them must be right")
    accuracy_ci95: tuple[float, float]
    macro_f1: float
    micro_f1: float | None = Field(None, description="of all labels together; null where each row has one: it is the accuracy")
    agreement_with_teacher: float | None = Field(description="share of rows with the teacher's top class, or all of its labels")
    latency: LatencyReport
    peak_rss_bytes: PeakRss | None
    test_rows: int
    model_sha256: str
    macro_f1_ci95: tuple[float, float]
    micro_f1_ci95: tuple[float, float] | None = None
    calibration_error: Interval
    mcnemar_against_teacher: McNemar | None
    right_rows: str = Field(
        "", description="is the answer to each test row right? hexadecimal, the first row the highest bit; empty: not recorded"
    )
    int8: Int8Form | None = Field(None, description="of an int8 variant; null: a float one, or an older report")


class Headline(Document):
    """The five numbers at the top."""

    size_bytes: int = Field(description="of the int8 student")
    size_ratio: float = Field(description="teacher's bytes / int8 student's bytes")
    speed_ratio: Interval | None = Field(description="teacher's p50 / int8 student's p50, both measured on the host")
    target_p50_s: float | None
    target_p50_source: Source | None
    retention: Interval
    memory_bytes: int | None = Field(description="peak RSS of the int8 student over the bare runtime's")
    memory_source: Source | None
    fits: bool = Field(description="are all budgets met?")


class DistillationGain(Document):
    """What the teacher bought: the student against the same student without it, paired by test row."""

    n: int
    student_accuracy: float
    student_no_kd_accuracy: float
    difference: Interval = Field(description="student minus student_no_kd, as a share of the test rows")
    mcnemar: McNemar = Field(description="reference: student_no_kd, candidate: student")
    student_rows_seen: int | None = Field(
        None, description="examples in all steps of its training, repeats counted; null: the log does not say"
    )
    student_no_kd_rows_seen: int | None = Field(None, description="the same of the student without the teacher")


class ClassProbability(Document):
    """A class and the probability a model gives it at temperature 1."""

    label: str
    probability: float


class PairedProbability(Document):
    """A class and the probability that both models give it at temperature 1; without a label, all remaining classes."""

    label: str | None
    teacher: float
    student: float = Field(description="the int8 student's")


RightModel = Literal["teacher", "student", "both", "neither"]


class TellingRow(Document):
    """A test row on which the teacher and the int8 student decide differently, or alike but not equally sure."""

    text: str = Field(description="the text; of a picture its name")
    thumbnail: str | None = Field(None, description="the picture, a PNG or JPEG as a data URI; null for texts")
    true_label: str = Field(description="where several labels may apply: all that do, joined by commas")
    true_labels: tuple[str, ...] | None = Field(None, description="where several labels may apply: those that do; else null")
    teacher: tuple[ClassProbability, ...] = Field(
        description="the teacher's three likeliest classes; where several labels may apply: all that it gives, those above 0.5, "
        "or its likeliest class alone, which is then not above 0.5"
    )
    student: tuple[ClassProbability, ...] = Field(description="the same of the int8 student")
    divergence: float = Field(
        ge=0, le=1, description="Jensen-Shannon divergence of the two distributions, bits; where several labels may apply: the "
        "mean over the classes, each a yes or no"
    )
    right: RightModel
    classes: tuple[PairedProbability, ...] = Field(
        (), description="the true class and the likeliest of both models, by falling probability, then the remaining ones; where "
        "several labels may apply: those that do, those of `teacher` and `student`, and that on which both differ most"
    )
    same_answer: bool = Field(False, description="both decide alike; they differ in how sure they are")


class ReliabilityBin(Document):
    """Answers whose probability lies in (low, high]: one a row; where several labels may apply, the yes or no to each class."""

    low: float
    high: float
    n: int
    confidence: float = Field(description="mean probability of the answers")
    accuracy: float


class ConfusedPair(Document):
    """A true class that is answered with another one."""

    true_label: str
    answer: str
    n: int
    support: int = Field(description="test rows of the true class")


class MissedAndAdded(Document):
    """A class where several labels may apply: test rows on which it is not given though it applies, and the other way round."""

    label: str
    support: int = Field(description="test rows to which it applies")
    missed: int = Field(description="by the int8 student, of these rows")
    added: int = Field(description="by the int8 student, to other rows")
    teacher_missed: int
    teacher_added: int


class DeviceReport(Document):
    """The int8 student on a device of the target's class; times and memory are null where an emulator answered."""

    address: str
    source: Source
    device: DeviceFacts
    runtime: str
    rows: int = Field(description="test rows that were answered there")
    accuracy: Interval | None
    against_host: ParityResult = Field(description="the same file on the same rows, here and there")
    p50_s: float | None
    p90_s: float | None
    p99_s: float | None
    p50_interval_s: tuple[float, float] | None = Field(None, description="as of the host's latency")
    p90_interval_s: tuple[float, float] | None = Field(None, description="as of the host's latency")
    p99_interval_s: tuple[float, float] | None = Field(None, description="as of the host's latency")
    mad_s: float | None = Field(None, description="as of the host's latency")
    load_s: float | None
    first_run_s: float | None
    peak_rss_bytes: PeakRss | None
    energy_per_run_j: float | None = Field(description="of the whole processor package; null: it has no counter to read")
    warnings: tuple[str, ...]


class AnswersApart(Document):
    """Two different answers that the teacher and the int8 student give to the same test rows; several labels joined by commas."""

    teacher: str
    student: str
    n: int
    teacher_right: int
    student_right: int


class TargetReport(Document):
    """Everything about one target."""

    verdict: Verdict = Field(description="pass: every budget, every goal and every parity gate holds")
    budgets: tuple[BudgetCheck, ...]
    variants: dict[Variant, VariantReport]
    retention: float = Field(description="int8 student's accuracy / teacher's accuracy")
    parity: ParityReport
    int8_coverage: Coverage
    name: str = Field(description="the target's name in words")
    summary: str = Field(description="the verdict in a sentence")
    headline: Headline
    goals: tuple[GoalCheck, ...]
    frontier: tuple[FrontierRow, ...] = Field((), description="every trial of the search, judged on validation")
    advice: str = Field("", description="why a goal is missed and what to change; empty when none is")
    quantization: QuantizationVerdict
    distillation_gain: DistillationGain | None = Field(description="null when no baseline was trained")
    ledger: tuple[Prediction, ...] = Field(description="every student shape that the plan considered")
    curves: dict[str, tuple[TrainingPoint, ...]]
    labels: tuple[str, ...]
    problem_type: ProblemType = Field(ONE_LABEL, description="may several labels apply to a test row? As transformers has it")
    confusion: tuple[tuple[int, ...], ...] = Field(
        description="int8 student; rows: true label, columns: answer; empty where several labels may apply"
    )
    confused_pairs: tuple[ConfusedPair, ...]
    missed_and_added: tuple[MissedAndAdded, ...] = Field((), description="by class where several labels may apply; else empty")
    classes: tuple[ClassFigures, ...] = Field(description="int8 student, by class")
    telling_rows: tuple[TellingRow, ...]
    reliability: dict[Variant, tuple[ReliabilityBin, ...]]
    not_checked: tuple[str, ...]
    device: DeviceReport | None = Field(None, description="null when nothing ran on a device")
    emulated: EmulatedCheck | None = Field(None, description="the int8 student on the target's core; null: not replayed")
    instruction_sets: tuple[InstructionSetCheck, ...] = Field(
        (), description="its answers by instruction set, a core for each, or why they are not known; the target's first"
    )
    aware: AwareGain | None = Field(None, description="the fine-tuning for int8; null: there was none, `decisions` says why")
    test_sha256: str | None = Field(
        None, description="of the test texts, or the pictures' pixels, and their labels: runs on the same rows can be paired"
    )
    teacher_confusion: tuple[tuple[int, ...], ...] = Field((), description="the teacher; rows: true label, columns: answer")
    teacher_classes: tuple[ClassFigures, ...] = Field((), description="the teacher, by class, in the order of `classes`")
    answers_apart: tuple[AnswersApart, ...] = Field((), description="how often which answers differ, the most frequent first")


class StepReport(Document):
    """A step of the run and how long its work took, in the run that did it."""

    step: str
    duration_s: float
    was_skipped: bool = Field(False, description="not used any more: always false")


class RunReport(Document):
    """report.json."""

    schema_version: Literal[1] = 1
    recipe: str
    task: str
    created: AwareDatetime
    host: Host
    tools: dict[str, str]
    targets: dict[str, TargetReport] = Field(min_length=1)
    decisions: tuple[Decision, ...]
    steps: tuple[StepReport, ...] = ()
    data: dict[str, JsonValue] | None = Field(None, description="the data report of `prepare`, as it is")
    command: str = Field("", description="makes the run again, typed in its folder; empty in a report of an earlier version")
