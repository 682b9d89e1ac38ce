"""What a bundle holds: the names of its files, and the documents among them."""

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from edgedistill.artifact import Artifact
from edgedistill.document import Document, DocumentT, parse, read_text
from edgedistill.errors import BundleError, UsageError
from edgedistill.recipe import Task
from edgedistill.results import Labels as Labels  # labels.json of a bundle is that of a run
from edgedistill.target import DeniedVersion, Platform

MANIFEST_FILE = "bundle.json"
ONNX_FILE = "model.onnx"
ORT_FILE = "model.ort"
OPERATORS_FILE = "required_operators_and_types.config"
TOKENIZER_FILE = "tokenizer.json"
OPTIONAL_TOKENIZER_FILES = ("special_tokens_map.json", "tokenizer_config.json", "vocab.txt")
LABELS_FILE = "labels.json"
GOLDEN_FILE = "golden.json"
CARD_FILE = "README.md"
LICENCES_FILE = "LICENSES.md"
VERIFIER_FILE = "verify.py"
TEXT_MODEL_FILE = "model_with_preprocessing.onnx"
BOM_FILE = "bom.cdx.json"

_BLANK_SEAL = "0" * 64
_PACK_AGAIN = "make the bundle again: edgedistill package --help"


@dataclass(frozen=True)
class BundleIdentity:
    """Whose bundle it is.

    Attributes:
        recipe_id: the recipe that made the model.
        task: the ML task.
        target_id: the device class it was sized for.
        base_model: the teacher that the student was distilled from; see `package.base_model`.
        runtime_oldest: oldest onnxruntime of the target.
        runtime_denied: versions that must not be used on the target.
        scheme: how model.onnx was quantized, or "float"; None: not known.
    """

    recipe_id: str
    task: Task
    target_id: str
    base_model: str
    runtime_oldest: str
    runtime_denied: tuple[DeniedVersion, ...] = ()
    scheme: str | None = None


class GoldenVector(Document):
    """One text and the answer that the app must give to it too."""

    text: str
    ids: tuple[int, ...] = Field(min_length=1, description="token ids, special tokens counted")
    logits: tuple[float, ...] = Field(description="raw logits of model.onnx, one text a call")
    label: str = Field(description="the class with the largest logit")
    labels: tuple[str, ...] | None = Field(
        None, description="where a text may have several labels: all classes with a logit above 0, in the order of the classes"
    )

    @model_serializer(mode="wrap")
    def _without_what_is_not_known(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = write(self)
        if self.labels is None:  # golden.json of texts with one label each is as it always was
            del found["labels"]
        return found


InstructionSet = Literal["aarch64", "wasm", "x86_64", "x86_64-vnni"]
"""As far as int8 products differ: x86 without VNNI saturates them at 16 bits. wasm is a browser, on any processor."""


class GoldenVectors(Document):
    """Golden vectors, and how far a logit may be off elsewhere."""

    tolerance: float = Field(gt=0, description="largest difference of a logit that passes")
    tolerances: dict[InstructionSet, float] = Field({}, description="the same on an instruction set that has its own")
    runtime: str = Field(description="what computed the logits, for example 'onnxruntime 1.32.0'")
    architecture: str = Field(description="the instruction set it ran on, for example 'x86_64'")
    vectors: tuple[GoldenVector, ...] = Field(min_length=1)


class ModelInput(Document):
    """An input of the graph. Its shape is (batch, length)."""

    name: str
    dtype: str = Field(description="a numpy name: int64 or int32; of pictures float32")


class Preprocessing(Document):
    """Whether the tokenizer is inside of a graph, and what that costs."""

    file: str | None = Field(description="the model that takes raw text; null: there is none, and `reason` says why")
    reason: str | None = Field(description="why there is no such model; null where there is one")
    texts_proved: int = Field(ge=0, description="texts of all splits whose ids are those of tokenizer.json, one by one")
    texts_fuzzed: int = Field(ge=0, description="the same of texts that were made up for it: emoji, control characters, ...")
    added_bytes: int = Field(ge=0, description="bytes over model.onnx; 0 without a file")
    pieces: int = Field(ge=0, description="pieces in the graph; pieces that no text can reach are left out")
    piece_table_bytes: int = Field(ge=0, description="of the added bytes: pieces, their ids and lengths")
    fits_budget: bool | None = Field(description="is the file within the target's budget for model files? null: no budget")


class PictureInput(Document):
    """What a bundle of pictures does before the model, and how far its graph is from transformers' ViTImageProcessor."""

    side: int = Field(ge=1, description="pixels; a picture of any size is resized to a square of this side")
    channels: Literal[1, 3]
    mean: tuple[float, ...] = Field(description="of each channel, after the division by 255")
    std: tuple[float, ...]
    resample: int = Field(description="Pillow's number of the filter that resizes")
    compared: int = Field(ge=0, description="pictures of the test split that were compared as they are stored")
    compared_resized: int = Field(
        ge=0, description="pictures of the test split that were compared at other sizes, and so resized; of these the decisions "
        "were compared with those of processor and model.onnx too"
    )
    compared_originals: int = Field(0, ge=0, description="those of them that had the size of their files; the rest were enlarged")
    largest_difference: float = Field(ge=0, description="of a model input, pictures as they are stored")
    largest_difference_resized: float = Field(ge=0, description="of a model input, resized pictures; one level is 1 / (255 std)")
    largest_logit_difference: float | None = Field(None, ge=0, description="of a logit, resized pictures; null: not compared")
    decisions_flipped: int | None = Field(
        None, ge=0, description="resized pictures of which the class is another one, all of them ties; null: not compared"
    )
    tie_tolerance: float | None = Field(None, gt=0, description="a tie: the winner leads by no more, in logits of model.onnx")
    added_bytes: int = Field(ge=0, description="of model_with_preprocessing.onnx over model.onnx")


class PictureVector(Document):
    """One picture and the answer that the app must give to it too."""

    text: str = Field(description="name of the picture")
    pixels: str = Field(description="base64 of uint8, shape (side, side, channels), row by row")
    picture: str | None = Field(
        None, description="the same of shape (height, width, channels): a picture that has to be resized, of which transformers' "
        "processor makes `pixels`; null: `pixels` is the picture"
    )
    height: int | None = Field(None, ge=1, description="of `picture`")
    width: int | None = Field(None, ge=1, description="of `picture`")
    logits: tuple[float, ...] = Field(description="raw logits of model.onnx, one picture a call")
    label: str = Field(description="the class with the largest logit")


class PictureVectors(Document):
    """Golden vectors of pictures; see `GoldenVectors`."""

    tolerance: float = Field(gt=0)
    tolerances: dict[InstructionSet, float] = {}
    runtime: str
    architecture: str
    side: int
    channels: Literal[1, 3]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    vectors: tuple[PictureVector, ...] = Field(min_length=1)


class GoldenLogits(Document, extra="ignore"):
    """The answer to one golden text or picture."""

    logits: tuple[float, ...]


class GoldenAnswers(Document, extra="ignore"):
    """What the golden vectors of every task have in common: the answers, and how far they may be off."""

    tolerance: float = Field(gt=0)
    tolerances: dict[InstructionSet, float] = {}
    vectors: tuple[GoldenLogits, ...] = Field(min_length=1)


class Sizes(Document):
    """What the files take; bundle.json itself is not counted."""

    files_bytes: int = Field(ge=0, description="all files as they are; the zip stores them like this")
    deflated_bytes: int = Field(ge=0, description="all files, each deflated at level 9: about what a download takes")
    deflated: dict[str, int] = Field(description="bytes of each file, deflated at level 9")

    @classmethod
    def of(cls, made: Mapping[str, bytes]) -> Self:
        """Return what files by name take."""
        deflated = {name: len(zlib.compress(content, 9)) for name, content in sorted(made.items())}
        return cls(files_bytes=sum(map(len, made.values())), deflated_bytes=sum(deflated.values()), deflated=deflated)


class Accelerator(Document):
    """An execution provider of a phone, and whether this model should use it."""

    name: Literal["NNAPI", "CoreML", "XNNPACK"]
    use: bool
    why: str = Field(description="in a sentence, with the figures it rests on")


class RuntimeBuild(Document):
    """How onnxruntime is made smaller for this model, and what it should run on."""

    command: str = Field(description="run in a checkout of onnxruntime; BUNDLE is this folder. It loads model.ort alone")
    platform: Platform | None = Field(None, description="system that the command builds for; linux: for the machine at hand")
    accelerators: tuple[Accelerator, ...]


class BundleManifest(Document):
    """`bundle.json`: what the bundle is, what made it, and the sha256 of every other file in it."""

    schema_version: Literal[1] = 1
    recipe_id: str
    task: Task
    target_id: str
    base_model: str
    model_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="the model that it was made from")
    tools: dict[str, str] = Field(description="versions of what made it")
    runtime_oldest: str = Field(description="oldest onnxruntime of the target")
    runtime_denied: tuple[DeniedVersion, ...] = Field((), description="versions that must not be used on the target, and why")
    inputs: tuple[ModelInput, ...]
    opsets: dict[str, int] = Field(description="opset by domain of model.onnx")
    ir_version: int
    max_tokens: int | None = Field(None, ge=1, description="texts are cut after so many tokens, special tokens counted")
    golden_tolerance: float = Field(gt=0)
    preprocessing: Preprocessing | None = Field(None, description="of texts")
    pictures: PictureInput | None = Field(None, description="of pictures")
    runtime_build: RuntimeBuild
    sizes: Sizes
    files: tuple[Artifact, ...]
    seal: str = Field(default=_BLANK_SEAL, description="sha256 of this file with 64 zeros in place of this value")

    @model_validator(mode="after")
    def _names_stay_inside(self) -> Self:
        names = [file.path for file in self.files]
        for name in names:
            problem = name_problem(name)
            if problem:
                raise ValueError(f"file name {name!r} {problem}")
        if len(set(names)) != len(names):
            raise ValueError("a file is listed twice")
        return self


def name_problem(name: str) -> str | None:
    """Return why a file name must not be used inside a bundle, or None for a good one."""
    parts = PurePosixPath(name).parts
    if not parts or "\0" in name:
        return "is empty"
    if name.startswith("/") or "\\" in name or ":" in name:
        return "is not a plain relative name"
    if any(part in {".", ".."} for part in name.split("/")):
        return "leaves the folder"
    return None


def sealed_json(manifest: BundleManifest) -> str:
    """Return the text of `bundle.json` with its seal filled in.

    The seal makes damage to this one file visible too. It is no signature: who alters a bundle on purpose can seal
    it anew.
    """
    blank = manifest.model_copy(update={"seal": _BLANK_SEAL}).to_json()
    seal = hashlib.sha256(blank.encode()).hexdigest()
    return manifest.model_copy(update={"seal": seal}).to_json()


def read_manifest(folder: Path) -> BundleManifest:
    """Read `bundle.json` of a bundle's folder.

    Raises:
        BundleError: the folder is no bundle, or its bundle.json is damaged.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise BundleError(f"{folder}: is no bundle, it has no {MANIFEST_FILE}", hint="name a bundle folder or its zip")
    return _read(BundleManifest, path)


def missing_apps(manifest: BundleManifest) -> str | None:
    """Return what a bundle lacks of the sources for apps, and why; None where nothing is missing."""
    told = manifest.preprocessing
    if told is not None and told.file is None:
        return f"no modules for Android and iOS and no web page in the bundle: {told.reason}"
    if not any(file.path.startswith("android/") for file in manifest.files):
        return "no module for Android in the bundle: tokens hold characters beyond U+FFFF, which Java's binding cannot hand over"
    return None


def read_labels(path: Path) -> Labels:
    """Read a bundle's `labels.json`.

    Raises:
        BundleError: it is missing or damaged.
    """
    return _read(Labels, path)


def _read(kind: type[DocumentT], path: Path) -> DocumentT:
    try:
        return parse(kind, read_text(path), path, error=UsageError, loader=json.loads)
    except UsageError as bad:
        raise BundleError(bad.message, hint=_PACK_AGAIN) from None
