"""Adapter to ONNX Runtime: the only place where evaluation meets its types."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edgedistill.emulation.guest import scores_among
from edgedistill.errors import ArtifactError

_NUMPY_TYPES = {"tensor(float)": "float32", "tensor(double)": "float64"} | {
    f"tensor({name})": name
    for name in ("float16", "bool", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8")
}


@dataclass(frozen=True)
class ModelInput:
    """An input that a model wants.

    Attributes:
        name: of it.
        dtype: numpy's type; None where numpy has none (a sequence, strings).
        shape: its axes; None for one of any length.
    """

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | None, ...]


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
        self._path = path
        self._inputs = [node.name for node in self._session.get_inputs()]
        self._output: int | None = None

    @property
    def inputs(self) -> tuple[ModelInput, ...]:
        """What the model wants."""
        return tuple(
            ModelInput(
                node.name, np.dtype(_NUMPY_TYPES[node.type]) if node.type in _NUMPY_TYPES else None,
                tuple(size if isinstance(size, int) and size > 0 else None for size in node.shape),
            )
            for node in self._session.get_inputs()
        )

    def logits(self, batch: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return raw logits, shape (batch, classes); inputs that the graph does not have are left out.

        Of several outputs it is the first of float numbers with two or more columns; where there is none, the first of float
        numbers: its shape is then (batch, 1) or (batch,).

        Raises:
            ArtifactError: the model asks for an input that the batch has not, does not run on it, or puts out no float numbers.
        """
        missing = [name for name in self._inputs if name not in batch]
        if missing:
            raise ArtifactError(f"{self._path}: asks for {', '.join(missing)}, and gets {', '.join(batch)}",
                                hint=f"edgedistill export MODEL -o DIR makes a graph that needs no {missing[0]}; of one made "
                                     "elsewhere, let the export leave it out")
        fed = {name: batch[name] for name in self._inputs}
        try:
            answers = self._session.run(None, fed)
        except Exception as bad:  # onnxruntime's errors share no public base class
            shapes = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in fed.items())
            raise ArtifactError(f"{self._path}: does not answer {shapes} ({bad})",
                                hint="give rows as the model takes them: its types, shapes and range of values") from bad
        if self._output is None:
            self._output = scores_among(answers)
        if self._output is None:
            names = ", ".join(f"{node.name} ({node.type})" for node in self._session.get_outputs())
            raise ArtifactError(f"{self._path}: puts out no scores of classes as float numbers, but {names}",
                                hint="let the graph put out scores; skl2onnx does with options={'zipmap': False}")
        return np.asarray(answers[self._output], dtype=np.float32)
