"""Weights that hold something else than numbers are refused before anything is rounded."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgedistill.errors import ArtifactError

_ON_WEIGHTS = {"MatMul", "Gemm", "Conv", "ConvTranspose", "Gather", "Attention", "EmbedLayerNormalization", "BatchNormalization"}
_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE}


def require_finite_weights(path: Path, *, named: Path) -> None:
    """Refuse a model with nan or infinity in a weight, a bias or a table: no scale fits them.

    Other constants may be infinite, as what is added to hide the places of a mask.

    Args:
        path: a float ONNX file.
        named: the file that the user gave, for the message.

    Raises:
        ArtifactError: names the first initialiser that holds them, and how many.
    """
    graph = onnx.load(path).graph
    stored = {item.name: item for item in graph.initializer if item.data_type in _FLOATS}
    read = dict.fromkeys(name for node in graph.node if node.op_type in _ON_WEIGHTS for name in node.input)
    for name in (name for name in read if name in stored):
        array = numpy_helper.to_array(stored[name])
        bad = array.size - int(np.isfinite(array).sum())
        if bad:
            raise ArtifactError(f"{named}: {bad} of the {array.size} numbers in {name} are nan or infinite",
                                hint="train the model again, with a lower learning rate; or export a checkpoint from before: "
                                "edgedistill export MODEL -o DIR")
