"""Adapter to a transformers classifier in torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors import SafetensorError

from edgedistill.errors import ArtifactError
from edgedistill.tasks.encoding import inputs_of
from edgedistill.tasks.registry import task_of_model
from edgedistill.torch_setup import set_up_torch


class TorchModel:
    """A classifier of texts or pictures in eager torch, in evaluation mode and fp32."""

    def __init__(self, folder: Path) -> None:
        """Load `model.safetensors` and `config.json`; no code from the folder is run, nothing is downloaded.

        Raises:
            ArtifactError: the folder holds no whole classifier.
        """
        set_up_torch()
        task = task_of_model(folder)
        try:
            self._model = getattr(transformers, task.model_class).from_pretrained(
                folder, use_safetensors=True, local_files_only=True, trust_remote_code=False, dtype=torch.float32
            ).eval()
        except (OSError, ValueError, KeyError, SafetensorError) as bad:
            raise ArtifactError(f"{folder}: transformers makes no {task.kind} of it ({bad})",
                                hint="name a model folder that distill or teach made") from bad
        self._inputs = inputs_of(self._model.forward)

    @torch.inference_mode()
    def logits(self, batch: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return raw logits, shape (batch, classes)."""
        inputs = {name: torch.from_numpy(batch[name]) for name in self._inputs}
        answer = self._model(**inputs).logits
        return np.asarray(answer.float().numpy())
