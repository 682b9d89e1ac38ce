"""Adapter to onnxruntime's converter: the same model in the format that small builds of the runtime load."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgedistill.errors import ArtifactError

Architecture = Literal["aarch64", "x86_64"]

_PLATFORMS = {"aarch64": "arm", "x86_64": "amd64"}
_CONVERTER = Path(__file__).with_name("ort_converter.py")
_LEVEL_VARIABLE = "ORT_CONVERT_ONNX_MODELS_TO_ORT_OPTIMIZATION_LEVEL"


@dataclass(frozen=True)
class OrtModel:
    """A model in ORT format.

    Attributes:
        model: the .ort file.
        operators: operators and types that it needs, as a reduced build of onnxruntime wants to be told.
    """

    model: bytes
    operators: str


def convert_to_ort(model: bytes, architecture: Architecture) -> OrtModel:
    """Convert an ONNX model with all graph optimisations baked in ("Fixed" style); the same bytes each time.

    Args:
        model: an .onnx file.
        architecture: what it will run on; NCHWc layouts are made for x86-64 alone.

    Raises:
        ArtifactError: onnxruntime does not convert it.
    """
    with tempfile.TemporaryDirectory(prefix="edgedistill-ort-") as name:
        folder = Path(name)
        (folder / "model.onnx").write_bytes(model)
        _run_converter(folder, _PLATFORMS[architecture])
        text = (folder / "model.required_operators_and_types.config").read_text(encoding="utf-8")
        # The tool writes the path of the file that it read, which is different each time.
        return OrtModel((folder / "model.ort").read_bytes(), text.replace(f"{folder}{os.sep}", ""))


def _run_converter(folder: Path, platform: str) -> None:
    # A variable that is set for something else must not change what ships.
    environment = {key: value for key, value in os.environ.items() if key != _LEVEL_VARIABLE}
    done = subprocess.run(
        [sys.executable, "-P", str(_CONVERTER), str(folder), platform],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ArtifactError(f"model.onnx: onnxruntime does not convert it to ORT format ({last})",
                            hint="edgedistill doctor")
