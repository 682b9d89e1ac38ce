"""From a data set to an evaluated int8 student, by the stages of edgedistill, every step cached by its key.

The steps are those of `edgedistill.pipeline`, without the plan: here the shape is given. All sizes and comparisons of a
task share the steps that they can share, also between benchmarks that use one --work folder.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from filelock import FileLock
from resumable_rows import Row, key_of, pack_bits
from stage_versions import stage_versions, tried_rates
from suite_files import StudentsSuite, check_data

from edgedistill.catalog import load_target
from edgedistill.document import Document
from edgedistill.errors import EdgedistillError, UsageError
from edgedistill.examples import read_examples
from edgedistill.host import available_cores, this_host
from edgedistill.recipe import Recipe, Teacher, read_recipe
from edgedistill.results import Evaluation, Fit, TrainingLog, Variant
from edgedistill.shape import StudentShape
from edgedistill.stage import Done, Stage, Workspace, write_text_durably
from edgedistill.tasks.registry import require_own_teacher, task_named
from edgedistill.teach.resolve import resolve_teacher

Kind = Literal["student", "no_kd", "random_init_no_transfer"]
"""student: as the recipe says; no_kd: hard labels alone, on as many rows as the student at most; the third: soft labels on
train alone, from random weights."""

KINDS: tuple[Kind, ...] = ("student", "no_kd", "random_init_no_transfer")
_OVERRIDES_OF: Mapping[Kind, tuple[str, ...]] = {
    "student": (),
    "no_kd": ("distillation.baseline_rows_seen={rows_seen}",),
    "random_init_no_transfer": ("student.initialisation=random", "distillation.transfer_set.rows=0"),
}
_FLOAT_BATCH = 32


class NotTrainedError(EdgedistillError):
    """A model that a benchmark needs is not there, and the benchmark does not train."""


def text_encoder(teacher: Teacher, data: Path) -> Path:
    """Return the folder of the model that becomes a teacher of texts; a relative one starts from the data sets' folder.

    Raises:
        TeacherError: it is nowhere, or reads no texts.
    """
    return resolve_teacher(teacher, recipe_folder=data,
                           check_encoder=lambda folder: require_own_teacher(folder, task_named("text-classification")))


def recipe_of(suite: StudentsSuite, task: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe of a task: the product's defaults, then the suite's settings, the task's, and `overrides`.

    Raises:
        RecipeError: a setting does not exist or has a bad value.
    """
    data = suite.tasks[task]
    content = {
        "id": task.replace("_", "-"), "task": "text-classification",
        "data": {"train": data.train.file, "validation": data.validation.file if data.validation else None,
                 "test": data.test.file},
        "teacher": suite.teacher.model_dump(mode="json", exclude_unset=True),
    }
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "recipe.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return read_recipe(path, overrides=(*suite.overrides, *data.overrides, *overrides))


@dataclass(frozen=True)
class Line:
    """A task on its way: which data and teacher, where the steps are kept, and what the recipe changes.

    Attributes:
        suite: tasks, teacher, seeds.
        task: a name in `suite.tasks`.
        data: the folder of the data sets.
        work: the folder of the steps.
        overrides: settings for every recipe of this start.
        has_teacher_per_seed: does the student's seed also split validation off and fine-tune the teacher?
        may_not_start: steps that must be found done; where one is not, nothing is begun.
    """

    suite: StudentsSuite
    task: str
    data: Path
    work: Path
    overrides: tuple[str, ...] = ()
    has_teacher_per_seed: bool = False
    may_not_start: tuple[str, ...] = ()
    is_suites_teacher: ClassVar[bool] = True  # False in a line that builds another one out of it

    @cached_property
    def workspace(self) -> Workspace:
        """Where the steps of this task live."""
        return Workspace(self.work / self.task, self._on_step)

    def _on_step(self, step: str, state: str, seconds: float) -> None:
        if state == "started" and step in self.may_not_start:
            raise NotTrainedError(f"{self.task}: {step} is not done below {self.work}",
                                  hint=f"python benchmarks/students.py --data DIR --work DIR --tasks {self.task}")
        _tell(step, state, seconds)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the task's folder: a second start on the same task waits, other tasks go on."""
        self.work.mkdir(parents=True, exist_ok=True)
        with FileLock(self.work / f".{self.task}.lock"):
            yield

    def teacher_seed(self, seed: int) -> int:
        """Return the seed of the splits and of the teacher that belong to a student's seed."""
        return seed if self.has_teacher_per_seed else self.suite.teacher_seed

    def transfer_seed(self, seed: int) -> int:
        """Return the seed of the transfer set that belongs to a student's seed."""
        return self.suite.teacher_seed if self.suite.is_transfer_set_shared else seed

    def recipe(self, *overrides: str) -> Recipe:
        """Return the recipe of the task with the start's settings and these."""
        return recipe_of(self.suite, self.task, (*self.overrides, *overrides))

    def base_settings(self, recipe: Recipe, *, teacher_seed: int) -> Row:
        """Return what a row rests on besides seed, shape and kind: data, teacher, training, versions of the stages."""
        rates = tried_rates(self.task, recipe, is_suites_teacher=self.is_suites_teacher)
        return {
            "task": self.task,
            "data": [item.sha256 for item in self.suite.tasks[self.task].files],
            "validation_share": recipe.data.validation_share,
            "teacher": {**recipe.teacher.model_dump(mode="json"), **rates}, "teacher_seed": teacher_seed,
            "student": recipe.student.model_dump(mode="json", exclude={"rung"} if recipe.student.ladder else {"rung", "ladder"}),
            "distillation": recipe.distillation.model_dump(mode="json"),
            "quantization": recipe.quantization.model_dump(mode="json"),
            "target": self.suite.target, "stages": stage_versions(),
        }

    def base_key(self) -> str:
        """Return what the rows of one table have in common: a key of this start's settings without seed, shape and kind."""
        settings = self.base_settings(self.recipe(), teacher_seed=0)
        return key_of({**settings, "has_teacher_per_seed": self.has_teacher_per_seed,
                       "is_transfer_set_shared": self.suite.is_transfer_set_shared})

    def prepared(self, teacher_seed: int) -> Done:
        """Read and split the data; refuses a file that is not the suite's."""
        from edgedistill.prepare import stage

        check_data(self.suite.tasks[self.task], self.data)
        data = self.recipe().data
        settings = stage.Settings(text_column=data.text_column, label_column=data.label_column,
                                  validation_share=data.validation_share, test_share=data.test_share, seed=teacher_seed)
        files = (self.data / name if name else None for name in (data.train, data.validation, data.test))
        return self.workspace.perform("prepare", stage.STAGE, settings, stage.Inputs(*files))

    def teacher(self, teacher_seed: int) -> Done:
        """Fine-tune the teacher."""
        from edgedistill.teach import stage
        from edgedistill.teach.learning_rate import settled_tuning

        wanted, folder = self.recipe().teacher, self.teacher_model(teacher_seed)
        files = _split_files(self.prepared(teacher_seed).folder)
        tuning = settled_tuning(wanted.fine_tuning, folder)
        return self.workspace.perform(
            "teach", stage.TEACHER,
            stage.TeacherSettings(fine_tuning=tuning, max_tokens=wanted.max_tokens, seed=teacher_seed),
            stage.TeacherInputs(folder, *files),
        )

    def teacher_model(self, teacher_seed: int) -> Path:  # a line that makes its teacher needs the split
        """Return the folder of the model that becomes the teacher."""
        return text_encoder(self.recipe().teacher, self.data)

    def soft_labels(self, recipe: Recipe, seed: int) -> Done:
        """Make the transfer set of a recipe and let the teacher label everything."""
        from edgedistill.prepare.stage import UNLABELLED_FILE
        from edgedistill.teach import stage

        teacher_seed = self.teacher_seed(seed)
        data = self.prepared(teacher_seed).folder
        transfer = recipe.distillation.transfer_set
        drawn = self.transfer_seed(seed) if transfer.rows else teacher_seed  # nothing is drawn: label only once
        return self.perform_resumable(
            "soft-labels", stage.SOFT_LABELS,
            stage.SoftLabelSettings(transfer_set=transfer, seed=drawn),
            stage.SoftLabelInputs(self.teacher(teacher_seed).folder, *_split_files(data), data / UNLABELLED_FILE),
        )

    def student(self, recipe: Recipe, shape: StudentShape, seed: int) -> Done:
        """Distil the student of a recipe and a shape."""
        from edgedistill.distill import stage
        from edgedistill.teach.stage import SENTENCE_VECTORS_FILE, SOFT_LABELS_FILE, TOKEN_VECTORS_FILE, TRANSFER_FILE

        teacher_seed = self.teacher_seed(seed)
        train, validation, labels = _split_files(self.prepared(teacher_seed).folder)
        taught = self.soft_labels(recipe, seed).folder
        return self.perform_resumable("distill", stage.STUDENT, _student_settings(recipe, shape, seed), stage.StudentInputs(
            teacher=self.teacher(teacher_seed).folder, train=train, transfer=taught / TRANSFER_FILE,
            validation=validation, soft_labels=taught / SOFT_LABELS_FILE, labels=labels,
            token_vectors=taught / TOKEN_VECTORS_FILE, sentence_vectors=taught / SENTENCE_VECTORS_FILE,
        ))

    def without_teacher(self, recipe: Recipe, shape: StudentShape, seed: int) -> Done:
        """Train the same shape, with the tokenizer of the task's student, on hard labels alone."""
        from edgedistill.distill import stage

        student = self.student(self.kind_recipe("student"), shape, seed).folder
        train, validation, _ = _split_files(self.prepared(self.teacher_seed(seed)).folder)
        return self.perform_resumable("baseline", stage.BASELINE, _student_settings(recipe, shape, seed), stage.BaselineInputs(
            config=student / stage.CONFIG_FILE, tokenizer=student / "tokenizer.json", train=train, validation=validation,
        ))

    def perform_resumable(self, step: str, stage: Stage[Any, Any], settings: Document, inputs: Any) -> Done:
        """Do a step; one that was killed and continued is marked, as its seconds are then only those of the last part."""
        half_done = {folder.name for folder in (self.workspace.root / step).glob("*.partial")}
        done = self.perform_noted(step, stage, settings, inputs)
        if f"{done.folder.name}.partial" in half_done and not done.was_skipped:
            done.folder.with_name(f"{done.folder.name}.resumed").touch()
        return done

    def perform_noted(self, step: str, stage: Stage[Any, Any], settings: Document, inputs: Any) -> Done:
        """Do a step and note beside it with how many threads; a later start may have others."""
        done = self.workspace.perform(step, stage, settings, inputs)
        if not done.was_skipped:
            threads = int(os.environ.get("OMP_NUM_THREADS") or available_cores())
            write_text_durably(_threads_file(done), f"{threads}\n")
        return done

    def exported(self, model: Done) -> Done:
        """Export a model folder to ONNX."""
        from edgedistill.export import stage

        settings = stage.settings_for(load_target(self.suite.target))
        return self.workspace.perform("export", stage.STAGE, settings, stage.Inputs(model.folder))

    def quantized(self, recipe: Recipe, exported: Done, teacher_seed: int) -> Done:
        """Quantize an ONNX model for the suite's target."""
        from edgedistill.prepare.stage import TRAIN_FILE, VALIDATION_FILE
        from edgedistill.quantize import stage
        from edgedistill.quantize.schemes import schemes_for

        target, data = load_target(self.suite.target), self.prepared(teacher_seed).folder
        settings = stage.settings_for(
            schemes_for(target, wanted=recipe.quantization.scheme), min_agreement=recipe.parity.int8_min_agreement,
            host_saturates=this_host().saturates_u8s8, wanted=recipe.quantization, target=target, seed=recipe.seed,
        )
        inputs = stage.Inputs(exported.folder, data / VALIDATION_FILE, data / TRAIN_FILE)
        return self.workspace.perform("quantize", stage.STAGE, settings, inputs)

    def answers(self, model: Done, variant: Variant, split: Literal["test", "validation"], teacher_seed: int) -> "Answers":
        """Evaluate a model on a split."""
        from edgedistill.evaluate import stage
        from edgedistill.evaluate.logits import read_logits
        from edgedistill.prepare.stage import LABELS_FILE, TEST_FILE, VALIDATION_FILE

        data = self.prepared(teacher_seed).folder
        rows = data / (TEST_FILE if split == "test" else VALIDATION_FILE)
        settings = stage.Settings(variant=variant, split=split, task="text-classification", seed=self.suite.teacher_seed,
                                  batch_size=1 if variant.endswith("_int8") else _FLOAT_BATCH)
        done = self.workspace.perform(f"evaluate-{split}", stage.STAGE, settings,
                                      stage.Inputs(model.folder, rows, data / LABELS_FILE, None))
        is_right = read_logits(done.folder / stage.LOGITS_FILE).argmax(1) == read_examples(rows).labels
        return Answers(Evaluation.read_json(done.folder / stage.EVALUATION_FILE), pack_bits(is_right))

    def figures(self, recipe: Recipe, model: Done, seed: int) -> Row:
        """Export, quantize and evaluate a trained model; return its bytes and accuracies, float and int8."""
        teacher_seed = self.teacher_seed(seed)
        exported = self.exported(model)
        small = self.quantized(recipe, exported, teacher_seed)
        test, validation = (self.answers(small, "student_int8", split, teacher_seed) for split in ("test", "validation"))
        return {
            "int8_bytes": test.evaluation.size_bytes, "parameters": test.evaluation.parameters,
            "float_test": self.answers(exported, "student_onnx", "test", teacher_seed).accuracy,
            "float_validation": self.answers(exported, "student_onnx", "validation", teacher_seed).accuracy,
            "int8_test": test.accuracy, "int8_validation": validation.accuracy,
            "scheme": json.loads((small.folder / "verdict.json").read_text(encoding="utf-8"))["scheme"],
            "n_test": test.evaluation.n, "n_validation": validation.evaluation.n, "right": test.right,
            "right_validation": validation.right,
        }

    def teacher_figures(self, teacher_seed: int) -> Row:
        """Return bytes and accuracies of the teacher as fp32 ONNX, which test rows it answers right, and why it has its rate."""
        done = self.teacher(teacher_seed)
        exported = self.exported(done)
        test, validation = (self.answers(exported, "teacher", split, teacher_seed) for split in ("test", "validation"))
        return {
            "fp32_bytes": test.evaluation.size_bytes, "test": test.accuracy, "validation": validation.accuracy,
            "fine_tuning_s": done.manifest.duration_s, "n_test": test.evaluation.n, "right": test.right,
            "decisions": [decision.model_dump(mode="json") for decision in done.manifest.decisions],
        }

    def trained(self, kind: Kind, recipe: Recipe, shape: StudentShape, seed: int) -> Done:
        """Return the trained model of a kind."""
        if kind == "no_kd":
            return self.without_teacher(recipe, shape, seed)
        return self.student(recipe, shape, seed)

    def kind_recipe(self, kind: Kind) -> Recipe:
        """Return the recipe of a kind."""
        rows_seen = self.recipe().distillation.rows_seen
        return self.recipe(*(setting.format(rows_seen=rows_seen) for setting in _OVERRIDES_OF[kind]))

    def training_figures(self, recipe: Recipe, model: Done, seed: int, *, has_teacher: bool = True) -> Row:
        """Return how long a training took, what it saw, and how far from its teacher it ended on validation."""
        from edgedistill.distill.stage import CURVE_FILE, FIT_FILE

        last = TrainingLog.read_json(model.folder / CURVE_FILE).points[-1].step
        labelled = self.soft_labels(recipe, seed) if has_teacher else None
        return {
            "distill_s": model.manifest.duration_s,
            "distill_s_is_whole": not any(was_resumed(done) for done in (labelled, model) if done is not None),
            "soft_labels_s": labelled.manifest.duration_s if labelled else 0.0,
            "threads": [threads_of(done) for done in (labelled, model) if done is not None],
            "rows_seen": last * recipe.distillation.batch_size,
            "decisions": [f"{d.what} ({d.why})" for d in model.manifest.decisions],
            **({"kl_validation": Fit.read_json(model.folder / FIT_FILE).validation.kl_nats} if has_teacher else {}),
        }


def base_keys(suite: StudentsSuite, overrides: Sequence[str] = ()) -> dict[str, str]:
    """Return by task what the rows have in common that a start with these settings would make; nothing is read but suites."""
    return {task: Line(suite, task, Path(), Path(), tuple(overrides)).base_key() for task in suite.tasks}


@dataclass(frozen=True)
class Answers:
    """An evaluation and which rows were right, packed."""

    evaluation: Evaluation
    right: str

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.evaluation.accuracy.value


def was_resumed(done: Done) -> bool:
    """Was a step killed and continued, so that its seconds are those of the last part?"""
    return done.folder.with_name(f"{done.folder.name}.resumed").exists()


def threads_of(done: Done) -> int | None:
    """Return with how many threads a step was done; None: nobody noted it."""
    file = _threads_file(done)
    return int(file.read_text(encoding="utf-8")) if file.is_file() else None


def _threads_file(done: Done) -> Path:
    return done.folder.with_name(f"{done.folder.name}.threads")


def _student_settings(recipe: Recipe, shape: StudentShape, seed: int) -> Any:
    from edgedistill.distill import stage

    return stage.StudentSettings(
        shape=shape, initialisation=recipe.student.initialisation, aliases=recipe.student.aliases,
        distillation=recipe.distillation, max_tokens=recipe.teacher.max_tokens, seed=seed,
    )


def _split_files(folder: Path) -> tuple[Path, Path, Path]:
    from edgedistill.prepare.stage import LABELS_FILE, TRAIN_FILE, VALIDATION_FILE

    return folder / TRAIN_FILE, folder / VALIDATION_FILE, folder / LABELS_FILE


def _tell(step: str, state: str, seconds: float) -> None:
    if state != "skipped":
        print(f"    {step}: {state}" + (f" in {seconds:.1f} s" if state == "done" else ""), file=sys.stderr, flush=True)


def wanted_tasks(suite: StudentsSuite, given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the tasks to do, in the suite's order.

    Raises:
        UsageError: a task is not in the suite.
    """
    unknown = sorted(set(given or ()) - set(suite.tasks))
    if unknown:
        raise UsageError(f"no task {unknown[0]!r} in the suite", hint=f"choose of: {', '.join(suite.tasks)}")
    return tuple(task for task in suite.tasks if not given or task in given)
