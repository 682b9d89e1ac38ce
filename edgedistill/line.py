"""What the steps of a run share, and those steps that the search for a student needs as well as the run itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgedistill.manifest import Decision, GivenWarning
from edgedistill.plan import Plan
from edgedistill.recipe import Recipe
from edgedistill.results import Variant
from edgedistill.stage import Done, Workspace, tell_kept
from edgedistill.tasks.registry import task_named
from edgedistill.tasks.task import Shape, TaskDoor

_FLOAT_BATCH = 32


@dataclass(frozen=True)
class Line:
    """What the steps of a run share.

    Attributes:
        recipe: what the user wants; of one trial, with that trial's settings.
        workspace: where the steps keep their results.
        teacher_folder: the teacher as it was given; None where the run makes one from a configuration.
        study: the file of the search's study.
        rungs: the ladder of student shapes.
        steps: the finished steps by name, for the report.
        settled: what the plan filled in before the data were prepared.
        recipe_folder: where the paths of the recipe start from.
    """

    recipe: Recipe
    workspace: Workspace
    teacher_folder: Path | None
    study: Path
    rungs: Sequence[Shape]
    steps: dict[str, Done] = field(default_factory=dict)
    settled: tuple[Decision, ...] = ()
    recipe_folder: Path = Path()

    @property
    def task(self) -> TaskDoor:
        """What differs by task."""
        return task_named(self.recipe.task)

    def note(self, step: str, done: Done) -> Done:
        """Keep a finished step for the report; two targets may have a step of one name with different results."""
        other = self.steps.get(step)
        name = step if other is None or other.folder == done.folder else f"{step} ({done.manifest.key[:8]})"
        self.steps[name] = done
        return done

    def note_measured(self, step: str, done: Done) -> Done:
        """Keep a measurement as `note` does; of one that an earlier run warned of, say what to delete to measure again."""
        is_earlier = all(done.folder != other.folder for other in self.steps.values())  # not another target's, of this run
        if is_earlier and any(isinstance(decision, GivenWarning) for decision in done.manifest.decisions):
            tell_kept(done)
        return self.note(step, done)


@dataclass(frozen=True)
class Tuned:
    """A student that was fine-tuned for one scheme, before the court.

    Attributes:
        scheme: the only one that is tried.
        reference: the float ONNX student before the fine-tuning: its accuracy must be kept.
    """

    scheme: str
    reference: Path


@dataclass(frozen=True)
class Common:
    """Results that do not depend on the target."""

    prepared: Done
    teacher: Done
    soft_labels: Done


def label_softly(line: Line, prepared: Done, teacher: Done) -> Done:
    """Make the transfer set and let the teacher label it; the recipe of the line says how much."""
    work = line.task.label(line.recipe, prepared.folder, teacher.folder)
    return line.note("soft-labels", line.workspace.do("soft-labels", work))


def export_model(line: Line, plan: Plan, which: str, model: Done) -> Done:
    """Export the teacher or the student to ONNX, within what the target reads."""
    from edgedistill.export import stage

    step = f"export-{which}"
    return line.note(step, line.workspace.perform(step, stage.STAGE, stage.settings_for(plan.target), stage.Inputs(model.folder)))


def quantize_model(
    line: Line, common: Common, plan: Plan, which: str, model: Done, *, tuned: Tuned | None = None
) -> Done:
    """Quantize an ONNX model for the target; candidates are judged on validation.

    A model that was fine-tuned for a scheme is judged in that alone, and nothing else is tried when it misses the goal.
    """
    from edgedistill.host import this_host
    from edgedistill.prepare.stage import TRAIN_FILE, VALIDATION_FILE
    from edgedistill.quantize import stage
    from edgedistill.quantize.schemes import SchemeChoice, schemes_for
    from edgedistill.teach.stage import SOFT_LABELS_FILE

    recipe, data = line.recipe, common.prepared.folder
    choice, wanted = schemes_for(plan.target, wanted=recipe.quantization.scheme), recipe.quantization.post_training
    if tuned is not None:
        choice = SchemeChoice((tuned.scheme,), "the student was fine-tuned for it")
        wanted = wanted.model_copy(update={"trials": 0})
    settings = stage.settings_for(
        choice, min_agreement=recipe.parity.int8_min_agreement, host_saturates=this_host().saturates_u8s8, wanted=wanted,
        target=plan.target, seed=recipe.seed,
    ).model_copy(update={"model_bytes_limit": plan.budgets["model_bytes"].limit})  # the recipe's, where it has one
    is_informed = recipe.quantization.calibration.selection == "informative"
    soft_labels = common.soft_labels.folder / SOFT_LABELS_FILE if is_informed else None
    inputs = stage.Inputs(model.folder, data / VALIDATION_FILE, data / TRAIN_FILE, soft_labels,
                          None if tuned is None else tuned.reference)
    step = f"quantize-{which}"
    return line.note(step, line.workspace.perform(step, stage.STAGE, settings, inputs))


def evaluate_models(
    line: Line, common: Common, folders: Mapping[Variant, Path], *, split: Literal["validation", "test"] = "test"
) -> dict[Variant, Done]:
    """Let models answer a split; the first one should be the teacher, with which the others are compared."""
    from edgedistill.evaluate import stage
    from edgedistill.prepare.stage import LABELS_FILE, TEST_FILE, VALIDATION_FILE

    data = common.prepared.folder
    verb, rows = ("evaluate", data / TEST_FILE) if split == "test" else ("validate", data / VALIDATION_FILE)
    done: dict[Variant, Done] = {}
    for variant, folder in folders.items():
        settings = stage.Settings(
            variant=variant, split=split, task=line.recipe.task, seed=line.recipe.seed,
            batch_size=1 if "_int8" in variant else _FLOAT_BATCH,
        )
        teacher_logits = done["teacher"].folder / stage.LOGITS_FILE if "teacher" in done else None
        inputs = stage.Inputs(folder, rows, data / LABELS_FILE, teacher_logits)
        step = f"{verb}-{variant.replace('_', '-')}"
        done[variant] = line.note(step, line.workspace.perform(step, stage.STAGE, settings, inputs))
    return done
