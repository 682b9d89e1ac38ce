"""What the int8 benchmarks work on: trained students, of texts and of pictures, with their float ONNX, data and soft labels.

Text students are those that benchmarks/students.py left in its --work folder, picture students those of the finished runs of
benchmarks/images.py. Nothing is trained here, unless a line is told to.
"""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock, Timeout
from images import SUITE as IMAGES_SUITE
from images import ImagesSuite
from resumable_rows import Row, pack_bits
from stage_versions import stage_versions
from student_line import Line as StudentLine
from student_line import NotTrainedError, wanted_tasks
from students import SUITE as STUDENTS_SUITE
from students import Job, job_settings, jobs_of
from suite_files import StudentsSuite, read_suite_file, shape_of

from edgedistill.artifact import sha256_of_file, sha256_of_path
from edgedistill.catalog import load_target
from edgedistill.document import Document
from edgedistill.errors import DataError
from edgedistill.evaluate import stage as evaluate_stage
from edgedistill.evaluate.logits import read_logits
from edgedistill.examples import read_examples
from edgedistill.export import stage as export_stage
from edgedistill.host import this_host
from edgedistill.manifest import Manifest, read_valid_manifest
from edgedistill.prepare.stage import LABELS_FILE, TEST_FILE, TRAIN_FILE, VALIDATION_FILE
from edgedistill.quantize import stage as quantize_stage
from edgedistill.quantize.calibration_rows import draw_rows
from edgedistill.quantize.candidates import Candidate, make_candidate
from edgedistill.quantize.rows import each
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.schemes import AUTO, schemes_for
from edgedistill.quantize.static_quantizer import is_convolutional
from edgedistill.recipe import Recipe, read_recipe
from edgedistill.results import Evaluation, QuantizationVerdict
from edgedistill.run_folder import LOCKED_RECIPE_FILE, STAGES_FOLDER
from edgedistill.stage import Outcome, Stage, Workspace
from edgedistill.target import Target
from edgedistill.teach.stage import SOFT_LABELS_FILE

IMAGE_TASK = "fashion_mnist"
"""The picture task that stands beside the text tasks; the others are taken when --tasks names them."""

TRAINING = ("teach", "soft-labels", "distill")
"""The steps of hours."""

ONNX_FILE = "model.onnx"
_FLOAT_BATCH = 32
_IMAGES_SEED = 13
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Subject:
    """A trained student and what belongs to it.

    Attributes:
        task: name in its suite.
        seed: of its training.
        size: as the suite names it.
        rung: its shape.
        workspace: where steps on it are kept.
        recipe: that of its training; `quantization` and `parity` count here.
        model: folder of the torch student.
        data: folder of the prepared data.
        soft_labels: the teacher's answers to the training examples.
        target: the device class of its suite.
        known_by: settings that its rows are known by.
    """

    task: str
    seed: int
    size: str
    rung: str
    workspace: Workspace
    recipe: Recipe
    model: Path
    data: Path
    soft_labels: Path
    target: str
    known_by: Row

    @property
    def name(self) -> str:
        """For the reader."""
        return f"{self.task}, seed {self.seed}, {self.size}, {self.rung}"

    @property
    def labels(self) -> Row:
        """The figures that say which student a row is about."""
        return {"task": self.task, "seed": self.seed, "size": self.size, "rung": self.rung, "model_task": self.recipe.task}

    def settings(self, benchmark: str, **more: object) -> Row:
        """Return the settings that a row of a benchmark is known by."""
        return {**self.known_by, "benchmark": benchmark, **more}

    @cached_property
    def exported(self) -> Path:
        """Folder of the float ONNX student for the suite's target."""
        return self.exported_for(load_target(self.target))

    def exported_for(self, target: Target) -> Path:
        """Return the folder of the float ONNX student, fused as a run for a target does it."""
        settings = export_stage.settings_for(target)
        return self.workspace.perform("export", export_stage.STAGE, settings, export_stage.Inputs(self.model)).folder

    @cached_property
    def plain(self) -> Path:
        """Folder of the float ONNX student as the exporter writes it: standard operators alone, nothing fused."""
        return self.workspace.perform("plain-export", PLAIN_EXPORT, _NoSettings(), export_stage.Inputs(self.model)).folder

    def court(self, target: Target) -> Path:
        """Let the court judge for a target; return the folder of what it chose, with its verdict."""
        recipe, wanted = self.recipe, self.recipe.quantization.post_training
        settings = quantize_stage.settings_for(
            schemes_for(target, wanted=wanted.scheme), min_agreement=recipe.parity.int8_min_agreement,
            host_saturates=this_host().saturates_u8s8, wanted=wanted, target=target, seed=recipe.seed,
        )
        inputs = quantize_stage.Inputs(self.exported_for(target), self.data / VALIDATION_FILE, self.data / TRAIN_FILE)
        return self.workspace.perform("quantize", quantize_stage.STAGE, settings, inputs).folder

    def candidates(self, target: Target) -> dict[str, Path]:
        """Make an int8 file by each scheme that the court considers for a target; return them by scheme."""
        settings = FilesSettings(schemes=self.schemes(target), seed=self.recipe.seed, version=quantize_stage.STAGE.version)
        inputs = FilesInputs(self.exported_for(target), self.data / TRAIN_FILE)
        folder = self.workspace.perform("int8-files", FILES, settings, inputs).folder
        return {name: folder / f"{name}.onnx" for name in settings.schemes}

    def schemes(self, target: Target) -> tuple[str, ...]:
        """Return the schemes that the court considers: for a convolutional net the static ones alone."""
        import onnx

        choice = schemes_for(target, wanted=AUTO)
        is_conv = is_convolutional(onnx.load(self.exported / ONNX_FILE, load_external_data=False).graph)
        return choice.static if is_conv else (*choice.schemes, *choice.static)

    def answers(
        self, model: Path, variant: Literal["student_onnx", "student_int8"], split: Literal["validation", "test"]
    ) -> "Answers":
        """Let a model folder answer a split."""
        file = self.data / (TEST_FILE if split == "test" else VALIDATION_FILE)
        settings = evaluate_stage.Settings(variant=variant, split=split, task=self.recipe.task, seed=self.recipe.seed,
                                           batch_size=1 if variant == "student_int8" else _FLOAT_BATCH)
        inputs = evaluate_stage.Inputs(model, file, self.data / LABELS_FILE, None)
        folder = self.workspace.perform(f"evaluate-{split}", evaluate_stage.STAGE, settings, inputs).folder
        right = read_logits(folder / evaluate_stage.LOGITS_FILE).argmax(1) == read_examples(file).labels
        return Answers(Evaluation.read_json(folder / evaluate_stage.EVALUATION_FILE).accuracy.value, len(right), pack_bits(right))


@dataclass(frozen=True)
class Answers:
    """How a model answered a split: share of right answers, rows, and which rows were right, packed."""

    accuracy: float
    n: int
    right: str


def read_verdict(folder: Path) -> QuantizationVerdict:
    """Read the verdict beside what a court chose."""
    return QuantizationVerdict.read_json(folder / quantize_stage.VERDICT_FILE)


class _NoSettings(Document):
    """There is nothing to choose."""


class FilesSettings(Document):
    """Which candidates are made, on which calibration rows."""

    schemes: tuple[str, ...]
    seed: int
    version: int


@dataclass(frozen=True)
class FilesInputs:
    """A float ONNX folder, and the training split that is calibrated on."""

    model: Path
    train: Path


def _make_files(settings: FilesSettings, inputs: FilesInputs, out: Path) -> Outcome:
    from edgedistill.int8_settings import Calibration

    wanted = Calibration()
    rows = draw_rows(inputs.train, inputs.model, wanted, seed=settings.seed, soft_labels=None)
    for name in settings.schemes:
        candidate = Candidate(parse_scheme(name), wanted.method)
        make_candidate(inputs.model / ONNX_FILE, out / f"{name}.onnx", candidate, calibration=lambda: each(rows))
    return Outcome()


FILES = Stage(name="int8-files", version=1, run=_make_files, tools=("onnx", "onnxruntime", "numpy"))


def _export_plainly(settings: _NoSettings, inputs: export_stage.Inputs, out: Path) -> Outcome:
    from edgedistill.export.exporter import export_classifier

    export_classifier(inputs.model, out / ONNX_FILE)
    export_stage.copy_companions(inputs.model, out)
    return Outcome()


PLAIN_EXPORT = Stage(name="plain-export", version=1, run=_export_plainly,
                     tools=("torch", "transformers", "optimum-onnx", "onnx"))


def text_subject(line: StudentLine, job: Job) -> Subject:
    """Return the text student of a job.

    Raises:
        NotTrainedError: it is not trained yet, and the line may not train.
    """
    recipe, shape, teacher_seed = line.recipe(), shape_of(job.rung), line.teacher_seed(job.seed)
    return Subject(
        line.task, job.seed, job.rung.size, job.rung.rung, line.workspace, recipe,
        model=line.student(recipe, shape, job.seed).folder, data=line.prepared(teacher_seed).folder,
        soft_labels=line.soft_labels(recipe, job.seed).folder / SOFT_LABELS_FILE, target=line.suite.target,
        known_by=job_settings(line, job),
    )


def picture_subject(task: str, run: Path, work: Path, *, target: str) -> Subject:
    """Return the picture student of a finished run; nothing is written into the run's folder.

    Args:
        task: name in the suite.
        run: the run folder.
        work: where steps on the student are kept.
        target: whose student of the run.

    Raises:
        NotTrainedError: the run is not finished.
    """
    student, stages = run / target / "student", run / STAGES_FOLDER
    shipped = student / "onnx" / "model_quantized.onnx"
    if not shipped.is_file():
        raise NotTrainedError(f"{run}: holds no finished run", hint=f"python benchmarks/images.py --tasks {task} --work DIR")
    recipe = read_recipe(run / LOCKED_RECIPE_FILE)
    model, data = _torch_folder(student, work / task), _data_of(stages, sha256_of_file(shipped), run)
    soft_labels = max(_finished(stages / "soft-labels"), key=lambda found: found[1].started)[0] / SOFT_LABELS_FILE
    known_by = {
        "task": task, "seed": recipe.seed, "student": sha256_of_file(model / "model.safetensors"), "target": target,
        "quantization": recipe.quantization.post_training.model_dump(mode="json"),
        "stages": {"export": stage_versions()["export"],
                   **{stage.name: stage.version for stage in (quantize_stage.STAGE, evaluate_stage.STAGE)}},
    }
    return Subject(
        task, recipe.seed, "pictures", recipe.student.rung or "planned", Workspace(work / task), recipe, model=model, data=data,
        soft_labels=soft_labels, target=target, known_by=known_by,
    )


def _torch_folder(student: Path, work: Path) -> Path:
    """Copy the torch student out of the published folder, whose ONNX files would be taken for it."""
    folder = work / "student"
    folder.mkdir(parents=True, exist_ok=True)
    for file in student.iterdir():
        if file.is_file() and file.name != "ort_config.json":
            shutil.copyfile(file, folder / file.name)
    return folder


def _data_of(stages: Path, int8_sha256: str, run: Path) -> Path:
    """Return the prepared data that the published int8 student was quantized with."""
    for folder, manifest in _finished(stages / "quantize-student"):
        if sha256_of_file(folder / ONNX_FILE) != int8_sha256:
            continue
        for data, _ in _finished(stages / "prepare"):
            if sha256_of_path(data / VALIDATION_FILE) == manifest.inputs["validation"]:
                return data
    raise DataError(f"{run}: its steps are not those of the student that it published", hint="python benchmarks/images.py again")


def _finished(step: Path) -> Iterator[tuple[Path, Manifest]]:
    for folder in sorted(step.glob("*")):
        manifest = None if folder.name.endswith(".partial") else read_valid_manifest(folder)
        if manifest is not None:
            yield folder, manifest


@dataclass(frozen=True)
class Places:
    """Where students and data are, and which are wanted.

    Attributes:
        data: the folder of the data sets.
        work: the --work folder of students.py, where steps are kept.
        images: the --work folder of images.py.
        tasks: of both suites; None: the six text tasks and one picture task.
        seeds: None: the first of each task.
        sizes: None: those that are judged.
        overrides: recipe settings of the text students.
        may_not_start: steps of a text student that must be found done.
    """

    data: Path
    work: Path
    images: Path
    tasks: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    sizes: tuple[str, ...] | None = None
    overrides: tuple[str, ...] = ()
    may_not_start: tuple[str, ...] = TRAINING


@dataclass(frozen=True)
class Wanted:
    """A student that rows are wanted of; `subject` finds it, `held` keeps others off its steps."""

    task: str
    name: str
    line: StudentLine | None
    job: Job | None
    places: Places
    target: str

    def subject(self) -> Subject:
        """Find the student.

        Raises:
            NotTrainedError: it is not there.
        """
        if self.line is not None and self.job is not None:
            return text_subject(self.line, self.job)
        run = self.places.images / IMAGES_SUITE / f"{self.task}-{_IMAGES_SEED}" / "run"
        return picture_subject(self.task, run, self.places.work / "int8-pictures", target=self.target)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the task's folder.

        Raises:
            NotTrainedError: another benchmark works there for longer than a minute, and perhaps trains.
        """
        self.places.work.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.places.work / f".{self.task}.lock")
        try:
            lock.acquire(timeout=_PATIENCE_S)
        except Timeout:
            raise NotTrainedError(f"{self.task}: another benchmark works on it", hint="wait for its end") from None
        try:
            yield
        finally:
            lock.release()


def asked_tasks() -> tuple[str, ...]:
    """Return the tasks that the summary asks for: all of texts, and one of pictures."""
    return (*read_suite_file(StudentsSuite, STUDENTS_SUITE).tasks, IMAGE_TASK)


def wanted_students(places: Places) -> Iterator[Wanted]:
    """Yield the students that are wanted, task by task.

    Raises:
        UsageError: a task or a size is in no suite.
    """
    texts, images = read_suite_file(StudentsSuite, STUDENTS_SUITE), read_suite_file(ImagesSuite, IMAGES_SUITE)
    named: Sequence[str] = places.tasks or asked_tasks()
    pictures = [task for task in named if task in images.tasks]
    text_tasks = [task for task in named if task not in images.tasks]
    sizes = places.sizes or tuple(rung.size for rung in texts.rungs if rung.is_judged)
    for task in wanted_tasks(texts, text_tasks) if text_tasks else ():
        line = StudentLine(texts, task, places.data, places.work, places.overrides, may_not_start=places.may_not_start)
        seeds = places.seeds or texts.seeds_of(task)[:1]
        for job in jobs_of(texts, task, seeds=seeds, sizes=sizes, kinds=("student",)):
            yield Wanted(task, f"{task}, {job.name}", line, job, places, texts.target)
    for task in pictures:
        yield Wanted(task, f"{task}, seed {_IMAGES_SEED}, pictures", None, None, places, images.target)


def for_each_student(places: Places, do: "Callable[[Subject], None]") -> None:
    """Do something with each student that is there, holding its task's folder; say on stderr which are not there."""
    for wanted in wanted_students(places):
        try:
            with wanted.held():
                do(wanted.subject())
        except NotTrainedError as missing:
            print(f"{wanted.name}: passed over: {missing.message} ({missing.hint})", file=sys.stderr, flush=True)


def accuracy_of(answers: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of right answers of logits, shape (n, classes)."""
    return float(np.mean(answers.argmax(1) == labels))
