"""The steps of a run that fine-tune the chosen student for int8, and the decision on validation which int8 student ships."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgedistill.errors import TrainingDivergedError
from edgedistill.goals import METRIC_NAMES, check_goals, figure_of, goals_within
from edgedistill.int8_settings import Quantization
from edgedistill.line import Common, Line, Tuned, evaluate_models, export_model, quantize_model
from edgedistill.manifest import Decision
from edgedistill.plan import Plan
from edgedistill.recipe import Goal, Metric
from edgedistill.results import AwareGain, Evaluation, Int8Candidate, QuantizationVerdict, Variant
from edgedistill.search_job import Found
from edgedistill.stage import Done
from edgedistill.tasks.task import TrainingFolders

log = logging.getLogger("edgedistill")

STEP = "distill-aware"
_AWARE: Variant = "student_int8_aware"
_REPLACED: Variant = "student_int8_post_training"


@dataclass(frozen=True)
class Candidates:
    """The models that the fine-tuning starts from and is compared with.

    Attributes:
        teacher_onnx: with which the students are compared on validation.
        student: the torch student.
        student_onnx: its float export.
        student_int8: what the court made of that; float where that was its verdict.
        found: what the search says of this student.
    """

    teacher_onnx: Done
    student: Done
    student_onnx: Done
    student_int8: Done
    found: Found


@dataclass(frozen=True)
class Tuning:
    """What became of the fine-tuning.

    Attributes:
        shipped: the int8 student that ships.
        decisions: why it was fine-tuned, or not, and which one ships.
        variants: the folders of the models that are there besides what ships.
        curve: the course of the training; None without one.
        gain: what it bought; None without one.
        floating: the float export of the fine-tuned student where that one ships; its int8 file may answer as that one does.
        keeps_the_goals: does the fine-tuned int8 student keep the recipe's goals and the budget of accuracy on validation?
    """

    shipped: Done
    decisions: tuple[Decision, ...]
    variants: Mapping[Variant, Path] = field(default_factory=dict)
    curve: Path | None = None
    gain: AwareGain | None = None
    floating: Path | None = None
    keeps_the_goals: bool = False


@dataclass(frozen=True)
class Call:
    """Is the fine-tuning called for, and for which scheme? Empty: it is not."""

    scheme: str
    why: str


def tune_for_int8(line: Line, common: Common, plan: Plan, models: Candidates) -> Tuning:
    """Fine-tune the student with the rounding of int8 where that is called for, and keep what is better on validation.

    Everything is decided on the validation split; the test split is not read.
    """
    from edgedistill.quantize.stage import VERDICT_FILE

    wanted = line.recipe.quantization
    verdict = QuantizationVerdict.read_json(models.student_int8.folder / VERDICT_FILE)
    chosen = models.found.chosen
    finding = "none" if chosen.is_met else chosen.diagnosis.finding  # without a goal the diagnosis asks for the teacher's figure
    call = call_for(verdict, wanted, finding=finding, saturates=plan.target.cpu.saturates_u8s8)
    folders = TrainingFolders(common.prepared.folder, common.teacher.folder, common.soft_labels.folder)
    work = None
    if call.scheme:
        work = line.task.tune_for_int8(line.recipe, folders, student=models.student.folder,
                                       graph=models.student_onnx.folder / "model.onnx", scheme=call.scheme)
    if work is None:
        why = f"{call.why}; {line.task.name} has no such fine-tuning yet" if call.scheme else call.why
        return Tuning(models.student_int8, (Decision(step=STEP, what="did not fine-tune the student for int8", why=why),))
    try:
        tuned = line.note(STEP, line.workspace.do(STEP, work))
    except TrainingDivergedError as diverged:  # the int8 student without it is there
        log.warning("%s: %s: the int8 student stays as it was", STEP, diverged.message)
        return Tuning(models.student_int8, (Decision(step=STEP, what="kept the int8 student as it was", why=diverged.message),))
    exported = export_model(line, plan, "student-aware", tuned)
    int8 = quantize_model(line, common, plan, "student-aware", exported,
                          tuned=Tuned(call.scheme, models.student_onnx.folder))
    budget = plan.budgets.get("accuracy_loss")
    goals = goals_within(line.recipe.goals, None if budget is None else budget.limit)
    return _compared(line, common, models, _Made(tuned, exported, int8, call, verdict, goals))


@dataclass(frozen=True)
class _Made:
    """The fine-tuned student, its float export, its int8 file, why it was made, the verdict before, and what is asked for."""

    student: Done
    exported: Done
    int8: Done
    call: Call
    before: QuantizationVerdict
    goals: tuple[Goal, ...]


def call_for(verdict: QuantizationVerdict, wanted: Quantization, *, finding: str, saturates: bool) -> Call:
    """Say whether a student is to be fine-tuned for int8, for which scheme, and why.

    Args:
        verdict: of the court on the student as it was distilled.
        wanted: the recipe's `quantization`.
        finding: what the search found of it.
        saturates: does the target add u8 x s8 pairs in 16 bits?
    """
    if wanted.aware == "never":
        return Call("", "quantization.aware is never")
    reason = _missed(verdict, wanted, finding)
    if not reason and wanted.aware == "auto":
        return Call("", "int8 keeps what the float student has, within quantization.max_accuracy_loss on validation, without it")
    if verdict.is_float and any(row.outcome == "kept" for row in verdict.table):
        return Call("", "int8 keeps what the float student has but is slower, which no training changes")
    scheme = verdict.scheme if not verdict.is_float else _nearest(verdict, wanted, saturates=saturates)
    if not scheme:
        return Call("", f"{reason}, and no scheme makes enough of the graph int8 for this target without being slower than float")
    return Call(scheme, reason or "quantization.aware is always")


def _missed(verdict: QuantizationVerdict, wanted: Quantization, finding: str) -> str:
    """Say what int8 misses on validation; empty where it misses nothing."""
    if verdict.is_float:
        is_kept = any(row.outcome == "kept" for row in verdict.table)
        return "" if is_kept else "no int8 candidate keeps what the float student has on validation"
    chosen = next((row for row in verdict.table if row.outcome == "chosen"), None)
    if chosen is not None and chosen.accuracy_loss is not None and chosen.accuracy_loss > wanted.max_accuracy_loss:
        return "int8 keeps what the float student has on validation only by chance"
    return "the student is good in float and not in int8, on validation" if finding == "lost-in-int8" else ""


def _nearest(verdict: QuantizationVerdict, wanted: Quantization, *, saturates: bool) -> str:
    """Return the scheme that diverges least from float, of those that are refused for their answers alone."""
    rows = [row for row in verdict.table if row.kl_nats is not None and not row.float_nodes and _is_possible(row, wanted)
            and not _is_slower(row, verdict)]
    usable = [row for row in rows if not saturates or "_reduced_range" in row.scheme or "_wu8_" in row.scheme]
    return min(usable, key=lambda row: row.kl_nats or 0.0).scheme if usable else ""


def _is_possible(row: Int8Candidate, wanted: Quantization) -> bool:
    shares = [row.weight_bytes_share] if row.scheme.startswith("weight_only") else [row.weight_bytes_share, row.nodes_share]
    return all(share is not None and share >= wanted.min_coverage for share in shares)


def _is_slower(row: Int8Candidate, verdict: QuantizationVerdict) -> bool:
    """Is a candidate known to be slower than float on the target? Its fine-tuned file would be, too, and nobody times it."""
    if row.speed_ratio is not None:
        return row.speed_ratio.high < 1
    told, in_float = row.predicted_interval_s, verdict.float_predicted_p50_s
    return told is not None and in_float is not None and told[0] > in_float


def _compared(line: Line, common: Common, models: Candidates, made: _Made) -> Tuning:
    """Let validation decide which int8 student ships, and say what the fine-tuning bought."""
    from edgedistill.distill.stage import CURVE_FILE
    from edgedistill.evaluate.stage import EVALUATION_FILE
    from edgedistill.quantize.stage import VERDICT_FILE

    asked: dict[Variant, Path] = {
        "teacher": models.teacher_onnx.folder, "student_onnx": models.student_onnx.folder,
        "student_int8": models.student_int8.folder, _AWARE: made.int8.folder,
    }
    judged = evaluate_models(line, common, asked, split="validation")
    names: tuple[Variant, ...] = ("teacher", "student_onnx", "student_int8", _AWARE)
    teacher, in_float, before, after = (Evaluation.read_json(judged[name].folder / EVALUATION_FILE) for name in names)
    verdict = QuantizationVerdict.read_json(made.int8.folder / VERDICT_FILE)
    metric = models.found.chosen.metric
    figures = tuple(figure_of(evaluation, metric).value for evaluation in (in_float, before, after))
    were, are = (check_goals(made.goals, teacher, model) for model in (before, after))
    is_lost = any(one.met and not other.met for one, other in zip(were, are, strict=True))
    loses_a_goal = is_lost and models.found.chosen.is_within_budgets
    is_better = not verdict.is_float and not loses_a_goal and (made.before.is_float or figures[2] > figures[1])
    wanted = line.recipe.quantization
    gain = AwareGain(
        scheme=made.call.scheme, steps=wanted.aware_steps, learning_rate=wanted.aware_learning_rate,
        float_accuracy=in_float.accuracy.value, post_training_accuracy=before.accuracy.value,
        aware_accuracy=after.accuracy.value, keeps_the_goal=not verdict.is_float, is_shipped=is_better,
        text=_sentence(made, verdict, is_better=is_better, loses_a_goal=loses_a_goal, metric=metric, figures=figures),
    )
    decisions = (
        Decision(step=STEP, what=f"fine-tuned the student for {made.call.scheme}", why=made.call.why),
        Decision(step=STEP, what="shipped the fine-tuned int8 student" if is_better else "kept the int8 student as it was",
                 why=gain.text),
    )
    variants = {_AWARE: made.int8.folder} | ({_REPLACED: models.student_int8.folder} if is_better else {})
    shipped = made.int8 if is_better else models.student_int8
    floating = made.exported.folder if is_better else None
    is_kept = all(check.met for check in are)
    return Tuning(shipped, decisions, variants, made.student.folder / CURVE_FILE, gain, floating, is_kept)


def _sentence(
    made: _Made, verdict: QuantizationVerdict, *, is_better: bool, loses_a_goal: bool, metric: Metric, figures: Sequence[float]
) -> str:
    """Say what the figures of the float student, of what there was and of the fine-tuned one come to."""
    in_float, before, after = figures
    without = "the float model, as no int8 file keeps what it has," if made.before.is_float else "int8 without it"
    text = (f"validation {METRIC_NAMES[metric]}: float student {in_float:.4f}, {without} {before:.4f}, fine-tuned "
            f"{'in float' if verdict.is_float else 'in int8'} {after:.4f}")
    if verdict.is_float:
        return f"{text}; the fine-tuned student loses too much in int8, too: {verdict.decision}"
    if loses_a_goal:
        kept_by = "the float file" if made.before.is_float else "int8 without it"
        return f"{text}: it misses a goal that {kept_by} keeps within the budgets"
    if made.before.is_float:
        return f"{text}: there is an int8 file now"
    return f"{text}: better" if is_better else f"{text}: no better"
