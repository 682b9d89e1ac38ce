"""Image classification behind the door of the tasks: one label a picture."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from edgedistill.catalog import LocatedRecipe, data_folder
from edgedistill.examples import Examples, read_examples
from edgedistill.latency.workload import Workload
from edgedistill.plan import DataFacts, PictureSize
from edgedistill.prepare.columns import Columns
from edgedistill.prepare.data_report import SplitName
from edgedistill.problem_type import ONE_LABEL
from edgedistill.quantize.model_config import read_config
from edgedistill.recipe import Recipe, Teacher
from edgedistill.recipe import Task as TaskName
from edgedistill.results import Labels, Milestone
from edgedistill.soft_labels import Origin
from edgedistill.stage import Work
from edgedistill.target import Target
from edgedistill.tasks.image_classification.encoding import PREPROCESSOR_FILE, PictureEncoder, read_preprocessing
from edgedistill.tasks.image_classification.facts import facts_of, pictures_of_train, size_of
from edgedistill.tasks.image_classification.pictures import pixels_of
from edgedistill.tasks.image_classification.refusals import check_recipe, refuse_folder_beside_configuration, require_exported
from edgedistill.tasks.image_classification.shape import (
    MobileNetShape,
    ResNetShape,
    ViTShape,
    read_image_ladder,
)
from edgedistill.tasks.image_classification.starting_point import OWN_TEACHER, starting_point
from edgedistill.tasks.image_classification.training_settings import (
    enough_for_a_new_teacher,
    of_pictures,
    unmixed,
)
from edgedistill.tasks.image_classification.weight import ImageWeight, image_workload, weigh_image
from edgedistill.tasks.task import (
    DataFile,
    FittedTeacher,
    InitQuestions,
    Packing,
    Settled,
    Shape,
    StartingPoint,
    TaskDoor,
    TeacherFiles,
    TrainingFolders,
)
from edgedistill.teach.labels import kept_order, label_order, require_same_problem

if TYPE_CHECKING:
    from edgedistill.package.answer import Answer

_PICTURE_AXES = 4

_AnyShape = ResNetShape | MobileNetShape | ViTShape


class ImageClassification:
    """See `edgedistill.tasks.task.TaskDoor`."""

    name: TaskName = "image-classification"
    example = "picture"
    takes_several_labels = False
    length_unit = "pixels"
    rate_unit = "images"
    preprocessing = "decoding a PNG file and normalising"
    content_column = "image"
    encoder_file = PREPROCESSOR_FILE
    companions: tuple[str, ...] = (PREPROCESSOR_FILE,)
    model_class = "AutoModelForImageClassification"
    kind = "image classifier"
    shown_keys: Mapping[str, tuple[str, ...]] = {
        "data": ("train", "validation", "test", "licence", "label_column", "validation_share", "test_share"),
        "teacher": ("name", "licence", "revision", "sha256", "allow_hub", "configuration", "fine_tuning"),
        "pictures": ("column", "side", "channels", "teacher_copies"),
        "pictures.changes": ("flip", "shift", "rotation_degrees", "zoom", "contrast", "mixup", "cutmix"),
        "student": ("rung",),
        "distillation": ("temperature", "alpha", "learning_rate", "batch_size", "rows_seen", "patience", "baseline",
                         "baseline_rows_seen"),
        "distillation.transfer_set": ("rows", "copies"),
    }
    teacher_files = TeacherFiles(
        patterns=(PREPROCESSOR_FILE,), missing=PREPROCESSOR_FILE,
        remedy="copy it into the folder: processor.save_pretrained(DIR)",
        otherwise="name an image classifier of transformers (a folder, or an id such as microsoft/resnet-18), or let the run "
                  "train a teacher of its own, as the recipe of edgedistill init --images DIR does",
    )
    questions = InitQuestions(
        option="--images DIR", own_option="--images",
        data="Pictures (a folder with a folder for each class; or CSV, TSV, JSONL, Parquet, .npz, MNIST's idx)",
        column="Column with the pictures, where they are in a table",
    )

    def encoder(self, folder: Path) -> PictureEncoder:
        """Read the folder's preprocessor_config.json."""
        return PictureEncoder.load(folder)

    def starting_point(self, columns: Columns, train: Path | None = None) -> StartingPoint:
        """Begin with a ResNet that is trained in the run; how long it and the student are trained follows from the pictures."""
        from edgedistill.tasks.image_classification.sources import open_source

        return starting_point(columns.text, [] if train is None else list(open_source(train, columns).labels()))

    def fit_to_data(self, teacher: Teacher, train: Path, columns: Columns, *, folder: Path | None) -> FittedTeacher:
        """Leave it: how large pictures are stored, the run settles."""
        return FittedTeacher(teacher, {})

    def check_source(self, path: Path, columns: Columns, *, split: str) -> None:
        """Look whether a picture can be opened, and whether there are two classes to learn."""
        from edgedistill.tasks.image_classification.read import require_openable
        from edgedistill.tasks.image_classification.sources import open_source, require_classes

        source = open_source(path, columns, split=split)
        require_openable(source)
        if split == "train":
            require_classes(source)

    def find_teacher(self, located: LocatedRecipe, *, check_weights: bool = True) -> Path | None:
        """Find the classifier that the recipe names, where it does not give a configuration."""
        from edgedistill.tasks.registry import require_own_name, require_own_teacher
        from edgedistill.teach.resolve import resolve_teacher

        teacher = located.recipe.teacher
        if teacher.configuration is not None:
            refuse_folder_beside_configuration(located)
            return None
        require_own_name(teacher.name, self)
        return resolve_teacher(
            teacher, recipe_folder=located.folder, check_weights=check_weights,
            check_encoder=lambda folder: require_own_teacher(folder, self),
        )

    def check(self, recipe: Recipe, teacher: Path | None) -> None:
        """Refuse settings of texts, losses that pictures do not have, and a teacher that cannot be fed, or not exported."""
        from edgedistill.export.requirements import require_float_file_fits

        check_recipe(recipe, own_configuration=OWN_TEACHER.configuration)
        if teacher is not None:
            require_exported(read_config(teacher).get("model_type"), place=str(teacher))
            read_preprocessing(teacher)
            require_same_problem(teacher, ONE_LABEL)
            require_float_file_fits(teacher)

    def settle(self, located: LocatedRecipe, targets: Sequence[Target]) -> Settled:
        """Choose the side of the pictures, where the recipe leaves it open; a run tries a teacher of a configuration at it."""
        from edgedistill.tasks.image_classification.trial import try_configuration

        settled = self._with_side(located, targets)
        return dataclasses.replace(settled, before_work=partial(try_configuration, settled.located))

    def _with_side(self, located: LocatedRecipe, targets: Sequence[Target]) -> Settled:
        """Fill in the side; one that prepare takes anyway stays open."""
        from edgedistill.tasks.image_classification.side import STEPS, choose_side, small_pictures

        recipe = located.recipe
        if recipe.pictures.side is not None:
            return Settled(located)
        natural = pictures_of_train(located)[1].side
        if natural <= STEPS[0]:
            return Settled(located, (small_pictures(natural),))
        choice = choose_side(recipe, targets, self.facts_before(located), self.ladder(located.ladder))
        if choice.side == natural:
            return Settled(located, (choice.decision,))
        pictures = recipe.pictures.model_copy(update={"side": choice.side})
        settled = dataclasses.replace(located, recipe=recipe.model_copy(update={"pictures": pictures}))
        return Settled(settled, (choice.decision,))

    def facts(self, recipe: Recipe, prepared: Path, teacher: Path | None) -> DataFacts:
        """Count rows and classes of what `prepare` wrote."""
        examples = read_examples(prepared / "train.arrow")
        size = pixels_of(examples).size
        return facts_of(size, classes=len(Labels.read_json(prepared / "labels.json").labels), rows=len(examples))

    def facts_before(self, located: LocatedRecipe) -> DataFacts:
        """Count the same in the files of the recipe; of the pictures only some headers are read.

        A teacher that is taken as it is has all of its classes, of some of which there may be no picture.
        """
        from edgedistill.tasks.image_classification.sources import require_usable, shares_to_make
        from edgedistill.tasks.image_classification.splits import require_enough_labels

        source, size = pictures_of_train(located)
        data = located.recipe.data
        train, validation, test = (located.path(name) if name else None for name in (data.train, data.validation, data.test))
        given: dict[SplitName, Path | None] = {"train": train, "validation": validation, "test": test}
        columns = Columns(located.recipe.pictures.column, data.label_column)
        require_usable(source, given, columns)
        labels = [str(label) for label in source.labels()]
        require_enough_labels(labels, shares_to_make(data, given, columns), place=source.place)
        classes = set(labels)
        teacher = self.find_teacher(located, check_weights=False)
        order = None if teacher is None else kept_order(label_order(teacher), classes)
        return facts_of(size, classes=len(order or classes), rows=len(labels))

    def facts_in_words(self, facts: DataFacts) -> str:
        """Say how many rows and classes there are, and how large the pictures."""
        size = size_of(facts)
        kind = "grey" if size.channels == 1 else "RGB"
        return f"{facts.train_rows} rows, {facts.classes} classes, {kind} pictures of {size.side} x {size.side} pixels"

    def lengths_not_timed(self, lengths: Sequence[int]) -> str:
        """Return nothing: all pictures are of one size."""
        return ""

    def rate_of(self, length: int) -> int:
        """Return 1: images are counted."""
        return 1

    def ladder(self, own: Path | None = None) -> Sequence[Shape]:
        """Return the rungs of a file, or of models/image-students.yaml."""
        return read_image_ladder(own or data_folder("models") / "image-students.yaml").rungs

    def weigh(self, shape: Shape, recipe: Recipe, facts: DataFacts) -> ImageWeight:
        """Count a picture student's numbers and bytes."""
        return weigh_image(_own(shape), size_of(facts), classes=facts.classes)

    def workload(self, shape: Shape, facts: DataFacts, *, length: int) -> Workload:
        """Count the work of one picture."""
        return image_workload(_own(shape), size_of(facts), classes=facts.classes)

    def work_of(self, model: Path, row: Mapping[str, NDArray[Any]], *, classes: int) -> Workload | None:
        """Count the work of a picture by the config.json of a ResNet, MobileNet-V2 or ViT."""
        from edgedistill.tasks.image_classification.configured_shape import configured_shape

        shape, picture = configured_shape(read_config(model)), row.get("pixel_values")
        if shape is None or picture is None or picture.ndim != _PICTURE_AXES:
            return None
        return image_workload(shape, PictureSize(picture.shape[2], picture.shape[1]), classes=classes)

    def schemes(self, target: Target) -> tuple[str, ...]:
        """Return what suits convolutions: fixed scales for the activations."""
        from edgedistill.quantize.schemes import schemes_for

        return schemes_for(target, wanted="auto").static

    def prepare(self, located: LocatedRecipe, teacher: Path | None) -> Work:
        """Read, decode, check and split pictures; the order of the teacher's classes is kept."""
        from edgedistill.tasks.image_classification import prepare_stage as stage
        from edgedistill.tasks.image_classification.sources import fingerprint

        data, pictures = located.recipe.data, located.recipe.pictures
        columns = Columns(pictures.column, data.label_column)
        given = (data.train, data.validation, data.test, data.unlabelled)
        inputs = stage.Inputs(*(located.path(name) if name else None for name in given))
        settings = stage.Settings(
            image_column=pictures.column, label_column=data.label_column, side=pictures.side, channels=pictures.channels,
            validation_share=data.validation_share, test_share=data.test_share, seed=located.recipe.seed,
            files_sha256=fingerprint(stage.file_sources(inputs, columns).values()), hub=data.hub,
            label_order=None if teacher is None else label_order(teacher),
        )
        return Work(stage.STAGE, settings, inputs)

    def write_examples(self, source: DataFile, path: Path, *, model: Path | None) -> None:
        """Write the pictures of a data file or folder, at the size that the model takes and by its filter."""
        from edgedistill.tasks.image_classification.data_file import write_data_file

        how = read_preprocessing(_given(model))
        write_data_file(source, path, size=PictureSize(how.resized, how.size.channels), resample=how.resample)

    def teach(self, recipe: Recipe, data: Path, teacher: Path | None) -> Work:
        """Take, fine-tune or train the teacher; of mixed pictures it sees none."""
        from edgedistill.tasks.image_classification import teach_stage as stage

        tuning = recipe.teacher.fine_tuning
        if teacher is None and tuning.epochs is None:
            rows = len(read_examples(data / "train.arrow"))
            tuning = enough_for_a_new_teacher(tuning, rows, rows_seen=recipe.distillation.rows_seen)
        settings = stage.TeacherSettings(
            fine_tuning=tuning, configuration=recipe.teacher.configuration,
            copies=recipe.pictures.teacher_copies, changes=unmixed(recipe.pictures.changes), seed=recipe.seed,
        )
        return Work(stage.TEACHER, settings, stage.TeacherInputs(
            teacher, data / "train.arrow", data / "validation.arrow", data / "labels.json"))

    def not_checked(self, data: Path, teacher: Path) -> tuple[str, ...]:
        """Say where the teacher takes larger pictures than it was given."""
        from edgedistill.tasks.image_classification.teach_stage import enlarged, larger_pictures

        how, pixels = read_preprocessing(teacher), pixels_of(read_examples(data / "train.arrow"))
        sides = enlarged(how, pixels)
        return (f"The teacher saw {sides}: how much better it is on larger ones is unknown ({larger_pictures(how, pixels)}).",
                ) if sides else ()

    def label(self, recipe: Recipe, data: Path, teacher: Path) -> Work:
        """Make changed and mixed pictures and let the teacher label them."""
        from edgedistill.tasks.image_classification import teach_stage as stage

        wanted = recipe.distillation.transfer_set
        settings = stage.SoftLabelSettings(
            rows=wanted.rows, copies=wanted.copies, changes=recipe.pictures.changes, seed=recipe.seed
        )
        files = ("train.arrow", "validation.arrow", "labels.json", "unlabelled.arrow")
        return Work(stage.SOFT_LABELS, settings, stage.SoftLabelInputs(teacher, *(data / name for name in files)))

    def origin(self, recipe: Recipe, data: Path, teacher: Path) -> Origin:
        """Hash teacher, pre-processing and data."""
        from edgedistill.teach.labelling import origin_of

        return origin_of(self.label(recipe, data, teacher).inputs, encoder_file=PREPROCESSOR_FILE)

    def distil(
        self, recipe: Recipe, shape: Shape, folders: TrainingFolders, *, milestones: tuple[Milestone, ...] = ()
    ) -> Work:
        """Train a student from random weights on what the teacher says."""
        from edgedistill.tasks.image_classification import distill_stage as stage
        from edgedistill.teach.files import SOFT_LABELS_FILE, TRANSFER_FILE

        settings = stage.StudentSettings(
            shape=_own(shape), distillation=of_pictures(recipe.distillation), seed=recipe.seed, milestones=milestones
        )
        return Work(stage.STUDENT, settings, stage.StudentInputs(
            teacher=folders.teacher, train=folders.data / "train.arrow", unlabelled=folders.data / "unlabelled.arrow",
            transfer=folders.taught / TRANSFER_FILE, validation=folders.data / "validation.arrow",
            soft_labels=folders.taught / SOFT_LABELS_FILE, labels=folders.data / "labels.json",
        ))

    def tune_for_int8(
        self, recipe: Recipe, folders: TrainingFolders, *, student: Path, graph: Path, scheme: str
    ) -> None:
        """Return None: between convolutions sums and activations are int8 too, and batch norms are folded into them."""
        return

    def prove_reading(self, *, teacher: Path, student: Path, data: Path) -> None:
        """Return None: pictures have no vocabulary."""
        return

    def train_baseline(self, recipe: Recipe, shape: Shape, *, student: Path, data: Path) -> Work:
        """Train the same shape on hard labels alone."""
        from edgedistill.tasks.image_classification import distill_stage as stage

        settings = stage.BaselineSettings(
            shape=_own(shape), distillation=recipe.distillation.without_teacher(), changes=unmixed(recipe.pictures.changes),
            copies=recipe.pictures.teacher_copies, seed=recipe.seed,
        )
        return Work(stage.BASELINE, settings, stage.BaselineInputs(
            data / "train.arrow", data / "validation.arrow", data / "labels.json"))

    def finish_graph(self, exported: Path, out: Path, *, model: Path) -> None:
        """Fold constants, fix the size, shorten the names."""
        from edgedistill.tasks.image_classification.graph import tidy

        tidy(exported, out, size=read_preprocessing(model).size)

    def thumbnail(self, examples: Examples, row: int) -> str | None:
        """Return the stored picture at about 96 pixels."""
        from edgedistill.tasks.image_classification.decode import to_thumbnail

        return to_thumbnail(pixels_of(examples).take([row])[0])

    def package(self, packing: Packing) -> Work:
        """Pack the model with its pre-processing."""
        from edgedistill.tasks.image_classification import package_stage as stage

        data, recipe = packing.data, packing.located.recipe
        splits = {name: data / f"{name}.arrow" for name in ("train", "validation")}
        given = {"train": recipe.data.train, "test": recipe.data.test}
        originals = {name: packing.located.path(path) for name, path in given.items() if path is not None}
        settings = stage.PictureSettings(
            **dict(packing.settings), image_column=recipe.pictures.column, label_column=recipe.data.label_column
        )
        return Work(stage.STAGE, settings, stage.Inputs(
            packing.model, data / "test.arrow", data / "labels.json",
            splits={name: path for name, path in splits.items() if path.is_file()},
            originals={name: path for name, path in originals.items() if path.exists()},
        ))

    def write_golden(self, bundle: Path, path: Path) -> None:
        """Write the pictures of golden.json."""
        from edgedistill.tasks.image_classification.golden import write_golden_pictures

        write_golden_pictures(bundle, path)

    def predict(self, bundle: Path, asked: Sequence[str]) -> "tuple[Answer, ...]":
        """Classify picture files."""
        from edgedistill.tasks.image_classification.predict import predict_files

        return predict_files(bundle, [Path(name) for name in asked])


DOOR: TaskDoor = ImageClassification()


def _own(shape: Shape) -> _AnyShape:
    if not isinstance(shape, ResNetShape | MobileNetShape | ViTShape):
        raise TypeError(f"{shape.id} is no shape of a picture student")
    return shape


def _given(model: Path | None) -> Path:
    if model is None:
        raise ValueError("pictures are read for a model")
    return model
