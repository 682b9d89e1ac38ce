"""Names for models that are benchmarked alone: the protocol knows variants, a user gives paths."""

from collections.abc import Sequence
from pathlib import Path

from edgedistill.errors import UsageError
from edgedistill.results import Variant

_NAMES: tuple[Variant, ...] = ("student_int8", "student_onnx", "teacher", "teacher_int8")
_TORCH_NAMES: tuple[Variant, ...] = ("student", "student_no_kd")


def name_models(paths: Sequence[Path]) -> dict[Variant, Path]:
    """Give each model a variant's name, in order; ONNX and torch models have names of their own.

    Raises:
        UsageError: too many models, or a path that holds none.
    """
    onnx, torch = iter(_NAMES), iter(_TORCH_NAMES)
    named: dict[Variant, Path] = {}
    for path in paths:
        file = path / "model.onnx" if path.is_dir() else path
        is_onnx = file.is_file()
        if not is_onnx and not (path / "model.safetensors").is_file():
            raise UsageError(f"{path}: neither an .onnx file nor a model folder", hint="edgedistill export MODEL -o DIR")
        name = next(onnx if is_onnx else torch, None)
        if name is None:
            raise UsageError("too many models for one benchmark: four ONNX and two torch at most", hint="leave some out")
        named[name] = file if is_onnx else path
    return named
