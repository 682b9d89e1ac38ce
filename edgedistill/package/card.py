"""The words of a bundle: the model card (README.md) and the licence notes (LICENSES.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from edgedistill.document import Document
from edgedistill.package.base_model import is_hub_id
from edgedistill.package.card_examples import example_of_ids, example_of_text, raw_text
from edgedistill.package.contents import (
    ONNX_FILE,
    TEXT_MODEL_FILE,
    BundleIdentity,
    GoldenVectors,
    ModelInput,
    PictureVectors,
    Preprocessing,
    RuntimeBuild,
    Sizes,
)
from edgedistill.package.precision import precision_of
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS, ProblemType
from edgedistill.results import Interval

_ALL_RIGHT = "share of texts with all labels right"
"""What accuracy is called where a text may have several labels."""

MODULES = ("android/", "ios/")
"""The folders of the modules for apps, where a bundle has both."""

_WORDS = {ONE_LABEL: ("text classifier", "the decision"), SEVERAL_LABELS: ("multi-label text classifier", "which labels apply")}
"""What the model is called, and what must be the same everywhere."""

_ANSWER = """

Each answer holds `labels`, those that apply, which may be none, and `ranked`, all of them: names with probabilities."""

_SEVERAL = """A text may have several labels, or none. Each label has a probability of its own, the sigmoid of its logit,
and applies where that is above 0.5, so where the logit is above 0. The probabilities of a text do not add up to 1.

"""


class CardFigures(Document):
    """What the card tells beside what is known from the files. Null: not measured, left out."""

    description: str = ""
    test_rows: int | None = None
    accuracy: Interval | None = None
    macro_f1: Interval | None = None
    teacher_accuracy: Interval | None = None
    retention: float | None = None
    teacher_licence: str = "unknown"
    data_licence: str = "unknown"


def retention_of(student: Interval, teacher: Interval) -> float | None:
    """Return the share of the teacher's accuracy that a student keeps; None for a teacher that is right on no row."""
    return student.value / teacher.value if teacher.value else None


@dataclass(frozen=True)
class CardParts:
    """What the card tells about the files.

    Attributes:
        model_bytes: size of model.onnx.
        sizes: of all files but the card and bundle.json.
        classes: number of classes.
        inputs: inputs of model.onnx.
        golden: the golden vectors; a rather short one is the example.
        preprocessing: whether the tokenizer is inside of a graph.
        has_android: is there a module for Android?
        build: how the runtime is made smaller, and what it should run on.
        rows: labelled texts by split.
        max_tokens: texts are cut after so many tokens.
        problem: may a text have several labels?
    """

    model_bytes: int
    sizes: Sizes
    classes: int
    inputs: Sequence[ModelInput]
    golden: GoldenVectors
    preprocessing: Preprocessing
    has_android: bool
    build: RuntimeBuild
    rows: Mapping[str, int]
    max_tokens: int
    problem: ProblemType = ONE_LABEL

    @property
    def has_several(self) -> bool:
        """May a text have several labels?"""
        return self.problem == SEVERAL_LABELS

    @property
    def modules(self) -> tuple[str, ...]:
        """The folders of the modules for apps; those that a bundle lacks are left out."""
        if self.preprocessing.file is None:
            return ()
        return MODULES if self.has_android else MODULES[1:]


def model_card(identity: BundleIdentity, figures: CardFigures, parts: CardParts) -> str:
    """Return the text of `README.md`, with the front matter that hubs read.

    Args:
        identity: whose bundle it is.
        figures: accuracy and licences.
        parts: what the files say.
    """
    front = yaml.safe_dump(front_matter(identity, figures, problem=parts.problem), sort_keys=False, allow_unicode=True)
    kind = Kind("text", "sources, languages or times", f"Texts are cut after {parts.max_tokens} tokens.")
    golden, precision = parts.golden, precision_of(identity.scheme)
    table = facts_table(identity, figures, classes=parts.classes, model_bytes=parts.model_bytes, sizes=parts.sizes,
                        problem=parts.problem)
    what, decision = _WORDS[parts.problem]
    return f"""---
{front}---
# {identity.recipe_id} for {identity.target_id}

{figures.description or precision.summary.format(what)}

| | |
|---|---|
{table}

## Use

{_SEVERAL if parts.has_several else ""}With numpy, onnxruntime and tokenizers, from text:

```python
{example_of_text(parts.inputs, golden)}
```

With numpy and onnxruntime alone, where the token ids are at hand; here they are those of the same text in `golden.json`:

```python
{example_of_ids(parts.inputs, golden)}
```

Give one text a call{precision.one_call}.
{raw_text(parts.preprocessing, golden)}
{_apps(parts.preprocessing, has_android=parts.has_android, has_several=parts.has_several)}

{data_words(identity, figures, kind, parts.rows)}

{limits_words(identity, figures, kind, classes=parts.classes, problem=parts.problem)}

## Runtime

{runtime_words(parts.build, own="tokenizer", modules=parts.modules)}

## Check

`python verify.py` compares every file with its sha256 in `bundle.json` and replays {len(golden.vectors)} golden
vectors. A logit may differ by {golden.tolerance:g} between instruction sets{own_tolerances(golden)}; {decision} may not.

Licences: see [LICENSES.md](LICENSES.md).
"""


@dataclass(frozen=True)
class Kind:
    """What is classified, in the words of a card.

    Attributes:
        one: the noun of one example; an s makes it many.
        untried: where such examples may come from that nobody tried.
        narrowed: a sentence about what the model does not see of it.
    """

    one: str
    untried: str
    narrowed: str


def data_words(identity: BundleIdentity, figures: CardFigures, kind: Kind, rows: Mapping[str, int]) -> str:
    """Return the section on the data, of which there are so many `rows` by split."""
    told = ", ".join(f"{count:,} {split}" for split, count in rows.items())
    served = "the figures above, " if figures.accuracy else ""
    return f"""## Data

Labelled {kind.one}s of `{identity.recipe_id}`: {told} rows; licence: {figures.data_licence}. In a run the
student learns from the train rows, from {kind.one}s without labels where the recipe names any, from variations of both, and from
what the teacher says to all of them; validation rows choose among students and int8 schemes. Test rows take no part in that.
They serve {served}the checks of a run (goals, budgets, equal answers after each conversion), its timings and the
golden vectors."""


def limits_words(
    identity: BundleIdentity, figures: CardFigures, kind: Kind, *, classes: int, problem: ProblemType = ONE_LABEL
) -> str:
    """Return the section on what the model cannot do, and what was not tried."""
    measured = f"Its figures hold for {kind.one}s like the test rows" if figures.accuracy else "It was packed without figures"
    decides = f"""It knows {classes} classes, and gives every {kind.one} one of them; one that belongs to none gets one too,
  unless there is a class for such.""" if problem == ONE_LABEL else (
        f"It knows {classes} labels, and says yes or no to each of them; a {kind.one} may so get several, or none.")
    return f"""## Limits

- {decides}
- {measured}. Other {kind.untried} were not tried, nor what it does to groups of people.
- {kind.narrowed}
- It derives from `{identity.base_model}`, and may share its biases and mistakes.
- Golden vectors prove sameness, not quality. Latency and memory stand in the report of the run, not here."""


def _apps(preprocessing: Preprocessing, *, has_android: bool, has_several: bool) -> str:
    if preprocessing.file is None:
        return f"""## Apps

No model with the tokenizer inside is in this bundle, and so no modules for Android, iOS and the web:
{preprocessing.reason}. Bring a tokenizer that reads `tokenizer.json`, tokens that share an id included."""
    kotlin, swift, output = ("an `Answer`", "an `Answer`", "labels") if has_several else (
        "a `List<Prediction>`", "`[Prediction]`", "label")
    android = f"""`android/` is a Gradle module. `Classifier.fromAssets(context).classify(text)` gives {kotlin};
  `gradle connectedAndroidTest` replays the golden vectors on the device.""" if has_android else (
        "no module: tokens hold characters beyond U+FFFF, which Java's binding cannot hand over.")
    return f"""## Apps

`{preprocessing.file}` takes raw text, shape (1,), and answers with `logits`, `probabilities` and `{output}`; its nodes are
those of onnxruntime-extensions. Its token ids are those of `tokenizer.json` on all {preprocessing.texts_proved:,} texts
at hand and on {preprocessing.texts_fuzzed:,} fuzzed ones. It is {preprocessing.added_bytes:,} bytes larger than
`model.onnx`{_over_budget(preprocessing)}. A text must not hold U+0000, at which strings end: put U+0001 in its place.

- Android: {android}
- iOS: this folder is a Swift package. `try Classifier().classify(text)` gives {swift}; its test does the same.
- Web: copy this folder, `npm install` in its `web/`, serve the folder, open `web/index.html`. The page needs only
  `model.onnx`, `tokenizer.json`, `labels.json`, `golden.json` (for "Replay") and `web/`.{_ANSWER if has_several else ""}"""


def own_tolerances(golden: GoldenVectors | PictureVectors) -> str:
    """Return the tolerances of instruction sets that have their own, in words."""
    own = ", ".join(f"{value:g} on {name}" for name, value in sorted(golden.tolerances.items()))
    return f" ({own})" if own else ""


def _over_budget(preprocessing: Preprocessing) -> str:
    return " and over the target's budget for model files" if preprocessing.fits_budget is False else ""


def runtime_words(build: RuntimeBuild, *, own: str, modules: Sequence[str] = MODULES) -> str:
    """Return how the runtime is made smaller, and what to run the model on.

    Args:
        build: the command and the verdicts.
        own: what an app must bring that loads `model.ort`.
        modules: the folders of the modules for apps that are in the bundle.
    """
    rows = "\n".join(f"| {a.name} | {'try it' if a.use else 'no'} | {a.why} |" for a in build.accelerators)
    return f"""A build of onnxruntime with nothing but what `model.ort` needs, made in a checkout of onnxruntime{_machine(build)}
(BUNDLE is this folder):

```
{build.command}
```

That runtime loads `model.ort` and no other model of this bundle (`--minimal_build`, `--disable_ml_ops`): it is for apps that
bring their own {own}.{_modules_words(modules)}

| accelerator | use | why |
|---|---|---|
{rows}"""


def _modules_words(modules: Sequence[str]) -> str:
    """Say which packages the modules for apps use; empty where there are none."""
    if not modules:
        return ""
    what, use, load = ("Modules in", "use", "they load") if len(modules) > 1 else ("The module in", "uses", "it loads")
    places = " and ".join(f"`{folder}`" for folder in modules)
    return f" {what} {places} {use} onnxruntime's ordinary packages, because {load}\n`{TEXT_MODEL_FILE}`."


def _machine(build: RuntimeBuild) -> str:
    """Return where the command is to be run, where it matters."""
    where = {"android": " with Android's SDK and NDK", "ios": " on a Mac with Xcode",
             "linux": " on a machine with the target's processor"}
    return "" if build.platform is None else where[build.platform]


def facts_table(
    identity: BundleIdentity, figures: CardFigures, *, classes: int, model_bytes: int, sizes: Sizes,
    problem: ProblemType = ONE_LABEL,
) -> str:
    """Return the rows of the table at the top of a card.

    Args:
        identity: whose bundle it is.
        figures: accuracy and licences.
        classes: number of classes.
        model_bytes: size of model.onnx.
        sizes: of all files but the card itself and bundle.json.
        problem: may an example have several labels?
    """
    precision = precision_of(identity.scheme).file
    model_row = f"{ONNX_FILE} ({precision})" if precision else ONNX_FILE
    rows = [
        ("made by recipe", f"`{identity.recipe_id}`"),
        ("distilled from", f"`{identity.base_model}`"),
        ("for", f"`{identity.target_id}`, onnxruntime {identity.runtime_oldest} or newer"),
        ("classes", str(classes)),
        (model_row, f"{model_bytes:,} bytes, compressed {sizes.deflated[ONNX_FILE]:,}"),
        ("all files but this one and `bundle.json`",
         f"{sizes.files_bytes:,} bytes, compressed {sizes.deflated_bytes:,} (deflate, each by itself)"),
        *_figure_rows(figures, problem),
    ]
    return "\n".join(f"| {name} | {value} |" for name, value in rows)


def licence_notes(
    identity: BundleIdentity, figures: CardFigures, *, sources: str, more: Sequence[tuple[str, str, str]] = ()
) -> str:
    """Return the text of `LICENSES.md`: of the teacher, of the data, and of what runs the model.

    Args:
        identity: whose bundle it is.
        figures: licences of teacher and data.
        sources: names of the sources in the bundle, as Markdown.
        more: what else is used with it: name, licence, and why it matters.
    """
    rest = "".join(f"| {what} | {licence} | {why} |\n" for what, licence, why in more)
    return f"""# Licences

| what | licence | why it matters here |
|---|---|---|
| `{identity.base_model}` (teacher) | {figures.teacher_licence} | this model's weights derive from it |
| data of `{identity.recipe_id}` | {figures.data_licence} | this model was trained on it; `golden.json` quotes it |
| ONNX Runtime | MIT | runs the model; not contained in this bundle |
| sources: {sources} | Apache-2.0 | go into the app |
{rest}
"unknown" means that nobody stated it: find out before you publish.
"""


def front_matter(identity: BundleIdentity, figures: CardFigures, *, problem: ProblemType = ONE_LABEL) -> dict[str, Any]:
    """Return what hubs read at the top of a card."""
    front: dict[str, Any] = {
        "pipeline_tag": identity.task,
        "library_name": "onnx",
        "tags": ["onnx", *precision_of(identity.scheme).tags, "distillation"],
        "license": "other",
        "license_link": "LICENSES.md",
    }
    if is_hub_id(identity.base_model):  # a folder is no model of the hub
        front |= {"base_model": identity.base_model, "base_model_relation": "finetune"}
    named = {"accuracy": {"name": _ALL_RIGHT}} if problem == SEVERAL_LABELS else {}
    metrics = [
        {"type": kind} | named.get(kind, {}) | {"value": round(value.value, 4)}
        for kind, value in (("accuracy", figures.accuracy), ("f1", figures.macro_f1))
        if value is not None
    ]
    if metrics:
        data = {"name": identity.recipe_id, "type": identity.recipe_id, "split": "test"}
        result = {"task": {"type": identity.task}, "dataset": data, "metrics": metrics}
        front["model-index"] = [{"name": f"{identity.recipe_id}-{identity.target_id}", "results": [result]}]
    return front


def _figure_rows(figures: CardFigures, problem: ProblemType) -> list[tuple[str, str]]:
    test = f"{figures.test_rows:,} test rows" if figures.test_rows is not None else "test rows"
    accuracy = "accuracy" if problem == ONE_LABEL else _ALL_RIGHT
    rows = [
        (f"{accuracy} on {test}", _percent(figures.accuracy)),
        ("macro-F1", _percent(figures.macro_f1)),
        (f"{accuracy} of the teacher", _percent(figures.teacher_accuracy)),
        (f"retention of its {accuracy}", None if figures.retention is None else f"{100 * figures.retention:.1f} %"),
    ]
    return [(name, value) for name, value in rows if value is not None]


def _percent(figure: Interval | None) -> str | None:
    if figure is None:
        return None
    return f"{100 * figure.value:.1f} % (95 % interval {100 * figure.low:.1f} to {100 * figure.high:.1f} %)"
