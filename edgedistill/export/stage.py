"""The door of `export`: a torch model folder becomes an ONNX model folder, fused, within the target runtime's versions."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from edgedistill.document import Document
from edgedistill.errors import ArtifactError
from edgedistill.export.norm_form import APART_SINCE, NormForm, in_norm_form, norm_form
from edgedistill.manifest import Decision
from edgedistill.stage import Outcome, Stage
from edgedistill.target import Target
from edgedistill.tasks.registry import task_of_model

ONNX_FILE = "model.onnx"
_RAW_FILE = "exported.onnx"
_APART_FILE = "apart.onnx"
_CONFIG_FILE = "config.json"


class Settings(Document):
    """What the target's runtime reads, and the form of norms that it is faster with."""

    max_ir_version: int
    max_opset: int
    norms: NormForm = "fused"


def settings_for(target: Target) -> Settings:
    """Return the stage's settings for a target."""
    runtime = target.runtime
    return Settings(max_ir_version=runtime.max_ir_version, max_opset=runtime.max_opset, norms=norm_form(target))


@dataclass(frozen=True)
class Inputs:
    """`model`: a folder with config.json, model.safetensors and the file its encoder is made from."""

    model: Path


def _requires(settings: Settings, inputs: Inputs) -> None:
    for name in (_CONFIG_FILE, task_of_model(inputs.model).encoder_file, "model.safetensors"):
        if not (inputs.model / name).is_file():
            raise ArtifactError(f"{inputs.model / name}: no such file", hint="name a model folder that distill or teach made")


def _run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    import onnx

    from edgedistill.export.exporter import export_classifier, limit_versions
    export_classifier(inputs.model, out / _RAW_FILE)
    task_of_model(inputs.model).finish_graph(out / _RAW_FILE, out / ONNX_FILE, model=inputs.model)
    is_apart = in_norm_form(out / ONNX_FILE, out / _APART_FILE, settings.norms) != out / ONNX_FILE
    if is_apart:
        (out / _APART_FILE).replace(out / ONNX_FILE)
    limit_versions(out / ONNX_FILE, max_ir_version=settings.max_ir_version, max_opset=settings.max_opset)
    copy_companions(inputs.model, out)
    nodes = len(onnx.load(out / ONNX_FILE, load_external_data=False).graph.node)
    before = len(onnx.load(out / _RAW_FILE, load_external_data=False).graph.node)
    (out / _RAW_FILE).unlink()
    for left in out.glob(_RAW_FILE + "*"):
        left.unlink()
    decisions = [Decision(step="export", what=f"fused {before} nodes into {nodes}",
                          why="on small models the cost per node is most of the time")] if nodes < before else []
    if is_apart:
        decisions.append(Decision(
            step="export", what="residual sums and their LayerNorms stay apart",
            why=f"onnxruntime {'.'.join(map(str, APART_SINCE))} and newer is slower with them fused on x86-64",
        ))
    return Outcome(decisions=tuple(decisions))


def copy_companions(source: Path, out: Path) -> None:
    """Copy what makes a model folder usable besides its weights, byte for byte."""
    for name in (_CONFIG_FILE, *task_of_model(source).companions):
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)


def _ensures(out: Path) -> None:
    import onnx

    onnx.checker.check_model(str(out / ONNX_FILE), full_check=False, skip_opset_compatibility_check=True)


STAGE = Stage(name="export", version=2, run=_run, requires=_requires, ensures=_ensures,
              tools=("torch", "transformers", "optimum-onnx", "onnx", "onnxruntime"))
