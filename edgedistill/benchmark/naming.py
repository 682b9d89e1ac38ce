"""Names for models that are benchmarked alone: the protocol knows variants, a user gives paths."""

from collections.abc import Sequence
from pathlib import Path

from edgedistill.errors import UsageError
from edgedistill.results import Variant

_INT8: tuple[Variant, ...] = ("student_int8", "teacher_int8")
_FLOAT: tuple[Variant, ...] = ("student_onnx", "teacher")
_TORCH: tuple[Variant, ...] = ("student", "student_no_kd")
_ONNX = (".onnx", ".ort")
_VERDICT_FILE = "verdict.json"


def name_models(paths: Sequence[Path]) -> dict[Variant, Path]:
    """Give each model a variant's name, in order: a fitting one where one is free, for the names only tell them apart.

    Raises:
        UsageError: too many models, or a path that holds none.
    """
    named: dict[Variant, Path] = {}
    for path in paths:
        file = path / "model.onnx" if path.is_dir() else path
        is_onnx = file.is_file() and file.suffix in _ONNX
        if not is_onnx and not (path / "model.safetensors").is_file():
            raise UsageError(f"{path}: neither an .onnx file nor a model folder", hint="unpack it, and name the folder"
                             if path.suffix == ".zip" and file.is_file() else "edgedistill export MODEL -o DIR")
        is_int8 = (file.parent / _VERDICT_FILE).is_file()  # quantize leaves it there
        fitting = (_INT8 + _FLOAT if is_int8 else _FLOAT + _INT8) if is_onnx else _TORCH
        name = next((name for name in fitting if name not in named), None)
        if name is None:
            raise UsageError("too many models for one benchmark: four ONNX and two torch at most",
                             hint="leave some out")
        named[name] = file if is_onnx else path
    return named
