"""Small models in every int8 scheme, as .onnx and as .ort, and what an old onnxruntime lacks of them."""

import importlib.util
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgedistill.package.ort_format import convert_to_ort
from edgedistill.quantize.candidates import Candidate, make_candidate
from edgedistill.quantize.scheme_names import parse_scheme

SPEC = importlib.util.spec_from_file_location("small_graphs", Path(__file__).parents[1] / "quantize" / "small_graphs.py")
graphs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(graphs)

OLDEST = "1.17"
TABLE = Path(__file__).with_name("operators_1.17.3.json")
"""Made by oldest_operators.py in the Python that `make oldest-runtime` sets up."""
GROWN = {"MatMulNBits": "8 bits came after 1.17"}
"""Operators whose name and version stayed while they learnt more: the schema does not say it."""
_OPEN_END = 2**31 - 1

Rows = list[dict[str, np.ndarray]]


@dataclass(frozen=True)
class Source:
    """A float model, rows of its inputs, and nodes that are left in float."""

    path: Path
    rows: Rows
    excluded: tuple[str, ...] = ()


def save_tied(path: Path, *, seed: int = 0) -> Path:
    """A table that is looked up, and the weight of two products: as it stands, and transposed by a Gemm."""
    random = np.random.default_rng(seed)
    nodes = [
        helper.make_node("Gather", ["embedding.table", "input_ids"], ["e"], "embedding"),
        helper.make_node("MatMul", ["e", "mix"], ["m"], "mix"), helper.make_node("Tanh", ["m"], ["t"], "tanh"),
        helper.make_node("MatMul", ["t", "mix"], ["u"], "again"),
        helper.make_node("Gemm", ["u", "embedding.table"], ["y"], "head", transB=1),
    ]
    constants = {"embedding.table": random.normal(size=(30, 16)).astype(np.float32),
                 "mix": (random.normal(size=(16, 16)) / 4).astype(np.float32)}
    return graphs.save_graph(path, nodes, constants, inputs={"input_ids": (TensorProto.INT64, ["n"])})


def small_sources(folder: Path) -> dict[str, Source]:
    """A fused attention, a convolutional net, and a tied table with a weight that one float and one int8 product read."""
    ids = [{"input_ids": np.random.default_rng(i).integers(0, 30, 4)} for i in range(8)]
    return {
        "attention": Source(graphs.save_attention(folder / "attention.onnx"), graphs.attention_rows(8)),
        "cnn": Source(graphs.save_cnn(folder / "cnn.onnx"), graphs.image_rows(8)),
        "tied": Source(save_tied(folder / "tied.onnx"), ids, ("again",)),
    }


def make_files(source: Source, schemes: Iterable[str], out: Path, architectures: Iterable[str]) -> Iterator[Path]:
    """Write a model in each scheme, and its .ort for each architecture; yield the files."""
    for scheme in schemes:
        file = out / f"{source.path.stem}-{scheme}.onnx"
        calibration: Callable[[], Iterator[dict[str, np.ndarray]]] = lambda: iter(source.rows)  # noqa: E731
        make_candidate(source.path, file, Candidate(parse_scheme(scheme), excluded=source.excluded), calibration=calibration)
        yield file
        for architecture in architectures:
            ort = file.with_name(f"{file.stem}-{architecture}.ort")
            ort.write_bytes(convert_to_ort(file.read_bytes(), architecture, oldest=OLDEST).model)
            yield ort


@dataclass(frozen=True)
class Use:
    """A node as a runtime looks at it; `version` is the one at which its operator last changed."""

    domain: str
    operator: str
    version: int
    inputs: int
    outputs: int
    attributes: frozenset[str]


def missing(file: Path) -> list[str]:
    """What onnxruntime 1.17.3 has no kernel for, a line each; empty where it knows everything."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    uses = _uses_of_ort(file) if file.suffix == ".ort" else _uses_of_onnx(onnx.load(file))
    return sorted({line for use in uses for line in _faults(use, table)})


def _faults(use: Use, table: dict[str, dict[str, dict[str, list]]]) -> Iterator[str]:
    name = f"{use.domain} {use.operator} {use.version}"
    known = table.get(use.domain, {}).get(use.operator)
    if known is None or not any(_takes(first, last, use.version) for first, last in known["versions"]):
        yield f"{name}: no kernel"
        return
    if use.operator in GROWN:
        yield f"{name}: {GROWN[use.operator]}"
    most = known.get("most", (use.inputs, use.outputs))
    if use.inputs > most[0] or use.outputs > most[1]:
        yield f"{name}: {use.inputs} inputs and {use.outputs} outputs, it takes {most[0]} and {most[1]}"
    yield from (f"{name}: no attribute {extra}" for extra in sorted(use.attributes - set(known.get("attributes", use.attributes))))


def _takes(first: int, last: int, version: int) -> bool:
    """onnxruntime's rule: a kernel without an end is for its own version, as a later one may mean something else."""
    return first == version or (last != _OPEN_END and first <= version <= last)


def _uses_of_onnx(model: onnx.ModelProto) -> Iterator[Use]:
    opsets = {item.domain or "ai.onnx": item.version for item in model.opset_import}
    for node in (node for node in model.graph.node if node.op_type != "Constant"):  # an initialiser once it is loaded
        domain = node.domain or "ai.onnx"
        own = domain.startswith("com.microsoft")
        version = 1 if own else onnx.defs.get_schema(node.op_type, opsets[domain], node.domain).since_version
        yield Use(domain, node.op_type, version, len(node.input), len(node.output), frozenset(a.name for a in node.attribute))


def _uses_of_ort(file: Path) -> Iterator[Use]:
    from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs import InferenceSession

    graph = InferenceSession.InferenceSession.GetRootAs(file.read_bytes(), 0).Model().Graph()
    for node in (graph.Nodes(i) for i in range(graph.NodesLength())):
        names = frozenset(node.Attributes(i).Name().decode() for i in range(node.AttributesLength()))
        yield Use(node.Domain().decode() or "ai.onnx", node.OpType().decode(), node.SinceVersion(), node.InputsLength(),
                  node.OutputsLength(), names)
