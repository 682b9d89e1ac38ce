"""The pipeline: the steps of a run in their order, what flows from one to the next, and what is published at the end.

Only this module knows the whole line. A step that was done is found by its key and skipped (`stage.Workspace`).
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.catalog import LocatedRecipe
from edgedistill.errors import ParityError, TeacherError, UsageError
from edgedistill.line import Common, Line, evaluate_models, export_model, label_softly, quantize_model
from edgedistill.plan import Plan, make_plan, rungs_of
from edgedistill.results import Evaluation, Variant
from edgedistill.run_folder import (
    LOCKED_RECIPE_FILE,
    REPORT_FILE,
    STAGES_FOLDER,
    STUDY_FILE,
    left_by_earlier_runs,
    locked,
    locked_recipe,
    require_outside_inputs,
)
from edgedistill.stage import Done, Workspace, write_text_durably
from edgedistill.storage import storage_errors
from edgedistill.target import Target
from edgedistill.tasks.registry import task_named
from edgedistill.tasks.task import Packing

if TYPE_CHECKING:
    from edgedistill.aware_step import Tuning
    from edgedistill.device.session import Device
    from edgedistill.emulated_step import Emulation
    from edgedistill.report.model import RunReport
    from edgedistill.run_report import TargetResults

log = logging.getLogger("edgedistill")

StepListener = Callable[[str, str, float], None]


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        report: what report.json holds.
        folder: the run folder.
        missed: a sentence for each budget or goal that is missed, by target.
        parity_problems: a sentence for each conversion that changed the answers.
    """

    report: "RunReport"
    folder: Path
    missed: tuple[str, ...]
    parity_problems: tuple[str, ...]


def run(
    located: LocatedRecipe, targets: Sequence[Target], out: Path, *, on_step: StepListener | None = None, on: str | None = None
) -> RunResult:
    """Take a teacher to every target, and publish report and bundles in `out`.

    Args:
        located: the recipe and the folder its paths start from.
        targets: the device classes, at least one.
        out: the run folder; steps that are done there are skipped.
        on_step: told of every step, see `stage.Workspace`.
        on: the address of a device of the one target: what is measured there takes the place of what is predicted.

    Returns:
        the report, and what was missed. A missed goal is no exception: everything is written first.

    Raises:
        EdgedistillError: bad input, a device that cannot be reached or used (said before any work), a target that no
            student fits, a folder that cannot be written or is in use.
    """
    from edgedistill.package.licences import require_recipe_allowed

    require_recipe_allowed(located.recipe)
    require_outside_inputs(located, out)
    require_distinct(targets)
    task, rungs = task_named(located.recipe.task), rungs_of(located)
    device = None if on is None else _reach(on, targets)
    with locked(out):
        teacher_folder = task.find_teacher(located)
        task.check(located.recipe, teacher_folder)
        settled = task.settle(located, targets)
        located = settled.located
        settled.before_work(out / STAGES_FOLDER)
        workspace = Workspace(out / STAGES_FOLDER, on_step or (lambda step, state, seconds: None))
        wanted = located.recipe.search.study
        study = located.path(wanted) if wanted else out.resolve() / STAGES_FOLDER / STUDY_FILE
        line = Line(located.recipe, workspace, teacher_folder, study, rungs, settled=settled.decisions,
                    recipe_folder=located.folder)
        prepared = _prepare(line, located)
        facts = task.facts(located.recipe, prepared.folder, teacher_folder)
        plans = [make_plan(located.recipe, target, facts, line.rungs) for target in targets]
        recipe = locked_recipe(located, out).to_yaml()
        if not (out / REPORT_FILE).exists():  # beside an earlier run's report its own recipe stays, until this run is through
            write_text_durably(out / LOCKED_RECIPE_FILE, recipe)
        _require_exporter(located, teacher_folder, out)
        common = _teach(line, prepared)
        results = {plan.target.id: _for_target(line, common, plan, device) for plan in plans}
        return _publish(line, common, results, out, recipe=recipe)


def require_distinct(targets: Sequence[Target]) -> None:
    """Refuse two targets of one id: folder and report have room for one.

    Raises:
        UsageError: names the id.
    """
    ids = [target.id for target in targets]
    twice = next((name for name in ids if ids.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two targets are called {twice!r}", hint="give the target of your own another id: in its file")


def _require_exporter(located: LocatedRecipe, teacher: Path | None, out: Path) -> None:
    """Refuse a teacher whose family cannot be exported, before it is trained; not where one of it was made ready here before."""
    from edgedistill.export.requirements import require_exporter
    from edgedistill.teach.labels import config_of

    config = (located.recipe.teacher.configuration or {}) if teacher is None else config_of(teacher)
    if config.get("model_type") in _families_taught(out):
        return  # looking imports torch, which a run that finds its steps done, or bad data, does without
    if isinstance(family := config.get("model_type"), str):
        require_exporter(family, located.recipe.task)


def _families_taught(out: Path) -> set[object]:
    """Return the families of the teachers that were made ready in a run folder; one that was damaged since is made anew."""
    from edgedistill.teach.labels import config_of

    found: set[object] = set()
    for manifest in (out / STAGES_FOLDER / "teach").glob("*/manifest.json"):
        with suppress(TeacherError):
            found.add(config_of(manifest.parent).get("model_type"))
    return found


def _reach(on: str, targets: Sequence[Target]) -> "Device":
    """Look at the device before hours of training: is it there, and can it be what the target says?"""
    from edgedistill.device.stage import reach, refuse_other_target

    if len(targets) != 1:
        raise UsageError("a device is of one target", hint=f"--target {targets[0].id} --on {on}")
    device = reach(on)
    refuse_other_target(device, targets[0])
    return device


def _prepare(line: Line, located: LocatedRecipe) -> Done:
    return line.note("prepare", line.workspace.do("prepare", line.task.prepare(located, line.teacher_folder)))


def _teach(line: Line, prepared: Done) -> Common:
    work = line.task.teach(line.recipe, prepared.folder, line.teacher_folder)
    teacher = line.note("teach", line.workspace.do("teach", work))
    return Common(prepared, teacher, label_softly(line, prepared, teacher))


def _for_target(line: Line, common: Common, plan: Plan, device: "Device | None") -> "TargetResults":
    """Do the steps of one target; steps that another target shares are found done."""
    from edgedistill.aware_step import Candidates, tune_for_int8
    from edgedistill.distill.stage import CURVE_FILE
    from edgedistill.emulated_step import Replayed, emulate
    from edgedistill.evaluate.stage import LOGITS_FILE
    from edgedistill.prepare.stage import TEST_FILE
    from edgedistill.quantize.stage import VERDICT_FILE
    from edgedistill.run_report import TargetResults
    from edgedistill.trials import distil_trial, search_line, train_baseline, varied

    teacher_onnx = export_model(line, plan, "teacher", common.teacher)
    found = search_line(line, common, plan, teacher_onnx)
    teacher_int8 = quantize_model(line, common, plan, "teacher", teacher_onnx)
    line, common, plan = varied(line, common, plan, found.trial)
    student = distil_trial(line, common, plan, found.trial)
    baseline, lost = train_baseline(line, common, plan, student)
    found = replace(found, decisions=(*found.decisions, *lost))
    student_onnx = export_model(line, plan, "student", student)
    post_training = quantize_model(line, common, plan, "student", student_onnx)
    tuning = tune_for_int8(line, common, plan, Candidates(teacher_onnx, student, student_onnx, post_training, found))
    student_int8 = tuning.shipped
    folders: dict[Variant, Path] = {"teacher": teacher_onnx.folder, "teacher_int8": teacher_int8.folder}
    if baseline is not None:
        folders["student_no_kd"] = baseline.folder
    folders |= {"student": student.folder, "student_onnx": student_onnx.folder, "student_int8": student_int8.folder}
    folders |= tuning.variants
    evaluations = evaluate_models(line, common, folders)
    _prove_reading(line, common, student_int8)
    emulation = emulate(line, plan.target, Replayed(
        student_int8.folder, common.prepared.folder / TEST_FILE, evaluations["student_int8"].folder / LOGITS_FILE))
    parity = _verify(line, evaluations, emulation, tuned=_answers_of_tuned(line, common, tuning))
    passed = _parity_passed(parity)
    measured = _benchmark(line, common, _distinct(folders)) if passed else None
    on_device = _measure_on(line, common, plan, student_int8, device) if passed and device is not None else None
    passed = passed and _device_passed(on_device)
    packed, refused = _packed(line, common, plan, student_int8, evaluations) if passed else (None, "")
    curves = {"teacher": common.teacher.folder / CURVE_FILE, "student": student.folder / CURVE_FILE}
    if baseline is not None:
        curves["student_no_kd"] = baseline.folder / CURVE_FILE
    if tuning.curve is not None:
        curves["student_int8_aware"] = tuning.curve
    verdicts: dict[Variant, Path] = {"teacher_int8": teacher_int8.folder / VERDICT_FILE}
    verdicts |= {name: folder / VERDICT_FILE for name, folder in tuning.variants.items()}  # all of them passed the court
    return TargetResults(plan, evaluations, curves, student, student_onnx, student_int8, parity, measured, packed,
                         found, emulation, on_device, tuning, verdicts, refused)


def _distinct(folders: Mapping[Variant, Path]) -> dict[Variant, Path]:
    """Leave out the fine-tuned int8 student where it is what ships: nothing is timed twice."""
    return {name: path for name, path in folders.items() if name != "student_int8_aware" or path != folders["student_int8"]}


def _prove_reading(line: Line, common: Common, student: Done) -> None:
    work = line.task.prove_reading(teacher=common.teacher.folder, student=student.folder, data=common.prepared.folder)
    if work is not None:
        line.note("prove-ids", line.workspace.do("prove-ids", work))


def _answers_of_tuned(line: Line, common: Common, tuning: "Tuning") -> Path | None:
    """Return the test logits of a student that was fine-tuned for int8, in float; None where no such one ships."""
    from edgedistill.evaluate.stage import LOGITS_FILE

    if tuning.floating is None:
        return None
    variant: Variant = "student_onnx_aware"
    return evaluate_models(line, common, {variant: tuning.floating})[variant].folder / LOGITS_FILE


def _verify(line: Line, evaluations: Mapping[Variant, Done], emulation: "Emulation", *, tuned: Path | None) -> Done:
    from edgedistill.evaluate.stage import LOGITS_FILE
    from edgedistill.verify import stage

    emulated = None if emulation.done is None else emulation.done.folder / stage.EMULATED_FILE
    inputs = stage.Inputs(
        torch_logits=evaluations["student"].folder / LOGITS_FILE,
        onnx_logits=evaluations["student_onnx"].folder / LOGITS_FILE,
        int8_logits=evaluations["student_int8"].folder / LOGITS_FILE, emulated=emulated, tuned_logits=tuned,
    )
    settings = stage.Settings(gates=line.recipe.parity, problem_type=line.recipe.data.problem_type)
    return line.note("verify", line.workspace.perform("verify", stage.STAGE, settings, inputs))


def _parity_passed(parity: Done) -> bool:
    from edgedistill.results import ParityReport
    from edgedistill.verify.stage import PARITY_FILE

    report = ParityReport.read_json(parity.folder / PARITY_FILE)
    return report.passed


def _device_passed(measured: Done | None) -> bool:
    """Does the device, where there was one, answer as this host does? Its gate is one of the report, which ends a run with 4."""
    from edgedistill.device.results import DeviceMeasurement
    from edgedistill.device.stage import DEVICE_FILE

    return measured is None or DeviceMeasurement.read_json(measured.folder / DEVICE_FILE).against_host.passed


def _benchmark(line: Line, common: Common, folders: Mapping[Variant, Path]) -> Done:
    from edgedistill.benchmark import stage
    from edgedistill.host import this_host
    from edgedistill.prepare.stage import TEST_FILE

    models = {v: f / "model.onnx" if (f / "model.onnx").is_file() else f for v, f in folders.items()}
    settings = stage.Settings(
        protocol=line.recipe.benchmark, host=this_host().lasting, variants=tuple(models), seed=line.recipe.seed
    )
    inputs = stage.Inputs(models=dict(models.items()), data=common.prepared.folder / TEST_FILE)
    return line.note_measured("benchmark", line.workspace.perform("benchmark", stage.STAGE, settings, inputs))


def _measure_on(line: Line, common: Common, plan: Plan, model: Done, device: "Device") -> Done:
    from edgedistill.device import stage
    from edgedistill.prepare.stage import TEST_FILE

    settings = stage.Settings(
        address=device.transport.name, device=device.facts,
        protocol=line.recipe.benchmark.model_copy(update={"threads": 1}),  # of so many the latency budget is
        min_agreement=line.recipe.parity.int8_min_agreement, denied=plan.target.runtime.denied,
    )
    inputs = stage.Inputs(model.folder / "model.onnx", common.prepared.folder / TEST_FILE)
    return line.note_measured("device", line.workspace.perform("device", stage.STAGE, settings, inputs))


def _packed(
    line: Line, common: Common, plan: Plan, model: Done, evaluations: Mapping[Variant, Done]
) -> tuple[Done | None, str]:
    """Pack the bundle; None and the reason where a file of it answers otherwise, as after another gate: the report is made."""
    try:
        return _package(line, common, plan, model, evaluations), ""
    except ParityError as failure:
        log.error("package: %s", failure.message)
        return None, failure.message


def _package(
    line: Line, common: Common, plan: Plan, model: Done, evaluations: Mapping[Variant, Done]
) -> Done:
    from edgedistill.evaluate.stage import EVALUATION_FILE
    from edgedistill.package import stage
    from edgedistill.package.base_model import base_model_of
    from edgedistill.package.card import CardFigures, retention_of
    from edgedistill.quantize.stage import VERDICT_FILE
    from edgedistill.results import QuantizationVerdict

    recipe, data = line.recipe, common.prepared.folder
    located = LocatedRecipe(recipe, line.recipe_folder)
    teacher, student = (
        Evaluation.read_json(evaluations[variant].folder / EVALUATION_FILE) for variant in ("teacher", "student_int8")
    )
    settings = stage.Settings(
        recipe_id=recipe.id, task=recipe.task, target_id=plan.target.id, base_model=base_model_of(located),
        scheme=QuantizationVerdict.read_json(model.folder / VERDICT_FILE).scheme,
        runtime_oldest=plan.target.runtime.oldest, runtime_denied=plan.target.runtime.denied,
        architecture=plan.target.cpu.architecture, platform=plan.target.runtime.platform,
        card=CardFigures(
            description=recipe.description, test_rows=student.n, accuracy=student.accuracy, macro_f1=student.macro_f1,
            teacher_accuracy=teacher.accuracy, retention=retention_of(student.accuracy, teacher.accuracy),
            teacher_licence=recipe.teacher.licence, data_licence=recipe.data.licence,
        ),
        tolerance=recipe.parity.bundle_tolerance, tolerances=recipe.parity.bundle_tolerances, seed=recipe.seed,
        deny_licences=recipe.package.deny_licences, model_bytes_limit=plan.budgets["model_bytes"].limit,
    )
    work = line.task.package(Packing(settings, model.folder, data, located))
    return line.note("package", line.workspace.do("package", work))


def _publish(line: Line, common: Common, results: Mapping[str, "TargetResults"], out: Path, *, recipe: str) -> RunResult:
    """Put together the report and copy what ships out of `.stages/`."""
    from edgedistill.report.stage import write_report
    from edgedistill.run_report import collect_report, misses_of, parity_problems_of

    left = left_by_earlier_runs(out, results)
    for decision in left:
        log.warning("%s (%s)", decision.what, decision.why)
    report = collect_report(line.recipe, line.steps, common.prepared.folder, results, settled=(*line.settled, *left))
    with storage_errors(out):
        for name, result in results.items():
            _publish_target(result, out / name)
        write_text_durably(out / LOCKED_RECIPE_FILE, recipe)
        write_report(report, out)
    return RunResult(report, out, misses_of(report), parity_problems_of(report))


def _publish_target(result: "TargetResults", folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with _replaced(folder / "student") as student:
        shutil.copytree(result.student.folder, student, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("manifest.json", "training_log.json", "fit.json"))
        (student / "onnx").mkdir()
        shutil.copyfile(result.student_onnx.folder / "model.onnx", student / "onnx" / "model.onnx")
        shutil.copyfile(result.student_int8.folder / "model.onnx", student / "onnx" / "model_quantized.onnx")
        from edgedistill.export.ort_config import ort_config_json
        from edgedistill.quantize.stage import VERDICT_FILE
        from edgedistill.results import QuantizationVerdict

        verdict = QuantizationVerdict.read_json(result.student_int8.folder / VERDICT_FILE)
        (student / "ort_config.json").write_text(ort_config_json(verdict.scheme), encoding="utf-8")
    from edgedistill.package.published import make_way

    if result.package is None:  # a bundle of an earlier run must not be taken for this one's
        make_way(folder / "bundle", None)
        shutil.rmtree(folder / "bundle", ignore_errors=True)
        (folder / "bundle.zip").unlink(missing_ok=True)
        return
    if make_way(folder / "bundle", result.package.folder / "bundle"):
        with _replaced(folder / "bundle") as bundle:
            shutil.copytree(result.package.folder / "bundle", bundle, dirs_exist_ok=True)
    shutil.copyfile(result.package.folder / "bundle.zip", folder / "bundle.zip.tmp")
    os.replace(folder / "bundle.zip.tmp", folder / "bundle.zip")


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` once it is filled."""
    fresh = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    yield fresh
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)  # whole at any moment, under one name or the other
    os.replace(fresh, folder)
    shutil.rmtree(old, ignore_errors=True)
