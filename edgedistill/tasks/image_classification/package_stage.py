"""The package stage of pictures: an int8 model folder becomes the bundle that an app loads, and its zip."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import numpy as np
from pydantic import Field

from edgedistill.artifact import Artifact
from edgedistill.errors import ArtifactError
from edgedistill.evaluate.predictor import open_predictor
from edgedistill.examples import Examples, read_examples
from edgedistill.host import tool_version
from edgedistill.manifest import Decision
from edgedistill.package import contents
from edgedistill.package.bill_of_materials import bill_of_materials
from edgedistill.package.card import licence_notes
from edgedistill.package.contents import (
    BundleIdentity,
    BundleManifest,
    Labels,
    ModelInput,
    PictureInput,
    PictureVectors,
    Sizes,
)
from edgedistill.package.ort_format import OrtModel, convert_to_ort
from edgedistill.package.raw_answers import require_raw_answers
from edgedistill.package.runtime_build import runtime_build
from edgedistill.package.stage import (
    BUNDLE_FOLDER,
    CONFIG_FILE,
    Settings,
    identity_of,
    require_allowed_licences,
    require_fitting,
    write_bundle,
)
from edgedistill.prepare.columns import Columns
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.image_classification.apps import app_sources
from edgedistill.tasks.image_classification.card import PictureCardParts, compared_words, picture_card
from edgedistill.tasks.image_classification.encoding import (
    PREPROCESSOR_FILE,
    EncodedPictures,
    Preprocessing,
    fit_channels,
    fit_size,
    read_preprocessing,
)
from edgedistill.tasks.image_classification.golden import (
    GoldenRule,
    covered_words,
    make_golden_pictures,
    make_odd_pictures,
)
from edgedistill.tasks.image_classification.graph import INPUT, versions_of
from edgedistill.tasks.image_classification.picture_model import (
    PictureModel,
    Processor,
    Sample,
    make_picture_model,
    open_session,
)
from edgedistill.tasks.image_classification.pictures import pixels_of
from edgedistill.tasks.image_classification.preprocessing import require_plain
from edgedistill.tasks.image_classification.whole_pictures import open_originals, whole_pictures
from edgedistill.verify.bundle import require_sound_bundle

TOOLS = ("edgedistill", "numpy", "onnx", "onnxruntime", "pillow", "transformers")
"""Packages whose version is told in bundle.json; another version may give other bytes."""

_MOST_STORED = 2_000
_SOURCES = "`android/`, `ios/`, `web/`, `Package.swift`, `verify.py`"


class PictureSettings(Settings):
    """The same, and where tables have their pictures."""

    image_column: str = Field("image", description="column, or .npz array, with the pictures")
    label_column: str = Field("label", description="column, or .npz array, with the labels")


@dataclass(frozen=True)
class Inputs:
    """What is packed.

    Attributes:
        model: folder with model.onnx as it ships, preprocessor_config.json and config.json.
        data: Arrow file of pictures; the golden ones are taken from it.
        labels: labels.json of prepare.
        splits: Arrow files of further pictures, by name; the card tells how many there are.
        originals: data files and folders of the recipe by split, where they are at hand: test pictures at their own size.
    """

    model: Path
    data: Path
    labels: Path
    splits: Mapping[str, Path] = field(default_factory=dict)
    originals: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class _Parts:
    """What a bundle is made of, each part once."""

    model: bytes
    ort: OrtModel
    pictures: PictureModel
    golden: PictureVectors
    odd: int
    classes: int
    labels: tuple[str, ...]
    rows: Mapping[str, int]


def _requires(settings: Settings, inputs: Inputs) -> None:
    """Refuse what cannot become a bundle.

    Raises:
        ArtifactError: a file is missing or damaged, its pre-processing is none that the graph does, or there are no pictures to
            take golden ones from, or the model puts out probabilities.
        UsageError: labels.json cannot be read, or the licence of teacher or data is denied.
    """
    require_allowed_licences(settings)
    if not (inputs.model / contents.ONNX_FILE).is_file():
        raise ArtifactError(f"{inputs.model / contents.ONNX_FILE}: no such file", hint="edgedistill quantize --help")
    require_plain(read_preprocessing(inputs.model), inputs.model / PREPROCESSOR_FILE)
    known = Labels.read_json(inputs.labels)
    if (inputs.model / CONFIG_FILE).is_file():
        require_fitting(inputs.model / CONFIG_FILE, known, inputs.labels)
    examples = read_examples(inputs.data)
    if not len(examples):
        raise ArtifactError(f"{inputs.data}: has no rows", hint="golden pictures need at least one labelled picture")
    pictures = EncodedPictures(pixels_of(examples), read_preprocessing(inputs.model))
    require_raw_answers(inputs.model / contents.ONNX_FILE, pictures)


def _run(settings: PictureSettings, inputs: Inputs, out: Path) -> Outcome:
    """Write `bundle/` and `bundle.zip` below `out`."""
    how = read_preprocessing(inputs.model)
    parts = _parts(settings, inputs, how)
    made = _bundle_files(settings, parts, how, config=(inputs.model / PREPROCESSOR_FILE).read_bytes())
    write_bundle(made, out)
    covered = covered_words(len(parts.golden.vectors) - parts.odd, classes=parts.classes)
    return Outcome(decisions=(
        Decision(step="package", what=f"{len(parts.golden.vectors)} golden pictures, tolerance {settings.tolerance:g}, "
                 f"{parts.odd} of them of sizes that the graph has to resize",
                 why=f"{covered}; near ties are passed over: a tie tells nothing about another runtime"),
        _picture_decision(parts.pictures.told),
    ))


def _picture_decision(told: PictureInput) -> Decision:
    return Decision(
        step="package", what=f"{contents.TEXT_MODEL_FILE}: {told.added_bytes:,} bytes over model.onnx",
        why=f"its pre-processing gave the values of {compared_words(told)}",
    )


def _parts(settings: PictureSettings, inputs: Inputs, how: Preprocessing) -> _Parts:
    model, file = (inputs.model / contents.ONNX_FILE).read_bytes(), inputs.model / contents.ONNX_FILE
    labels, examples = Labels.read_json(inputs.labels).labels, read_examples(inputs.data)
    rule = GoldenRule(settings.tolerance, settings.tolerances, settings.seed)
    golden = make_golden_pictures(examples, how, model=open_predictor(file), labels=labels, rule=rule)
    pictures = make_picture_model(model, how, Processor.load(inputs.model), labels=labels,
                                  sample=_sample(settings, inputs, examples, how))
    odd = make_odd_pictures(examples, how, models=(open_predictor(file), open_session(pictures.model)), labels=labels, rule=rule)
    return _Parts(
        model=model, ort=convert_to_ort(model, settings.architecture, oldest=settings.runtime_oldest), pictures=pictures,
        golden=golden.model_copy(update={"vectors": (*golden.vectors, *odd)}), odd=len(odd),
        classes=len(np.unique(examples.labels)), labels=labels,
        rows={name: len(read_examples(path)) for name, path in sorted(inputs.splits.items())} | {"test": len(examples)},
    )


def _sample(settings: PictureSettings, inputs: Inputs, examples: Examples, how: Preprocessing) -> Sample:
    """Return test pictures as they are stored, and at other sizes."""
    rows = np.linspace(0, len(examples) - 1, min(_MOST_STORED, len(examples))).round().astype(np.int64)
    stored = fit_size(fit_channels(pixels_of(examples).take(rows), how.size.channels), how)
    originals = open_originals(inputs.originals, Columns(settings.image_column, settings.label_column))
    return Sample(stored, whole_pictures(examples, originals, seed=settings.seed))


def _bundle_files(settings: Settings, parts: _Parts, how: Preprocessing, *, config: bytes) -> dict[str, bytes]:
    identity = identity_of(settings)
    runtime = parts.golden.runtime.removeprefix("onnxruntime ")
    build = runtime_build(parts.ort, settings.platform, runtime=runtime)
    sources = app_sources(title=f"{identity.recipe_id} for {identity.target_id}", labels=parts.labels)
    models = {contents.ONNX_FILE: parts.model, contents.ORT_FILE: parts.ort.model, contents.TEXT_MODEL_FILE: parts.pictures.model}
    made = {
        **{name: text.encode() for name, text in sources.items()},
        **models,
        PREPROCESSOR_FILE: config,
        contents.OPERATORS_FILE: parts.ort.operators.encode(),
        contents.LABELS_FILE: Labels(labels=parts.labels).to_json().encode(),
        contents.GOLDEN_FILE: parts.golden.to_json().encode(),
        contents.LICENCES_FILE: licence_notes(identity, settings.card, sources=_SOURCES).encode(),
        contents.BOM_FILE: bill_of_materials(identity, settings.card, files=models, runtime=runtime).encode(),
        contents.VERIFIER_FILE: files("edgedistill.package").joinpath("standalone_verify.py").read_bytes(),
    }
    made[contents.CARD_FILE] = picture_card(identity, settings.card, PictureCardParts(
        told=parts.pictures.told, build=build, golden=parts.golden, model_bytes=len(parts.model), sizes=Sizes.of(made),
        rows=parts.rows,
    )).encode()
    made[contents.MANIFEST_FILE] = contents.sealed_json(_manifest(identity, parts, made, build)).encode()
    return dict(sorted(made.items()))


def _manifest(
    identity: BundleIdentity, parts: _Parts, made: dict[str, bytes], build: contents.RuntimeBuild
) -> BundleManifest:
    versions = versions_of(parts.model)
    return BundleManifest(
        recipe_id=identity.recipe_id, task=identity.task, target_id=identity.target_id, base_model=identity.base_model,
        model_sha256=sha256(parts.model).hexdigest(), tools={name: tool_version(name) or "unknown" for name in TOOLS},
        runtime_oldest=identity.runtime_oldest, runtime_denied=identity.runtime_denied,
        inputs=(ModelInput(name=INPUT, dtype="float32"),), opsets=dict(versions.opsets), ir_version=versions.ir_version,
        golden_tolerance=parts.golden.tolerance, pictures=parts.pictures.told, runtime_build=build,
        sizes=Sizes.of(made),
        files=tuple(Artifact(path=name, sha256=sha256(made[name]).hexdigest(), size_bytes=len(made[name]))
                    for name in sorted(made)),
    )


def _ensures(out: Path) -> None:
    """Replay the golden pictures on all models; raises BundleError or ParityError."""
    require_sound_bundle(out / BUNDLE_FOLDER)


STAGE = Stage(name="package", version=9, run=_run, requires=_requires, ensures=_ensures, tools=TOOLS)
