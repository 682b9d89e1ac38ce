"""Check this bundle: every file against its sha256, and the golden vectors against the models.

    python verify.py [FOLDER]

Needs numpy and onnxruntime. With tokenizers installed it checks the token ids too; without, it takes them from
golden.json. With onnxruntime-extensions it also replays the texts on model_with_preprocessing.onnx, where there is one.
Exit code 0: all is as it was packed. 1: something is not, and the lines say what.
"""

import base64
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

MODELS = ("model.onnx", "model.ort")
TEXT_MODEL = "model_with_preprocessing.onnx"
BUILD_FOLDERS = (".build/", ".swiftpm/", "android/.gradle/", "android/.kotlin/", "android/build/")
BUILD_FILES = ("Package.resolved",)
"""What Gradle, Kotlin and Swift write when the modules are built in place; they make it anew, and nothing here reads it."""


@dataclass(frozen=True)
class Check:
    """What was found.

    Attributes:
        files: number of files that were hashed.
        altered: files that are missing, altered or not listed; links count as altered.
        vectors: golden vectors replayed, all models together.
        models: the models they were replayed on.
        decisions_flipped: answers with another class than the golden one, or where a text may have several labels, other ones.
        max_abs_error: largest difference of a logit; infinite when a model gave no usable number.
        ids_checked: were the texts tokenized again?
        problems: one sentence each; empty when all is well.
    """

    files: int
    altered: tuple[str, ...]
    vectors: int
    models: tuple[str, ...]
    decisions_flipped: int
    max_abs_error: float
    ids_checked: bool
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Replay:
    """One model on all golden vectors; `failure` says why it did not run, or is empty."""

    decisions_flipped: int
    max_abs_error: float
    failure: str = ""


def check_bundle(folder: Path) -> Check:
    """Check a bundle's folder; a file whose hash is wrong is named and not opened."""
    manifest = read_manifest(folder)
    if manifest is None:
        return Check(0, ("bundle.json",), 0, (), 0, 0.0, False, ("bundle.json: missing or not readable",))
    altered, problems = check_files(folder, manifest)
    golden = {"vectors": []} if "golden.json" in altered else read_golden(folder)
    if not golden["vectors"]:
        problems.append("golden.json: nothing could be replayed")
    ids_checked = False
    if manifest.get("pictures") is None and importlib.util.find_spec("tokenizers") and "tokenizer.json" not in altered:
        ids_checked = True
        problems += check_ids(folder, golden["vectors"])
    wanted = [*MODELS, TEXT_MODEL] if takes_text(manifest) else list(MODELS)
    models = [name for name in wanted if name not in altered and golden["vectors"]]
    several = has_several_labels(folder, altered)
    replays = [replay(folder / name, golden, several=several) for name in models]
    for name, result in zip(models, replays, strict=True):
        problems += replay_problems(name, result, tolerance_here(golden), several=several)
    return Check(
        files=len(manifest["files"]) + 1,
        altered=tuple(altered),
        vectors=len(models) * len(golden["vectors"]),
        models=tuple(models),
        decisions_flipped=sum(result.decisions_flipped for result in replays),
        max_abs_error=max((result.max_abs_error for result in replays), default=0.0),
        ids_checked=ids_checked,
        problems=tuple(problems),
    )


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return bundle.json, or None when there is none or it is no list of plain file names with their hashes."""
    try:
        manifest = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        for file in manifest["files"]:
            if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)*", file["path"]) or len(file["sha256"]) != 64:
                return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if isinstance(manifest.get("seal"), str) else None


def takes_text(manifest: dict[str, Any]) -> bool:
    """Is there a model that takes raw text, or a decoded picture, and can it run here?"""
    can_run = manifest.get("pictures") is not None or extensions_library() is not None
    return any(file["path"] == TEXT_MODEL for file in manifest["files"]) and can_run


def extensions_library() -> str | None:
    """Return where onnxruntime-extensions has its operators, None where it is not installed.

    The package itself is not imported: it would load whatever large libraries it finds beside it.
    """
    spec = importlib.util.find_spec("onnxruntime_extensions")
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    found = (file for folder in folders for file in sorted(Path(folder).glob("_extensions_pydll*")))
    return next((str(file) for file in found if file.suffix in {".so", ".pyd"}), None)


def read_golden(folder: Path) -> dict[str, Any]:
    """Return golden.json; with no vectors when it is not what it should be."""
    try:
        golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
        float(golden["tolerance"])
        for vector in golden["vectors"]:
            _ = vector["text"], [float(x) for x in vector["logits"]]
            _ = base64.b64decode(vector["pixels"]) if "pixels" in vector else [int(i) for i in vector["ids"]]
            _ = vector.get("picture") and (base64.b64decode(vector["picture"]), int(vector["height"]), int(vector["width"]))
    except (OSError, ValueError, KeyError, TypeError):
        return {"vectors": []}
    return dict(golden)


def has_several_labels(folder: Path, altered: list[str]) -> bool:
    """May a text have several labels? A decision is then each class with a logit above 0, else the one with the largest."""
    path = folder / "labels.json"
    if "labels.json" in altered or not path.is_file():
        return False
    try:
        return bool(json.loads(path.read_text(encoding="utf-8")).get("problem_type") == "multi_label_classification")
    except (ValueError, AttributeError):
        return False


def instruction_set() -> Literal["aarch64", "x86_64", "x86_64-vnni"]:
    """Return "aarch64", "x86_64-vnni" or "x86_64"; x86 counts as without VNNI where the system does not tell."""
    machine = platform.machine().lower()
    if machine in {"aarch64", "arm64"}:
        return "aarch64"
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        flags = ""
    return "x86_64-vnni" if re.search(r"\bavx(512)?_vnni\b", flags) else "x86_64"


def tolerance_here(golden: dict[str, Any]) -> float:
    """Return how far a logit may be off on this machine's instruction set."""
    return float(golden.get("tolerances", {}).get(instruction_set(), golden["tolerance"]))


def check_files(folder: Path, manifest: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the names of altered files, and a sentence about each."""
    found = {}
    if not seal_is_whole(folder, manifest["seal"]):
        found["bundle.json"] = "altered (its seal is broken)"
    expected = {file["path"]: file for file in manifest["files"]}
    for name in ("golden.json", *MODELS):
        if name not in expected:
            found[name] = "not listed in bundle.json"
    for name, file in expected.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            found[name] = "missing"
        elif sha256(path) != file["sha256"]:
            found[name] = "altered (its sha256 is not the one in bundle.json)"
    for name in sorted(names_below(folder) - set(expected) - {"bundle.json"}):
        if not is_build_output(name):
            found[name] = "not part of this bundle"
    return list(found), [f"{name}: {what}" for name, what in found.items()]


def seal_is_whole(folder: Path, seal: str) -> bool:
    """Is bundle.json as it was written? The seal is its sha256 with 64 zeros in place of the seal."""
    if not re.fullmatch("[0-9a-f]{64}", seal):
        return False
    blank = (folder / "bundle.json").read_bytes().replace(seal.encode(), b"0" * 64)
    return hashlib.sha256(blank).hexdigest() == seal


def sha256(path: Path) -> str:
    """Return the hex sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names_below(folder: Path) -> set[str]:
    """Return the names of all files and links below a folder, with '/' between the parts."""
    found = set()
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        found |= {(Path(parent) / name).relative_to(folder).as_posix() for name in [*files, *links]}
    return found


def is_build_output(name: str) -> bool:
    """Is a file that bundle.json does not list where Gradle or Swift put what they build?"""
    return name in BUILD_FILES or name.startswith(BUILD_FOLDERS)


def check_ids(folder: Path, vectors: list[dict[str, Any]]) -> list[str]:
    """Tokenize the golden texts again and compare the ids."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    wrong = [v["text"] for v in vectors if tokenizer.encode(v["text"]).ids != v["ids"]]
    return [f"tokenizer.json: other ids than golden.json for {text!r}" for text in wrong]


def replay(model: Path, golden: dict[str, Any], *, several: bool = False) -> Replay:
    """Answer every golden vector, one a call, and compare the raw logits; may a text have several labels?"""
    try:
        return compare(model, golden, several=several)
    except Exception as bad:  # noqa: BLE001 - onnxruntime's errors share no base; the check fails with its words
        return Replay(0, float("inf"), f"does not run here ({bad})")


def compare(model: Path, golden: dict[str, Any], *, several: bool) -> Replay:
    """Do the work of `replay`; raises whatever onnxruntime raises."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    if model.name == TEXT_MODEL and "side" not in golden:
        options.register_custom_ops_library(extensions_library())
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    flipped, error = 0, 0.0
    for vector in golden["vectors"]:
        if "pixels" in vector:
            wanted = picture_inputs(vector, golden, is_raw=model.name == TEXT_MODEL)
        elif model.name == TEXT_MODEL:
            wanted = {"text": np.array([vector["text"]], dtype=object)}
        else:
            ids = np.asarray([vector["ids"]])
            feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            wanted = {node.name: feeds[node.name].astype(node.type[7:-1]) for node in session.get_inputs()}
        logits, expected = session.run(None, wanted)[0][0], np.asarray(vector["logits"])
        # of many labels some are near 0 in most texts: there the tolerance allows the other side
        is_clear = np.abs(expected) > golden["tolerance"]
        is_other = ((logits > 0) != (expected > 0))[is_clear].any() if several else logits.argmax() != expected.argmax()
        flipped += int(is_other)
        difference = float(np.abs(logits - expected).max())
        error = max(error, difference if np.isfinite(difference) else float("inf"))
    return Replay(flipped, error)


def picture_inputs(vector: dict[str, Any], golden: dict[str, Any], *, is_raw: bool) -> dict[str, Any]:
    """Return what a model is fed for a golden picture: itself, or what the pre-processing makes of it."""
    import numpy as np

    channels = golden["channels"]
    height = width = golden["side"]
    content = vector["pixels"]
    if is_raw and vector.get("picture"):
        content, height, width = vector["picture"], vector["height"], vector["width"]
    pixels = np.frombuffer(base64.b64decode(content), np.uint8).reshape(height, width, channels)
    if is_raw:
        return {"image": np.ascontiguousarray(np.repeat(pixels, 3, axis=2) if channels == 1 else pixels)}
    mean, std = np.array(golden["mean"]), np.array(golden["std"])
    # to the last bit what training and graph compute: a pixel may lie half way between two steps of int8
    values = pixels.astype(np.float32) * (1 / (255 * std)).astype(np.float32) - (mean / std).astype(np.float32)
    return {"pixel_values": np.ascontiguousarray(values.transpose(2, 0, 1)[None], np.float32)}


def replay_problems(name: str, result: Replay, tolerance: float, *, several: bool = False) -> list[str]:
    """Say in sentences what is wrong with a model's answers."""
    if result.failure:
        return [f"{name}: {result.failure}"]
    problems = []
    if result.decisions_flipped:
        words = "other labels" if several else "another class"
        problems.append(f"{name}: {words} for {result.decisions_flipped} golden vector(s)")
    if not result.max_abs_error <= tolerance:
        problems.append(
            f"{name}: a logit differs by {result.max_abs_error:g}, at most {tolerance:g} is allowed on {instruction_set()}"
        )
    return problems


def denials(folder: Path) -> list[str]:
    """Say it when the onnxruntime here is one that the bundle's target must not have; "1.21" stands for every 1.21.x."""
    manifest = read_manifest(folder) or {}
    try:
        installed = importlib.metadata.version("onnxruntime")
    except importlib.metadata.PackageNotFoundError:
        return []
    parts = installed.split("+")[0].split(".")
    return [
        f"onnxruntime {installed} must not be used on {manifest['target_id']}: {denied['reason']} ({denied['reference']})"
        for denied in manifest.get("runtime_denied", [])
        if parts[: len(denied["version"].split("."))] == denied["version"].split(".")
    ]


def main(arguments: list[str]) -> int:
    """Check the folder that is named, or the one this file is in; return the exit code."""
    folder = Path(arguments[0]) if arguments else Path(__file__).resolve().parent
    check = check_bundle(folder)
    for problem in check.problems:
        sys.stdout.write(f"FAILED {problem}\n")
    for warning in denials(folder):
        sys.stdout.write(f"WARNING {warning}\n")
    ids = "ids checked" if check.ids_checked else "ids from golden.json (tokenizers was not used)"
    sys.stdout.write(
        f"{check.files} files, {check.vectors} answers of {' and '.join(check.models) or 'no model'}, {ids}: "
        f"{check.decisions_flipped} decisions flipped, largest difference of a logit {check.max_abs_error:.3g}\n"
    )
    return 1 if check.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
