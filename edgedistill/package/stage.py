"""package: an int8 model folder becomes the bundle that an app loads, and its zip."""

import json
import logging
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import onnxruntime
from pydantic import Field

from edgedistill.decisions import problem_of_labels
from edgedistill.document import Document, read_text
from edgedistill.errors import ArtifactError
from edgedistill.evaluate.predictor import open_predictor
from edgedistill.examples import read_examples
from edgedistill.manifest import Decision
from edgedistill.package.archive import zip_bytes
from edgedistill.package.bundle import TOOLS, BundleParts, bundle_files
from edgedistill.package.card import CardFigures
from edgedistill.package.contents import (
    ONNX_FILE,
    OPTIONAL_TOKENIZER_FILES,
    TOKENIZER_FILE,
    BundleIdentity,
    GoldenVectors,
    InstructionSet,
    Labels,
    missing_apps,
    read_manifest,
)
from edgedistill.package.golden import GoldenRule, make_golden_vectors
from edgedistill.package.licences import origins, require_allowed
from edgedistill.package.onnx_facts import read_onnx_facts
from edgedistill.package.ort_format import Architecture, convert_to_ort
from edgedistill.package.raw_answers import ASKED_ROWS, require_raw_answers
from edgedistill.package.standalone_verify import instruction_set
from edgedistill.package.text_model import TextModel, make_text_model
from edgedistill.problem_type import problem_of
from edgedistill.recipe import Task
from edgedistill.stage import Outcome, Stage
from edgedistill.target import DeniedVersion, Platform
from edgedistill.tasks.text_classification.encoding import TextEncoder
from edgedistill.verify.bundle import require_sound_bundle

log = logging.getLogger("edgedistill")

BUNDLE_FOLDER = "bundle"
ZIP_FILE = "bundle.zip"
CONFIG_FILE = "config.json"

_SAME_SET_TOLERANCE = 0.1
"""Other versions of onnxruntime on the set that computed the golden logits: 0.014 was seen between 1.22, 1.26 and 1.32."""
_WASM_TOLERANCE = 0.1
"""A browser against x86-64 with VNNI; what was seen stands in benchmarks/results/web_logits.json."""


class Settings(Document):
    """What the stage may know besides its inputs."""

    recipe_id: str
    task: Task
    target_id: str
    base_model: str = Field(description="the teacher as the bundle calls it; see `package.base_model`")
    scheme: str | None = Field(None, description="int8 scheme of the verdict, or 'float'; null: none is known")
    runtime_oldest: str = Field(description="oldest onnxruntime of the target")
    runtime_denied: tuple[DeniedVersion, ...] = Field((), description="versions that must not be used on the target")
    architecture: Architecture = Field(default="aarch64", description="the target's processor")
    platform: Platform = Field(description="the target's system, for which a smaller runtime is built")
    card: CardFigures = CardFigures()
    tolerance: float = Field(gt=0, description="how far a logit may be off on another instruction set")
    tolerances: dict[InstructionSet, float] = Field(default={}, description="the same on a set that has its own")
    seed: int = Field(ge=0, le=2**32 - 1)
    deny_licences: tuple[str, ...] = Field(default=(), description="SPDX ids that neither teacher nor data may have")
    model_bytes_limit: float | None = Field(default=None, description="the target's budget; told, and not enforced here")


@dataclass(frozen=True)
class Inputs:
    """What is packed.

    Attributes:
        model: folder with model.onnx as it ships, tokenizer.json and, if it has them, config.json and other tokenizer files.
        data: Arrow file of examples; the golden vectors are taken from it.
        labels: labels.json of prepare.
        splits: Arrow files of further examples, by name; the tokenizer in the graph must agree on these too.
    """

    model: Path
    data: Path
    labels: Path
    splits: Mapping[str, Path] = field(default_factory=dict)


def requires(settings: Settings, inputs: Inputs) -> None:
    """Refuse a model folder that cannot become a bundle.

    Raises:
        ArtifactError: a file is missing or damaged, the tokenizer does not cut long texts, there are no rows to take
            golden vectors from, labels.json and config.json name other classes, model, rows and labels.json do not
            agree on whether a text may have several labels, or the model puts out probabilities.
        UsageError: labels.json cannot be read, or the licence of teacher or data is denied.
    """
    require_allowed_licences(settings)
    read_onnx_facts(inputs.model / ONNX_FILE)
    _max_tokens(TextEncoder.load(inputs.model), inputs.model / TOKENIZER_FILE)
    examples, known = read_examples(inputs.data), Labels.read_json(inputs.labels)
    if not len(examples):
        raise ArtifactError(f"{inputs.data}: has no rows", hint="golden vectors need at least one labelled text")
    if problem_of_labels(examples.labels) != known.problem_type:
        raise ArtifactError(f"{inputs.data}: its rows are not labelled for {known.problem_type}, as {inputs.labels} has it",
                            hint="pack with the data and the labels.json of one prepare")
    config = inputs.model / CONFIG_FILE
    if config.is_file():
        require_fitting(config, known, inputs.labels)
    texts = next(examples.text_batches())[:ASKED_ROWS]
    require_raw_answers(inputs.model / ONNX_FILE, TextEncoder.load(inputs.model).encode(texts), known.problem_type)


def run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    """Write `bundle/` and `bundle.zip` below `out`."""
    parts = _parts(settings, inputs)
    write_bundle(bundle_files(parts, identity_of(settings), settings.card), out)
    missing = missing_apps(read_manifest(out / BUNDLE_FOLDER))
    if missing is not None:
        log.warning("%s", missing)
    return Outcome(decisions=(_decision(parts.golden), _text_decision(parts.text)))


def identity_of(settings: Settings) -> BundleIdentity:
    """Return whose bundle it is."""
    return BundleIdentity(
        recipe_id=settings.recipe_id, task=settings.task, target_id=settings.target_id, base_model=settings.base_model,
        runtime_oldest=settings.runtime_oldest, runtime_denied=settings.runtime_denied, scheme=settings.scheme,
    )


def require_allowed_licences(settings: Settings) -> None:
    """Refuse a licence of teacher or data that the user denies; raises UsageError."""
    licences = origins(
        settings.base_model, settings.card.teacher_licence, recipe_id=settings.recipe_id, data=settings.card.data_licence
    )
    require_allowed(licences, settings.deny_licences)


def write_bundle(made: Mapping[str, bytes], out: Path) -> None:
    """Write the files of a bundle, and the same as a zip."""
    for name, content in made.items():
        path = out / BUNDLE_FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (out / ZIP_FILE).write_bytes(zip_bytes(made))


def ensures(out: Path) -> None:
    """Replay the golden vectors on both models.

    Raises:
        BundleError: a file is not what was written.
        ParityError: model.ort does not answer like model.onnx.
    """
    require_sound_bundle(out / BUNDLE_FOLDER)


def _parts(settings: Settings, inputs: Inputs) -> BundleParts:
    names = [n for n in (TOKENIZER_FILE, *OPTIONAL_TOKENIZER_FILES) if (inputs.model / n).is_file()]
    encoder = TextEncoder.load(inputs.model)
    model = (inputs.model / ONNX_FILE).read_bytes()
    known = Labels.read_json(inputs.labels)
    return BundleParts(
        model=model,
        ort=convert_to_ort(model, settings.architecture, oldest=settings.runtime_oldest),
        text=_text_model(settings, inputs, model, encoder),
        platform=settings.platform,
        facts=read_onnx_facts(inputs.model / ONNX_FILE),
        tokenizer_files={name: (inputs.model / name).read_bytes() for name in names},
        max_tokens=_max_tokens(encoder, inputs.model / TOKENIZER_FILE),
        labels=known.labels,
        problem=known.problem_type,
        golden=_golden(settings, inputs, encoder, known.labels),
        rows={name: len(read_examples(path)) for name, path in (*sorted(inputs.splits.items()), ("test", inputs.data))},
    )


def _text_model(settings: Settings, inputs: Inputs, model: bytes, encoder: TextEncoder) -> TextModel:
    limit = settings.model_bytes_limit
    return make_text_model(
        model, read_text(inputs.model / TOKENIZER_FILE, error=ArtifactError), labels=Labels.read_json(inputs.labels),
        encoder=encoder, texts=_all_texts(inputs), limit_bytes=None if limit is None else int(limit),
    )


def _all_texts(inputs: Inputs) -> Iterator[list[str]]:
    for path in (inputs.data, *(inputs.splits[name] for name in sorted(inputs.splits))):
        yield from read_examples(path).text_batches()


def _golden(settings: Settings, inputs: Inputs, encoder: TextEncoder, labels: tuple[str, ...]) -> GoldenVectors:
    examples, model = read_examples(inputs.data), open_predictor(inputs.model / ONNX_FILE)
    texts = examples.texts
    classes = model.logits(encoder.encode(texts[:1]).batch([0])).shape[1]
    if classes != len(labels):
        raise ArtifactError(f"{inputs.labels}: names {len(labels)} classes, the model answers with {classes}",
                            hint="pack a model with the labels.json that it was trained with")
    vectors = make_golden_vectors(
        texts, examples.labels,
        encoder=encoder, model=model, labels=labels, rule=GoldenRule(settings.tolerance, settings.seed),
    )
    runtime = f"onnxruntime {onnxruntime.__version__}"
    return GoldenVectors(
        tolerance=settings.tolerance, tolerances=_tolerances(settings), runtime=runtime,
        architecture=platform.machine(), vectors=vectors,
    )


def _tolerances(settings: Settings) -> dict[InstructionSet, float]:
    """Return the tolerances of single instruction sets: the recipe's, and tight ones for this machine's and the browser's."""
    tight: dict[InstructionSet, float] = {
        instruction_set(): min(settings.tolerance, _SAME_SET_TOLERANCE), "wasm": min(settings.tolerance, _WASM_TOLERANCE),
    }
    return dict(sorted((tight | settings.tolerances).items()))


def _max_tokens(encoder: TextEncoder, path: Path) -> int:
    truncation = encoder.tokenizer.truncation
    if truncation is None:
        raise ArtifactError(f"{path}: does not cut long texts, so an app could send more tokens than the model takes",
                            hint='set "truncation" with "max_length" in it, or export the model with edgedistill')
    return int(truncation["max_length"])


def require_fitting(config: Path, known: Labels, labels: Path) -> None:
    """Refuse a config.json that names other classes than labels.json, or says otherwise whether a text may have several."""
    hint = "pack a model with the labels.json that it was trained with"
    try:
        said = json.loads(read_text(config, error=ArtifactError))
        names = said.get("id2label") or {}
        own = tuple(str(names[key]) for key in sorted(names, key=int))
    except (ValueError, AttributeError, TypeError) as bad:
        raise ArtifactError(f"{config}: is not a model's configuration ({bad})", hint="make the model folder again"
                            ) from None
    if own and own != known.labels:
        raise ArtifactError(f"{config}: id2label names other classes than {labels}", hint=hint)
    if problem_of(said) != known.problem_type:
        raise ArtifactError(f"{config}: problem_type is {problem_of(said)}, and {known.problem_type} in {labels}", hint=hint)


def _decision(golden: GoldenVectors) -> Decision:
    tokens = [len(vector.ids) for vector in golden.vectors]
    return Decision(
        step="package",
        what=f"{len(tokens)} golden vectors of {min(tokens)} to {max(tokens)} tokens, tolerance {golden.tolerance:g}",
        why="they cover classes and lengths; near ties are passed over: a tie tells nothing about another runtime",
    )


def _text_decision(text: TextModel) -> Decision:
    told = text.told
    if told.file is None:
        return Decision(step="package", what="no model with the tokenizer inside", why=str(told.reason))
    over = ", over the target's budget for model files" if told.fits_budget is False else ""
    return Decision(
        step="package",
        what=f"{told.file}: {told.added_bytes:,} bytes over model.onnx, {told.piece_table_bytes:,} of them its "
             f"{told.pieces:,} pieces{over}",
        why=f"the tokenizer in its graph gave the ids of tokenizer.json on all {told.texts_proved:,} texts at hand "
            f"and {told.texts_fuzzed:,} fuzzed ones",
    )


STAGE = Stage(name="package", version=10, run=run, requires=requires, ensures=ensures, tools=TOOLS)
