"""What the stages find out, as documents: evaluations, parities, measurements, coverages, predictions, checks."""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from edgedistill.document import Document, without_defaults
from edgedistill.host import Host
from edgedistill.problem_type import ONE_LABEL, ProblemType
from edgedistill.processor import Int8Path
from edgedistill.recipe import BenchmarkProtocol

Variant = Literal[
    "teacher", "teacher_int8", "student_no_kd", "student", "student_onnx", "student_int8", "student_int8_aware",
    "student_int8_post_training", "student_onnx_aware",
]
"""`teacher` and `teacher_int8` are ONNX; `student_no_kd` and `student` are torch; the rest says it.

`student_int8` is what ships. `student_int8_aware` is there where a student was fine-tuned for int8; where that one ships,
`student_int8_post_training` is what would have shipped without. `student_onnx_aware`, its float export, is asked for parity alone
and stands in no table.
"""

Source = Literal["measured", "emulated", "predicted"]


class Interval(Document):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class McNemar(Document):
    """McNemar's exact test on paired decisions: who is right where the other is wrong.

    Reference: McNemar 1947; exact binomial form.
    """

    only_reference_right: int = Field(ge=0)
    only_candidate_right: int = Field(ge=0)
    p_value: float = Field(ge=0, le=1)


class ClassFigures(Document):
    """One class on a split."""

    label: str
    support: int
    precision: float
    recall: float
    f1: float


class Evaluation(Document):
    """How well a model answers on a labelled split."""

    variant: Variant
    model_sha256: str
    parameters: int = Field(ge=0, description="trained numbers in the model file")
    size_bytes: int = Field(ge=0, description="bytes of the model file that would ship")
    split: str
    n: int
    accuracy: Interval = Field(description="share of right answers; where several labels apply, all of them must be right")
    macro_f1: Interval
    micro_f1: Interval | None = Field(None, description="of all labels together; null where each has one, as it is the accuracy")
    calibration_error: Interval = Field(description="expected calibration error, 15 equal-width bins (Guo et al. 2017)")
    agreement_with_teacher: Interval | None
    mcnemar_against_teacher: McNemar | None
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...] = Field(
        description="rows: true label, columns: predicted; empty where an example may have several labels"
    )


class ParityResult(Document):
    """Does a candidate give the reference's answers on the same rows?"""

    reference: str
    candidate: str
    n: int
    top1_agreement: float
    decisions_flipped: int
    max_abs_error: float
    mean_abs_error: float
    passed: bool
    problems: tuple[str, ...] = Field((), description="a sentence for every gate that failed, with its figures")
    source: Source = Field("measured", description="emulated: the candidate answered under an emulator")


class ParityReport(Document):
    """Every gate of a student's way to int8. `arm64`, `x86_64`: int8 on the target's own kind of core, null if not run."""

    onnx: ParityResult
    int8: ParityResult
    arm64: ParityResult | None = None
    x86_64: ParityResult | None = Field(None, description="x86 without VNNI, for a target that has none; or an x86 device")

    @property
    def gates(self) -> dict[str, ParityResult]:
        """The gates that were run, by name, in the order of the line."""
        found = {"onnx": self.onnx, "int8": self.int8, "arm64": self.arm64, "x86_64": self.x86_64}
        return {name: result for name, result in found.items() if result is not None}

    @property
    def passed(self) -> bool:
        """Do all gates that were run hold?"""
        return all(result.passed for result in self.gates.values())


class InstructionSetCheck(Document):
    """The answers of the int8 file on one core's instruction set, beside this host's; or why they are not known."""

    core: str = Field(description="as `verify --emulate` names it")
    is_target: bool = Field(description="the target's core, or the one that stands for it: its decisions are a gate")
    parity: ParityResult | None = Field(None, description="reference: the same file on this host; null: not checked")
    labelled_rows: int = Field(0, description="rows of these that have a label")
    accuracy: Interval | None = Field(None, description="of the labelled rows; null: not known")
    host_accuracy: Interval | None = Field(None, description="of the same rows on this host")
    int8_path: Int8Path | None = Field(None, description="the instructions that made the int8 products; null: not known")
    emulator: str = ""
    runtime: str = Field("", description="in the emulator")
    not_checked: str = Field("", description="why the answers there are not known; empty when they are")
    hint: str = Field("", description="what to type then")


class OrtFile(Document):
    """model.ort beside model.onnx: the same graph in ORT format, with the graph optimisations baked in."""

    size_bytes: int
    architecture: Literal["aarch64", "x86_64"] = Field(description="what it was optimised for")
    parity: ParityResult = Field(description="against model.onnx, on this host")


class Coverage(Document):
    """How much of a graph is int8."""

    weight_bytes_share: float = Field(ge=0, le=1)
    nodes_share: float = Field(ge=0, le=1, description="of the MatMul, Gemm, Conv, Gather, Attention nodes on weights")
    float_nodes: tuple[str, ...]
    bytes_by_part: dict[str, int] = Field(description="embedding, encoder, head, other")
    float_reasons: dict[str, str] = Field({}, description="why, by the name of each node that is not int8")
    stored_twice: tuple[str, ...] = Field((), description="tables held for look-ups and again for products, each with the reason")
    runtime_nodes_share: float | None = Field(
        None, description="the share of nodes as onnxruntime on this machine fuses the graph; null where it was not asked"
    )


class Int8Candidate(Document):
    """A candidate before the court, what was seen of it on the validation split, and what became of it."""

    title: str = Field(description="scheme, calibration, and what was treated otherwise")
    scheme: str
    calibration: str | None = Field(None, description="how the ranges of a static scheme were chosen")
    float_nodes: tuple[str, ...] = Field((), description="nodes that were put back to float")
    agreement: float | None = Field(None, description="top-1 agreement with the float model; null: it was not tried")
    kl_nats: float | None = Field(None, ge=0, description="mean KL(float || int8); null: not tried, or not finite")
    accuracy: float | None = Field(None, description="null without labels")
    accuracy_loss: float | None = Field(None, description="the float model's accuracy minus this one's")
    size_bytes: int | None = None
    weight_bytes_share: float | None = None
    nodes_share: float | None = None
    predicted_p50_s: float | None = Field(
        None, description="by the latency model: for the target, one thread, a row of the median size; null: measured, or unknown"
    )
    predicted_interval_s: tuple[float, float] | None = Field(None, description="80 %")
    p50_s: Interval | None = Field(None, description="measured side by side on a machine with the target's int8 instructions")
    speed_ratio: Interval | None = Field(
        None, description="the float model's p50 / this one's, paired by round; where that left them near each other, over pairs "
        "of fresh processes. All of the interval below 1: it is slower than float"
    )
    outcome: Literal["chosen", "kept", "refused", "not tried"]
    reason: str


class AwareGain(Document):
    """What quantization-aware fine-tuning bought: accuracies on validation, where the first goal decided what ships."""

    scheme: str
    steps: int = Field(description="optimizer steps of the fine-tuning")
    learning_rate: float
    float_accuracy: float = Field(description="of the float student, before the fine-tuning")
    post_training_accuracy: float = Field(description="of what would ship without it: int8, or float where that was the verdict")
    aware_accuracy: float = Field(description="of the fine-tuned student in int8; in float where its verdict is to ship float")
    keeps_the_goal: bool = Field(description="did the court take its int8 file?")
    is_shipped: bool
    text: str = Field(description="the same in a sentence")


class LayerCoverage(Document):
    """How much of one layer of a graph is int8; weights are initialisers with at least two dimensions."""

    layer: str = Field(description="for example 'embeddings', 'encoder.layer.0', 'classifier'")
    int8_bytes: int = Field(ge=0)
    float_bytes: int = Field(ge=0)
    int8_nodes: int = Field(ge=0)
    float_nodes: int = Field(ge=0)


class QuantizationVerdict(Document):
    """Which scheme was chosen, out of what, and why; a sentence in `decision`."""

    scheme: str = Field(description="'float' where the verdict is to ship the float model")
    candidates: dict[str, float] = Field(description="top-1 agreement with the float model on validation, by scheme")
    coverage: Coverage
    decision: str
    table: tuple[Int8Candidate, ...] = Field((), description="every candidate with its reason")
    judged_rows: int = Field(0, description="validation rows on which they were judged")
    float_accuracy: float | None = Field(None, description="of the float model on those rows; null without labels")
    float_size_bytes: int | None = None
    speed_source: Literal["measured", "predicted"] | None = Field(
        None, description="where the times of the candidates are from; null: nothing said whether int8 is faster than float"
    )
    float_predicted_p50_s: float | None = Field(
        None, description="of the float model on the target; null without a target, or where the shape is not known"
    )
    noisiest_nodes: dict[str, float] = Field(
        {}, description="signal-to-quantization-noise ratio in decibels, of the nodes that suffer most; only where it was needed"
    )
    noisiest_by: Literal["qdq-graph", "rounding"] | None = Field(
        None, description="where that ratio was taken: in the QDQ graph of a static scheme (embedding tables apart), or from "
        "each weight and input rounded alone; null: nowhere, or not recorded"
    )
    layers: tuple[LayerCoverage, ...] = Field((), description="in the order of the graph; empty: not recorded")
    ort: OrtFile | None = Field(None, description="of the command `quantize`; null: not made. In a run the bundle has one")
    no_ort_because: str = ""
    instruction_sets: tuple[InstructionSetCheck, ...] = Field(
        (), description="of the command `quantize`: the file that ships on emulated cores, the target's first"
    )

    @property
    def is_float(self) -> bool:
        """Is the verdict to ship the float model?"""
        return self.scheme == "float"


class Measurement(Document):
    """Latency and memory of one variant on one machine. Raw samples are the record; percentiles are functions."""

    variant: Variant
    model_sha256: str
    host: Host
    runtime: str = Field(description="name and version, for example 'onnxruntime 1.32.0'")
    protocol: BenchmarkProtocol
    sequence_tokens: int
    rounds_s: tuple[tuple[float, ...], ...] = Field(
        description="seconds of every timed run, by interleaved round; those of one process follow each other"
    )
    warmup_s: tuple[float, ...]
    load_s: float
    first_run_s: float
    peak_rss_bytes: int
    baseline_rss_bytes: int = Field(description="peak of the bare runtime, imported, no model")
    is_noisy: bool
    warnings: tuple[str, ...] = ()
    cpus: tuple[int, ...] = Field((), description="the cores that the processes were kept to; empty: to none")
    loads_s: tuple[float, ...] = Field((), description="of every process, the first included")
    first_runs_s: tuple[float, ...] = Field((), description="of every process, the first included")
    energy_per_run_j: float | None = Field(
        None, description="of the whole processor package while timed; null: there is no counter that may be read"
    )

    @property
    def processes_s(self) -> tuple[tuple[tuple[float, ...], ...], ...]:
        """The rounds by process."""
        rounds = self.protocol.rounds
        return tuple(self.rounds_s[start : start + rounds] for start in range(0, len(self.rounds_s), rounds))


class Prediction(Document):
    """What the plan expects of a student on the target, before anything is trained."""

    rung: str
    parameters: int
    int8_bytes: int
    float_bytes: int
    peak_memory_bytes: int
    latency_p50_s: float
    latency_interval_s: tuple[float, float]
    sequence_tokens: int
    vocabulary: int = Field(0, description="tokens of the shape; 0 in documents older than this figure")
    is_chosen: bool
    rejected_because: str = ""
    int8_bytes_by_part: dict[str, int] = Field({}, description="embedding, encoder, head, vectors, graph")
    float_bytes_by_part: dict[str, int] = Field({}, description="the same of the float file")
    latency_source: Literal["fitted", "given", "calibrated"] = Field(
        "given", description="rates fitted on published latencies, given by the profile, or calibrated on the device"
    )
    threads: int = Field(1, ge=1, description="fast cores of the target, at most the eight that the model knows")
    latency_p50_threads_s: float | None = Field(None, description="the p50 on so many threads; null: there is one core")
    latency_by_part_s: dict[str, float] = Field({}, description="the p50 by class of operator; one thread, median text")
    latency_p90_text_s: float | None = Field(None, description="predicted time of a text that 90 % of the data's do not exceed")
    latency_mean_s: float | None = Field(None, description="predicted mean over the lengths of the data's texts")
    static_latency_p50_s: float | None = Field(
        None, description="second opinion: instructions counted under emulation, through a cycle model; within a factor of two"
    )


class BudgetCheck(Document):
    """One budget of a target and whether it holds."""

    name: Literal["model_bytes", "peak_memory_bytes", "latency_p50_s", "accuracy_loss"]
    limit: float
    value: float
    unit: Literal["bytes", "s", "share"]
    source: Source
    met: bool
    why: str = Field("", description="the reason for the limit, from the target's profile or the recipe")


class GoalCheck(Document):
    """One goal of the recipe and whether the int8 student meets it on the test split."""

    metric: str
    type: str
    limit: float = Field(description="the least value that meets the goal")
    value: float
    met: bool


class TrainingPoint(Document):
    """One evaluation during training."""

    step: int
    loss: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    hard_loss: float | None = Field(None, description="cross-entropy with the hard labels, mean over the rows that have one")
    soft_loss: float | None = Field(None, description="T^2 KL(teacher_T || student_T), or the decoupled form of it")
    validation_hard_loss: float | None = Field(None, description="the hard loss on validation")
    validation_soft_loss: float | None = Field(None, description="the soft loss on validation")


class Milestone(Document):
    """A validation accuracy after a share of a training's steps: one that was reached, or one that must be."""

    share_of_steps: float = Field(gt=0, le=1)
    validation_accuracy: float = Field(ge=0, le=1)


class TrainingLog(Document):
    """The course of a training."""

    points: tuple[TrainingPoint, ...]
    steps_planned: int | None = Field(None, description="optimizer steps of the whole schedule")
    given_up_at_step: int | None = Field(None, description="where a milestone was missed; null: trained to its end")
    rows_seen: int | None = Field(None, description="examples in all steps that were made, repeats counted")


class FitOn(Document):
    """How closely a student follows its teacher on some texts."""

    rows: int
    kl_nats: float = Field(ge=0, description="mean KL(teacher || student) at temperature 1")
    constant_kl_nats: float = Field(ge=0, description="the same of a student that always gives the teacher's mean answer")
    agreement: float = Field(ge=0, le=1, description="share of rows with the teacher's top class")


class Fit(Document):
    """What a student took over from its teacher, in float: what the search goes by when a goal is missed."""

    train: FitOn = Field(description="on up to 1,000 of the labelled training texts")
    validation: FitOn
    vocabulary: FitOn | None = Field(
        None, description="of the teacher itself on validation texts, once tokens that the student has no row for are "
        "replaced by those that stand for them; null where the student's vocabulary is its own"
    )
    labelled_rows: int = Field(description="validation rows with a label, to which the counts below belong")
    teacher_right: int
    student_right: int
    both_right: int
    same_mistake: int = Field(description="rows on which the teacher is wrong and the student gives the same answer")


class Labels(Document):
    """The class names, in the order of the logits, and whether an example may have several of them."""

    labels: tuple[str, ...] = Field(min_length=2)
    problem_type: ProblemType = Field(ONE_LABEL, description="as transformers has it; not written where it is the default")

    @model_serializer(mode="wrap")
    def _without_default(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(self, write(self), "problem_type")
