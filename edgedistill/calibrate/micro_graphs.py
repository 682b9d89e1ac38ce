"""Some forty small ONNX graphs, each mostly one class of operator, with the work that each does; and a few whole encoders.

A class of operator alone runs with its weights in the nearest cache, over and over. In a student the next layer's weights take
their place, and every node waits for the one before. Rates of single operators alone make students too fast, so whole
encoders, of the nodes that a student's graph has, are among the graphs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgedistill.export.norm_form import NormForm
from edgedistill.latency.workload import Workload, glue_per_layer
from edgedistill.shape import NODES_PER_LAYER, StudentShape, macs_of, weigh

OPSET, IR_VERSION = 20, 9
"""What the oldest supported onnxruntime reads."""

_NOTHING = Workload(0, 0, 0, 0, 0, 0)
_INT8_SIZES = ((8, 64, 64), (8, 128, 128), (16, 128, 512), (16, 512, 128), (16, 192, 192), (16, 192, 512), (16, 256, 256),
               (16, 256, 1024), (32, 256, 256), (16, 384, 384), (16, 384, 1536), (64, 384, 384), (1, 1024, 1024), (1, 2048, 2048))
_FLOAT_SIZES = ((8, 64, 64), (16, 128, 128), (16, 256, 256), (32, 256, 1024), (64, 384, 384), (64, 64, 64))
_GLUE_SIZES = ((4, 64), (8, 64), (8, 128), (16, 128), (12, 192), (16, 256), (32, 256), (16, 384), (64, 384))
_HEAD = 32
_GATHER_SIZES = ((1000, 64, 8), (8000, 128, 16), (30000, 256, 64))
_STREAM_SIZES = ((1024, 1024), (2048, 1024), (2048, 2048))
_CHAINS = (1, 2, 4, 8, 16)
_CHAIN_WIDTH = 8
_ENCODER_SIZES = ((2, 64, 256, 12), (4, 96, 192, 12), (6, 128, 256, 12), (6, 192, 512, 12), (6, 384, 1536, 12), (4, 128, 512, 32))
"""Layers, width, width within and tokens: from a student whose weights fit any cache to one whose weights fit none."""

_FUSED = "com.microsoft"
"""The domain of the operators that onnxruntime's optimizer makes."""


@dataclass(frozen=True)
class MicroGraph:
    """A graph and the work of one run.

    Attributes:
        name: class of operator and size.
        model: serialised ONNX.
        feeds: its inputs.
        work: what one run does.
        is_large: worth timing on several threads.
        is_whole: all layers of a student; its time is what the rates are for.
    """

    name: str
    model: bytes
    feeds: dict[str, NDArray[np.generic]]
    work: Workload
    is_large: bool = False
    is_whole: bool = False


def micro_graphs(seed: int = 13, *, norms: NormForm = "fused") -> tuple[MicroGraph, ...]:
    """Build all graphs; the same seed gives the same bytes.

    Args:
        seed: draws weights and inputs.
        norms: the form in which `export` writes them for the machine that is timed. Work counts them as one node in either, as
            it does in a student: a node's time is that of what stands for it.
    """
    rng = np.random.default_rng(seed)
    return (
        *(int8_product(m, k, n, rng) for m, k, n in _INT8_SIZES),
        *(float_product(m, k, n, rng) for m, k, n in _FLOAT_SIZES),
        *(stream(k, n, rng) for k, n in _STREAM_SIZES),
        *(glue(rows, width, rng, norms) for rows, width in _GLUE_SIZES),
        *(gather(rows, width, tokens, rng) for rows, width, tokens in _GATHER_SIZES),
        *(chain(length, rng, norms) for length in _CHAINS),
        *(encoder((layers, width, inner), tokens, rng, norms) for layers, width, inner, tokens in _ENCODER_SIZES),
    )


def int8_product(m: int, k: int, n: int, rng: np.random.Generator) -> MicroGraph:
    """(m, k) float x (k, n) int8, quantized when it runs, as onnxruntime's dynamic quantization writes it."""
    nodes, weights = _product(k, n, "x", "y", rng)
    work = _work(int8_macs=m * k * n, weight_bytes=k * n, nodes=1)  # the runtime fuses the five into one
    return _graph(f"int8 {m}x{k}x{n}", nodes, weights, _normal(rng, m, k), {"y": (m, n)}, work, is_large=m * k * n > 5e6)


def _product(
    k: int, n: int, source: str, out: str, rng: np.random.Generator
) -> tuple[list[NodeProto], dict[str, NDArray[np.generic]]]:
    """Return the nodes from `source` to `out`, and their (k, n) weights."""
    weights: dict[str, NDArray[np.generic]] = {
        f"{out}_w": rng.integers(-127, 128, (k, n)).astype(np.int8), f"{out}_zero": np.zeros((), np.int8),
        f"{out}_step": np.array(0.01, np.float32),
    }
    names = [f"{out}_{part}" for part in ("q", "q_scale", "q_zero", "sums", "scale", "wide")]
    quantized, q_scale, q_zero, sums, scale, wide = names
    nodes = [
        helper.make_node("DynamicQuantizeLinear", [source], [quantized, q_scale, q_zero]),
        helper.make_node("MatMulInteger", [quantized, f"{out}_w", q_zero, f"{out}_zero"], [sums]),
        helper.make_node("Mul", [q_scale, f"{out}_step"], [scale]),
        helper.make_node("Cast", [sums], [wide], to=TensorProto.FLOAT),
        helper.make_node("Mul", [wide, scale], [out]),
    ]
    return nodes, weights


def float_product(m: int, k: int, n: int, rng: np.random.Generator) -> MicroGraph:
    """(m, k) x (k, n), both made while it runs, as in attention."""
    feeds = _normal(rng, m, k) | {"z": rng.normal(size=(k, n)).astype(np.float32)}
    work = _work(float_macs=m * k * n, gathered_bytes=4 * k * n, nodes=1)
    return _graph(f"float {m}x{k}x{n}", [helper.make_node("MatMul", ["x", "z"], ["y"])], {}, feeds, {"y": (m, n)}, work,
                  is_large=m * k * n > 5e6)


def stream(k: int, n: int, rng: np.random.Generator) -> MicroGraph:
    """One row x a matrix of several MB: the time is that of reading it."""
    weights = {"w": np.tile(rng.normal(size=n).astype(np.float32), (k, 1))}
    work = _work(float_macs=k * n, weight_bytes=4 * k * n, nodes=1)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    return _graph(f"stream {k}x{n}", [node], weights, _normal(rng, 1, k), {"y": (1, n)}, work)


def glue(rows: int, width: int, rng: np.random.Generator, norms: NormForm = "fused") -> MicroGraph:
    """What stands between the products of a layer: two residual sums with their norm, a BiasGelu, a softmax over each head.

    They are onnxruntime's fused operators where a student's graph has those, and they cost several times what the plain ones do.
    """
    heads, inner = max(1, width // _HEAD), 4 * width
    weights: dict[str, NDArray[np.generic]] = {
        "gain": np.ones(width, np.float32), "offset": np.zeros(width, np.float32), "bias": np.zeros(inner, np.float32),
    }
    feeds: dict[str, NDArray[np.generic]] = {
        "x": rng.normal(size=(1, rows, width)).astype(np.float32), "wide": rng.normal(size=(1, rows, inner)).astype(np.float32),
        "scores": rng.normal(size=(1, heads, rows, rows)).astype(np.float32),
    }
    nodes = [
        *_norm("x", "x", "n", norms), *_norm("n", "x", "y", norms),
        helper.make_node("BiasGelu", ["wide", "bias"], ["activated"], domain=_FUSED),
        helper.make_node("Softmax", ["scores"], ["mixed"]),
    ]
    elements = 4 * rows * width + 2 * rows * inner + 2 * heads * rows * rows
    shapes = {"y": (1, rows, width), "activated": (1, rows, inner), "mixed": (1, heads, rows, rows)}
    return _graph(f"glue {rows}x{width}", nodes, weights, feeds, shapes, _work(glue_elements=elements, nodes=4))


def gather(rows: int, width: int, tokens: int, rng: np.random.Generator) -> MicroGraph:
    """Rows of an int8 table, as the embedding's."""
    weights = {"table": np.tile(rng.integers(-127, 128, width).astype(np.int8), (rows, 1))}
    feeds: dict[str, NDArray[np.generic]] = {"x": rng.integers(0, rows, tokens)}
    work = _work(gathered_bytes=tokens * width, nodes=1)
    return _graph(f"gather {rows}x{width}", [helper.make_node("Gather", ["table", "x"], ["y"])], weights, feeds,
                  {"y": (tokens, width)}, work, out=TensorProto.INT8)


def chain(length: int, rng: np.random.Generator, norms: NormForm = "fused") -> MicroGraph:
    """Nodes of next to no work, of the kinds that a student has, four at a time, `length` times one after the other."""
    width = _CHAIN_WIDTH
    nodes: list[NodeProto] = []
    weights: dict[str, NDArray[np.generic]] = {
        "gain": np.ones(width, np.float32), "offset": np.zeros(width, np.float32), "step": np.array(0.01, np.float32),
        "small": np.ones(width, np.int8),
    }
    source = "x"
    for i in range(length):
        product, more = _product(width, width, source, f"p{i}", rng)
        out = f"g{i}" if i + 1 < length else "y"
        nodes += [
            *product,
            *_norm(f"p{i}", source, f"n{i}", norms),
            helper.make_node("DequantizeLinear", ["small", "step"], [f"b{i}"]),
            helper.make_node("BiasGelu", [f"n{i}", f"b{i}"], [out], domain=_FUSED),
        ]
        source = out
        weights |= more
    feeds: dict[str, NDArray[np.generic]] = {"x": rng.normal(size=(1, 1, width)).astype(np.float32)}
    return _graph(f"chain {4 * length}", nodes, weights, feeds, {"y": (1, 1, width)}, _work(nodes=4 * length))


def encoder(
    sizes: tuple[int, int, int], tokens: int, rng: np.random.Generator, norms: NormForm = "fused"
) -> MicroGraph:
    """The layers of a student in int8, as onnxruntime fuses them: all that a student does but its embedding and its head.

    Args:
        sizes: layers, width and width within.
        tokens: of the text.
        rng: draws weights and input.
        norms: their form.
    """
    layers, width, inner = sizes
    heads = max(1, width // _HEAD)
    nodes: list[NodeProto] = []
    weights: dict[str, NDArray[np.generic]] = {
        "gain": np.ones(width, np.float32), "offset": np.zeros(width, np.float32), "inner_bias": np.zeros(inner, np.float32),
        "qkv_bias": np.zeros(3 * width, np.float32), "step": np.array(1 / (127 * width**0.5), np.float32),
        "zero": np.zeros((), np.int8), "mask": np.array([tokens], np.int32),
    }
    source = "x"
    for i in range(layers):
        names = (f"n{i}", f"y{i}" if i + 1 < layers else "y")
        more_nodes, more_weights = _layer(i, source, names, (width, inner, heads), rng, norms)
        nodes += more_nodes
        weights |= more_weights
        source = names[1]
    shape = StudentShape(id="layers", layers=layers, hidden=width, heads=heads, intermediate=inner, vocabulary=100)
    weight = weigh(shape, classes=0, positions=tokens)
    macs = macs_of(shape, tokens=tokens, classes=0)
    work = _work(
        int8_macs=macs.on_weights - width * width, float_macs=macs.in_attention,  # less the pooler
        glue_elements=layers * glue_per_layer(width, inner, heads, tokens), weight_bytes=weight.encoder - width * width,
        nodes=layers * NODES_PER_LAYER,
    )
    feeds: dict[str, NDArray[np.generic]] = {"x": rng.normal(size=(1, tokens, width)).astype(np.float32)}
    graph = _graph(f"encoder {layers}x{width}", nodes, weights, feeds, {"y": (1, tokens, width)}, work)
    return replace(graph, is_whole=True)


def _norm(value: str, skip: str, out: str, form: NormForm) -> list[NodeProto]:
    """Return the norm of a residual sum; gain and offset are those called so."""
    if form == "fused":
        return [helper.make_node("SkipLayerNormalization", [value, skip, "gain", "offset"], [out], domain=_FUSED)]
    return [helper.make_node("Sum", [value, skip], [f"{out}_sum"]),
            helper.make_node("LayerNormalization", [f"{out}_sum", "gain", "offset"], [out])]


def _layer(  # noqa: PLR0913, PLR0917 - what a layer is made of
    number: int, source: str, names: tuple[str, str], sizes: tuple[int, int, int], rng: np.random.Generator, norms: NormForm
) -> tuple[list[NodeProto], dict[str, NDArray[np.generic]]]:
    """Return the nodes and weights of a layer: `names` are its middle and its output, `sizes` width, width within, heads."""
    (middle, out), (width, inner, heads), at = names, sizes, f"l{number}"
    weights: dict[str, NDArray[np.generic]] = {f"{at}_qkv": rng.integers(-127, 128, (width, 3 * width)).astype(np.int8)}
    nodes = [
        helper.make_node("DynamicQuantizeLinear", [source], [f"{at}_q", f"{at}_scale", f"{at}_zero"]),
        helper.make_node("QAttention", [f"{at}_q", f"{at}_qkv", "qkv_bias", f"{at}_scale", "step", "mask", f"{at}_zero", "zero"],
                         [f"{at}_mixed"], domain=_FUSED, num_heads=heads),
    ]
    products = ((width, width, f"{at}_mixed", f"{at}_back"), (width, inner, middle, f"{at}_wide"),
                (inner, width, f"{at}_active", f"{at}_narrow"))
    made = [_product(k, n, given, result, rng) for k, n, given, result in products]
    for (_, more), (k, _, _, result) in zip(made, products, strict=True):
        weights |= more | {f"{result}_step": np.array(1 / (127 * k**0.5), np.float32)}
    nodes += [
        *made[0][0], *_norm(f"{at}_back", source, middle, norms),
        *made[1][0], helper.make_node("BiasGelu", [f"{at}_wide", "inner_bias"], [f"{at}_active"], domain=_FUSED),
        *made[2][0], *_norm(f"{at}_narrow", middle, out, norms),
    ]
    return nodes, weights


def _work(**more: float) -> Workload:
    return Workload(**(vars(_NOTHING) | more))


def _normal(rng: np.random.Generator, rows: int, width: int) -> dict[str, NDArray[np.generic]]:
    return {"x": rng.normal(size=(rows, width)).astype(np.float32)}


def _graph(  # noqa: PLR0913, PLR0917 - the parts of an ONNX graph
    name: str, nodes: Sequence[NodeProto], weights: Mapping[str, NDArray[np.generic]], feeds: dict[str, NDArray[np.generic]],
    outputs: dict[str, tuple[int, ...]], work: Workload, *, out: int = TensorProto.FLOAT, is_large: bool = False,
) -> MicroGraph:
    kind: Callable[[np.dtype[np.generic]], int] = helper.np_dtype_to_tensor_dtype
    graph = helper.make_graph(
        list(nodes), "micro",
        [helper.make_tensor_value_info(key, kind(value.dtype), value.shape) for key, value in feeds.items()],
        [helper.make_tensor_value_info(key, out, shape) for key, shape in outputs.items()],
        [numpy_helper.from_array(value, key) for key, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_FUSED, 1)]
    model: ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    return MicroGraph(name, model.SerializeToString(), feeds, work, is_large)
