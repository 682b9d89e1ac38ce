"""Can a teacher be exported? Asked before it is trained and labels anything."""

from pathlib import Path

from edgedistill.errors import TeacherError

MOST_BYTES = 2**31 - 1
"""What protobuf writes as one message at most; an ONNX file is one."""

_FLOAT_BYTES = 4
_WEIGHTS = ("model.safetensors", "model-*.safetensors")
_OF_OTHER_HEADS = ("lm_head.", "cls.predictions.", "lm_predictions.", "mask_predictions.")
_HINT = "name a smaller teacher of its family, or one of another"


def require_float_file_fits(folder: Path) -> None:
    """Refuse a teacher whose float ONNX file would be too large for protobuf.

    Its weights become float32, however they are stored; those of a head for masked words are left out of the count.

    Raises:
        TeacherError: says how large it would be; or its weights are no safetensors.
    """
    files = [file for pattern in _WEIGHTS for file in sorted(folder.glob(pattern))]
    if 2 * sum(file.stat().st_size for file in files) <= MOST_BYTES:  # 16 bits a number become 32
        return
    needed = sum(_float_bytes(file) for file in files)
    if needed > MOST_BYTES:
        raise TeacherError(f"{folder}: the teacher's float ONNX file would be {needed / 2**30:.2f} GiB, and protobuf, which "
                           "it is written with, takes 2 GiB at most", hint=_HINT)


def _float_bytes(file: Path) -> int:
    """Return the bytes of a file's floating-point weights in float32; reads its header only."""
    from math import prod

    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as weights:
            parts = [weights.get_slice(name) for name in weights.keys() if not name.startswith(_OF_OTHER_HEADS)]  # noqa: SIM118
            return sum(_FLOAT_BYTES * prod(part.get_shape()) for part in parts if "F" in part.get_dtype())
    except SafetensorError as bad:
        raise TeacherError(f"{file}: not a whole safetensors file ({bad})", hint="get the weights again") from bad


def require_exporter(model_type: str, task: str) -> None:
    """Refuse a family that optimum cannot export. Imports torch.

    Args:
        model_type: of transformers, as config.json has it.
        task: the hub's task id.

    Raises:
        TeacherError: names the family.
    """
    from optimum.exporters.onnx import model_configs  # noqa: F401 - fills the list of what can be exported
    from optimum.exporters.tasks import TasksManager

    try:
        TasksManager.get_exporter_config_constructor("onnx", model_type=model_type, task=task, library_name="transformers")
    except (KeyError, ValueError) as bad:
        raise TeacherError(f"the teacher's family {model_type!r} cannot be exported for {task}: optimum knows no ONNX form of it",
                           hint="choose a teacher of another family: see docs/export.md") from bad
