"""Adapter to onnxruntime's `quantization.qdq_loss_debug`: weights and values of a graph matched with what its QDQ graph has."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import CalibrationDataReader
from onnxruntime.quantization.qdq_loss_debug import (
    collect_activations,
    create_activation_matching,
    create_weight_matching,
    modify_model_output_intermediate_tensors,
)

from edgedistill.quantize.calibration import Arrays, Stream

_Pair = tuple[NDArray[np.float32], NDArray[np.float32]]
_PAIRS = ("QuantizeLinear", "DequantizeLinear")


def match_weights(model: onnx.ModelProto, qdq: onnx.ModelProto) -> dict[str, _Pair]:
    """Return every weight of a float graph that its QDQ graph restores from integers: as it is, and as it is restored.

    Args:
        model: the float graph.
        qdq: its QDQ graph, with the names that onnxruntime's quantizer gives; neither is changed.
    """
    with tempfile.TemporaryDirectory() as name:
        float_file, qdq_file = Path(name) / "float.onnx", Path(name) / "qdq.onnx"
        onnx.save(model, float_file)
        onnx.save(_with_wide_weights(qdq), qdq_file)
        found = create_weight_matching(str(float_file), str(qdq_file))
    return {weight: (match["float"], match["dequantized"]) for weight, match in found.items()}


def stream_value_pairs(qdq: onnx.ModelProto, rows: Stream) -> Iterator[Mapping[str, _Pair]]:
    """Yield, row by row, each value that a QDQ graph rounds: as it is before, and as it is restored; both flat.

    One row is held at a time. The graph runs as it is written, each pair as a rounding of its own, nothing fused.

    Args:
        qdq: a QDQ graph with the names that onnxruntime's quantizer gives.
        rows: the model's inputs; names that the graph does not have are left out.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    taken = {item.name for item in qdq.graph.input}
    with tempfile.TemporaryDirectory() as name:
        plain, watched = Path(name) / "qdq.onnx", Path(name) / "watched.onnx"
        onnx.save(qdq, plain)
        modify_model_output_intermediate_tensors(plain, watched, op_types_for_saving=_PAIRS)
        for row in rows():
            reader = _OneRow({key: array for key, array in row.items() if key in taken})
            found = create_activation_matching(collect_activations(str(watched), reader, options))
            yield {key: (match["pre_qdq"][0], match["post_qdq"][0]) for key, match in found.items()}


class _OneRow(CalibrationDataReader):  # type: ignore[misc] # onnxruntime has no types
    """A single row as `collect_activations` wants it; it would hold the values of all that it is given."""

    def __init__(self, row: Arrays) -> None:
        self._left: list[Arrays] = [row]

    def get_next(self) -> Arrays | None:
        """Return the row the first time, then None."""
        return self._left.pop() if self._left else None


def _with_wide_weights(qdq: onnx.ModelProto) -> onnx.ModelProto:
    """Return a QDQ graph with its uint8 weights and their zero points in 32 bits.

    onnxruntime 1.32's `create_weight_matching` subtracts the zero point in the type of the weight, where uint8 wraps around.
    """
    wide = onnx.ModelProto()
    wide.CopyFrom(qdq)
    stored = {item.name: item for item in wide.graph.initializer if item.data_type == TensorProto.UINT8}
    weights = [node for node in wide.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in stored]
    for name in dict.fromkeys(name for node in weights for name in (node.input[0], *node.input[2:]) if name in stored):
        stored[name].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(stored[name]).astype(np.int32), name))
    return wide
