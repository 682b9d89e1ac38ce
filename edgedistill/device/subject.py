"""What is measured on a device: the model of a bundle or of a folder, and the rows that it answers."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgedistill.artifact import check
from edgedistill.errors import ArtifactError, BundleError, UsageError
from edgedistill.examples import NO_LABEL, write_examples
from edgedistill.package.archive import opened_bundle
from edgedistill.package.contents import (
    GOLDEN_FILE,
    LABELS_FILE,
    MANIFEST_FILE,
    ONNX_FILE,
    TOKENIZER_FILE,
    GoldenVectors,
    read_labels,
    read_manifest,
)
from edgedistill.target import DeniedVersion
from edgedistill.user_paths import model_classes, open_examples


@dataclass(frozen=True)
class Subject:
    """A model and its rows.

    Attributes:
        model: an .onnx file with tokenizer.json beside it.
        examples: an Arrow file of examples.
        denied: onnxruntime versions that the bundle's target must not have.
    """

    model: Path
    examples: Path
    denied: tuple[DeniedVersion, ...] = ()


@contextmanager
def opened_subject(model: Path, data: Path | None) -> Iterator[Subject]:
    """Yield what is to be measured.

    Args:
        model: a bundle's folder or zip, a model folder, or an .onnx file.
        data: texts with labels; None, of a bundle: its golden texts, which have answers and no labels.

    Raises:
        UsageError: no texts for a model that is no bundle.
        BundleError: the bundle is altered.
    """
    if model.suffix == ".zip" or (model / MANIFEST_FILE).is_file():
        with opened_bundle(model) as folder, tempfile.TemporaryDirectory() as scratch:
            denied = _checked_manifest(folder)
            if data is None:
                yield Subject(folder / ONNX_FILE, _golden_examples(folder, Path(scratch)), denied)
                return
            with open_examples(data, "test", read_labels(folder / LABELS_FILE).labels) as examples:
                yield Subject(folder / ONNX_FILE, examples, denied)
        return
    if data is None:
        raise UsageError(f"{model}: is no bundle, so texts are needed to measure it on",
                         hint="add --data FILE or --data PREPARED_FOLDER")
    file = model / ONNX_FILE if model.is_dir() else model
    if not file.is_file():
        raise ArtifactError(f"{file}: no such file", hint="a device runs ONNX only: edgedistill export MODEL -o DIR")
    with open_examples(data, "test", model_classes(file)) as examples:
        yield Subject(file, examples)


def _checked_manifest(folder: Path) -> tuple[DeniedVersion, ...]:
    manifest = read_manifest(folder)
    listed = {file.path: file for file in manifest.files}
    for name in (ONNX_FILE, TOKENIZER_FILE, LABELS_FILE, GOLDEN_FILE):
        try:
            check(listed[name], root=folder)
        except KeyError:
            raise BundleError(f"{folder}: bundle.json does not list {name}", hint="edgedistill verify BUNDLE") from None
        except ArtifactError as bad:
            raise BundleError(bad.message, hint="edgedistill verify BUNDLE") from None
    return manifest.runtime_denied


def _golden_examples(folder: Path, scratch: Path) -> Path:
    texts = [vector.text for vector in GoldenVectors.read_json(folder / GOLDEN_FILE).vectors]
    path = scratch / "golden.arrow"
    write_examples(path, [f"golden-{i}" for i in range(len(texts))], texts, [NO_LABEL] * len(texts))
    return path
