"""Small float graphs for the tests of quantization."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def save_graph(
    path: Path, nodes: Sequence[onnx.NodeProto], constants: Mapping[str, np.ndarray], *,
    inputs: Mapping[str, tuple[int, Sequence[int | str]]], output: str = "y",
) -> Path:
    graph = helper.make_graph(
        list(nodes), "g", [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    domains = {node.domain for node in nodes} - {""}
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in sorted(domains))]
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=opsets), path)
    return path


def run(path: Path, rows: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, dict(row))[0] for row in rows])


def runtime_operators(path: Path, scratch: Path) -> list[str]:
    """The operators that onnxruntime really runs, after its own optimizations."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(scratch / "optimized.onnx")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(scratch / "optimized.onnx").graph.node]


def save_attention(path: Path, *, tokens: int = 30, width: int = 32, heads: int = 4, classes: int = 5, seed: int = 0) -> Path:
    """Embedding, one fused attention with its residual, a matrix to the classes; input ids and mask as BERT has them."""
    random = np.random.default_rng(seed)

    def weight(*shape: int) -> np.ndarray:
        return (random.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)

    nodes = [
        helper.make_node("Gather", ["embedding.table", "input_ids"], ["e"], "embedding"),
        helper.make_node("Attention", ["e", "encoder.qkv", "encoder.qkv_bias", "mask"], ["a"], "attention", domain="com.microsoft",
                         num_heads=heads),
        helper.make_node("MatMul", ["a", "encoder.out"], ["o"], "output"),
        helper.make_node("Add", ["o", "e"], ["r"], "residual"),
        helper.make_node("Gather", ["r", "first"], ["p"], "pool", axis=1),
        helper.make_node("Gemm", ["p", "classifier.weight", "classifier.bias"], ["y"], "head", transB=1),
    ]
    constants = {
        "embedding.table": weight(tokens, width) * 4, "encoder.qkv": weight(width, 3 * width),
        "encoder.qkv_bias": weight(1, 3 * width)[0], "encoder.out": weight(width, width), "first": np.int64(0),
        "classifier.weight": weight(classes, width) * 4, "classifier.bias": weight(1, classes)[0],
    }
    return save_graph(path, nodes, constants, inputs={"input_ids": (TensorProto.INT64, ["b", "s"]),
                                                      "mask": (TensorProto.INT32, ["b", "s"])})


def attention_rows(n: int, *, seed: int = 1, tokens: int = 30) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        length = int(random.integers(2, 9))
        ids = random.integers(0, tokens, (1, length))
        mask = np.ones((1, length), np.int32)
        mask[0, length - int(random.integers(0, 2)) :] = 0
        found.append({"input_ids": ids, "mask": mask})
    return found


def save_cnn(path: Path, *, seed: int = 0, has_norms: bool = True) -> Path:
    """Conv, BatchNorm, Relu, a residual block with a depthwise Conv, pooling and a matrix to the classes."""
    random = np.random.default_rng(seed)
    nodes, constants, current = [], {}, "x"

    def conv(name: str, source: str, out: str, shape: tuple[int, ...], group: int = 1) -> str:
        constants[f"{name}.weight"] = (random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        constants[f"{name}.bias"] = random.normal(size=shape[0]).astype(np.float32) / 4
        raw = f"{name}_raw" if has_norms else out
        nodes.append(helper.make_node("Conv", [source, f"{name}.weight", f"{name}.bias"], [raw], name, group=group,
                                      pads=[shape[2] // 2] * 4))
        if has_norms:
            for part, low in (("gain", 0.5), ("beta", -0.5), ("mean", -0.5), ("variance", 0.5)):
                constants[f"{name}.{part}"] = random.uniform(low, low + 1, shape[0]).astype(np.float32)
            nodes.append(helper.make_node("BatchNormalization", [raw, *(f"{name}.{p}" for p in ("gain", "beta", "mean", "variance"))],
                                          [out], f"{name}_norm"))
        return out

    current = conv("stem", current, "s", (8, 3, 3, 3))
    nodes.append(helper.make_node("Relu", [current], ["sr"], "stem_relu"))
    conv("depthwise", "sr", "d", (8, 1, 3, 3), group=8)
    nodes.append(helper.make_node("Relu", ["d"], ["dr"], "depthwise_relu"))
    conv("pointwise", "dr", "q", (8, 8, 1, 1))
    nodes += [
        helper.make_node("Add", ["sr", "q"], ["sum"], "sum"), helper.make_node("Relu", ["sum"], ["r"], "relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["g"], "pool"), helper.make_node("Flatten", ["g"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "classifier.weight", "classifier.bias"], ["y"], "head", transB=1),
    ]
    constants["classifier.weight"] = random.normal(size=(5, 8)).astype(np.float32)
    constants["classifier.bias"] = random.normal(size=5).astype(np.float32)
    return save_graph(path, nodes, constants, inputs={"x": (TensorProto.FLOAT, ["b", 3, 12, 12])})


def image_rows(n: int, *, seed: int = 1) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    return [{"x": (random.normal(size=(1, 3, 12, 12)) * random.uniform(0.5, 2)).astype(np.float32)} for _ in range(n)]
