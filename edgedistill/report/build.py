"""From the results of a run's stages to its report: pure, values in, one document out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from edgedistill.decisions import is_right, problem_of_labels
from edgedistill.device.results import DeviceMeasurement
from edgedistill.emulation.findings import EmulatedCheck, as_line
from edgedistill.errors import ArtifactError
from edgedistill.evaluate.intervals import mcnemar, paired_difference
from edgedistill.frontier import FrontierRow
from edgedistill.host import Host
from edgedistill.manifest import Decision
from edgedistill.recipe import Task
from edgedistill.report import answers, one_answer, paired, right_rows, unchecked, wording
from edgedistill.report.latency import (
    device_latency,
    device_memory,
    device_report,
    host_latency,
    peak_rss,
    speed_ratio_on_host,
    target_latency,
)
from edgedistill.report.model import (
    DistillationGain,
    Headline,
    Int8Form,
    LatencyReport,
    RunReport,
    StepReport,
    TargetLatency,
    TargetReport,
    VariantReport,
    Verdict,
)
from edgedistill.results import (
    AwareGain,
    BudgetCheck,
    Evaluation,
    GoalCheck,
    InstructionSetCheck,
    Interval,
    Measurement,
    ParityReport,
    Prediction,
    QuantizationVerdict,
    TrainingLog,
    Variant,
)

VARIANTS: tuple[Variant, ...] = ("teacher", "teacher_int8", "student_no_kd", "student", "student_onnx", "student_int8",
                                 "student_int8_aware", "student_int8_post_training")
"""In the order in which they are shown."""

_DEVICE_GATES = {"aarch64": "arm64", "x86_64": "x86_64"}
"""The gate that a device's answers are, by its architecture; targets have no other."""


@dataclass(frozen=True)
class TargetParts:
    """The results for one target.

    Attributes:
        name: the target's name in words.
        evaluations: on the test split, by variant; `teacher` and `student_int8` must be there.
        logits: raw logits of the test rows, shape (n, classes), by variant; the same two must be there.
        texts: the n test texts.
        gold: their classes, shape (n,), -1 for none; where several labels may apply 0 and 1, shape (n, classes).
        labels: the class names, in the order of the logits.
        measurements: on the host, by variant; any may be missing.
        parity: the gates of the conversions.
        quantization: what was chosen, and why.
        verdicts: of the court, by int8 variant; any may be missing.
        predictions: the plan's ledger.
        budgets: the target's budgets and whether they hold.
        goals: the recipe's goals and whether they hold.
        frontier: the trials of the search.
        advice: what to change when a goal is missed; empty when none is.
        target_latencies: latency on the target where somebody knows it; for `student_int8` the plan's prediction is
            taken when there is nothing better.
        curves: the course of each training, by name.
        not_checked: sentences to add to those that the report finds itself.
        device: what was measured on a device of the target's class; its figures take the place of predicted ones.
        emulated: the int8 student on the target's core under emulation.
        emulated_others: the same on other cores.
        not_emulated: a line for each core on which it was not replayed.
        is_this_machine: is the target the machine that measured?
        aware: what quantization-aware fine-tuning bought; None without one.
        thumbnail_of: gives the picture of a test row as a data URI; None for texts.
        pictures_sha256: of the test pictures, whose names are in `texts`; empty for texts.
    """

    name: str
    evaluations: Mapping[Variant, Evaluation]
    logits: Mapping[Variant, NDArray[np.float32]]
    texts: tuple[str, ...]
    gold: NDArray[np.int32]
    labels: tuple[str, ...]
    measurements: Mapping[Variant, Measurement]
    parity: ParityReport
    quantization: QuantizationVerdict
    predictions: tuple[Prediction, ...]
    budgets: tuple[BudgetCheck, ...]
    goals: tuple[GoalCheck, ...]
    frontier: tuple[FrontierRow, ...] = ()
    advice: str = ""
    verdicts: Mapping[Variant, QuantizationVerdict] = field(default_factory=dict)
    target_latencies: Mapping[Variant, TargetLatency] = field(default_factory=dict)
    curves: Mapping[str, TrainingLog] = field(default_factory=dict)
    not_checked: tuple[str, ...] = ()
    device: DeviceMeasurement | None = None
    emulated: EmulatedCheck | None = None
    emulated_others: tuple[EmulatedCheck, ...] = ()
    not_emulated: tuple[InstructionSetCheck, ...] = ()
    is_this_machine: bool = False
    aware: AwareGain | None = None
    thumbnail_of: Callable[[int], str | None] = lambda row: None
    pictures_sha256: str = ""


@dataclass(frozen=True)
class ReportParts:
    """The results of a run. `created` must have a time zone; `data` is prepare's data report."""

    recipe: str
    task: Task
    created: datetime
    host: Host
    tools: Mapping[str, str]
    targets: Mapping[str, TargetParts]
    decisions: tuple[Decision, ...] = ()
    steps: tuple[StepReport, ...] = ()
    data: Mapping[str, JsonValue] | None = None
    command: str = ""


def build_report(parts: ReportParts) -> RunReport:
    """Build the report of a run.

    Raises:
        ArtifactError: the teacher or the int8 student was not evaluated, or logits and test rows do not match.
    """
    return RunReport(
        recipe=parts.recipe,
        task=parts.task,
        created=parts.created,
        host=parts.host,
        tools=dict(sorted(parts.tools.items())),
        targets={name: build_target(target, task=parts.task, data=parts.data) for name, target in parts.targets.items()},
        decisions=parts.decisions,
        steps=parts.steps,
        data=None if parts.data is None else dict(parts.data),
        command=parts.command,
    )


def build_target(parts: TargetParts, *, task: Task, data: Mapping[str, JsonValue] | None = None) -> TargetReport:
    """Build the report of one target; `data` is prepare's data report, where there is one.

    Raises:
        ArtifactError: see `build_report`.
    """
    _check(parts)
    variants = {name: _variant(name, parts) for name in VARIANTS if name in parts.evaluations}
    headline = _headline(parts, variants)
    student, parity = parts.evaluations["student_int8"], _with_device(parts.parity, parts.device)
    both = {"teacher": parts.logits["teacher"], "student": parts.logits["student_int8"]}
    verdict: Verdict = "fail" if wording.misses(parts.budgets, parts.goals, parity) else "pass"
    report = TargetReport(
        verdict=verdict,
        budgets=parts.budgets,
        variants=variants,
        retention=headline.retention.value,
        parity=parity,
        int8_coverage=parts.quantization.coverage,
        name=parts.name,
        summary="",
        headline=headline,
        goals=parts.goals,
        frontier=parts.frontier,
        advice=parts.advice,
        quantization=parts.quantization,
        distillation_gain=_gain(parts),
        ledger=parts.predictions,
        curves={name: log.points for name, log in parts.curves.items()},
        labels=parts.labels,
        problem_type=problem_of_labels(parts.gold),
        confusion=student.confusion,
        confused_pairs=answers.confused_pairs(student.confusion, parts.labels),
        missed_and_added=answers.missed_and_added(parts.gold, parts.labels, **both),
        classes=student.classes,
        telling_rows=answers.telling_rows(parts.texts, parts.gold, parts.labels, **both, thumbnail_of=parts.thumbnail_of),
        reliability={name: answers.reliability(parts.logits[name], parts.gold) for name in VARIANTS if name in parts.logits},
        not_checked=(*unchecked.sentences(parts.name, variants, parts.device, task=task, is_this_machine=parts.is_this_machine),
                     *unchecked.classes_without_rows(student.classes, data), *parts.not_checked),
        device=None if parts.device is None else device_report(parts.device),
        emulated=parts.emulated,
        instruction_sets=_instruction_sets(parts),
        aware=parts.aware,
        test_sha256=right_rows.fingerprint((parts.pictures_sha256,) if parts.pictures_sha256 else parts.texts, parts.gold),
        teacher_confusion=parts.evaluations["teacher"].confusion,
        teacher_classes=parts.evaluations["teacher"].classes,
        answers_apart=answers.answers_apart(parts.gold, parts.labels, **both),
    )
    doubt = one_answer.doubt_text(both["student"], parts.gold, parts.labels, macro_f1=student.macro_f1.value)
    return report.model_copy(update={"summary": wording.summary(report, doubt=doubt)})


def _instruction_sets(parts: TargetParts) -> tuple[InstructionSetCheck, ...]:
    """Return a line for each core, the target's own first."""
    own = [as_line(parts.emulated, is_target=True)] if parts.emulated is not None else []
    others = [as_line(check, is_target=False) for check in parts.emulated_others]
    return tuple(sorted([*own, *others, *parts.not_emulated], key=lambda line: not line.is_target))


def _with_device(parity: ParityReport, device: DeviceMeasurement | None) -> ParityReport:
    """Add the gate of the device, under the name of its architecture: a run's exit code goes by the gates of the report."""
    if device is None:
        return parity
    return parity.model_copy(update={_DEVICE_GATES[device.device.profile_architecture]: device.against_host})


def _check(parts: TargetParts) -> None:
    """Refuse parts that cannot make a report, or that do not belong together."""
    for needed in ("teacher", "student_int8"):
        if needed not in parts.evaluations or needed not in parts.logits:
            raise ArtifactError(f"{parts.name}: {needed} was not evaluated on the test split",
                                hint="run the same command again: edgedistill run")
    expected = (len(parts.texts), len(parts.labels))
    for name, logits in parts.logits.items():
        if logits.shape != expected or parts.gold.shape not in (expected[:1], expected):
            raise ArtifactError(
                f"{parts.name}: the logits of {name} have shape {logits.shape}, the test split and its labels "
                f"{expected}",
                hint="evaluate the variants on the run's own test split again: edgedistill run",
            )


def _variant(name: Variant, parts: TargetParts) -> VariantReport:
    evaluation = parts.evaluations[name]
    measurement = parts.measurements.get(name)
    agreement = evaluation.agreement_with_teacher
    return VariantReport(
        parameters=evaluation.parameters,
        size_bytes=evaluation.size_bytes,
        accuracy=evaluation.accuracy.value,
        accuracy_ci95=(evaluation.accuracy.low, evaluation.accuracy.high),
        macro_f1=evaluation.macro_f1.value,
        micro_f1=None if evaluation.micro_f1 is None else evaluation.micro_f1.value,
        agreement_with_teacher=None if agreement is None else agreement.value,
        latency=LatencyReport(
            host=None if measurement is None else host_latency(measurement),
            target=device_latency(name, parts.device) or parts.target_latencies.get(name)
            or target_latency(name, parts.predictions),
        ),
        peak_rss_bytes=None if measurement is None else peak_rss(measurement),
        test_rows=evaluation.n,
        model_sha256=evaluation.model_sha256,
        macro_f1_ci95=(evaluation.macro_f1.low, evaluation.macro_f1.high),
        micro_f1_ci95=None if evaluation.micro_f1 is None else (evaluation.micro_f1.low, evaluation.micro_f1.high),
        calibration_error=evaluation.calibration_error,
        mcnemar_against_teacher=evaluation.mcnemar_against_teacher,
        right_rows=right_rows.pack(_is_right(parts, name)) if name in parts.logits else "",
        int8=_int8_form(name, parts),
    )


def _int8_form(name: Variant, parts: TargetParts) -> Int8Form | None:
    verdict = parts.quantization if name == "student_int8" else parts.verdicts.get(name)
    return None if verdict is None else Int8Form(scheme=verdict.scheme, coverage=verdict.coverage)


def _headline(parts: TargetParts, variants: Mapping[Variant, VariantReport]) -> Headline:
    student, teacher = variants["student_int8"], variants["teacher"]
    on_target = student.latency.target
    memory = device_memory(parts.device) or student.peak_rss_bytes
    return Headline(
        size_bytes=student.size_bytes,
        size_ratio=teacher.size_bytes / max(student.size_bytes, 1),
        speed_ratio=speed_ratio_on_host(parts.measurements.get("teacher"), parts.measurements.get("student_int8")),
        target_p50_s=None if on_target is None else on_target.p50_s,
        target_p50_source=None if on_target is None else on_target.source,
        retention=_retention(parts),
        memory_bytes=None if memory is None else memory.value - memory.baseline,
        memory_source=None if memory is None else memory.source,
        fits=all(budget.met for budget in parts.budgets),
    )


def _retention(parts: TargetParts) -> Interval:
    """Return int8 accuracy / teacher accuracy: the value of the evaluations, the interval of the paired rows."""
    teacher = parts.evaluations["teacher"].accuracy.value
    value = parts.evaluations["student_int8"].accuracy.value / teacher if teacher else 0.0
    interval = paired.accuracy_ratio(_is_right(parts, "teacher"), _is_right(parts, "student_int8"))
    return Interval(value=value, low=min(interval.low, value), high=max(interval.high, value))


def _gain(parts: TargetParts) -> DistillationGain | None:
    if not {"student", "student_no_kd"} <= set(parts.logits):
        return None
    with_teacher, without = _is_right(parts, "student"), _is_right(parts, "student_no_kd")
    return DistillationGain(
        n=len(with_teacher),
        student_accuracy=float(with_teacher.mean()),
        student_no_kd_accuracy=float(without.mean()),
        difference=paired_difference(with_teacher, without),
        mcnemar=mcnemar(without, with_teacher),
        student_rows_seen=_rows_seen(parts, "student"),
        student_no_kd_rows_seen=_rows_seen(parts, "student_no_kd"),
    )


def _rows_seen(parts: TargetParts, name: Variant) -> int | None:
    """Return how many examples a training saw, repeats counted; None where its log does not say."""
    log = parts.curves.get(name)
    return None if log is None else log.rows_seen


def _is_right(parts: TargetParts, name: Variant) -> NDArray[np.bool_]:
    return is_right(parts.logits[name], parts.gold)
