"""Which node suffers most from int8: by signal-to-noise ratio first, then by leaving one out.

The adapter to onnxruntime's `quantization.qdq_loss_debug`: it matches the values of a float graph with those of its QDQ graph.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization.qdq_loss_debug import compute_signal_to_quantization_noice_ratio

from edgedistill.quantize.activation_values import stream_activations
from edgedistill.quantize.calibration import Stream, find_ranges
from edgedistill.quantize.graph_forms import prepare_for_static, split_embeddings
from edgedistill.quantize.rounding import round_weights
from edgedistill.quantize.static_quantizer import nodes_to_quantize
from edgedistill.quantize.tables import is_look_up


@dataclass(frozen=True)
class Noise:
    """How much of a node's input survives int8.

    Attributes:
        node: its name in the float file; of a product cut out of a fused node, the fused node's.
        weight_db: signal-to-quantization-noise ratio of its weight in decibels; lower is worse.
        input_db: the same of what flows into it; infinite where nothing is quantized (a look-up).
        is_table: does it look an embedding up?
        weights: numbers in its weight.
    """

    node: str
    weight_db: float
    input_db: float
    is_table: bool
    weights: int

    @property
    def worst_db(self) -> float:
        """The worse of the two."""
        return min(self.weight_db, self.input_db)


def noise_by_node(source: Path, rows: Stream, *, is_per_channel: bool) -> tuple[Noise, ...]:
    """Return the signal-to-noise ratio of every node that int8 would quantize, the worst first.

    Args:
        source: the float ONNX file.
        rows: a few rows; their activations are held.
        is_per_channel: has each output of a weight a scale of its own?

    Reference: 20 log10(|x| / |x - y|), as onnxruntime's qdq_loss_debug has it.
    """
    model = onnx.load(source)
    prepare_for_static(model)
    fused = {node.name for node in model.graph.node if node.op_type == "EmbedLayerNormalization"}
    split_embeddings(model, frozenset(fused))
    weights = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    products = [node for node in nodes_to_quantize(model.graph) if len(node.input) > 1 and node.input[1] in weights]
    inputs = list(dict.fromkeys(node.input[0] for node in products))
    inside = _noise_of_values(model, inputs, rows)
    names = frozenset(node.name for node in onnx.load(source, load_external_data=False).graph.node)
    found = [
        Noise(_fused_name(node.name, names), _noise_of_weight(weights[node.input[1]], node, is_per_channel=is_per_channel),
              inside.get(node.input[0], np.inf), is_table=False, weights=weights[node.input[1]].size)
        for node in products
    ]
    found += [
        Noise(_owner(node.name, fused), _noise_of_table(weights[node.input[0]]), np.inf, is_table=True,
              weights=weights[node.input[0]].size)
        for node in model.graph.node if is_look_up(node) and node.input[0] in weights and weights[node.input[0]].ndim == 2
    ]
    worst: dict[str, Noise] = {}
    for item in found:
        if item.node not in worst or item.worst_db < worst[item.node].worst_db:
            worst[item.node] = item
    return tuple(sorted(worst.values(), key=lambda item: item.worst_db))


def _fused_name(name: str, names: frozenset[str]) -> str:
    """Return the name in the file of the node that a product is, or was cut out of."""
    whole = name.removesuffix("/MatMul")
    return whole if whole in names else name


def _owner(name: str, fused: Iterable[str]) -> str:
    """Return the fused node that a look-up was cut out of, or the look-up itself."""
    return next((whole for whole in fused if name.startswith(f"{whole}/")), name)


def _noise_of_values(model: onnx.ModelProto, tensors: Sequence[str], rows: Stream) -> Mapping[str, float]:
    """Return the ratio of each activation against itself in uint8 with the range of these rows, of the median channel.

    One channel that is far larger than the rest sets the scale, and then is most of the signal: the ratio of the whole would be
    fine, while nothing is left of the other channels.
    """
    stream = stream_activations(model, tensors, rows)
    ranges = find_ranges(stream, "min-max")
    values: dict[str, list[NDArray[np.float32]]] = {}
    for row in stream():
        for name, array in row.items():
            if array.size and array.dtype.kind == "f":
                values.setdefault(name, []).append(_by_channel(np.asarray(array, np.float32)))
    found = {}
    for name, parts in values.items():
        together = np.concatenate(parts)
        scale = max(ranges[name].high - ranges[name].low, float(np.finfo(np.float32).tiny)) / 255
        zero = np.round(-ranges[name].low / scale)
        rounded = ((np.clip(np.round(together / scale) + zero, 0, 255) - zero) * scale).astype(np.float32)
        found[name] = _median_ratio(together.T, rounded.T)
    return found


def _by_channel(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return values with a column a channel: the last axis of vectors and tokens, the second of images."""
    image_axes = 4
    moved = np.moveaxis(array, 1, -1) if array.ndim == image_axes else array
    return moved.reshape(-1, moved.shape[-1])


def _median_ratio(rows: NDArray[np.float32], restored: NDArray[np.float32]) -> float:
    """Return the ratio of the median row, in decibels; rows of zeros are no signal."""
    ratios = [compute_signal_to_quantization_noice_ratio(row, back) for row, back in zip(rows, restored, strict=True)
              if row.any()]
    return float(np.median(ratios)) if ratios else np.inf


def _noise_of_weight(weight: NDArray[np.float32], node: onnx.NodeProto, *, is_per_channel: bool) -> float:
    """Return the ratio of the weights of the median input: one huge row, too, hides what happens to the others."""
    is_transposed = node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute)
    axis = 0 if is_transposed or node.op_type == "Conv" else 1
    integers, scale, _ = round_weights(weight, axis=axis if is_per_channel else None, weights="wi8")
    shape = [-1 if place == axis else 1 for place in range(weight.ndim)] if is_per_channel else []
    restored = (integers.astype(np.float32) * scale.reshape(shape)).astype(np.float32)
    by_input = (np.moveaxis(array, axis, -1).reshape(-1, weight.shape[axis]) for array in (weight, restored))
    return _median_ratio(*by_input)


def _noise_of_table(table: NDArray[np.float32]) -> float:
    """Return the ratio of the median row: a single huge row hides what happens to all others."""
    integers, scale, _ = round_weights(table, axis=None, weights="wi8")
    restored = (integers.astype(np.float32) * scale).astype(np.float32)
    return _median_ratio(table, restored)
