"""The package stage of pictures: an int8 model folder becomes the bundle that an app loads, and its zip."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import numpy as np

from edgedistill.artifact import Artifact
from edgedistill.errors import ArtifactError
from edgedistill.evaluate.predictor import open_predictor
from edgedistill.examples import read_examples
from edgedistill.host import tool_version
from edgedistill.manifest import Decision
from edgedistill.package import contents
from edgedistill.package.bill_of_materials import bill_of_materials
from edgedistill.package.card import licence_notes
from edgedistill.package.contents import BundleIdentity, BundleManifest, Labels, ModelInput, PictureVectors, Sizes
from edgedistill.package.ort_format import OrtModel, convert_to_ort
from edgedistill.package.runtime_build import runtime_build
from edgedistill.package.stage import BUNDLE_FOLDER, Settings, identity_of, require_allowed_licences, write_bundle
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.image_classification.apps import app_sources
from edgedistill.tasks.image_classification.card import PictureCardParts, picture_card
from edgedistill.tasks.image_classification.encoding import (
    PREPROCESSOR_FILE,
    Preprocessing,
    fit_channels,
    fit_size,
    read_preprocessing,
)
from edgedistill.tasks.image_classification.golden import GoldenRule, make_golden_pictures
from edgedistill.tasks.image_classification.graph import INPUT, versions_of
from edgedistill.tasks.image_classification.picture_model import PictureModel, make_picture_model
from edgedistill.tasks.image_classification.pictures import pixels_of
from edgedistill.tasks.image_classification.preprocessing import require_plain
from edgedistill.verify.bundle import require_sound_bundle

TOOLS = ("edgedistill", "numpy", "onnx", "onnxruntime", "pillow")
"""Packages whose version is told in bundle.json; another version may give other bytes."""

_MOST_COMPARED = 2_000
_SOURCES = "`android/`, `ios/`, `web/`, `Package.swift`, `verify.py`"


@dataclass(frozen=True)
class Inputs:
    """What is packed.

    Attributes:
        model: folder with model.onnx (int8), preprocessor_config.json and config.json.
        data: Arrow file of pictures; the golden ones are taken from it.
        labels: labels.json of prepare.
        splits: Arrow files of further pictures, by name; the card tells how many there are.
    """

    model: Path
    data: Path
    labels: Path
    splits: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class _Parts:
    """What a bundle is made of, each part once."""

    model: bytes
    ort: OrtModel
    pictures: PictureModel
    golden: PictureVectors
    labels: tuple[str, ...]
    rows: Mapping[str, int]


def _requires(settings: Settings, inputs: Inputs) -> None:
    """Refuse what cannot become a bundle.

    Raises:
        ArtifactError: a file is missing or damaged, its pre-processing is none that the graph does, or there are no pictures to
            take golden ones from.
        UsageError: labels.json cannot be read, or the licence of teacher or data is denied.
    """
    require_allowed_licences(settings)
    if not (inputs.model / contents.ONNX_FILE).is_file():
        raise ArtifactError(f"{inputs.model / contents.ONNX_FILE}: no such file", hint="edgedistill quantize --help")
    require_plain(read_preprocessing(inputs.model), inputs.model / PREPROCESSOR_FILE)
    Labels.read_json(inputs.labels)
    if not len(read_examples(inputs.data)):
        raise ArtifactError(f"{inputs.data}: has no rows", hint="golden pictures need at least one labelled picture")


def _run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    """Write `bundle/` and `bundle.zip` below `out`."""
    how = read_preprocessing(inputs.model)
    parts = _parts(settings, inputs, how)
    made = _bundle_files(settings, parts, how, config=(inputs.model / PREPROCESSOR_FILE).read_bytes())
    write_bundle(made, out)
    told = parts.pictures.told
    return Outcome(decisions=(
        Decision(step="package", what=f"{len(parts.golden.vectors)} golden pictures, tolerance {settings.tolerance:g}",
                 why="they cover the classes in turn; near ties are passed over: a tie tells nothing about another runtime"),
        Decision(step="package", what=f"{contents.TEXT_MODEL_FILE}: {told.added_bytes:,} bytes over model.onnx",
                 why=f"its pre-processing gave transformers' values on {told.compared} test pictures to "
                     f"{told.largest_difference:.1e}, and on {told.compared_resized} resized ones to "
                     f"{told.largest_difference_resized:.1e} (one level of 255 is {1 / (255 * min(told.std)):.1e})"),
    ))


def _parts(settings: Settings, inputs: Inputs, how: Preprocessing) -> _Parts:
    model = (inputs.model / contents.ONNX_FILE).read_bytes()
    labels = Labels.read_json(inputs.labels).labels
    examples = read_examples(inputs.data)
    rows = np.linspace(0, len(examples) - 1, min(_MOST_COMPARED, len(examples))).round().astype(np.int64)
    pictures = fit_size(fit_channels(pixels_of(examples).take(rows), how.size.channels), how)
    return _Parts(
        model=model, ort=convert_to_ort(model, settings.architecture),
        pictures=make_picture_model(model, how, labels=labels, pictures=pictures),
        golden=make_golden_pictures(
            examples, how, model=open_predictor(inputs.model / contents.ONNX_FILE), labels=labels,
            rule=GoldenRule(settings.tolerance, settings.tolerances, settings.seed),
        ),
        labels=labels,
        rows={name: len(read_examples(path)) for name, path in sorted(inputs.splits.items())} | {"test": len(examples)},
    )


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


STAGE = Stage(name="package", version=2, run=_run, requires=_requires, ensures=_ensures, tools=TOOLS)
