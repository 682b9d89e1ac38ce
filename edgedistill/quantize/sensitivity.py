"""Which node suffers most from int8: by signal-to-noise ratio first, then by leaving one out.

Where the scheme is static its QDQ graph is made, and the weights and values in it are matched with what they were before they
were rounded (`qdq_matching`, onnxruntime's `quantization.qdq_loss_debug`). A scheme without calibration has no QDQ graph: there
each weight, and each input over the range of a few rows, is rounded alone. So is a table in both cases, as it is looked up
before it is restored.

A value is compared with itself before its own rounding, not with the float graph's: there the noise of all nodes before it would
count too, and the last node would always be the worst.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization.qdq_loss_debug import compute_signal_to_quantization_noice_ratio

from edgedistill.quantize.activation_values import stream_activations
from edgedistill.quantize.calibration import Stream, find_ranges
from edgedistill.quantize.qdq_matching import match_weights, stream_value_pairs
from edgedistill.quantize.rounding import round_weights
from edgedistill.quantize.scheme_names import Scheme
from edgedistill.quantize.static_quantizer import Calibration, insert_pairs, prepared_graph, products_on_weights
from edgedistill.quantize.tables import is_look_up

_Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Noise:
    """How much of a node's input survives int8.

    Attributes:
        node: its name in the float file; of a product cut out of a fused node, the fused node's.
        weight_db: signal-to-quantization-noise ratio of its weight in decibels; lower is worse.
        input_db: the same of what flows into it; infinite where nothing is quantized (a look-up).
        is_table: does it look an embedding up?
        weights: numbers in its weight.
        is_from_graph: were weight and input compared in the scheme's QDQ graph? Else each was rounded alone.
    """

    node: str
    weight_db: float
    input_db: float
    is_table: bool
    weights: int
    is_from_graph: bool = False

    @property
    def worst_db(self) -> float:
        """The worse of the two."""
        return min(self.weight_db, self.input_db)


def noise_by_node(
    source: Path, rows: Stream, scheme: Scheme, *, calibration: Calibration | None = None
) -> tuple[Noise, ...]:
    """Return the signal-to-noise ratio of every node that int8 would quantize, the worst first.

    Args:
        source: the float ONNX file.
        rows: a few rows, each a batch of 1; without a QDQ graph their activations are held, with one those of a row at a time.
        scheme: how weights and activations become int8.
        calibration: of a static scheme, from which its QDQ graph is made.

    Raises:
        ValueError: a static scheme without calibration.

    Reference: 20 log10(|x| / |x - y|), as onnxruntime's qdq_loss_debug has it.
    """
    model, file = prepared_graph(source), onnx.load(source, load_external_data=False).graph
    names = frozenset(node.name for node in file.node)
    fused = {node.name for node in file.node if node.op_type == "EmbedLayerNormalization"}
    weights = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    products = products_on_weights(model.graph)
    if not scheme.needs_calibration:
        found = _rounded_alone(model, products, rows, weights, is_per_channel=scheme.is_per_channel)
    elif calibration is None:
        raise ValueError(f"{scheme.name} needs rows to calibrate on")
    else:
        found = _in_qdq_graph(model, products, rows, weights, insert_pairs(model, scheme, calibration=calibration))
    found = [replace(item, node=_fused_name(item.node, names)) for item in found]
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


def _rounded_alone(
    model: onnx.ModelProto, products: Sequence[onnx.NodeProto], rows: Stream, weights: _Weights, *, is_per_channel: bool
) -> list[Noise]:
    """Return the noise of products whose weight and input are rounded by themselves, the input over the range of the rows."""
    inside = _noise_of_values(model, list(dict.fromkeys(node.input[0] for node in products)), rows)
    return [
        Noise(node.name, _noise_of_weight(weights[node.input[1]], node, is_per_channel=is_per_channel),
              inside.get(node.input[0], np.inf), is_table=False, weights=weights[node.input[1]].size)
        for node in products
    ]


def _in_qdq_graph(
    model: onnx.ModelProto, products: Sequence[onnx.NodeProto], rows: Stream, weights: _Weights, qdq: onnx.ModelProto
) -> list[Noise]:
    """Return the noise of products as it is in a QDQ graph; infinite where it rounds nothing."""
    matched = match_weights(model, qdq)
    inside = _noise_of_pairs(products, rows, weights, qdq)
    return [
        Noise(node.name, _median_by_input(*matched[node.input[1]], node) if node.input[1] in matched else np.inf,
              inside.get(node.input[0], np.inf), is_table=False, weights=weights[node.input[1]].size, is_from_graph=True)
        for node in products
    ]


def _noise_of_pairs(
    products: Sequence[onnx.NodeProto], rows: Stream, weights: _Weights, qdq: onnx.ModelProto
) -> dict[str, float]:
    """Return the ratio of each product's input before and after its pair, of the median channel; sums are kept, not values."""
    readers = {node.input[0]: node for node in reversed(products)}
    sums: dict[str, NDArray[np.float64]] = {}
    for row in stream_value_pairs(qdq, rows):
        for name, pair in row.items():
            if name in readers and pair[0].size:
                before, after = (_channels_of(flat, readers[name], weights[readers[name].input[1]]) for flat in pair)
                is_finite = np.isfinite(before) & np.isfinite(after)
                squares = [np.where(is_finite, part, 0).astype(np.float64) ** 2 for part in (before, before - after)]
                sums[name] = sums.get(name, np.zeros(())) + np.stack([part.sum(axis=0) for part in squares])
    lengths = {name: np.sqrt(found).T[:, :, None] for name, found in sums.items()}  # of signal and noise, by channel
    return {name: _median_ratio(found[:, 0], found[:, 0] - found[:, 1]) for name, found in lengths.items()}


def _channels_of(flat: NDArray[np.float32], node: onnx.NodeProto, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the flat input of a product, of a batch of 1, with a column a channel."""
    if node.op_type in ("Conv", "ConvTranspose"):
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        channels = weight.shape[1] * groups if node.op_type == "Conv" else weight.shape[0]
        return flat.reshape(channels, -1).T
    return flat.reshape(-1, weight.shape[1 if _is_transposed(node) else -2])


def _is_transposed(node: onnx.NodeProto) -> bool:
    return node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute)


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
            if array.size and array.dtype.kind == "f" and name in ranges:
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
    """Return the ratio of a weight that is rounded to int8, of the median input."""
    axis = _output_axis(node, weight)
    integers, scale, _ = round_weights(weight, axis=axis if is_per_channel else None, weights="wi8")
    shape = [-1 if place == axis else 1 for place in range(weight.ndim)] if is_per_channel else []
    return _median_by_input(weight, (integers.astype(np.float32) * scale.reshape(shape)).astype(np.float32), node)


def _median_by_input(weight: NDArray[np.float32], restored: NDArray[np.float32], node: onnx.NodeProto) -> float:
    """Return the ratio of the weights of the median input: one huge row, too, hides what happens to the others."""
    axis = _output_axis(node, weight)
    by_input = (np.moveaxis(array, axis, -1).reshape(-1, weight.shape[axis]) for array in (weight, restored))
    return _median_ratio(*by_input)


def _output_axis(node: onnx.NodeProto, weight: NDArray[np.float32]) -> int:
    if node.op_type == "MatMul":
        return weight.ndim - 1
    return 0 if _is_transposed(node) or node.op_type == "Conv" else 1


def _noise_of_table(table: NDArray[np.float32]) -> float:
    """Return the ratio of the median row: a single huge row hides what happens to all others."""
    integers, scale, _ = round_weights(table, axis=None, weights="wi8")
    restored = (integers.astype(np.float32) * scale).astype(np.float32)
    return _median_ratio(table, restored)
