"""Adapter to a transformers sequence classifier in torch."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification

from edgedistill.errors import ArtifactError
from edgedistill.torch_setup import set_up_torch


class TorchModel:
    """A sequence classifier in eager torch, in evaluation mode and fp32."""

    def __init__(self, folder: Path) -> None:
        """Load `model.safetensors` and `config.json`; no code from the folder is run, nothing is downloaded.

        Raises:
            ArtifactError: the folder holds no whole classifier.
        """
        set_up_torch()
        try:
            self._model = AutoModelForSequenceClassification.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, trust_remote_code=False, dtype=torch.float32
            ).eval()
        except (OSError, ValueError, KeyError, SafetensorError) as bad:
            raise ArtifactError(f"{folder}: transformers makes no sequence classifier of it ({bad})",
                                hint="name a model folder that distill or teach made") from bad
        kinds = self._model.forward.__code__.co_varnames
        self._inputs = [n for n in ("input_ids", "attention_mask", "token_type_ids") if n in kinds]

    @torch.inference_mode()
    def logits(self, batch: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """Return raw logits, shape (batch, classes)."""
        inputs = {name: torch.from_numpy(batch[name]) for name in self._inputs}
        answer = self._model(**inputs).logits
        return np.asarray(answer.float().numpy())
