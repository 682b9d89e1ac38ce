"""What is measured on a device: the model of a bundle or of a folder, and the rows that it answers."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgedistill.errors import ArtifactError, UsageError
from edgedistill.package.answer import require_sound_files
from edgedistill.package.archive import opened_bundle
from edgedistill.package.contents import (
    GOLDEN_FILE,
    LABELS_FILE,
    MANIFEST_FILE,
    ONNX_FILE,
    BundleManifest,
    read_labels,
    read_manifest,
)
from edgedistill.target import DeniedVersion
from edgedistill.tasks.registry import task_named
from edgedistill.user_paths import model_classes, open_examples


@dataclass(frozen=True)
class Subject:
    """A model and its rows.

    Attributes:
        model: an .onnx file with the file of its encoder beside it.
        examples: an Arrow file of examples.
        denied: onnxruntime versions that the bundle's target must not have.
        oldest: the oldest onnxruntime that the bundle is made for; None of a model that is no bundle.
    """

    model: Path
    examples: Path
    denied: tuple[DeniedVersion, ...] = ()
    oldest: str | None = None


@contextmanager
def opened_subject(model: Path, data: Path | None) -> Iterator[Subject]:
    """Yield what is to be measured.

    Args:
        model: a bundle's folder or zip, a model folder, or an .onnx file.
        data: examples with labels; None, of a bundle: its golden ones, which have answers and no labels.

    Raises:
        UsageError: no examples for a model that is no bundle.
        BundleError: the bundle is altered.
    """
    if model.suffix == ".zip" or (model / MANIFEST_FILE).is_file():
        with opened_bundle(model) as folder, tempfile.TemporaryDirectory() as scratch:
            manifest = _checked_manifest(folder)
            if data is None:
                golden = Path(scratch) / "golden.arrow"
                task_named(manifest.task).write_golden(folder, golden)
                yield Subject(folder / ONNX_FILE, golden, manifest.runtime_denied, manifest.runtime_oldest)
                return
            with open_examples(data, "test", read_labels(folder / LABELS_FILE).labels, like=folder) as examples:
                yield Subject(folder / ONNX_FILE, examples, manifest.runtime_denied, manifest.runtime_oldest)
        return
    if data is None:
        raise UsageError(f"{model}: is no bundle, so data is needed to measure it on",
                         hint="add --data FILE or --data PREPARED_FOLDER")
    file = model / ONNX_FILE if model.is_dir() else model
    if not file.is_file():
        raise ArtifactError(f"{file}: no such file", hint="a device runs ONNX only: edgedistill export MODEL -o DIR")
    with open_examples(data, "test", model_classes(file), like=file) as examples:
        yield Subject(file, examples)


def _checked_manifest(folder: Path) -> BundleManifest:
    manifest = read_manifest(folder)
    require_sound_files(folder, (ONNX_FILE, task_named(manifest.task).encoder_file, LABELS_FILE, GOLDEN_FILE))
    return manifest
