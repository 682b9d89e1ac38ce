"""The library calls behind the commands: one function a verb, on plain paths, each returning a typed value.

Every call that makes files writes them to one folder, finds them done when nothing changed, and never overwrites a
folder that edgedistill did not make.
"""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.catalog import LocatedRecipe, load_recipe, load_target
from edgedistill.errors import GoalMissedError, UsageError
from edgedistill.int8_settings import PostTraining
from edgedistill.measuring import calibrate, measure, measure_detail, measure_on
from edgedistill.plan import Plan, make_plan, rungs_of
from edgedistill.problem_type import ONE_LABEL
from edgedistill.recipe import Parity
from edgedistill.results import Evaluation, Labels, ParityResult, QuantizationVerdict, Variant
from edgedistill.run_folder import require_outside_inputs
from edgedistill.stage import Done, Workspace
from edgedistill.target import Target
from edgedistill.tasks.registry import open_encoder, task_named, task_of_model
from edgedistill.tasks.task import Packing, TrainingFolders
from edgedistill.user_paths import known_classes, open_examples, require_files, variant_of

if TYPE_CHECKING:
    from edgedistill.package.answer import Answer
    from edgedistill.pipeline import RunResult, StepListener
    from edgedistill.report.model import RunReport
    from edgedistill.verify.bundle import BundleCheck

__all__ = [
    "calibrate", "distill", "evaluate", "export", "load_recipe", "load_target", "measure", "measure_detail", "measure_on",
    "package", "plan", "predict", "prepare", "quantize", "report", "run", "teach", "verify",
]

_PREPARE = "edgedistill prepare --recipe RECIPE -o DIR"
_TEACH = "edgedistill teach --recipe RECIPE --data DATA -o DIR"


def run(
    recipe: LocatedRecipe, targets: Sequence[Target], out: Path | None = None, *, on_step: "StepListener | None" = None,
    on: str | None = None,
) -> "RunResult":
    """Take a recipe's teacher to every target: all stages, the report and the bundles.

    Args:
        recipe: from `load_recipe`.
        targets: from `load_target`, at least one.
        out: the run folder; default `runs/<recipe id>`. Steps that are done there are skipped.
        on_step: told of each step as (step, "started" | "done" | "skipped", seconds).
        on: the address of a device of the one target, `ssh://user@host:port` or `adb:SERIAL`: the int8 student is measured
            there, and the figures take the place of the predicted ones.

    Returns:
        the report and what was missed.

    Raises:
        EdgedistillError: see `edgedistill.errors`; a missed goal is no exception but stands in the result.
    """
    from edgedistill import pipeline

    if not targets:
        raise UsageError("no target", hint="--target raspberry-pi")
    return pipeline.run(recipe, targets, out or Path("runs") / recipe.recipe.id, on_step=on_step, on=on)


def plan(recipe: LocatedRecipe, target: Target, *, targets: Sequence[Target] = ()) -> Plan:
    """Choose the student for a target, without torch and without training.

    Args:
        recipe: from `load_recipe`.
        target: from `load_target`.
        targets: all targets of the run that this is the plan of, as pictures are stored once for all of them; default: `target`
            alone.

    Raises:
        GoalMissedError: no student fits the target; its `misfit` holds the whole ledger.
        EdgedistillError: the data or the recipe is wrong.
    """
    from edgedistill.package.licences import require_recipe_allowed

    require_recipe_allowed(recipe.recipe)
    task, rungs = task_named(recipe.recipe.task), rungs_of(recipe)
    settled = task.settle(recipe, targets or [target])
    wanted = settled.located.recipe
    facts = task.facts_before(settled.located)
    task.check(wanted, task.find_teacher(recipe, check_weights=False))
    try:
        return dataclasses.replace(make_plan(wanted, target, facts, rungs), settled=settled.decisions)
    except GoalMissedError as missed:
        if missed.misfit is not None:
            missed.misfit = dataclasses.replace(missed.misfit, settled=settled.decisions)
        raise


def prepare(recipe: LocatedRecipe, out: Path, *, targets: Sequence[Target] = ()) -> Done:
    """Read, check and split a recipe's data into `out`.

    Args:
        recipe: names the data, and the teacher, whose order of classes is kept.
        out: the folder to make: train.arrow, validation.arrow, test.arrow, labels.json and data_report.json.
        targets: the device classes that the data are for; of pictures the plan chooses the side for them, where the recipe
            leaves it open.
    """
    require_outside_inputs(recipe, out)
    task = task_named(recipe.recipe.task)
    located = task.settle(recipe, targets).located if targets else recipe
    work = task.prepare(located, task.find_teacher(recipe, check_weights=False))
    return Workspace(out.parent).do_in(out, work)


def teach(recipe: LocatedRecipe, data: Path, out: Path) -> tuple[Done, Done]:
    """Make the teacher ready in `out/teacher` and write its soft labels to `out/soft_labels`.

    Args:
        recipe: names the teacher.
        data: the folder that `prepare` wrote.
        out: the folder to make.

    Returns:
        the steps of the teacher and of its soft labels.
    """
    wanted, task = recipe.recipe, task_named(recipe.recipe.task)
    require_files(*(data / name for name in ("train.arrow", "validation.arrow", "labels.json", "unlabelled.arrow")),
                  hint=_PREPARE)
    workspace = Workspace(out)
    teacher = workspace.do_in(out / "teacher", task.teach(wanted, data, task.find_teacher(recipe)))
    return teacher, workspace.do_in(out / "soft_labels", task.label(wanted, data, teacher.folder))


def distill(recipe: LocatedRecipe, target: Target, data: Path, taught: Path, out: Path) -> Done:
    """Distil the student that the plan chooses for a target into `out`.

    Args:
        recipe: how it is distilled.
        target: what it must fit.
        data: the folder that `prepare` wrote.
        taught: the folder that `teach` wrote.
        out: the model folder to make.
    """
    from edgedistill.soft_labels import read_soft_labels

    wanted, task, rungs = recipe.recipe, task_named(recipe.recipe.task), rungs_of(recipe)
    folders = TrainingFolders(data, taught / "teacher", taught / "soft_labels")
    require_files(*(data / name for name in ("train.arrow", "validation.arrow", "labels.json")), hint=_PREPARE)
    require_files(folders.teacher / "model.safetensors", folders.teacher / task.encoder_file,
                  folders.taught / "soft_labels.arrow", folders.taught / "transfer.arrow",
                  hint=_TEACH)
    expected = task.origin(wanted, data, folders.teacher)
    read_soft_labels(folders.taught / "soft_labels.arrow", expected=expected, hint=_TEACH)
    facts = task.facts(wanted, data, folders.teacher)
    shape = make_plan(wanted, target, facts, rungs).shape
    return Workspace(out.parent).do_in(out, task.distil(wanted, shape, folders))


def export(model: Path, out: Path, *, target: Target) -> Done:
    """Export a torch model folder to ONNX, fused, into `out`, within what the target's runtime reads."""
    from edgedistill.export import stage

    return Workspace(out.parent).perform_in(out, stage.STAGE, stage.settings_for(target), stage.Inputs(model))


def quantize(
    model: Path, data: Path, out: Path, *, target: Target, wanted: PostTraining | None = None, gates: Parity | None = None
) -> QuantizationVerdict:
    """Quantize an ONNX model to int8 into `out`: candidates are judged on rows of the data, and may come to "ship float".

    Args:
        model: a folder with model.onnx, or an .onnx file, also one that edgedistill did not make; texts need its tokenizer.json
            beside it.
        data: the folder that `prepare` wrote (its validation split judges, its training split calibrates); or a file, half of
            whose rows, drawn at random, calibrates: texts with columns `text` and `label`, or an .npz with an array for each
            input of the model and, if there are classes, `labels`.
        out: the folder to make.
        target: whose instruction set decides the candidates, and whose budget counts.
        wanted: scheme, calibration and what must be kept; default: those of a recipe without any.
        gates: how far the answers may change, and on how many rows they are replayed; default: those of a recipe without any.

    Returns:
        the verdict, with `ort` (model.ort beside model.onnx) and `instruction_sets`: the answers of what ships on the target's
        emulated core and on others, or why they are not known. A target's core that answers otherwise is no exception.
    """
    from edgedistill.emulation.choice import choose_replays
    from edgedistill.host import this_host
    from edgedistill.quantize import stage
    from edgedistill.quantize.delivery import delivery_for
    from edgedistill.quantize.schemes import schemes_for
    from edgedistill.user_paths import model_folder, open_calibration

    settings, kept, host = wanted or PostTraining(), gates or Parity(), this_host()
    delivery = delivery_for(choose_replays(target, host, kept), architecture=target.cpu.architecture,
                            oldest=target.runtime.oldest, min_agreement=kept.emulated_min_agreement)
    with model_folder(model) as folder, open_calibration(data, folder) as (judged, train):
        done = Workspace(out.parent).perform_in(out, stage.MODEL, stage.ModelSettings(court=stage.settings_for(
            schemes_for(target, wanted=settings.scheme), min_agreement=kept.int8_min_agreement,
            host_saturates=host.saturates_u8s8, wanted=settings, target=target,
        ), delivery=delivery), stage.Inputs(folder, judged, train))
    return QuantizationVerdict.read_json(done.folder / stage.VERDICT_FILE)


def evaluate(
    model: Path, data: Path, out: Path | None = None, *, split: str = "test", variant: Variant | None = None
) -> Evaluation:
    """Evaluate a model on labelled texts or pictures: accuracy, macro-F1, calibration error, each with a 95 % interval.

    Args:
        model: a folder with model.onnx or model.safetensors, tokenizer.json and config.json; or a bundle's folder or zip.
        data: the folder that `prepare` wrote, or a file of labelled texts.
        out: keeps logits.npy and evaluation.json; None keeps nothing.
        split: which split of a prepared folder.
        variant: what the model is called in the result; default: what its files say.
    """
    if model.suffix == ".zip":
        from edgedistill.package.archive import opened_bundle

        with opened_bundle(model) as folder:
            return evaluate(folder, data, out, split=split, variant=variant)
    from edgedistill.decisions import problem_of_folder
    from edgedistill.evaluate import stage
    from edgedistill.evaluate.batches import batch_size_of

    found = variant or variant_of(model)
    most = batch_size_of(model)
    settings = stage.Settings(variant=found, split=split, task=task_of_model(model).name, seed=13,
                              batch_size=1 if found.endswith("_int8") else most)
    names = known_classes(model)
    with open_examples(data, split, names, like=model) as examples, tempfile.TemporaryDirectory() as scratch:
        labels = Path(scratch) / "labels.json"
        labels.write_text(Labels(labels=names, problem_type=problem_of_folder(model)).to_json(), encoding="utf-8")
        folder = out or Path(scratch) / "evaluation"
        done = Workspace(folder.parent).perform_in(folder, stage.STAGE, settings,
                                                   stage.Inputs(model, examples, labels, None))
        return Evaluation.read_json(done.folder / stage.EVALUATION_FILE)


def verify(bundle: Path) -> "BundleCheck":
    """Check a bundle: every hash, and the golden vectors replayed by onnxruntime."""
    from edgedistill.verify.bundle import verify_bundle

    return verify_bundle(bundle)


def verify_models(reference: Path, candidate: Path, data: Path, *, split: str = "test") -> ParityResult:
    """Let two models answer the same texts and compare: agreement, flipped decisions, largest difference.

    Args:
        reference: a model folder or an .onnx file beside its tokenizer.json.
        candidate: the same.
        data: the folder that `prepare` wrote, or a file of texts.
        split: which split of a prepared folder.
    """
    from edgedistill.decisions import problem_of_folder, require_logits
    from edgedistill.evaluate.predictor import open_predictor, predict
    from edgedistill.examples import read_examples
    from edgedistill.verify.parity import compare_logits, int8_gate

    with open_examples(data, split, like=reference, are_labels_read=False) as path:
        examples = read_examples(path)
        answers = [
            predict(open_predictor(m), open_encoder(m if m.is_dir() else m.parent).encode_examples(examples))
            for m in (reference, candidate)
        ]
    problem = problem_of_folder(reference if reference.is_dir() else reference.parent)
    for model, logits in zip((reference, candidate), answers, strict=True):
        require_logits(logits, problem, place=str(model))
        if logits.shape[1] == 1 and problem == ONE_LABEL:
            raise UsageError(f"{model}: answers with one number a row; decisions are compared over two or more classes",
                             hint="let the graph put out a column for each class")
    return compare_logits(answers[0], answers[1], gate=int8_gate(Parity()), problem=problem)


def package(
    model: Path, data: Path, out: Path, *, recipe: LocatedRecipe, target: Target, deny_licences: Sequence[str] = ()
) -> Done:
    """Pack an int8 model folder into `out/bundle` and `out/bundle.zip`.

    Args:
        model: the folder that `quantize` wrote; its verdict.json says whether the bundle is called int8 or float.
        data: the folder that `prepare` wrote; golden vectors are taken from its test split, and the tokenizer in the
            graph is compared on all of its splits.
        out: the folder to make.
        recipe: names the model, the teacher and their licences.
        target: whose oldest runtime and processor the bundle is for.
        deny_licences: SPDX ids that neither teacher nor data may be under, beside those that the recipe denies.

    Raises:
        ArtifactError: the model is a bundle of other classes.
        StorageError: the bundle of an earlier call lies there, and was changed since.
    """
    from edgedistill.package import stage
    from edgedistill.package.base_model import base_model_of
    from edgedistill.package.card import CardFigures
    from edgedistill.package.published import require_own_labels, require_unchanged
    from edgedistill.quantize.stage import VERDICT_FILE

    wanted, verdict = recipe.recipe, model / VERDICT_FILE
    settings = stage.Settings(
        recipe_id=wanted.id, task=wanted.task, target_id=target.id, base_model=base_model_of(recipe),
        scheme=QuantizationVerdict.read_json(verdict).scheme if verdict.is_file() else None,
        runtime_oldest=target.runtime.oldest, runtime_denied=target.runtime.denied,
        architecture=target.cpu.architecture, platform=target.runtime.platform, seed=wanted.seed,
        card=CardFigures(description=wanted.description, teacher_licence=wanted.teacher.licence,
                         data_licence=wanted.data.licence),
        tolerance=wanted.parity.bundle_tolerance, tolerances=wanted.parity.bundle_tolerances,
        deny_licences=tuple(dict.fromkeys((*wanted.package.deny_licences, *deny_licences))),
        model_bytes_limit=wanted.budgets.model_bytes or target.budgets.model_bytes.limit,
    )
    require_files(data / "test.arrow", data / "labels.json", hint=_PREPARE)
    require_own_labels(model / "labels.json", data / "labels.json")
    require_unchanged(out / "bundle")
    return Workspace(out.parent).do_in(out, task_named(wanted.task).package(Packing(settings, model, data, recipe)))


def report(run_folder: Path) -> "RunReport":
    """Read the report of a run, a folder or a file, and write report.md and report.html anew; the file stays as it is."""
    from edgedistill.report.stage import read_report, write_pages

    found = read_report(run_folder)
    write_pages(found, run_folder if run_folder.is_dir() else run_folder.parent)
    return found


def predict(bundle: Path, texts: Sequence[str]) -> "tuple[Answer, ...]":
    """Classify texts, or picture files, with a bundle: by onnxruntime and what its encoder needs alone."""
    from edgedistill.package.archive import opened_bundle
    from edgedistill.package.contents import read_manifest

    with opened_bundle(bundle) as folder:
        task = read_manifest(folder).task
    return task_named(task).predict(bundle, [texts] if isinstance(texts, str) else texts)
