"""Adapter to ONNX Runtime: the only place where evaluation meets its types."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edgedistill.errors import ArtifactError


class OnnxModel:
    """A model in ONNX Runtime on the CPU."""

    def __init__(self, path: Path, *, threads: int = 1, arena: bool = True) -> None:
        """Load a model.

        Args:
            path: an .onnx or .ort file.
            threads: intra-op threads; they do not spin between calls.
            arena: may the runtime keep the memory that it has freed?

        Raises:
            ArtifactError: the runtime does not load the file.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = arena
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as bad:  # onnxruntime's errors share no public base class
            raise ArtifactError(f"{path}: onnxruntime {ort.__version__} does not load it ({bad})",
                                hint="edgedistill doctor") from bad
        self._inputs = [node.name for node in self._session.get_inputs()]

    def logits(self, batch: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return raw logits, shape (batch, classes); inputs that the graph does not have are left out."""
        (answer, *_) = self._session.run(None, {name: batch[name] for name in self._inputs})
        return np.asarray(answer, dtype=np.float32)
