"""One Predictor over torch and ONNX Runtime: a batch of model inputs in, raw logits out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgedistill.batch_parts import parts_of
from edgedistill.evaluate.onnx_model import OnnxModel
from edgedistill.progress import counted
from edgedistill.tasks.encoding import Encoded

ONNX_FILE = "model.onnx"
TORCH_FILE = "model.safetensors"


class Predictor(Protocol):
    """Something that answers."""

    def logits(self, batch: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return raw logits, shape (batch, classes), for the inputs of a batch."""


def open_predictor(model: Path, *, threads: int = 1) -> Predictor:
    """Open a model: an .onnx (or .ort) file, or a folder that holds model.onnx or model.safetensors."""
    if model.is_file():
        return OnnxModel(model, threads=threads)
    if (model / ONNX_FILE).is_file():
        return OnnxModel(model / ONNX_FILE, threads=threads)
    from edgedistill.evaluate.torch_model import TorchModel

    return TorchModel(model)


def predict(predictor: Predictor, encoded: Encoded, *, batch_size: int = 1) -> NDArray[np.float32]:
    """Return the logits of every example, in order, shape (n, classes).

    Args:
        predictor: the model.
        encoded: n examples.
        batch_size: examples a call, fewer of long texts; batches are made of those of like length. Keep 1 for dynamic
            int8: its activation scale is computed per tensor, so the neighbours in a batch would change the answer.
    """
    order = np.argsort(encoded.lengths, kind="stable") if batch_size > 1 else np.arange(len(encoded))
    chunks = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    parts = [
        predictor.logits(part)
        for chunk in counted(chunks, what="answering", total=len(order), unit="rows", size=len)
        for part in parts_of(encoded.batch(chunk))
    ]
    stacked = np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
    result = np.empty_like(stacked)
    result[order] = stacked
    return result
