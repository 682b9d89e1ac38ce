"""A trial of the search as steps of the run: distil, export, quantize, evaluate on validation; each found done by its key."""

import hashlib
import logging
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from edgedistill.adoption import take_over
from edgedistill.constant import Constant, constant_set
from edgedistill.distill.search.study import Owner
from edgedistill.distill.search.trial import Trial
from edgedistill.distill.stage import CURVE_FILE, FIT_FILE
from edgedistill.errors import TrainingDivergedError
from edgedistill.host import tool_version
from edgedistill.line import Common, Line, evaluate_models, export_model, label_softly, quantize_model
from edgedistill.manifest import Decision
from edgedistill.plan import Plan
from edgedistill.problem_type import SEVERAL_LABELS
from edgedistill.results import Evaluation, Fit, Labels, QuantizationVerdict, TrainingLog, Variant
from edgedistill.run_folder import STUDY_FILE, run_id
from edgedistill.search_job import Attempt, Found, Job, plan_of, recipe_of
from edgedistill.stage import Done, Stage, Work
from edgedistill.storage import storage_errors
from edgedistill.student_search import search_students
from edgedistill.target import Target
from edgedistill.tasks.task import TrainingFolders

log = logging.getLogger("edgedistill")


@dataclass(frozen=True)
class _Bench:
    """What all trials for one target have in common."""

    line: Line
    common: Common
    plan: Plan
    teacher_onnx: Done


def search_line(line: Line, common: Common, plan: Plan, teacher_onnx: Done) -> Found:
    """Look for the student, on the validation split alone."""
    from edgedistill.evaluate.stage import EVALUATION_FILE
    from edgedistill.evaluate.stage import STAGE as EVALUATE
    from edgedistill.export.stage import STAGE as EXPORT
    from edgedistill.quantize.stage import STAGE as QUANTIZE

    with storage_errors(line.study):
        line.study.parent.mkdir(parents=True, exist_ok=True)
    teacher = evaluate_models(line, common, {"teacher": teacher_onnx.folder}, split="validation")["teacher"]
    stages = line.workspace.root.resolve()
    is_shared = line.study != stages / STUDY_FILE
    owner = Owner(run_id(stages) if is_shared else "", f"{platform.node()}:{stages.parent}", str(stages))
    folders = TrainingFolders(common.prepared.folder, common.teacher.folder, common.soft_labels.folder)
    training = line.task.distil(line.recipe, plan.shape, folders).stage
    job = Job(
        recipe=line.recipe, plan=plan, teacher=Evaluation.read_json(teacher.folder / EVALUATION_FILE),
        schemes=line.task.schemes(plan.target), owner=owner, study=line.study,
        origin=(common.prepared.manifest.key, common.teacher.manifest.key, teacher_onnx.manifest.key,
                common.soft_labels.manifest.key, *(_version(stage) for stage in (training, EXPORT, QUANTIZE, EVALUATE)),
                *_own_shapes(line), _costs_of(plan.target)),
        most_frequent=_most_frequent(line, common),
    )
    return search_students(job, partial(_attempt, _Bench(line, common, plan, teacher_onnx)))


def _most_frequent(line: Line, common: Common) -> Constant | None:
    """Return the most frequent set of labels on validation; None where an example has one, as the evaluation says its share."""
    from edgedistill.examples import read_examples
    from edgedistill.prepare.stage import LABELS_FILE, VALIDATION_FILE

    if line.recipe.data.problem_type != SEVERAL_LABELS:
        return None
    folder = common.prepared.folder
    return constant_set(read_examples(folder / VALIDATION_FILE).labels, Labels.read_json(folder / LABELS_FILE).labels)


def _version(stage: Stage[Any, Any]) -> str:
    """Return the version of a stage and of the tools that change its results."""
    return " ".join([stage.name, str(stage.version), *(f"{name} {tool_version(name)}" for name in stage.tools)])


def _own_shapes(line: Line) -> tuple[str, ...]:
    """Return what a ladder of the recipe's own holds, as a hash; nothing for the shipped one."""
    if line.recipe.student.ladder is None:
        return ()
    return (f"ladder {hashlib.sha256(repr(tuple(line.rungs)).encode()).hexdigest()}",)


def _costs_of(target: Target) -> str:
    """Return by what the court of int8 judges candidates for a target, as text: a profile may change and keep its id."""
    return target.model_dump_json(include={"cpu", "memory", "latency"})


def varied(line: Line, common: Common, plan: Plan, trial: Trial) -> tuple[Line, Common, Plan]:
    """Return what the steps of one trial share: its recipe, its soft labels, its shape."""
    shape = next(shape for shape in line.rungs if shape.id == trial.settings.rung)
    own = replace(line, recipe=recipe_of(line.recipe, trial.settings))
    if own.recipe.distillation.transfer_set != line.recipe.distillation.transfer_set:
        common = replace(common, soft_labels=label_softly(own, common.prepared, common.teacher))
    return own, common, plan_of(plan, shape)


def distil_trial(line: Line, common: Common, plan: Plan, trial: Trial) -> Done:
    """Train the student of a trial, whose line, soft labels and plan `varied` has given."""
    student = line.workspace.do("distill", _student_work(line, common, plan, trial))
    return line.note(f"distill {plan.shape.id}", student)


def train_baseline(line: Line, common: Common, plan: Plan, student: Done) -> tuple[Done | None, tuple[Decision, ...]]:
    """Train the chosen shape once more without the teacher, and say so where that came to nothing.

    None where the recipe does not want it, or where it diverged: from random weights the student's learning rate may be too high,
    and the student is no worse for it.
    """
    if not line.recipe.distillation.baseline:
        return None, ()
    work = line.task.train_baseline(line.recipe, plan.shape, student=student.folder, data=common.prepared.folder)
    try:
        return line.note(f"baseline {plan.shape.id}", line.workspace.do("baseline", work)), ()
    except TrainingDivergedError as diverged:
        log.warning("baseline: %s: there is no student without a teacher to compare with", diverged.message)
        return None, (Decision(step="baseline", what="no student without a teacher to compare with", why=diverged.message),)


def _attempt(bench: _Bench, trial: Trial, source: Path | None) -> Attempt | None:
    """Make one trial, or find it made: distil, export, quantize, and evaluate on validation.

    Given another run's `.stages`, its student is taken over first; None when it is not there.
    """
    if source is not None and not (source / "distill").is_dir():  # before texts are made and labelled for it
        return None
    line, common, plan = varied(bench.line, bench.common, bench.plan, trial)
    if source is not None and not _take_student_over(line, common, plan, trial, source):
        return None
    student = distil_trial(line, common, plan, trial)
    steps = [student] if common.soft_labels is bench.common.soft_labels else [common.soft_labels, student]
    curve, fit = TrainingLog.read_json(student.folder / CURVE_FILE), Fit.read_json(student.folder / FIT_FILE)
    made = Attempt(curve, fit, step_seconds=_seconds(steps))
    if curve.given_up_at_step is not None:
        return made
    onnx = export_model(line, plan, "student", student)
    int8 = quantize_model(line, common, plan, "student", onnx)
    folders: dict[Variant, Path] = {"teacher": bench.teacher_onnx.folder, "student_onnx": onnx.folder,
                                    "student_int8": int8.folder}
    judged = evaluate_models(line, common, folders, split="validation")
    steps += [onnx, int8, judged["student_onnx"], judged["student_int8"]]
    return _judged(replace(made, step_seconds=_seconds(steps)), common, int8, judged)


def _seconds(steps: Sequence[Done]) -> dict[str, float]:
    return {done.manifest.key: done.manifest.duration_s for done in steps}


def _judged(made: Attempt, common: Common, int8: Done, judged: Mapping[Variant, Done]) -> Attempt:
    """Add what validation says of a trial's models."""
    from edgedistill.decisions import is_right
    from edgedistill.evaluate.logits import read_logits
    from edgedistill.evaluate.stage import EVALUATION_FILE, LOGITS_FILE
    from edgedistill.examples import read_examples
    from edgedistill.prepare.stage import VALIDATION_FILE
    from edgedistill.quantize.stage import VERDICT_FILE

    in_float, in_int8 = (
        Evaluation.read_json(judged[name].folder / EVALUATION_FILE) for name in ("student_onnx", "student_int8")
    )
    answers = read_logits(judged["student_int8"].folder / LOGITS_FILE)
    return replace(
        made, float_student=in_float, int8_student=in_int8,
        is_right=is_right(answers, read_examples(common.prepared.folder / VALIDATION_FILE).labels),
        verdict=QuantizationVerdict.read_json(int8.folder / VERDICT_FILE),
    )


def _student_work(line: Line, common: Common, plan: Plan, trial: Trial) -> Work:
    folders = TrainingFolders(common.prepared.folder, common.teacher.folder, common.soft_labels.folder)
    return line.task.distil(line.recipe, plan.shape, folders, milestones=trial.milestones)


def _take_student_over(line: Line, common: Common, plan: Plan, trial: Trial, source: Path) -> bool:
    work = _student_work(line, common, plan, trial)
    key = line.workspace.key_of(work.stage, work.settings, work.inputs)
    return take_over(source / "distill" / key, line.workspace.root / "distill" / key, key=key)
