"""Adapter to onnxruntime's converter: the same model in the format that small builds of the runtime load."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgedistill.errors import ArtifactError

Architecture = Literal["aarch64", "x86_64"]

_PLATFORMS = {"aarch64": "arm", "x86_64": "amd64"}
_CONVERTER = Path(__file__).with_name("ort_converter.py")
_LEVEL_VARIABLE = "ORT_CONVERT_ONNX_MODELS_TO_ORT_OPTIMIZATION_LEVEL"


@dataclass(frozen=True)
class ProviderSupport:
    """What an execution provider could take of a graph with fixed input shapes.

    Attributes:
        nodes: nodes of the graph.
        supported: nodes that it takes.
        partitions: pieces into which these fall; between two of them data are copied.
        verdict: the tool's word: YES, MAYBE or NO.
    """

    nodes: int
    supported: int
    partitions: int
    verdict: str


@dataclass(frozen=True)
class OrtModel:
    """A model in ORT format.

    Attributes:
        model: the .ort file.
        operators: operators and types that it needs, as a reduced build of onnxruntime wants to be told.
        nodes: number of nodes by operator, of the .onnx file after onnxruntime's basic optimisations.
        support: by execution provider, as `check_onnx_model_mobile_usability` finds it.
    """

    model: bytes
    operators: str
    nodes: Mapping[str, int]
    support: Mapping[str, ProviderSupport]


def convert_to_ort(model: bytes, architecture: Architecture, *, oldest: str) -> OrtModel:
    """Convert an ONNX model with the graph optimisations that an old runtime takes ("Fixed" style); the same bytes each time.

    Args:
        model: an .onnx file.
        architecture: what it will run on; NCHWc layouts are made for x86-64 alone.
        oldest: the release of onnxruntime that must load it, such as "1.17"; where it is older than the one installed, 8-bit
            weights are not fused with float products, since old ones do not know that operator.

    Raises:
        ArtifactError: onnxruntime does not convert it.
    """
    with tempfile.TemporaryDirectory(prefix="edgedistill-ort-") as name:
        folder = Path(name)
        (folder / "model.onnx").write_bytes(model)
        _run_converter(folder, _PLATFORMS[architecture], oldest)
        text = (folder / "model.required_operators_and_types.config").read_text(encoding="utf-8")
        # The tool writes the path of the file that it read, which is different each time.
        usability = json.loads((folder / "usability.json").read_text(encoding="utf-8"))
        return OrtModel(
            (folder / "model.ort").read_bytes(), text.replace(f"{folder}{os.sep}", ""), usability["operators"],
            {name: ProviderSupport(**values) for name, values in usability["providers"].items()},
        )


def _run_converter(folder: Path, platform: str, oldest: str) -> None:
    # A variable that is set for something else must not change what ships.
    environment = {key: value for key, value in os.environ.items() if key != _LEVEL_VARIABLE}
    done = subprocess.run(
        [sys.executable, "-P", str(_CONVERTER), str(folder), platform, oldest],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ArtifactError(f"model.onnx: onnxruntime does not convert it to ORT format ({last})",
                            hint="edgedistill doctor")
