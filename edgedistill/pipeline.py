"""The pipeline: the steps of a run in their order, what flows from one to the next, and what is published at the end.

Only this module knows the whole line. A step that was done is found by its key and skipped (`stage.Workspace`).
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from edgedistill.catalog import LocatedRecipe, data_folder
from edgedistill.errors import StorageError
from edgedistill.facts import facts_of_examples
from edgedistill.plan import Plan, make_plan
from edgedistill.recipe import Recipe
from edgedistill.results import Evaluation, Variant
from edgedistill.shape import StudentShape, read_ladder
from edgedistill.stage import Done, Workspace, storage_errors, write_text_durably
from edgedistill.target import Target

if TYPE_CHECKING:
    from edgedistill.report.model import RunReport
    from edgedistill.run_report import TargetResults

log = logging.getLogger("edgedistill")

STAGES_FOLDER = ".stages"
LOCK_FILE = ".lock"
LOCKED_RECIPE_FILE = "recipe.lock.yaml"
_DISK_NEED_BYTES = 1_500_000_000
_FLOAT_BATCH = 32

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


@dataclass(frozen=True)
class _Line:
    """What the steps of a run share."""

    recipe: Recipe
    workspace: Workspace
    teacher_folder: Path
    steps: dict[str, Done] = field(default_factory=dict)

    def note(self, step: str, done: Done) -> Done:
        """Keep a finished step for the report; two targets may have a step of one name with different results."""
        other = self.steps.get(step)
        name = step if other is None or other.folder == done.folder else f"{step} ({done.manifest.key[:8]})"
        self.steps[name] = done
        return done


@dataclass(frozen=True)
class _Common:
    """Results that do not depend on the target."""

    prepared: Done
    teacher: Done
    soft_labels: Done


def ladder() -> tuple[StudentShape, ...]:
    """Return the shipped student shapes."""
    return read_ladder(data_folder("models") / "students.yaml").rungs


def run(
    located: LocatedRecipe, targets: Sequence[Target], out: Path, *, on_step: StepListener | None = None
) -> RunResult:
    """Take a teacher to every target, and publish report and bundles in `out`.

    Args:
        located: the recipe and the folder its paths start from.
        targets: the device classes, at least one.
        out: the run folder; steps that are done there are skipped.
        on_step: told of every step, see `stage.Workspace`.

    Returns:
        the report, and what was missed. A missed goal is no exception: everything is written first.

    Raises:
        EdgedistillError: bad input, a target that no student fits, a folder that cannot be written or is in use.
    """
    from edgedistill.package.licences import require_recipe_allowed
    from edgedistill.teach.resolve import resolve_teacher

    require_recipe_allowed(located.recipe)
    with _locked(out):
        teacher_folder = resolve_teacher(located.recipe.teacher, recipe_folder=located.folder)
        workspace = Workspace(out / STAGES_FOLDER, on_step or (lambda step, state, seconds: None))
        line = _Line(located.recipe, workspace, teacher_folder)
        prepared = _prepare(line, located)
        facts = facts_of_examples(prepared.folder, teacher_folder, max_tokens=located.recipe.teacher.max_tokens)
        plans = [make_plan(located.recipe, target, facts, ladder()) for target in targets]
        write_text_durably(out / LOCKED_RECIPE_FILE, _locked_recipe(located, out).to_yaml())
        common = _teach(line, prepared)
        results = {plan.target.id: _for_target(line, common, plan) for plan in plans}
        return _publish(line, common, results, out)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold the run folder; the system frees it when the process dies, however it dies."""
    with storage_errors(out):
        if out.exists() and not out.is_dir():
            raise StorageError(f"{out}: is a file", hint="choose a folder with -o DIR")
        if out.is_dir() and any(out.iterdir()) and not any((out / n).exists() for n in (LOCK_FILE, STAGES_FOLDER)):
            raise StorageError(f"{out}: is not empty, and no run of edgedistill",
                               hint="choose another folder with -o DIR")
        out.mkdir(parents=True, exist_ok=True)
        is_fresh = not any((out / STAGES_FOLDER / "teach").glob("*/manifest.json"))
        if is_fresh and shutil.disk_usage(out).free < _DISK_NEED_BYTES:
            raise StorageError(f"{out}: only {shutil.disk_usage(out).free / 1e9:.1f} GB free, a run needs "
                               f"{_DISK_NEED_BYTES / 1e9:.1f} GB",
                               hint="free some space, or choose another disk with -o DIR")
        lock = FileLock(out / LOCK_FILE)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StorageError(f"{out}: another run is working in this folder",
                               hint="wait for it, or give this one its own folder with -o DIR") from None
    try:
        yield
    finally:
        lock.release()


def _locked_recipe(located: LocatedRecipe, out: Path) -> Recipe:
    """Return the recipe with its paths as seen from the run folder, so that it runs from there as it is."""

    def moved(path: str | None) -> str | None:
        return None if path is None else os.path.relpath(located.path(path), out.resolve())

    recipe = located.recipe
    data = recipe.data.model_copy(
        update={name: moved(getattr(recipe.data, name)) for name in ("train", "validation", "test")}
    )
    is_folder = located.path(recipe.teacher.name).is_dir()
    name = moved(recipe.teacher.name) if is_folder else recipe.teacher.name
    return recipe.model_copy(update={"data": data, "teacher": recipe.teacher.model_copy(update={"name": name})})


def _prepare(line: _Line, located: LocatedRecipe) -> Done:
    from edgedistill.prepare import stage
    from edgedistill.teach.labels import label_order

    data = located.recipe.data
    settings = stage.Settings(
        text_column=data.text_column, label_column=data.label_column, validation_share=data.validation_share,
        test_share=data.test_share, hub=data.hub, seed=located.recipe.seed,
        label_order=label_order(line.teacher_folder),
    )
    inputs = stage.Inputs(*(located.path(p) if p else None for p in (data.train, data.validation, data.test)))
    return line.note("prepare", line.workspace.perform("prepare", stage.STAGE, settings, inputs))


def _teach(line: _Line, prepared: Done) -> _Common:
    from edgedistill.prepare.stage import LABELS_FILE, TRAIN_FILE, VALIDATION_FILE
    from edgedistill.teach import stage

    recipe, data = line.recipe, prepared.folder
    files = (data / TRAIN_FILE, data / VALIDATION_FILE, data / LABELS_FILE)
    teacher = line.workspace.perform(
        "teach", stage.TEACHER,
        stage.TeacherSettings(
            fine_tuning=recipe.teacher.fine_tuning, max_tokens=recipe.teacher.max_tokens, seed=recipe.seed
        ),
        stage.TeacherInputs(line.teacher_folder, *files),
    )
    soft_labels = line.workspace.perform(
        "soft-labels", stage.SOFT_LABELS,
        stage.SoftLabelSettings(transfer_set=recipe.distillation.transfer_set, seed=recipe.seed),
        stage.SoftLabelInputs(teacher.folder, *files),
    )
    return _Common(prepared, line.note("teach", teacher), line.note("soft-labels", soft_labels))


def _for_target(line: _Line, common: _Common, plan: Plan) -> "TargetResults":
    """Do the steps of one target; steps that another target shares are found done."""
    from edgedistill.run_report import TargetResults

    student, baseline = _students(line, common, plan)
    teacher_onnx = _export(line, plan, "teacher", common.teacher)
    student_onnx = _export(line, plan, "student", student)
    teacher_int8 = _quantize(line, common, plan, "teacher", teacher_onnx)
    student_int8 = _quantize(line, common, plan, "student", student_onnx)
    folders: dict[Variant, Path] = {"teacher": teacher_onnx.folder, "teacher_int8": teacher_int8.folder}
    if baseline is not None:
        folders["student_no_kd"] = baseline.folder
    folders |= {"student": student.folder, "student_onnx": student_onnx.folder, "student_int8": student_int8.folder}
    evaluations = _evaluate(line, common, folders)
    parity = _verify(line, evaluations)
    passed = _parity_passed(parity)
    measured = _benchmark(line, common, folders) if passed else None
    packed = _package(line, common, plan, student_int8, evaluations) if passed else None
    from edgedistill.distill.stage import CURVE_FILE

    curves = {"teacher": common.teacher.folder / CURVE_FILE, "student": student.folder / CURVE_FILE}
    if baseline is not None:
        curves["student_no_kd"] = baseline.folder / CURVE_FILE
    return TargetResults(plan, evaluations, curves, student, student_onnx, student_int8, parity, measured, packed)


def _students(line: _Line, common: _Common, plan: Plan) -> tuple[Done, Done | None]:
    from edgedistill.distill import stage
    from edgedistill.prepare.stage import LABELS_FILE, TRAIN_FILE, VALIDATION_FILE
    from edgedistill.teach.stage import SOFT_LABELS_FILE, TRANSFER_FILE

    recipe, data, taught = line.recipe, common.prepared.folder, common.soft_labels.folder
    settings = stage.StudentSettings(
        shape=plan.shape, initialisation=recipe.student.initialisation, distillation=recipe.distillation,
        max_tokens=recipe.teacher.max_tokens, seed=recipe.seed,
    )
    student = line.workspace.perform("distill", stage.STUDENT, settings, stage.StudentInputs(
        teacher=common.teacher.folder, train=data / TRAIN_FILE, transfer=taught / TRANSFER_FILE,
        validation=data / VALIDATION_FILE, soft_labels=taught / SOFT_LABELS_FILE, labels=data / LABELS_FILE,
    ))
    line.note(f"distill {plan.shape.id}", student)
    if not recipe.distillation.baseline:
        return student, None
    baseline = line.workspace.perform("baseline", stage.BASELINE, settings, stage.BaselineInputs(
        config=student.folder / stage.CONFIG_FILE, tokenizer=student.folder / "tokenizer.json",
        train=data / TRAIN_FILE, validation=data / VALIDATION_FILE,
    ))
    return student, line.note(f"baseline {plan.shape.id}", baseline)


def _export(line: _Line, plan: Plan, which: str, model: Done) -> Done:
    from edgedistill.export import stage

    runtime = plan.target.runtime
    settings = stage.Settings(max_ir_version=runtime.max_ir_version, max_opset=runtime.max_opset)
    step = f"export-{which}"
    return line.note(step, line.workspace.perform(step, stage.STAGE, settings, stage.Inputs(model.folder)))


def _quantize(line: _Line, common: _Common, plan: Plan, which: str, model: Done) -> Done:
    from edgedistill.host import this_host
    from edgedistill.prepare.stage import VALIDATION_FILE
    from edgedistill.quantize import stage
    from edgedistill.quantize.schemes import schemes_for

    settings = stage.settings_for(
        schemes_for(plan.target, wanted=line.recipe.quantization.scheme),
        min_agreement=line.recipe.parity.int8_min_agreement, host_saturates=this_host().saturates_u8s8,
    )
    inputs = stage.Inputs(model.folder, common.prepared.folder / VALIDATION_FILE)
    step = f"quantize-{which}"
    return line.note(step, line.workspace.perform(step, stage.STAGE, settings, inputs))


def _evaluate(line: _Line, common: _Common, folders: Mapping[Variant, Path]) -> dict[Variant, Done]:
    from edgedistill.evaluate import stage
    from edgedistill.prepare.stage import LABELS_FILE, TEST_FILE

    data = common.prepared.folder
    done: dict[Variant, Done] = {}
    for variant, folder in folders.items():
        settings = stage.Settings(
            variant=variant, split="test", task=line.recipe.task, seed=line.recipe.seed,
            batch_size=1 if variant.endswith("_int8") else _FLOAT_BATCH,
        )
        teacher_logits = done["teacher"].folder / stage.LOGITS_FILE if "teacher" in done else None
        inputs = stage.Inputs(folder, data / TEST_FILE, data / LABELS_FILE, teacher_logits)
        step = f"evaluate-{variant.replace('_', '-')}"
        done[variant] = line.note(step, line.workspace.perform(step, stage.STAGE, settings, inputs))
    return done


def _verify(line: _Line, evaluations: Mapping[Variant, Done]) -> Done:
    from edgedistill.evaluate.stage import LOGITS_FILE
    from edgedistill.verify import stage

    inputs = stage.Inputs(*(evaluations[v].folder / LOGITS_FILE for v in ("student", "student_onnx", "student_int8")))
    settings = stage.Settings(gates=line.recipe.parity)
    return line.note("verify", line.workspace.perform("verify", stage.STAGE, settings, inputs))


def _parity_passed(parity: Done) -> bool:
    from edgedistill.results import ParityReport
    from edgedistill.verify.stage import PARITY_FILE

    report = ParityReport.read_json(parity.folder / PARITY_FILE)
    return report.onnx.passed and report.int8.passed


def _benchmark(line: _Line, common: _Common, folders: Mapping[Variant, Path]) -> Done:
    from edgedistill.benchmark import stage
    from edgedistill.host import this_host
    from edgedistill.prepare.stage import TEST_FILE

    models = {v: f / "model.onnx" if (f / "model.onnx").is_file() else f for v, f in folders.items()}
    settings = stage.Settings(
        protocol=line.recipe.benchmark, host=this_host(), variants=tuple(models), seed=line.recipe.seed
    )
    inputs = stage.Inputs(models=dict(models.items()), data=common.prepared.folder / TEST_FILE)
    return line.note("benchmark", line.workspace.perform("benchmark", stage.STAGE, settings, inputs))


def _package(
    line: _Line, common: _Common, plan: Plan, model: Done, evaluations: Mapping[Variant, Done]
) -> Done:
    from edgedistill.evaluate.stage import EVALUATION_FILE
    from edgedistill.package import stage
    from edgedistill.package.card import CardFigures
    from edgedistill.prepare.stage import LABELS_FILE, TEST_FILE, TRAIN_FILE, VALIDATION_FILE

    recipe, data = line.recipe, common.prepared.folder
    teacher, student = (
        Evaluation.read_json(evaluations[variant].folder / EVALUATION_FILE) for variant in ("teacher", "student_int8")
    )
    settings = stage.Settings(
        recipe_id=recipe.id, task=recipe.task, target_id=plan.target.id, base_model=recipe.teacher.name,
        runtime_oldest=plan.target.runtime.oldest, architecture=plan.target.cpu.architecture,
        card=CardFigures(
            description=recipe.description, test_rows=student.n, accuracy=student.accuracy, macro_f1=student.macro_f1,
            teacher_accuracy=teacher.accuracy, retention=student.accuracy.value / max(teacher.accuracy.value, 1e-9),
            teacher_licence=recipe.teacher.licence, data_licence=recipe.data.licence,
        ),
        tolerance=recipe.parity.bundle_tolerance, tolerances=recipe.parity.bundle_tolerances, seed=recipe.seed,
        deny_licences=recipe.package.deny_licences, model_bytes_limit=plan.budgets["model_bytes"].limit,
    )
    inputs = stage.Inputs(
        model=model.folder, data=data / TEST_FILE, labels=data / LABELS_FILE,
        splits={"train": data / TRAIN_FILE, "validation": data / VALIDATION_FILE},
    )
    return line.note("package", line.workspace.perform("package", stage.STAGE, settings, inputs))


def _publish(line: _Line, common: _Common, results: Mapping[str, "TargetResults"], out: Path) -> RunResult:
    """Put together the report and copy what ships out of `.stages/`."""
    from edgedistill.report.stage import write_report
    from edgedistill.run_report import collect_report, misses_of, parity_problems_of

    report = collect_report(line.recipe, line.steps, common.prepared.folder, results)
    with storage_errors(out):
        for name, result in results.items():
            _publish_target(result, out / name)
        write_report(report, out)
    return RunResult(report, out, misses_of(report), parity_problems_of(report))


def _publish_target(result: "TargetResults", folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with _replaced(folder / "student") as student:
        shutil.copytree(result.student.folder, student, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("manifest.json", "training_log.json"))
        (student / "onnx").mkdir()
        shutil.copyfile(result.student_onnx.folder / "model.onnx", student / "onnx" / "model.onnx")
        shutil.copyfile(result.student_int8.folder / "model.onnx", student / "onnx" / "model_quantized.onnx")
        from edgedistill.export.ort_config import ort_config_json

        (student / "ort_config.json").write_text(ort_config_json(), encoding="utf-8")
    if result.package is None:  # a bundle of an earlier run must not be taken for this one's
        shutil.rmtree(folder / "bundle", ignore_errors=True)
        (folder / "bundle.zip").unlink(missing_ok=True)
        return
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
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(fresh, folder)
