"""A bundle, or a model folder with texts or pictures, on emulated cores: from plain paths to findings."""

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.emulation.cores import core_named
from edgedistill.emulation.environment import require_environment
from edgedistill.emulation.guest import Feeds
from edgedistill.errors import DataError, MissingDependencyError, UsageError
from edgedistill.evaluate.onnx_model import OnnxModel
from edgedistill.examples import NO_LABEL, read_examples
from edgedistill.package.archive import opened_bundle
from edgedistill.package.contents import MANIFEST_FILE, ONNX_FILE, read_manifest
from edgedistill.quantize.rows import each, fit_rows, read_rows
from edgedistill.recipe import Parity
from edgedistill.tasks.registry import open_encoder, task_named
from edgedistill.typed_paths import look_there, not_there
from edgedistill.user_paths import named_classes, open_examples
from edgedistill.verify.bundle import require_sound_bundle
from edgedistill.verify.emulated import BundleEmulations, check_on_core, read_golden

_Labelled = tuple[list[Feeds], NDArray[np.integer[Any]]]
"""Rows, and their classes, shape (rows,), or of several a row (rows, classes): `NO_LABEL` where there is none."""


def verify_on_cores(
    model: Path, cores: Sequence[str], data: Path | None = None, *, split: str = "test", onnxruntime: str | None = None,
    gates: Parity | None = None,
) -> BundleEmulations:
    """Let a bundle's model answer on emulated cores, and compare with this host's answers.

    Args:
        model: a bundle's folder or zip, whose golden vectors are replayed; or, with data, a model folder or .onnx file.
        cores: names out of `edgedistill.emulation.cores.CORES`.
        data: texts or pictures to replay as well: the folder that `prepare` wrote, or a file; or an .npz, an array an input.
        split: which split of a prepared folder.
        onnxruntime: version of the runtime in the emulator; default: the one installed here.
        gates: how far the answers may differ; default: those of a recipe without any.

    Raises:
        BundleError: files of the bundle are missing or altered.
        ParityError: the bundle fails on this very host.
        MissingDependencyError: there is no emulated environment with that runtime.
        UsageError: there is no such core, or a model without texts or pictures.
    """
    wanted, environment = [core_named(name) for name in cores], require_environment(onnxruntime)
    is_bundle = model.suffix == ".zip" or (model / MANIFEST_FILE).is_file()
    if is_bundle:
        require_sound_bundle(model)
    elif data is None:
        raise UsageError(f"{model}: is no bundle; a model alone needs texts or pictures to answer", hint="add --data FILE or DIR")
    with opened_bundle(model) if is_bundle else contextlib.nullcontext(model) as place:
        golden = read_golden(place) if is_bundle else None
        rows = [] if golden is None else _golden_feeds(place)
        labels: NDArray[np.integer[Any]] = np.full(len(rows), NO_LABEL)
        if data is not None:
            more, known = _feeds(place, data, split)
            rows, labels = [*rows, *more], np.concatenate([np.full((len(rows), *known.shape[1:]), NO_LABEL), known])
        file = place / ONNX_FILE if place.is_dir() else place
        agreement = (gates or Parity()).emulated_min_agreement
        return BundleEmulations(cores=tuple(
            check_on_core(file, rows, core=core, environment=environment, min_agreement=agreement, golden=golden, labels=labels)
            for core in wanted
        ))


def require_counts(onnxruntime: str | None = None) -> None:
    """Refuse to hold a model to a number of instructions where they cannot be counted.

    Args:
        onnxruntime: version of the runtime in the emulator; default: the one installed here.

    Raises:
        MissingDependencyError: there is no emulated environment with that runtime, or it cannot count.
    """
    facts = require_environment(onnxruntime).facts
    if not facts.counts_instructions:
        raise MissingDependencyError(f"instructions cannot be counted here: {facts.no_counts_because}",
                                     hint="edgedistill arm-env once that is mended; or leave out --instructions-at-most")


def _golden_feeds(bundle: Path) -> list[Feeds]:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "golden.arrow"
        task_named(read_manifest(bundle).task).write_golden(bundle, path)
        return _rows(bundle, path)[0]


def _feeds(model: Path, data: Path, split: str) -> _Labelled:
    """Return rows and their classes, `NO_LABEL` where there is none."""
    folder = model if model.is_dir() else model.parent
    if data.suffix == ".npz":
        return _arrays(model / ONNX_FILE if model.is_dir() else model, data)
    with open_examples(data, split, named_classes(folder), like=folder, may_lack_labels=True) as path:
        return _rows(folder, path)


def _arrays(model: Path, data: Path) -> _Labelled:
    """Return the rows of an .npz that holds an array for each input of a model.

    Raises:
        DataError: it cannot be read, or does not fit the model.
        UsageError: the model answers with one number a row.
    """
    if not data.is_file():
        raise DataError(not_there(data), hint=look_there(data))
    opened = OnnxModel(model)
    stored = fit_rows(read_rows(data, model.parent), opened.inputs, data)
    rows = list(each(stored))
    answer = opened.logits(rows[0])
    if answer.size == 1:
        raise UsageError(f"{model}: answers with one number a row; decisions are compared over two or more classes",
                         hint="let the graph put out a column for each class")
    return rows, np.full(len(rows), NO_LABEL) if stored.labels is None else stored.labels


def _rows(folder: Path, file: Path) -> _Labelled:
    """Return the inputs of every example, one a call, as the encoder of a model folder makes them; and their classes."""
    examples = read_examples(file)
    encoded = open_encoder(folder).encode_examples(examples)
    return [encoded.batch([index]) for index in range(len(encoded))], examples.labels
