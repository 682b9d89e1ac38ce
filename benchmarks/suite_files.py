"""The suites over data sets: documents of benchmarks/suites/, and the data files that they name, checked by their hash."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from edgedistill.artifact import sha256_of_file
from edgedistill.document import Document, DocumentT, parse, read_text
from edgedistill.errors import DataError, UsageError
from edgedistill.recipe import Teacher
from edgedistill.shape import StudentShape
from edgedistill.tasks.text_classification.ladder import ladder

SUITES = Path(__file__).resolve().parent / "suites"


class DataFile(Document):
    """A data file, below the folder of --data."""

    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class TaskData(Document):
    """A data set and what is special about it here."""

    train: DataFile
    validation: DataFile | None = Field(None, description="None: split off train")
    test: DataFile
    seeds: tuple[int, ...] | None = Field(None, description="None: the suite's")
    overrides: tuple[str, ...] = Field((), description="recipe settings for this task only")
    limit_s: float | None = Field(None, gt=0, description="instead of the suite's")

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The files there are."""
        return tuple(f for f in (self.train, self.validation, self.test) if f is not None)


class SuiteRung(Document):
    """A size that is measured, and the rung of models/students.yaml that has it."""

    size: str = Field(description="name in results and tables, such as 1/30: of the teacher's fp32 bytes")
    rung: str
    divisor: int | None = Field(None, description="the limit is teacher bytes / divisor; None: a frontier size without one")
    goal: float | None = Field(None, description="retention that is asked for at this size; None: not judged")
    seeds: int | None = Field(None, description="use only so many of the seeds")
    alternatives: tuple[str, ...] = Field(
        (), description="other rungs of these bytes; the first seed's validation accuracy says which a task takes"
    )

    def choices(self) -> "tuple[SuiteRung, ...]":
        """Return this size with each of its rungs."""
        return tuple(self.model_copy(update={"rung": rung}) for rung in (self.rung, *self.alternatives))

    @property
    def is_judged(self) -> bool:
        """Is a retention asked for? Judged sizes get the comparisons too."""
        return self.goal is not None


class StudentsSuite(Document):
    """Tasks, teacher and sizes that all benchmarks over data sets share."""

    kind: Literal["data-sets"]
    schema_version: Literal[1] = 1
    description: str
    target: str
    teacher: Teacher
    teacher_seed: int
    seeds: tuple[int, ...] = Field(min_length=1)
    is_transfer_set_shared: bool = Field(False, description="one transfer set for all seeds, instead of one a seed")
    overrides: tuple[str, ...] = ()
    slack: float = Field(0.015, ge=0, lt=1, description="by how much a single task may keep less than a size's goal")
    limit_s: float = Field(900, gt=0, description="soft labels and distillation of one student may take so long on two cores")
    rungs: tuple[SuiteRung, ...] = Field(min_length=1)
    tasks: dict[str, TaskData]

    @model_validator(mode="after")
    def _sizes_differ(self) -> Self:
        sizes = [rung.size for rung in self.rungs]
        if len(set(sizes)) != len(sizes):
            raise ValueError("a size stands twice")
        return self

    def rung_of(self, size: str) -> SuiteRung:
        """Return the rung of a size.

        Raises:
            UsageError: there is no such size.
        """
        found = next((rung for rung in self.rungs if rung.size == size), None)
        if found is None:
            raise UsageError(f"no size {size!r}", hint=f"choose of: {', '.join(r.size for r in self.rungs)}")
        return found

    def seeds_of(self, task: str) -> tuple[int, ...]:
        """Return the seeds of a task."""
        return self.tasks[task].seeds or self.seeds

    def limit_of(self, task: str) -> float:
        """Return how long soft labels and distillation of a task may take, in seconds."""
        return self.tasks[task].limit_s or self.limit_s


class Ablation(Document):
    """A name and the recipe settings that differ from the base."""

    name: str
    overrides: tuple[str, ...] = ()


class AblationSuite(Document):
    """One shape, one length of training, one ingredient changed at a time."""

    kind: Literal["data-sets"]
    schema_version: Literal[1] = 1
    description: str
    size: str = Field(description="of suites/students.yaml")
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    overrides: tuple[str, ...] = Field((), description="settings that all rows share")
    ablations: tuple[Ablation, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [ablation.name for ablation in self.ablations]
        if len(set(names)) != len(names):
            raise ValueError("an ablation's name stands twice")
        return self


class StaticEmbeddings(Document):
    """model2vec: its version and what is tried within the bytes; validation chooses."""

    requirement: str = Field(description="what pip installs into an environment of its own")
    transformers: str = Field(description="the transformers it wants, which is not ours")
    clusters: tuple[int, ...] = Field(description="vocabulary quantizations tried; 0: none")
    dtypes: tuple[Literal["int8", "float16"], ...] = Field(description="quantizations of the table tried")
    inverse_penalties: tuple[float, ...] = Field(description="C of the logistic regression, chosen on validation")
    sizes: tuple[str, ...]


class PlainStudent(Document):
    """A BERT of random weights, distilled with plain transformers."""

    name: str
    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: Literal["fit", "teacher"] | int = Field(
        description="fit: WordPiece trained on train, as large as the bytes of `size` allow; teacher: the teacher's tokenizer"
    )
    size: str = Field(description="row of the table that it stands in; of suites/students.yaml")


class PlainTraining(Document):
    """What a user sets in TrainingArguments; the first learning rate in validation accuracy is taken."""

    learning_rates: tuple[float, ...] = Field(min_length=1)
    batch_size: int = 32
    temperature: float = 2.0
    alpha: float = Field(0.9, description="weight of the soft term")
    warmup_share: float = 0.1


class RivalsSuite(Document):
    """What a user would do today on the same data and bytes."""

    kind: Literal["data-sets"]
    schema_version: Literal[1] = 1
    description: str
    model2vec: StaticEmbeddings
    plain: PlainTraining
    students: tuple[PlainStudent, ...]


class TeachersSuite(Document):
    """The teacher of the students' suite, fine-tuned by hand with one learning rate after the other."""

    kind: Literal["data-sets"]
    schema_version: Literal[1] = 1
    description: str
    learning_rates: tuple[float, ...] = Field(min_length=1)
    batch_size: int
    warmup_share: float
    weight_decay: float
    epochs: int
    epochs_of: dict[str, int] = Field({}, description="by task, in place of `epochs`")


class SpeedSuite(Document):
    """The same distillation by our loop and by the plain one."""

    kind: Literal["data-sets"]
    schema_version: Literal[1] = 1
    description: str
    task: str
    size: str
    samples: int
    repetitions: int
    batch_size: int
    learning_rate: float
    temperature: float
    alpha: float
    warmup_share: float


def read_suite_file(kind: type[DocumentT], name: str) -> DocumentT:
    """Read benchmarks/suites/<name>.yaml.

    Raises:
        UsageError: it is missing, is not YAML, or has an unknown key or a bad value.
    """
    path = SUITES / f"{name}.yaml"
    return parse(kind, read_text(path), path, error=UsageError)


def shape_of(rung: SuiteRung) -> StudentShape:
    """Return the shape that a suite's size has in models/students.yaml.

    Raises:
        UsageError: the ladder has no such rung.
    """
    shapes = {shape.id: shape for shape in ladder()}
    if rung.rung not in shapes:
        raise UsageError(f"size {rung.size}: no rung {rung.rung!r} in models/students.yaml",
                         hint=f"name one of {', '.join(shapes)} in {SUITES / 'students.yaml'}")
    return shapes[rung.rung]


def check_data(task: TaskData, folder: Path) -> None:
    """Check that the files of a task are the ones that the suite means.

    Raises:
        DataError: a file is missing or hashes otherwise.
    """
    for item in task.files:
        path = folder / item.file
        if not path.is_file():
            raise DataError(f"{path}: no such file", hint="--data DIR, the folder with the data sets")
        found = sha256_of_file(path)
        if found != item.sha256:
            raise DataError(f"{path}: sha256 {found[:12]}..., the suite means {item.sha256[:12]}...",
                            hint="get the data set that the suite names; results of another one cannot be compared")
