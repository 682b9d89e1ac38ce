"""The recipe: what the user wants. Task, data, teacher, student, distillation, quantization, goals, seed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import ConfigDict, Field, JsonValue, SerializerFunctionWrapHandler, model_serializer, model_validator

from edgedistill.data_settings import Data
from edgedistill.document import Document, parse, read_text, without_defaults
from edgedistill.errors import RecipeError
from edgedistill.int8_settings import PostTraining, Quantization
from edgedistill.overrides import set_override
from edgedistill.picture_settings import Pictures

Task = Literal["text-classification", "image-classification"]
"""The ML tasks that can be distilled; the names are the hub's task ids."""


LearningRate = Annotated[float, Field(gt=0, lt=1)]


class FineTuning(Document):
    """How a teacher that is not fine-tuned yet is fine-tuned on the training split."""

    epochs: int | None = Field(
        None, ge=1, le=10_000, description="passes over the training split at most; null: as many as make 1,500 steps, but 3 at "
        "least and 12 at most (or 200 steps); for a teacher of a configuration 30, or as many as make 2,000 steps, but no more "
        "pictures than the student sees"
    )
    learning_rate: float = Field(
        1.5e-4, gt=0, lt=1, description="peak of the linear schedule. Where neither it nor `learning_rates` is given, an encoder "
        "of texts is fine-tuned at two, of which validation chooses: 1.5e-4 and 5e-5, and where it is wider than 384 at "
        "1.5e-4 x (384 / width)^2 and a third of it: 3.75e-5 and 1.25e-5 at 768. `recipe.lock.yaml` has what was used"
    )
    learning_rates: tuple[LearningRate, ...] = Field(
        (), max_length=8, description="text tasks: several peaks in the place of `learning_rate`: one training at each, and the "
        "teacher that is best on validation is kept, of equals the one of the lower loss"
    )
    batch_size: int = Field(32, ge=1, le=4096, description="examples a step")
    warmup_share: float = Field(0.1, ge=0, lt=1, description="share of the steps in which the rate rises")
    weight_decay: float = Field(0.01, ge=0, lt=1, description="of AdamW, on matrices other than embeddings")
    patience: int = Field(
        2, ge=1, description="evaluations without progress before it stops; progress is a better validation accuracy, or an "
        "equal one and a lower loss"
    )

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(self, write(self), "learning_rates")


Configuration = dict[str, JsonValue]
"""A configuration of transformers, as its config.json has it."""


class Teacher(Document):
    """The model whose answers the student learns."""

    name: str = Field(description="a local folder (relative to the recipe) or a model id of the hub; with another one take out "
                      "the licence, revision, sha256 and package that belonged to it")
    licence: str = Field("unknown", description="licence of the weights, as their card has it; goes into the bundle")
    revision: str | None = Field(None, description="commit or tag on the hub")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="what model.safetensors must hash to")
    package: str | None = Field(None, description="an installed Python package that carries a copy of the model")
    allow_hub: bool = Field(False, description="may the hub be reached for it?")
    configuration: Configuration | None = Field(
        None, description="image tasks: configuration of transformers, with model_type, of a teacher that is trained in the run "
        "from random weights; `name` is then only what it is called"
    )
    max_tokens: int = Field(64, ge=8, le=512, description="texts are cut after so many tokens")
    fine_tuning: FineTuning = FineTuning()


class Student(Document):
    """Which student is built. Null leaves the choice to the search, among the shapes that fit."""

    rung: str | None = Field(
        None, description="a rung of models/students.yaml (of pictures: image-students.yaml), or of `ladder`, and no other is "
        "tried; null: the search chooses"
    )
    ladder: str | None = Field(
        None, description="YAML file with student shapes of your own, of the form of models/students.yaml (of pictures: "
        "image-students.yaml); null: the shipped ones"
    )
    initialisation: Literal["cut", "contextual", "random"] = Field(
        "cut", description="cut out of the teacher (where it cannot be: contextual), embeddings from the teacher's contextual "
        "output, or random"
    )
    aliases: Literal["contextual", "input", "none"] = Field(
        "contextual", description="where a token goes that the student has no row for: to the nearest by what the fine-tuned "
        "teacher makes of it, to the nearest by input embedding, or to [UNK]"
    )


class TransferSet(Document):
    """Unlabelled examples for the teacher to label: texts of the user's own, and texts made from them and from train.

    The shares and rates say how much of which kind is made; a kind with 0 is switched off.
    """

    rows: int = Field(150_000, ge=0, le=2_000_000, description="rows made at most; 0 switches it off")
    words: int = Field(
        2_000_000, ge=1, le=100_000_000, description="words made at most: long texts say more each, and cost the teacher more"
    )
    copies: int = Field(40, ge=1, le=1000, description="rows made per text, or copies of a picture, at most")
    mixing: float = Field(0.2, ge=0, le=1, description="share of texts whose second half is that of another")
    ngrams: float = Field(0.2, ge=0, le=1, description="share of texts cut to 2 to 7 words in a row")
    neighbours: float = Field(
        0.22, ge=0, le=1, description="mean rate of words replaced by a neighbour in the teacher's embedding space"
    )
    masking: float = Field(0.04, ge=0, le=1, description="rate of words that become the mask token")
    spans: float = Field(0.0, ge=0, le=1, description="share of texts in which 2 or 3 words in a row are masked")
    exchanging: float = Field(0.04, ge=0, le=1, description="rate of words replaced by any word of the texts")
    dropping: float = Field(0.1, ge=0, le=1, description="share of texts that lose a tenth of their words")

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.mixing + self.ngrams > 1:
            raise ValueError("mixing and ngrams are shares of the same texts: at most 1 together")
        if self.neighbours + self.masking + self.exchanging > 1:
            raise ValueError("neighbours, masking and exchanging are rates of the same words: at most 1 together")
        return self


LossName = Literal["decoupled-kd", "sentence-vectors", "hidden-states", "attentions", "minilm-v1", "minilm-v2"]
"""The losses that can be added; docs/distill.md says what each compares."""


class LossTerm(Document):
    """A loss beside alpha and temperature's, or in the place of its soft part."""

    model_config = ConfigDict(serialize_by_alias=True)  # `from` is a word of Python's own, and of every file

    name: LossName = Field(description="what is compared (see docs/distill.md); decoupled-kd replaces the soft part")
    weight: float = Field(1.0, gt=0, le=1000, description="of this loss; for decoupled-kd within the soft part")
    from_: float = Field(0.0, ge=0, lt=1, alias="from", description="share of the steps after which it begins")
    until: float = Field(1.0, gt=0, le=1, description="share of the steps after which it ends")
    decay: Literal["none", "linear"] = Field("none", description="linear: the weight falls to 0 between from and until")
    layers: Literal["evenly-spaced", "last"] | None = Field(
        None, description="layers that are paired with the teacher's; null: as in the paper of the loss"
    )
    beta: float | None = Field(
        None, ge=0, le=1000, description="decoupled-kd only: weight of the classes other than the target; null: 8"
    )

    @property
    def is_on_logits(self) -> bool:
        """Does it need no more of the teacher than its soft labels?"""
        return self.name == "decoupled-kd"

    @property
    def asks_the_teacher(self) -> bool:
        """Must the teacher read each batch itself, token by token?"""
        return self.name not in ("decoupled-kd", "sentence-vectors")

    @model_validator(mode="after")
    def _only_what_counts(self) -> Self:
        if self.from_ >= self.until:
            raise ValueError(f"from ({self.from_:g}) must lie before until ({self.until:g})")
        unused = (("from_", "until", "decay", "layers") if self.is_on_logits
                  else ("beta",) if self.asks_the_teacher else ("beta", "layers"))
        for key in unused:
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key.rstrip('_')} has no meaning for {self.name}")
        return self


FEWEST_STEPS = 12
"""Of every training of a student, and so often validation is looked at."""


class Distillation(Document):
    """alpha * T^2 * KL(teacher_T || student_T) + (1 - alpha) * CE(student, hard label)."""

    temperature: float = Field(2.0, gt=0, le=100, description="T: softens both distributions")
    alpha: float = Field(0.9, ge=0, le=1, description="weight of the soft term")
    learning_rate: float = Field(1e-3, gt=0, lt=1, description="peak of the linear schedule")
    batch_size: int = Field(128, ge=1, le=4096, description="examples a step")
    rows_seen: int = Field(
        250_000, ge=1, description="examples the student is trained on in all, repeats counted; the steps are planned for so "
        "many, but 12 at least, and it sees fewer where the last batch of a pass is short, as with a small set"
    )
    warmup_share: float = Field(0.05, ge=0, lt=1, description="share of the steps in which the rate rises")
    weight_decay: float = Field(0.01, ge=0, lt=1, description="of AdamW, on matrices other than embeddings")
    patience: int = Field(
        6, ge=1, description="looks at validation without progress before it stops; there is one every twelfth of the steps, "
        "rounded down"
    )
    losses: tuple[LossTerm, ...] = Field(
        (LossTerm(name="sentence-vectors", weight=8.0),), description="losses beside it, by name and weight"
    )
    transfer_set: TransferSet = TransferSet()
    baseline: bool = Field(True, description="train the same student without the teacher too, to know what it bought")
    baseline_rows_seen: int = Field(
        50_000, ge=1, description="examples it sees: so many or three passes over train, whichever is more, and no more than the "
        "student"
    )

    @model_validator(mode="after")
    def _each_loss_counts(self) -> Self:
        names = [term.name for term in self.losses]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"losses: {name} stands twice")
        if "decoupled-kd" in names and self.alpha == 0:
            raise ValueError("losses: decoupled-kd replaces the soft part, which alpha: 0 switches off")
        return self

    def without_baseline(self) -> Self:
        """Return the settings with what is said of the baseline as it is by default: another one makes no other student."""
        default = type(self)()
        return self.model_copy(update={"baseline": default.baseline, "baseline_rows_seen": default.baseline_rows_seen})

    def without_teacher(self) -> Self:
        """Return the settings with what is said of the teacher as it is by default.

        So a trial of another temperature or transfer set finds the baseline that is there.
        """
        default = type(self)()
        return self.model_copy(update={"temperature": default.temperature, "alpha": default.alpha, "losses": (),
                                       "transfer_set": default.transfer_set})


class Search(Document):
    """Which student is looked for, and how long; see docs/search.md."""

    look_for: Literal["smallest-that-meets-the-goal", "best-that-fits"] = Field(
        "smallest-that-meets-the-goal", description="the cheapest student whose validation figures keep the goals, or "
        "the most accurate one; both within the budgets. Without goals it is the latter"
    )
    trials: int = Field(4, ge=1, le=10_000, description="students trained at most; 1: the plan's choice and no other")
    time_limit_s: float | None = Field(
        None, gt=0, description="no further student is started once the trials have taken so long; null: no limit"
    )
    margin: float | None = Field(
        None, ge=0, lt=1, description="by how much validation must be better than the goal, as the test rows will differ; "
        "null: one standard error of what the goal compares"
    )
    study: str | None = Field(
        None, description="study file that several processes or machines share; null: one of its own in the run folder"
    )
    pruning: bool = Field(True, description="give a training up that falls far behind earlier ones of the same shape")


class Parity(Document):
    """The gates that every conversion must pass on the test rows; a failed one is exit code 4."""

    onnx_min_agreement: float = Field(0.999, ge=0, le=1, description="top-1 agreement of the ONNX model with torch")
    onnx_max_error: float = Field(1e-2, gt=0, description="largest difference of a logit, ONNX against torch")
    int8_min_agreement: float = Field(0.95, ge=0, le=1, description="top-1 agreement of int8 with the float ONNX")
    emulated_min_agreement: float = Field(
        0.99, ge=0, le=1, description="top-1 agreement of int8 on the target's emulated core with int8 on this host"
    )
    emulated_rows: int = Field(
        1000, ge=0, description="test rows that are replayed on the target's core, evenly spread; 0: none"
    )
    emulated_other_rows: int = Field(
        100, ge=0, description="the same on each other core of its architecture, which is no gate; at most `emulated_rows`"
    )
    bundle_tolerance: float = Field(
        0.25, gt=0, description="how far a logit of a golden vector may be off on another instruction set"
    )
    bundle_tolerances: dict[Literal["aarch64", "wasm", "x86_64", "x86_64-vnni"], float] = Field(
        {}, description="the same on an instruction set that has its own; x86_64 is the one without VNNI, wasm a browser"
    )


Metric = Literal["accuracy", "macro_f1"]
"""A figure that a goal may ask for."""


class Goal(Document):
    """A quality that the int8 student must have on the test split."""

    metric: Metric = Field("accuracy", description="figure of the int8 student, on test")
    type: Literal["max-degradation", "min-value"] = Field(
        "max-degradation", description="how `value` is meant: a loss against the teacher, or a floor"
    )
    value: float = Field(0.05, ge=0, le=1, description="as a share of the teacher's figure, or an absolute floor")


class Budgets(Document):
    """Budgets that replace the target's own."""

    model_bytes: int | None = Field(None, gt=0, description="size of the int8 model file")
    peak_memory_bytes: int | None = Field(None, gt=0, description="over the bare runtime")
    latency_p50_s: float | None = Field(None, gt=0, description="one example of the data's median length")
    accuracy_loss: float | None = Field(
        None, gt=0, le=1, description="share of the teacher's accuracy that may be lost; goals usually ask for more"
    )


class Packaging(Document):
    """What may be packed into a bundle."""

    deny_licences: tuple[str, ...] = Field(
        (), description="SPDX ids that neither the teacher nor the data may be under; a trailing * stands for any end"
    )


class BenchmarkProtocol(Document):
    """How latency is measured. Every variant goes through the same protocol, interleaved."""

    threads: int = Field(1, ge=1, le=256, description="intra-op threads of the runtime")
    warmup_runs: int = Field(20, ge=1, description="untimed runs before the first timed one")
    min_runs: int = Field(100, ge=10, description="timed runs per variant at least")
    min_duration_s: float = Field(1.0, gt=0, le=600, description="timed seconds per variant at least")
    rounds: int = Field(5, ge=2, le=100, description="interleaved rounds over which the runs of a process are spread")
    processes: int = Field(
        1, ge=1, le=200, description="fresh processes of each variant, one after the other; more than one: they, and not the "
        "rounds, are what is compared, and below 8 nothing is called a difference"
    )
    pinned: bool = Field(True, description="keep every process to the same fastest cores, as many as it has threads")


class Recipe(Document):
    """What the user wants, whole. `recipe.lock.yaml` in a run is this document with every default explicit."""

    schema_version: Literal[1] = Field(1, description="format of this file")
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="name of the run folder; kebab-case")
    description: str = Field("", description="a line about the model; goes into the bundle's card")
    task: Task = Field(description="the ML task; the names are the hub's")
    data: Data
    teacher: Teacher
    pictures: Pictures = Pictures()
    student: Student = Student()
    distillation: Distillation = Distillation()
    search: Search = Search()
    quantization: Quantization = Quantization()
    parity: Parity = Parity()
    goals: tuple[Goal, ...] = (Goal(),)
    budgets: Budgets = Budgets()
    benchmark: BenchmarkProtocol = BenchmarkProtocol()
    package: Packaging = Packaging()
    seed: int = Field(13, ge=0, le=2**32 - 1, description="every random number of the run comes from it")


_ONE_RATE = "teacher.fine_tuning.learning_rate="


def read_recipe(path: Path, *, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file.

    Args:
        path: a YAML file.
        overrides: settings as `dotted.key=value`, the value in YAML, that replace the file's. One learning rate of the teacher
            replaces several, too.

    Raises:
        RecipeError: it cannot be read, is not YAML, or has an unknown key or a bad value; names file, line and key.
    """
    text = read_text(path, error=RecipeError)
    recipe = parse(Recipe, text, path, error=RecipeError)
    if not overrides:
        return recipe
    content = yaml.safe_load(text)
    for item in overrides:
        set_override(content, item, of=Recipe)
        if item.startswith(_ONE_RATE):  # said later than the rates of the file, as those of a recipe.lock.yaml
            content["teacher"]["fine_tuning"].pop("learning_rates", None)
    return parse(Recipe, "", Path("--set"), error=RecipeError, loader=lambda _: content)  # no text: it has no lines


class Int8Sections(Document):
    """What of a recipe counts where a finished model is quantized."""

    quantization: PostTraining = PostTraining()
    parity: Parity = Parity()


def read_int8_settings(overrides: Sequence[str]) -> Int8Sections:
    """Read settings of the sections quantization and parity.

    Args:
        overrides: as `dotted.key=value`, the value in YAML; what is not named has its default.

    Raises:
        RecipeError: another section, an unknown key or a bad value.
    """
    content: dict[str, Any] = {}
    for item in overrides:
        set_override(content, item, of=Int8Sections)
        section = item.partition(".")[0]
        if section not in Int8Sections.model_fields:
            raise RecipeError(f"--set {item}: a finished model is quantized by the sections "
                              f"{' and '.join(Int8Sections.model_fields)} alone",
                              hint="--set quantization.calibration.method=entropy")
    return parse(Int8Sections, "", Path("--set"), error=RecipeError, loader=lambda _: content)
