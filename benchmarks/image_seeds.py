"""How much of a picture student's gain is luck: more trainings of student and baseline, under the teacher of a finished run.

`python benchmarks/image_seeds.py --data DIR --work DIR [--tasks TASK] [--seeds 13 14 15] [--kinds student no_kd]` goes over the
runs that benchmarks/images.py left in --work, and writes benchmarks/results/image_seeds/<task>.json: a row a seed and kind, with
which test rows the float model answers right. Teacher, split, and the pictures that it labelled are the run's; the seed changes
the first weights, the order and, for the student without a teacher, its changed copies. Rows that are there are not made again,
and a training that was interrupted goes on.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from images import SUITE, ImagesSuite, require_data
from resumable_rows import Row, RowFile, pack_bits
from script_options import ScriptOptions, option_parser, read_options, run_script
from suite_files import read_suite_file

from edgedistill.artifact import sha256_of_file
from edgedistill.catalog import load_recipe, load_target
from edgedistill.errors import DataError, UsageError
from edgedistill.evaluate import stage as evaluate_stage
from edgedistill.evaluate.logits import read_logits
from edgedistill.examples import read_examples
from edgedistill.manifest import read_valid_manifest
from edgedistill.prepare.stage import LABELS_FILE, TEST_FILE
from edgedistill.recipe import Recipe
from edgedistill.run_folder import STAGES_FOLDER
from edgedistill.stage import Done, Workspace
from edgedistill.tasks.registry import task_named
from edgedistill.tasks.task import Shape, TaskDoor, TrainingFolders, Work
from edgedistill.teach.stage import SOFT_LABELS_FILE

NAME = "image_seeds"
KINDS = ("student", "no_kd")
Kind = Literal["student", "no_kd"]
SEEDS = (13, 14, 15)
_RUN_SEED, _BATCH = 13, 32


@dataclass(frozen=True)
class Taught:
    """What a finished run did before its student.

    Attributes:
        task: name in the suite.
        door: of the task.
        recipe: of the run.
        workspace: of the run; students of other seeds are kept there too.
        folders: data, teacher, and what the teacher said.
    """

    task: str
    door: TaskDoor
    recipe: Recipe
    workspace: Workspace
    folders: TrainingFolders

    def settings(self, kind: Kind, seed: int) -> Row:
        """Return what a row is known by."""
        work = self.door.distil(self.recipe, self.shape, self.folders)
        known: Row = {
            "task": self.task, "kind": kind, "seed": seed, "rung": self.shape.id,
            "distillation": self.recipe.distillation.model_dump(mode="json"), "stage": work.stage.version,
            "pictures": None if self.recipe.pictures is None else self.recipe.pictures.model_dump(mode="json"),
        }
        if kind == "student":
            known["soft_labels"] = sha256_of_file(self.folders.taught / SOFT_LABELS_FILE)
        return known

    @property
    def shape(self) -> Shape:
        """The student of the recipe."""
        return next(shape for shape in self.door.ladder() if shape.id == self.recipe.student.rung)

    def trained(self, kind: Kind, seed: int) -> Done:
        """Train a student or a baseline, or find it trained."""
        recipe = self.recipe.model_copy(update={"seed": seed})
        if kind == "student":
            return self.workspace.do("distill", self.door.distil(recipe, self.shape, self.folders))
        nowhere = self.workspace.root / "no-student"  # pictures have no vocabulary that a baseline would take from the student
        work = self.door.train_baseline(recipe, self.shape, student=nowhere, data=self.folders.data)
        return self.workspace.do("baseline", work)


def taught_by(task: str, run: Path, *, target: str, overrides: Sequence[str] = ()) -> Taught:
    """Find what a run did before its student; nothing of it is done here.

    Args:
        task: name in the suite.
        run: the run folder.
        target: whose student it was.
        overrides: recipe settings of students and baselines.

    Raises:
        DataError: the run is not finished, or other code or settings made its teacher.
    """
    if not (run / "report.json").is_file():
        raise DataError(f"{run}: holds no finished run", hint=f"python benchmarks/images.py --tasks {task} --work DIR")
    located = load_recipe(run.parent / "recipe.yaml", overrides=overrides)
    door = task_named(located.recipe.task)
    located = door.settle(located, [load_target(target)]).located
    recipe, workspace = located.recipe, Workspace(run / STAGES_FOLDER)
    data = _done(workspace, "prepare", door.prepare(located, None))
    teacher = _done(workspace, "teach", door.teach(recipe, data, None))
    taught = _done(workspace, "soft-labels", door.label(recipe, data, teacher))
    return Taught(task, door, recipe, workspace, TrainingFolders(data, teacher, taught))


def _done(workspace: Workspace, step: str, work: Work) -> Path:
    folder = workspace.root / step / workspace.key_of(work.stage, work.settings, work.inputs)
    if read_valid_manifest(folder) is None:
        raise DataError(f"{workspace.root}: its {step} was made by other code or settings",
                        hint="python benchmarks/images.py again")
    return folder


def measured(taught: Taught, kind: Kind, seed: int) -> Row:
    """Train and evaluate on the test split; return the figures of a row."""
    done = taught.trained(kind, seed)
    file = taught.folders.data / TEST_FILE
    variant: Literal["student", "student_no_kd"] = "student" if kind == "student" else "student_no_kd"
    settings = evaluate_stage.Settings(variant=variant, split="test", task=taught.recipe.task, seed=seed, batch_size=_BATCH)
    inputs = evaluate_stage.Inputs(done.folder, file, taught.folders.data / LABELS_FILE, None)
    step = f"evaluate-{variant.replace('_', '-')}"
    answers = taught.workspace.perform(step, evaluate_stage.STAGE, settings, inputs).folder
    right = read_logits(answers / evaluate_stage.LOGITS_FILE).argmax(1) == read_examples(file).labels
    return {"task": taught.task, "kind": kind, "seed": seed, "test": float(right.mean()), "n_test": len(right),
            "right": pack_bits(right), "seconds": done.manifest.duration_s}


def make_rows(task: str, options: ScriptOptions, kinds: Sequence[Kind], *, target: str) -> None:
    """Make the rows of a task that are missing."""
    taught = taught_by(task, options.work / SUITE / f"{task}-{_RUN_SEED}" / "run", target=target,
                       overrides=options.overrides)
    rows = RowFile(options.results / f"{task}.json")
    for seed in options.seeds or SEEDS:
        for kind in kinds:
            known = taught.settings(kind, seed)
            if rows.find(known) is not None:
                continue
            if options.is_dry:
                print(f"{task}: seed {seed}, {kind}")
                continue
            row = rows.add(known, measured(taught, kind, seed), command=options.command)
            print(f"{task}: seed {seed}, {kind}: {row['test']:.4f}", file=sys.stderr, flush=True)


def main() -> None:
    """Read the command line and train."""
    parser = option_parser(__doc__, name=NAME)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="only these")
    given = parser.parse_args()
    options = read_options(given, script=f"{NAME}.py")
    suite = read_suite_file(ImagesSuite, SUITE)
    strange = sorted(set(options.tasks or ()) - set(suite.tasks))
    if strange:
        raise UsageError(f"no task {strange[0]!r}", hint=f"--tasks {' '.join(suite.tasks)}")
    for task in options.tasks or tuple(suite.tasks):
        require_data(suite.tasks[task], options.data)
        make_rows(task, options, given.kinds, target=suite.target)


if __name__ == "__main__":
    run_script(main)
