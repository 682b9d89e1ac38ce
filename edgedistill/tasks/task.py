"""What a task must answer, so that no stage has to ask which task it is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from edgedistill.examples import Examples
from edgedistill.manifest import Decision
from edgedistill.picture_settings import Pictures
from edgedistill.prepare.columns import Columns
from edgedistill.problem_type import ONE_LABEL, ProblemType
from edgedistill.recipe import Distillation, Recipe, Teacher
from edgedistill.recipe import Task as TaskName
from edgedistill.stage import Work
from edgedistill.tasks.encoding import Encoder

if TYPE_CHECKING:
    from edgedistill.catalog import LocatedRecipe
    from edgedistill.latency.workload import Workload
    from edgedistill.package.answer import Answer
    from edgedistill.plan import DataFacts
    from edgedistill.results import Milestone
    from edgedistill.soft_labels import Origin
    from edgedistill.target import Target


class Shape(Protocol):
    """A rung of a ladder of student shapes."""

    @property
    def id(self) -> str:
        """The rung's name."""

    @property
    def vocabulary(self) -> int:
        """Tokens that the student knows; 0 where it reads none."""

    def shallower(self) -> "Shape | None":
        """Return the shape with a layer less, None where there is one only."""


class Weighed(Protocol):
    """What a student weighs before it is built."""

    @property
    def parameters(self) -> int:
        """Trained numbers."""

    @property
    def int8_bytes(self) -> int:
        """Bytes of the int8 ONNX file."""

    @property
    def float_bytes(self) -> int:
        """Bytes of the float ONNX file."""

    @property
    def int8_bytes_by_part(self) -> Mapping[str, int]:
        """The int8 bytes, by part."""

    @property
    def float_bytes_by_part(self) -> Mapping[str, int]:
        """The float bytes, by part."""


@dataclass(frozen=True)
class TrainingFolders:
    """What a student is trained from.

    Attributes:
        data: the folder that `prepare` wrote.
        teacher: the fine-tuned teacher's folder.
        taught: the folder with the transfer set and its soft labels.
    """

    data: Path
    teacher: Path
    taught: Path


@dataclass(frozen=True)
class DataFile:
    """A data file or folder that a user names on the command line.

    Attributes:
        path: where it is.
        split: which split of it, where it holds several.
        names: the classes that its labels stand for; None: the labels are not needed.
        problem: may an example have several labels? A string then has commas between them.
        may_lack_labels: is it good without any too? Where it has some, they are read all the same.
    """

    path: Path
    split: str
    names: Sequence[str] | None
    problem: ProblemType = ONE_LABEL
    may_lack_labels: bool = False


@dataclass(frozen=True)
class StartingPoint:
    """What `init` writes where the user says nothing.

    Attributes:
        teacher: a teacher that is at hand, or can be made.
        distillation: settings that suit the task.
        pictures: the section of pictures.
        text_column: the column of the texts; the default where there are none.
        several_labels: do the data hold lists of labels?
        notes: a further comment of a key or section, by its dotted name.
    """

    teacher: Teacher
    distillation: Distillation
    pictures: Pictures
    text_column: str
    several_labels: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FittedTeacher:
    """A teacher as `init` writes it for some data.

    Attributes:
        teacher: the recipe's section.
        notes: why a key has not its default, by the key.
    """

    teacher: Teacher
    notes: Mapping[str, str]


@dataclass(frozen=True)
class TeacherFiles:
    """What tells a model folder of one task from those of another.

    Attributes:
        patterns: a folder of the task has a file of one of these names.
        missing: what a folder without any of them lacks, in words.
        remedy: what to type then.
        otherwise: what to type where the folder is of another task.
    """

    patterns: tuple[str, ...]
    missing: str
    remedy: str
    otherwise: str


@dataclass(frozen=True)
class InitQuestions:
    """What `init` calls the data of a task.

    Attributes:
        option: how they are given on the command line, for hints.
        own_option: the option that only this task has; None where it has none.
        data: the question for them.
        column: the question for the column of the texts or pictures.
    """

    option: str
    own_option: str | None
    data: str
    column: str


@dataclass(frozen=True)
class Packing:
    """What is packed.

    Attributes:
        settings: what the bundle must know besides the files, the same for every task.
        model: the int8 model folder.
        data: the folder that `prepare` wrote.
        located: the recipe, which names the files that these data came from.
    """

    settings: Any
    model: Path
    data: Path
    located: "LocatedRecipe"


def _look_at_nothing(stages: Path) -> None:
    """Look at nothing before a run's first step."""


@dataclass(frozen=True)
class Settled:
    """A recipe in which nothing is open any more that the data must be prepared for.

    Attributes:
        located: the recipe, and the folder its paths start from.
        decisions: what was filled in, and why.
        before_work: what a run looks at before its first step, which may import torch; is given the folder of the run's steps,
            and raises EdgedistillError where the run could not end well.
    """

    located: "LocatedRecipe"
    decisions: tuple[Decision, ...] = ()
    before_work: Callable[[Path], None] = _look_at_nothing


class TaskDoor(Protocol):
    """The door of a task.

    Attributes:
        name: as the recipe has it; the hub's task id, which optimum's exporter knows too.
        content_column: the column of the examples that is neither id nor label.
        encoder_file: the file of a model folder that its encoder is made from.
        length_unit: what the length of an example is counted in.
        example: what an example is called: "text".
        takes_several_labels: may an example have several labels, where its data say so?
        rate_unit: what the throughput is counted in.
        preprocessing: what an app does before the model, in words.
        companions: the files of a model folder besides its weights, `encoder_file` among them.
        model_class: name of transformers' class that loads a model folder.
        shown_keys: the keys that `init` writes, by section of the recipe, in their order; a section within one follows it and
            has a dotted name.
        teacher_files: by which a teacher of this task is told from one of another.
        questions: what `init` asks.
        kind: what the model is called in messages, for example "sequence classifier".
    """

    name: TaskName
    example: str
    takes_several_labels: bool
    length_unit: str
    rate_unit: str
    preprocessing: str
    content_column: str
    encoder_file: str
    companions: tuple[str, ...]
    model_class: str
    kind: str
    shown_keys: Mapping[str, tuple[str, ...]]
    teacher_files: TeacherFiles
    questions: InitQuestions

    def encoder(self, folder: Path) -> Encoder:
        """Return the encoder of a model folder; raises ArtifactError where it cannot be read."""

    def starting_point(self, columns: Columns, train: Path | None = None) -> StartingPoint:
        """Return what `init` begins with.

        `columns` are what the user calls them; `train` are the data that it is for, None where only the teacher is asked for.
        """

    def fit_to_data(self, teacher: Teacher, train: Path, columns: Columns, *, folder: Path | None) -> FittedTeacher:
        """Fit the teacher that `init` writes to the training data; `folder` is where it is, None where it is not here."""

    def check_source(self, path: Path, columns: Columns, *, split: str) -> None:
        """Refuse a data file of which the beginning already cannot be used; raises DataError."""

    def find_teacher(self, located: "LocatedRecipe", *, check_weights: bool = True) -> Path | None:
        """Return the teacher's folder, checked; None where the run makes one from a configuration."""

    def check(self, recipe: Recipe, teacher: Path | None) -> None:
        """Refuse what the recipe asks for and this task, or this teacher, cannot give; raises RecipeError."""

    def settle(self, located: "LocatedRecipe", targets: "Sequence[Target]") -> Settled:
        """Let the plan fill in what it must choose for the targets before the data are prepared."""

    def facts(self, recipe: Recipe, prepared: Path, teacher: Path | None) -> "DataFacts":
        """Return what the plan must know of data that `prepare` wrote."""

    def facts_before(self, located: "LocatedRecipe") -> "DataFacts":
        """Return the same of data that nobody prepared yet."""

    def facts_in_words(self, facts: "DataFacts") -> str:
        """Say what the data are, for the plan."""

    def lengths_not_timed(self, lengths: Sequence[int]) -> str:
        """Say what was not timed; empty where every example is as large as the timed ones."""

    def rate_of(self, length: int) -> int:
        """Return how much of `rate_unit` an example of a length is."""

    def ladder(self, own: Path | None = None) -> Sequence[Shape]:
        """Return the student shapes of a file, the shipped ones without a file; raises RecipeError where it is wrong."""

    def weigh(self, shape: Shape, recipe: Recipe, facts: "DataFacts") -> Weighed:
        """Return what a student weighs."""

    def workload(self, shape: Shape, facts: "DataFacts", *, length: int) -> "Workload":
        """Return what one example of a length costs."""

    def work_of(self, model: Path, row: Mapping[str, NDArray[Any]], *, classes: int) -> "Workload | None":
        """Return what a row costs a model in a folder, by its config.json; None where that says no shape that is known."""

    def schemes(self, target: "Target") -> tuple[str, ...]:
        """Return the int8 schemes that the search may name for a target; what `auto` takes follows from the graph."""

    def prepare(self, located: "LocatedRecipe", teacher: Path | None) -> Work:
        """Return the step that reads, checks and splits the data."""

    def write_examples(self, source: DataFile, path: Path, *, model: Path | None) -> None:
        """Write the examples of a data file as a model reads them; raises DataError where it cannot be used."""

    def teach(self, recipe: Recipe, data: Path, teacher: Path | None) -> Work:
        """Return the step that makes the teacher ready."""

    def not_checked(self, data: Path, teacher: Path) -> tuple[str, ...]:
        """Return sentences for the report: what nobody looked at because of how teacher and data are.

        `data` is the folder that `prepare` wrote, `teacher` the folder of the teacher that labelled them.
        """

    def label(self, recipe: Recipe, data: Path, teacher: Path) -> Work:
        """Return the step that makes the transfer set and lets the teacher label it."""

    def origin(self, recipe: Recipe, data: Path, teacher: Path) -> "Origin":
        """Return what soft labels made with `label` must say of their origin."""

    def distil(
        self, recipe: Recipe, shape: Shape, folders: TrainingFolders, *, milestones: "tuple[Milestone, ...]" = ()
    ) -> Work:
        """Return the step that trains a student with its teacher."""

    def tune_for_int8(
        self, recipe: Recipe, folders: TrainingFolders, *, student: Path, graph: Path, scheme: str
    ) -> Work | None:
        """Return the step that fine-tunes a student with the rounding of a scheme; None where the task has none.

        `student` is its folder, `graph` its float ONNX file.
        """

    def prove_reading(self, *, teacher: Path, student: Path, data: Path) -> Work | None:
        """Return the step that compares how teacher and student read the test split; None where both read alike.

        `teacher` and `student` are model folders, `data` is the folder that `prepare` wrote.
        """

    def train_baseline(self, recipe: Recipe, shape: Shape, *, student: Path, data: Path) -> Work:
        """Return the step that trains the student's shape without the teacher."""

    def finish_graph(self, exported: Path, out: Path, *, model: Path) -> None:
        """Fuse or fold an exported ONNX file; the answers stay the same."""

    def thumbnail(self, examples: Examples, row: int) -> str | None:
        """Return the picture of an example as a data URI for a report; None where there is none."""

    def package(self, packing: Packing) -> Work:
        """Return the step that makes the bundle."""

    def write_golden(self, bundle: Path, path: Path) -> None:
        """Write the golden texts or pictures of a bundle's folder as examples without labels."""

    def predict(self, bundle: Path, asked: Sequence[str]) -> "tuple[Answer, ...]":
        """Ask a bundle's folder: texts, or the names of picture files."""
