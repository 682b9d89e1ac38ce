"""Adapter to optimum's ONNX exporter: a classifier in, a float ONNX file with dynamic batch and length out."""

import logging
import warnings
from pathlib import Path

import onnx
from optimum.exporters.onnx import export
from optimum.exporters.tasks import TasksManager

from edgedistill.errors import ArtifactError
from edgedistill.tasks.registry import task_of_model
from edgedistill.teach.classifier import load_trained

log = logging.getLogger("edgedistill")

OPSET = 18
"""What optimum-onnx exports without converting; onnxruntime reads it since 1.14."""


def export_classifier(folder: Path, out: Path) -> None:
    """Export a model folder to one ONNX file.

    Args:
        folder: config.json and model.safetensors.
        out: the .onnx file to make; every dimension of the inputs is dynamic.

    Raises:
        ArtifactError: the folder holds no whole classifier, or optimum knows no export for this architecture.
    """
    model, task = load_trained(folder, attn_implementation="eager"), task_of_model(folder)
    try:
        make_config = TasksManager.get_exporter_config_constructor(
            "onnx", model, task=task.name, library_name="transformers"
        )
    except (KeyError, ValueError) as bad:
        raise ArtifactError(f"{folder}: optimum exports no {model.config.model_type} classifier ({bad})",
                            hint="choose a teacher of another family") from bad
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns about every shape that becomes a constant on purpose
        export(model, make_config(model.config), out, opset=OPSET)


def limit_versions(path: Path, *, max_ir_version: int, max_opset: int) -> None:
    """Keep a model within what a runtime reads.

    Args:
        path: the ONNX file; its IR version is lowered in place where it may be.
        max_ir_version: highest IR version the runtime reads.
        max_opset: highest default-domain opset it reads.

    Raises:
        ArtifactError: the opset is higher, which cannot be lowered afterwards.
    """
    model = onnx.load(path)
    opset = next(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    if opset > max_opset:
        raise ArtifactError(f"{path}: opset {opset}, the target's runtime reads {max_opset} at most",
                            hint="choose a target with a newer runtime")
    if model.ir_version > max_ir_version:
        model.ir_version = max_ir_version
        onnx.save(model, path)
