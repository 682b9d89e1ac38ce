"""The bundle: from a model and what goes with it to the bytes of every file in it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from edgedistill.artifact import Artifact
from edgedistill.host import tool_version
from edgedistill.package import contents
from edgedistill.package.app_sources import app_sources, sources_as_bytes
from edgedistill.package.bill_of_materials import bill_of_materials
from edgedistill.package.card import CardFigures, CardParts, licence_notes, model_card
from edgedistill.package.contents import BundleIdentity, BundleManifest, GoldenVectors, Labels, Sizes
from edgedistill.package.onnx_facts import OnnxFacts
from edgedistill.package.ort_format import OrtModel
from edgedistill.package.runtime_build import runtime_build
from edgedistill.package.text_model import TextModel
from edgedistill.problem_type import ONE_LABEL, ProblemType
from edgedistill.target import Platform

TOOLS = ("edgedistill", "numpy", "onnx", "onnxruntime", "onnxruntime-extensions", "tokenizers")
"""Packages whose version is told in bundle.json; another version may give other bytes."""

_LISTED = (contents.ONNX_FILE, contents.ORT_FILE, contents.TEXT_MODEL_FILE, contents.TOKENIZER_FILE)
"""Files that the bill of materials lists with their hash; bundle.json has all of them."""

_APP_SOURCES = ("android/", "ios/", "web/", "Package.swift")
_EXTENSIONS = ("onnxruntime-extensions", "MIT", "runs the tokenizer in the graph; not contained in this bundle")
_TOKENIZERS = ("tokenizers", "Apache-2.0", "reads `tokenizer.json`; not contained in this bundle")


@dataclass(frozen=True)
class BundleParts:
    """What a bundle is made of.

    Attributes:
        model: the .onnx file that ships.
        ort: the same model in ORT format.
        text: the same model with the tokenizer in front, or why there is none.
        platform: the target's system.
        facts: inputs, opsets and format version of the .onnx file.
        tokenizer_files: bytes by file name; kept as they are, since saving a loaded tokenizer would lose tokens that
            share an id.
        max_tokens: texts are cut after so many tokens.
        labels: the class names.
        golden: golden vectors of the model.
        rows: labelled texts by split.
        problem: may a text have several labels?
    """

    model: bytes
    ort: OrtModel
    text: TextModel
    platform: Platform
    facts: OnnxFacts
    tokenizer_files: Mapping[str, bytes]
    max_tokens: int
    labels: Sequence[str]
    golden: GoldenVectors
    rows: Mapping[str, int]
    problem: ProblemType = ONE_LABEL


def bundle_files(parts: BundleParts, identity: BundleIdentity, figures: CardFigures) -> dict[str, bytes]:
    """Return the files of a bundle by name; the same arguments give the same bytes.

    Args:
        parts: model, tokenizer, labels and golden vectors.
        identity: whose bundle it is.
        figures: what the card tells about quality and licences.
    """
    runtime = parts.golden.runtime.removeprefix("onnxruntime ")
    build = runtime_build(parts.ort, parts.platform, runtime=runtime)
    apps = _text_files(parts, identity)
    made = {
        **apps,
        **parts.tokenizer_files,
        contents.ONNX_FILE: parts.model,
        contents.ORT_FILE: parts.ort.model,
        contents.OPERATORS_FILE: parts.ort.operators.encode(),
        contents.LABELS_FILE: Labels(labels=tuple(parts.labels), problem_type=parts.problem).to_json().encode(),
        contents.GOLDEN_FILE: parts.golden.to_json().encode(),
        contents.LICENCES_FILE: licence_notes(
            identity, figures, sources=_sources(apps), more=(*((_EXTENSIONS,) if apps else ()), _TOKENIZERS)).encode(),
        contents.VERIFIER_FILE: files("edgedistill.package").joinpath("standalone_verify.py").read_bytes(),
    }
    listed = {name: made[name] for name in _LISTED if name in made}
    made[contents.BOM_FILE] = bill_of_materials(identity, figures, files=listed, runtime=runtime).encode()
    made[contents.CARD_FILE] = model_card(identity, figures, CardParts(
        model_bytes=len(parts.model), sizes=Sizes.of(made), classes=len(parts.labels), inputs=parts.facts.inputs,
        golden=parts.golden, preprocessing=parts.text.told, has_android=any(name.startswith("android/") for name in apps),
        build=build, rows=parts.rows, max_tokens=parts.max_tokens, problem=parts.problem,
    )).encode()
    manifest = _manifest(parts, identity, made, build)
    made[contents.MANIFEST_FILE] = contents.sealed_json(manifest).encode()
    return dict(sorted(made.items()))


def _sources(apps: Iterable[str]) -> str:
    """Return, as Markdown, where sources are in a bundle that has these files for apps."""
    names = tuple(apps)
    held = [place for place in _APP_SOURCES if any(name.startswith(place) for name in names)]
    return ", ".join(f"`{place}`" for place in (*held, contents.VERIFIER_FILE))


def _text_files(parts: BundleParts, identity: BundleIdentity) -> dict[str, bytes]:
    """Return the model that takes raw text and the apps around it; nothing where the tokenizer is not in a graph."""
    if parts.text.model is None or parts.text.rules is None:
        return {}
    shortest = min(parts.golden.vectors, key=lambda vector: (abs(len(vector.text) - 30), vector.text))
    sources = app_sources(
        parts.text.rules, title=f"{identity.recipe_id} for {identity.target_id}", labels=parts.labels,
        inputs=parts.facts.inputs, example=shortest.text, problem=parts.problem,
    )
    return {contents.TEXT_MODEL_FILE: parts.text.model, **sources_as_bytes(sources)}


def _manifest(
    parts: BundleParts, identity: BundleIdentity, made: Mapping[str, bytes], build: contents.RuntimeBuild
) -> BundleManifest:
    return BundleManifest(
        recipe_id=identity.recipe_id,
        task=identity.task,
        target_id=identity.target_id,
        base_model=identity.base_model,
        model_sha256=sha256(parts.model).hexdigest(),
        tools={name: tool_version(name) or "unknown" for name in TOOLS},
        runtime_oldest=identity.runtime_oldest,
        runtime_denied=identity.runtime_denied,
        inputs=parts.facts.inputs,
        opsets=parts.facts.opsets,
        ir_version=parts.facts.ir_version,
        max_tokens=parts.max_tokens,
        golden_tolerance=parts.golden.tolerance,
        preprocessing=parts.text.told,
        runtime_build=build,
        sizes=Sizes.of(made),
        files=tuple(
            Artifact(path=name, sha256=sha256(made[name]).hexdigest(), size_bytes=len(made[name]))
            for name in sorted(made)
        ),
    )
