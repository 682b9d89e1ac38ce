"""The words of a bundle: the model card (README.md) and the licence notes (LICENSES.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from edgedistill.document import Document
from edgedistill.package.base_model import is_hub_id
from edgedistill.package.contents import (
    ONNX_FILE,
    TEXT_MODEL_FILE,
    BundleIdentity,
    GoldenVector,
    GoldenVectors,
    ModelInput,
    PictureVectors,
    Preprocessing,
    RuntimeBuild,
    Sizes,
)
from edgedistill.package.precision import precision_of
from edgedistill.results import Interval

_FROM_ENCODING = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
_FROM_IDS = {"input_ids": "np.array([ids]", "attention_mask": "np.ones((1, len(ids))", "token_type_ids": "np.zeros((1, len(ids))"}


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


def model_card(identity: BundleIdentity, figures: CardFigures, parts: CardParts) -> str:
    """Return the text of `README.md`, with the front matter that hubs read.

    Args:
        identity: whose bundle it is.
        figures: accuracy and licences.
        parts: what the files say.
    """
    front = yaml.safe_dump(front_matter(identity, figures), sort_keys=False, allow_unicode=True)
    kind = Kind("text", "sources, languages or times", f"Texts are cut after {parts.max_tokens} tokens.")
    golden, precision = parts.golden, precision_of(identity.scheme)
    table = facts_table(identity, figures, classes=parts.classes, model_bytes=parts.model_bytes, sizes=parts.sizes)
    return f"""---
{front}---
# {identity.recipe_id} for {identity.target_id}

{figures.description or precision.summary.format("text classifier")}

| | |
|---|---|
{table}

## Use

With numpy, onnxruntime and tokenizers, from text:

```python
{_example(parts.inputs, golden)}
```

With numpy and onnxruntime alone, where the token ids are at hand; here they are those of the same text in `golden.json`:

```python
{_example_of_ids(parts.inputs, golden)}
```

Give one text a call{precision.one_call}.
{_raw_text(parts.preprocessing, golden)}
{_apps(parts.preprocessing, has_android=parts.has_android)}

{data_words(identity, figures, kind, parts.rows)}

{limits_words(identity, figures, kind, classes=parts.classes)}

## Runtime

{runtime_words(parts.build, own="tokenizer")}

## Check

`python verify.py` compares every file with its sha256 in `bundle.json` and replays {len(golden.vectors)} golden
vectors. A logit may differ by {golden.tolerance:g} between instruction sets{own_tolerances(golden)}; the decision may not.

Licences: see [LICENSES.md](LICENSES.md).
"""


def _raw_text(preprocessing: Preprocessing, golden: GoldenVectors) -> str:
    """Return how raw text is classified without a tokenizer beside the model; nothing where no model takes it."""
    if preprocessing.file is None:
        return ""
    return f"""
With numpy, onnxruntime and onnxruntime-extensions, from text without a tokenizer beside the model:

```python
import numpy as np, onnxruntime, onnxruntime_extensions
options = onnxruntime.SessionOptions()
options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
model = onnxruntime.InferenceSession("{preprocessing.file}", options)
print(model.run(["label"], {{"text": np.array([{ascii(_example_vector(golden).text)}], object)}})[0][0])
```
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
    return f"""## Data

Labelled {kind.one}s of `{identity.recipe_id}`: {told} rows; licence: {figures.data_licence}. In a run the
student learns from the train rows, from variations of them and from what the teacher says to both; validation rows choose
among students and int8 schemes; test rows serve the figures above and the golden vectors, and nothing else."""


def limits_words(identity: BundleIdentity, figures: CardFigures, kind: Kind, *, classes: int) -> str:
    """Return the section on what the model cannot do, and what was not tried."""
    measured = f"Its figures hold for {kind.one}s like the test rows" if figures.accuracy else "It was packed without figures"
    return f"""## Limits

- It knows {classes} classes, and gives every {kind.one} one of them; one that belongs to none gets one too,
  unless there is a class for such.
- {measured}. Other {kind.untried} were not tried, nor what it does to groups of people.
- {kind.narrowed}
- It derives from `{identity.base_model}`, and may share its biases and mistakes.
- Golden vectors prove sameness, not quality. Latency and memory stand in the report of the run, not here."""


def _apps(preprocessing: Preprocessing, *, has_android: bool) -> str:
    if preprocessing.file is None:
        return f"""## Apps

No model with the tokenizer inside is in this bundle, and so no modules for Android, iOS and the web:
{preprocessing.reason}. Bring a tokenizer that reads `tokenizer.json`, tokens that share an id included."""
    android = """`android/` is a Gradle module. `Classifier.fromAssets(context).classify(text)` gives a `List<Prediction>`;
  `gradle connectedAndroidTest` replays the golden vectors on the device.""" if has_android else (
        "no module: tokens hold characters beyond U+FFFF, which Java's binding cannot hand over.")
    return f"""## Apps

`{preprocessing.file}` takes raw text, shape (1,), and answers with `logits`, `probabilities` and `label`; its nodes are
those of onnxruntime-extensions. Its token ids are those of `tokenizer.json` on all {preprocessing.texts_proved:,} texts
at hand and on {preprocessing.texts_fuzzed:,} fuzzed ones. It is {preprocessing.added_bytes:,} bytes larger than
`model.onnx`{_over_budget(preprocessing)}. A text must not hold U+0000, at which strings end: put U+0001 in its place.

- Android: {android}
- iOS: this folder is a Swift package. `try Classifier().classify(text)` gives `[Prediction]`; its test does the same.
- Web: copy this folder, `npm install` in its `web/`, serve the folder, open `web/index.html`. The page needs only
  `model.onnx`, `tokenizer.json`, `labels.json` and `web/`."""


def own_tolerances(golden: GoldenVectors | PictureVectors) -> str:
    """Return the tolerances of instruction sets that have their own, in words."""
    own = ", ".join(f"{value:g} on {name}" for name, value in sorted(golden.tolerances.items()))
    return f" ({own})" if own else ""


def _over_budget(preprocessing: Preprocessing) -> str:
    return " and over the target's budget for model files" if preprocessing.fits_budget is False else ""


def runtime_words(build: RuntimeBuild, *, own: str) -> str:
    """Return how the runtime is made smaller, and what to run the model on.

    Args:
        build: the command and the verdicts.
        own: what an app must bring that loads `model.ort`.
    """
    rows = "\n".join(f"| {a.name} | {'try it' if a.use else 'no'} | {a.why} |" for a in build.accelerators)
    return f"""A build of onnxruntime with nothing but what `model.ort` needs, made in a checkout of onnxruntime{_machine(build)}
(BUNDLE is this folder):

```
{build.command}
```

That runtime loads `model.ort` and no other model of this bundle (`--minimal_build`, `--disable_ml_ops`): it is for apps that
bring their own {own}. Modules in `android/` and `ios/` use onnxruntime's ordinary packages, because they load
`{TEXT_MODEL_FILE}`.

| accelerator | use | why |
|---|---|---|
{rows}"""


def _machine(build: RuntimeBuild) -> str:
    """Return where the command is to be run, where it matters."""
    where = {"android": " with Android's SDK and NDK", "ios": " on a Mac with Xcode",
             "linux": " on a machine with the target's processor"}
    return "" if build.platform is None else where[build.platform]


def facts_table(identity: BundleIdentity, figures: CardFigures, *, classes: int, model_bytes: int, sizes: Sizes) -> str:
    """Return the rows of the table at the top of a card.

    Args:
        identity: whose bundle it is.
        figures: accuracy and licences.
        classes: number of classes.
        model_bytes: size of model.onnx.
        sizes: of all files but the card itself and bundle.json.
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
        *_figure_rows(figures),
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


def front_matter(identity: BundleIdentity, figures: CardFigures) -> dict[str, Any]:
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
    metrics = [
        {"type": kind, "value": round(value.value, 4)}
        for kind, value in (("accuracy", figures.accuracy), ("f1", figures.macro_f1))
        if value is not None
    ]
    if metrics:
        data = {"name": identity.recipe_id, "type": identity.recipe_id, "split": "test"}
        result = {"task": {"type": identity.task}, "dataset": data, "metrics": metrics}
        front["model-index"] = [{"name": f"{identity.recipe_id}-{identity.target_id}", "results": [result]}]
    return front


def _figure_rows(figures: CardFigures) -> list[tuple[str, str]]:
    test = f"{figures.test_rows:,} test rows" if figures.test_rows is not None else "test rows"
    rows = [
        (f"accuracy on {test}", _percent(figures.accuracy)),
        ("macro-F1", _percent(figures.macro_f1)),
        ("accuracy of the teacher", _percent(figures.teacher_accuracy)),
        ("retention of its accuracy", None if figures.retention is None else f"{100 * figures.retention:.1f} %"),
    ]
    return [(name, value) for name, value in rows if value is not None]


def _percent(figure: Interval | None) -> str | None:
    if figure is None:
        return None
    return f"{100 * figure.value:.1f} % (95 % interval {100 * figure.low:.1f} to {100 * figure.high:.1f} %)"


def _example_vector(golden: GoldenVectors) -> GoldenVector:
    by_length = sorted(golden.vectors, key=lambda vector: len(vector.text))
    return by_length[len(by_length) // 4]  # rather short, and not the odd one at the end


def _example(inputs: Sequence[ModelInput], golden: GoldenVectors) -> str:
    """Five lines that run in the bundle's folder."""
    example = _example_vector(golden)
    feed = ", ".join(f'"{i.name}": np.array([e.{_FROM_ENCODING[i.name]}], "{i.dtype}")' for i in inputs)
    return f"""import json, numpy as np, onnxruntime, tokenizers
model, tokenizer = onnxruntime.InferenceSession("model.onnx"), tokenizers.Tokenizer.from_file("tokenizer.json")
e = tokenizer.encode({ascii(example.text)})
logits = model.run(None, {{{feed}}})[0][0]
print(json.load(open("labels.json", encoding="utf-8"))["labels"][logits.argmax()])  # {ascii(example.label)[1:-1]}"""


def _example_of_ids(inputs: Sequence[ModelInput], golden: GoldenVectors) -> str:
    """Five lines that run in the bundle's folder and need no tokenizer."""
    example = _example_vector(golden)
    feed = ", ".join(f'"{i.name}": {_FROM_IDS[i.name]}, "{i.dtype}")' for i in inputs)
    return f"""import json, numpy as np, onnxruntime
model, golden = onnxruntime.InferenceSession("model.onnx"), json.load(open("golden.json", encoding="utf-8"))
ids = golden["vectors"][{golden.vectors.index(example)}]["ids"]
logits = model.run(None, {{{feed}}})[0][0]
print(json.load(open("labels.json", encoding="utf-8"))["labels"][logits.argmax()])  # {ascii(example.label)[1:-1]}"""
