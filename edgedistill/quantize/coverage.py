"""How much of a graph is int8: by weight bytes, by nodes, and what each part weighs."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from edgedistill.quantize.stored_twice import stored_twice
from edgedistill.results import Coverage

_WEIGHTED = {"MatMul", "Gemm", "Conv", "ConvTranspose", "FusedMatMul", "FusedGemm", "FusedConv", "NhwcFusedConv", "Gather",
             "Attention", "EmbedLayerNormalization"}
_QUANTIZED = {"MatMulInteger", "QLinearMatMul", "QGemm", "QLinearConv", "ConvInteger", "QAttention", "QEmbedLayerNormalization",
              "DynamicQuantizeMatMul", "MatMulIntegerToFloat"}
_BETWEEN_PAIRS = {"MatMul", "Gemm", "Conv", "ConvTranspose"}
_NEEDS_ROUNDED_OUTPUT = {"Conv", "ConvTranspose"}
LAYOUT_NODES = {"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Cast"}
"""What changes the shape, the order or the type of a value, and not the value."""
_INT8 = {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}
_FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE}
_MASK_READERS = {"Cast", "Slice", "Expand", "Where", "Not", "Equal", "Greater", "Less"}
_GRIDS = ("_scale", "_zero_point")

FLOAT_WEIGHT = "its weight is stored as float"
RESTORED = "its weight is stored in int8 and restored to float, as its input is not quantized"
TURNED = "its weight is stored in int8, restored to float, and transposed or reshaped before its use"
OPEN_OUTPUT = "its output is not quantized, and onnxruntime makes an int8 convolution only between pairs"
NOT_FUSED = "onnxruntime on this machine does not fuse it with the pairs around it"


def measure_coverage(path: Path) -> Coverage:
    """Measure how much of a quantized graph runs in int8.

    Weights are float or 8-bit initialisers with at least two dimensions, masks apart; nodes counted are those that use one. One
    between QDQ pairs (DequantizeLinear before both inputs, of a convolution also QuantizeLinear after it) is int8, since the
    runtime fuses them; one whose int8 weight is merely restored to float before use is not. A weight that is transposed or
    reshaped on its way, as a tied embedding table, is used all the same.

    Args:
        path: an ONNX file.

    Source: onnxruntime's QDQ selectors (core/optimizer/qdq_transformer/selectors_actions).
    """
    graph = _Graph(onnx.load(path, load_external_data=False).graph)
    float_nodes, int8_nodes = graph.split_nodes(pairs_count=True)
    total = len(float_nodes) + len(int8_nodes)
    return Coverage(
        weight_bytes_share=graph.int8_bytes / max(1, sum(graph.sizes.values())),
        nodes_share=len(int8_nodes) / total if total else 0.0,
        float_nodes=tuple(float_nodes),
        float_reasons=dict(float_nodes),
        bytes_by_part=graph.bytes_by_part(),
        stored_twice=stored_twice(graph.proto),
    )


def with_runtime(coverage: Coverage, path: Path) -> Coverage:
    """Return a coverage with what onnxruntime on this machine makes of the graph when it loads it.

    Which pairs it fuses depends on the instruction set: on x86 an int8 (not uint8) tensor with two readers stays apart.

    Args:
        coverage: of the file.
        path: the file.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as scratch:
        options.optimized_model_filepath = str(Path(scratch) / "optimized.onnx")
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        graph = _Graph(onnx.load(options.optimized_model_filepath, load_external_data=False).graph)
    float_nodes, int8_nodes = graph.split_nodes(pairs_count=False)
    total = len(float_nodes) + len(int8_nodes)
    names = {node.name for node in onnx.load(path, load_external_data=False).graph.node}
    unfused = {name: NOT_FUSED for name in (_name_in_file(found, names) for found in float_nodes)
               if name not in coverage.float_reasons}
    return coverage.model_copy(update={
        "runtime_nodes_share": len(int8_nodes) / total if total else 0.0,
        "float_reasons": coverage.float_reasons | unfused,
    })


def weights_of(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return the float and 8-bit constants of two or more axes by name; neither masks nor tables of indices are weights."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return {item.name: item for item in graph.initializer if len(item.dims) >= 2 and (
        item.data_type in _FLOATS or (item.data_type in _INT8 and not _is_mask(item.name, readers)))}


def _is_mask(name: str, readers: Mapping[str, list[onnx.NodeProto]]) -> bool:
    """Is a value of 8 bits read as one of other numbers alone, never restored, multiplied or looked up?"""
    return name in readers and all(
        node.op_type in _MASK_READERS or (node.op_type in LAYOUT_NODES and _is_mask(node.output[0], readers))
        for node in readers[name]
    )


def behind_layout(name: str, makers: Mapping[str, onnx.NodeProto]) -> str:
    """Return the value that a value is but for its shape, its order and its type: what is before Transpose, Reshape and the like.

    Args:
        name: of a value.
        makers: nodes by the values that they put out.
    """
    while name in makers and makers[name].op_type in LAYOUT_NODES:
        name = makers[name].input[0]
    return name


def _name_in_file(found: str, names: set[str]) -> str:
    """Return what a node was called before the runtime fused it; fusions append to the name."""
    return max((name for name in names if name and found.startswith(name)), key=len, default=found)


@dataclass(frozen=True)
class _Graph:
    """A graph with its weights looked up."""

    proto: onnx.GraphProto

    @cached_property
    def weights(self) -> Mapping[str, onnx.TensorProto]:
        return {name: item for name, item in weights_of(self.proto).items() if not name.endswith(_GRIDS)}

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        return {name: _bytes_of(weight) for name, weight in self.weights.items()}

    @property
    def int8_bytes(self) -> int:
        return sum(self.sizes[name] for name, weight in self.weights.items() if weight.data_type in _INT8)

    @cached_property
    def makers(self) -> Mapping[str, onnx.NodeProto]:
        return {output: node for node in self.proto.node for output in node.output}

    @cached_property
    def readers(self) -> Mapping[str, list[onnx.NodeProto]]:
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in self.proto.node:
            for name in node.input:
                found.setdefault(name, []).append(node)
        return found

    def split_nodes(self, *, pairs_count: bool) -> tuple[dict[str, str], list[str]]:
        """Return the nodes on weights that are float, each with the reason, and those that are int8."""
        floating: dict[str, str] = {}
        quantized: list[str] = []
        for node in self.proto.node:
            if node.op_type not in _WEIGHTED | _QUANTIZED:
                continue
            used = [name for name in (behind_layout(name, self.makers) for name in node.input)
                    if name in self.weights or self._is_restored(name)]
            if not used:
                continue
            name = node.name or node.output[0]
            is_stored = all(name in self.weights and self.weights[name].data_type in _INT8 for name in used)
            if node.op_type in _QUANTIZED or (node.op_type == "Gather" and is_stored):
                quantized.append(name)
                continue
            reason = self._why_float(node, used, pairs_count=pairs_count)
            if reason:
                floating[name] = reason
            else:
                quantized.append(name)
        return floating, quantized

    def _why_float(self, node: onnx.NodeProto, used: list[str], *, pairs_count: bool) -> str:
        if not all(self._is_restored(name) for name in used):
            return FLOAT_WEIGHT
        if not pairs_count:
            return NOT_FUSED
        if node.op_type not in _BETWEEN_PAIRS or not self._is_dequantized(node.input[0]):
            return RESTORED
        if not any(name in used for name in node.input):
            return TURNED
        if node.op_type in _NEEDS_ROUNDED_OUTPUT and not self._is_rounded(node.output[0]):
            return OPEN_OUTPUT
        return ""

    def _is_restored(self, name: str) -> bool:
        """Is the value an int8 weight made float?"""
        maker = self.makers.get(name)
        return maker is not None and maker.op_type == "DequantizeLinear" and maker.input[0] in self.weights

    def _is_dequantized(self, name: str) -> bool:
        """Is the value made float from integers that are no constant?"""
        maker = self.makers.get(name)
        return maker is not None and maker.op_type == "DequantizeLinear" and maker.input[0] not in self.weights

    def _is_rounded(self, name: str) -> bool:
        """Do all readers of a value quantize it, if need be after an activation that they swallow?"""
        readers = self.readers.get(name, [])
        return bool(readers) and all(
            reader.op_type == "QuantizeLinear" or (reader.op_type in ("Relu", "Clip") and self._is_rounded(reader.output[0]))
            for reader in readers
        )

    def bytes_by_part(self) -> dict[str, int]:
        """Return the bytes of all initialisers: embedding, encoder, head, other."""
        tables, head = self._tables(), self._last_weight()
        parts = {"embedding": 0, "encoder": 0, "head": 0, "other": 0}
        owners = self._owners()
        for item in self.proto.initializer:
            name = owners.get(item.name, item.name)
            part = _part_of(name, is_table=name in tables, is_last=name == head, is_weight=name in self.weights)
            parts[part] += _bytes_of(item)
        return parts

    def _owners(self) -> dict[str, str]:
        """Return the weight that a scale, a zero point or a bias belongs to, by its name."""
        constants = {item.name for item in self.proto.initializer}
        found: dict[str, str] = {}
        for node in self.proto.node:
            restored = [maker for maker in map(self.makers.get, node.input)
                        if maker is not None and maker.op_type == "DequantizeLinear" and maker.input[0] in constants]
            weight = next((maker.input[0] for maker in restored if maker.input[0] in self.weights), None)
            if weight is not None:
                found |= {name: weight for maker in restored for name in maker.input if name not in self.weights}
        return found

    def _tables(self) -> frozenset[str]:
        """Return what is looked up: tables, and the scales of their rows."""
        matrices = {item.name for item in self.proto.initializer if len(item.dims) >= 2}
        return frozenset(node.input[0] for node in self.proto.node if node.op_type == "Gather") & matrices

    def _last_weight(self) -> str:
        """Return the last weight of the graph; "" where the classifier is known by its name."""
        if any("classifier" in item.name.lower() for item in self.proto.initializer):
            return ""
        stored = [maker.input[0] for maker in map(self.makers.get, self._products()) if maker is not None]
        named = [name for name in self._products() if name in self.weights]
        return (named or stored or [""])[-1]

    def _products(self) -> list[str]:
        return [node.input[1] for node in self.proto.node if node.op_type in _BETWEEN_PAIRS | _QUANTIZED and len(node.input) > 1
                and (node.input[1] in self.weights or self._is_restored(node.input[1]))]


def _part_of(name: str, *, is_table: bool, is_last: bool, is_weight: bool) -> str:
    lower = name.lower()
    if "embedding" in lower or is_table:
        return "embedding"
    if "classifier" in lower:
        return "head"
    if any(word in lower for word in ("encoder", "layer", "attention", "pooler", "matmul", "qkv")):
        return "encoder"
    return "head" if is_last else "encoder" if is_weight else "other"


def _bytes_of(item: onnx.TensorProto) -> int:
    width = int(onnx.helper.tensor_dtype_to_np_dtype(item.data_type).itemsize)
    return int(np.prod(item.dims, dtype=np.int64)) * width
