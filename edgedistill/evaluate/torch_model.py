"""Adapter to a transformers classifier in torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgedistill.tasks.encoding import inputs_of
from edgedistill.teach.classifier import load_trained


class TorchModel:
    """A classifier of texts or pictures in eager torch, in evaluation mode and fp32."""

    def __init__(self, folder: Path) -> None:
        """Load `model.safetensors` and `config.json`; no code from the folder is run, nothing is downloaded.

        Raises:
            ArtifactError: the folder holds no whole classifier.
        """
        self._model = load_trained(folder)
        self._inputs = inputs_of(self._model.forward)

    @torch.inference_mode()
    def logits(self, batch: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return raw logits, shape (batch, classes)."""
        inputs = {name: torch.from_numpy(batch[name]) for name in self._inputs}
        answer = self._model(**inputs).logits
        return np.asarray(answer.float().numpy())
