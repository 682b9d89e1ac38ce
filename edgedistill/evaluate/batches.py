"""How many examples a call a model takes, as its file says."""

from pathlib import Path

from edgedistill.errors import ArtifactError
from edgedistill.evaluate.onnx_model import OnnxModel
from edgedistill.evaluate.predictor import ONNX_FILE
from edgedistill.quantize.plain_form import is_dynamic

_MOST = 32
_MASK = "attention_mask"
_TOKENS = "input_ids"


def batch_size_of(model: Path) -> int:
    """Return the examples a call with which a model folder is evaluated, 1 or 32.

    One is for a graph that finds scales in each call, that takes no mask (the padding of a batch would be read as text), or whose
    inputs have a fixed first axis of 1.

    Raises:
        ArtifactError: model.onnx does not load, or takes a fixed number of examples other than 1.
    """
    file = model / ONNX_FILE
    if not file.is_file():
        return _MOST
    finds_scales = is_dynamic(file)
    inputs = OnnxModel(file).inputs
    fixed = {item.shape[0] for item in inputs if item.shape} - {None}
    if fixed - {1}:
        raise ArtifactError(f"{file}: takes {max(size for size in fixed if size)} examples a call, no more and no fewer",
                            hint="export it with a free first axis (dynamic_axes or dynamic_shapes), or with 1")
    names = {item.name for item in inputs}
    is_alone = finds_scales or bool(fixed) or (_TOKENS in names and _MASK not in names)
    return 1 if is_alone else _MOST
