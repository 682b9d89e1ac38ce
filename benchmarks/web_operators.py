"""Which operators of an int8 student answer otherwise in onnxruntime-web than here.

    python benchmarks/web_operators.py [BUNDLE]

Without a bundle it is a student with random weights, fused and int8 as a run makes it, and random token ids: which operators
differ does not hang on a training, how far logits move does. Every node's result becomes an output, and both runtimes read the
golden vectors. An operator is compared where its inputs are equal to the bit, so that it answers for itself alone. It also says
how many activations were quantized to another step, how far they were from the edge of it, and whether optimisation levels or
threads change a bit on either side. Needs node and npm; the WebAssembly is the file that the page loads. Writes
benchmarks/results/web_operators.json.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from web_logits import install

from edgedistill.package.mobile_versions import MOBILE_VERSIONS
from edgedistill.shape import StudentShape

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "web_operators.json"
LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED")
OTHER_WAYS = (("all", 2), ("disabled", 1), ("basic", 1))
"""Optimisation level and threads in the browser's runtime; the page takes ("all", 1)."""
_TYPES: Mapping[str, tuple[int, ...]] = {
    "DynamicQuantizeLinear": (TensorProto.UINT8, TensorProto.FLOAT, TensorProto.UINT8), "MatMulInteger": (TensorProto.INT32,),
    "QEmbedLayerNormalization": (TensorProto.FLOAT, TensorProto.INT32),
    "EmbedLayerNormalization": (TensorProto.FLOAT, TensorProto.INT32), "ReduceSum": (TensorProto.INT32,),
}
"""Of the outputs that are not float."""

NODE = """
import { appendFileSync, readFileSync } from "node:fs";
import * as ort from "./node_modules/onnxruntime-web/dist/ort.node.min.mjs";
const [model, feeds, answers, level, threads] = process.argv.slice(2);
const runtime = ort.default ?? ort;
runtime.env.wasm.numThreads = Number(threads);
const session = await runtime.InferenceSession.create(new Uint8Array(readFileSync(model)),
  { executionProviders: ["wasm"], graphOptimizationLevel: level });
for (const feed of JSON.parse(readFileSync(feeds))) {
  const inputs = {};
  for (const [name, { type, values }] of Object.entries(feed)) {
    const data = type === "int32" ? Int32Array.from(values) : BigInt64Array.from(values.map(BigInt));
    inputs[name] = new runtime.Tensor(type, data, [1, values.length]);
  }
  const found = {};
  for (const [name, { data }] of Object.entries(await session.run(inputs))) found[name] = Array.from(data, Number);
  appendFileSync(answers, JSON.stringify(found) + "\\n");
}
process.exit(0);
"""

RANDOM_SHAPE = StudentShape(id="bert-3x192", layers=3, hidden=192, heads=6, intermediate=768, vocabulary=5000)
RANDOM_TEXTS = 16

Row = Mapping[str, np.ndarray]
"""Tensors of one text by name, flat, as float64: every value of float32 and int32 is one."""


def tapped(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a model whose every intermediate result is an output."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {output.name for output in copy.graph.output} | {tensor.name for tensor in copy.graph.initializer}
    for node in copy.graph.node:
        types = _TYPES.get(node.op_type, ())
        if node.op_type == "Cast":
            types = tuple(a.i for a in node.attribute if a.name == "to")
        for place, name in enumerate(node.output):
            if name and name not in known:
                kind = types[place] if place < len(types) else TensorProto.FLOAT
                copy.graph.output.append(helper.make_tensor_value_info(name, kind, None))
    return copy


def feeds_of(model: onnx.ModelProto, vectors: Sequence[Mapping[str, Any]]) -> list[dict[str, dict[str, Any]]]:
    """Return the inputs for each golden vector, as JSON."""
    types = {i.name: "int32" if i.type.tensor_type.elem_type == TensorProto.INT32 else "int64" for i in model.graph.input}
    return [
        {name: {"type": kind, "values": {"input_ids": v["ids"], "attention_mask": [1] * len(v["ids"]),
                                         "token_type_ids": [0] * len(v["ids"])}[name]} for name, kind in types.items()}
        for v in vectors
    ]


def here(path: Path, feeds: Sequence[Mapping[str, Any]], level: str = "ORT_ENABLE_ALL") -> list[Row]:
    """Return the answers of this machine's onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    rows = []
    for feed in feeds:
        inputs = {name: np.array([value["values"]], value["type"]) for name, value in feed.items()}
        found = session.run(None, inputs)
        rows.append({name: np.asarray(value, np.float64).ravel() for name, value in zip(names, found, strict=True)})
    return rows


def there(path: Path, work: Path, level: str = "all", threads: int = 1) -> list[Row]:
    """Return the answers of onnxruntime-web, which is installed in `work`, to `work`/feeds.json."""
    answers = work / "answers.jsonl"
    answers.unlink(missing_ok=True)
    subprocess.run(["node", "main.mjs", str(path), "feeds.json", str(answers), level, str(threads)], cwd=work, check=True)
    with answers.open(encoding="utf-8") as lines:
        return [{name: np.asarray(value, np.float64) for name, value in json.loads(line).items()} for line in lines]


def compared_operators(model: onnx.ModelProto, ours: Sequence[Row], theirs: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Return, by operator, how often equal inputs gave other bits, and by how much of the largest value at most."""
    found: dict[str, dict[str, Any]] = {}
    for mine, other in zip(ours, theirs, strict=True):
        for node in model.graph.node:
            outputs, inputs = [n for n in node.output if n in mine], [n for n in node.input if n in mine]
            if not outputs or not all(np.array_equal(mine[name], other[name]) for name in inputs):
                continue
            row = found.setdefault(node.op_type, {"with_equal_inputs": 0, "differing": 0, "largest_relative_difference": 0.0})
            off = [np.abs(mine[name] - other[name]).max() / max(np.abs(mine[name]).max(), 1e-30) for name in outputs]
            row["with_equal_inputs"] += 1
            row["differing"] += int(max(off) > 0)
            row["largest_relative_difference"] = float(f"{max(row['largest_relative_difference'], *off):.3g}")
    return found


def other_steps(model: onnx.ModelProto, mine: Row, other: Row) -> Iterator[dict[str, Any]]:
    """Yield, in the order of the graph, each quantization of one text that came to other steps."""
    for node in model.graph.node:
        if node.op_type != "DynamicQuantizeLinear" or np.array_equal(mine[node.output[0]], other[node.output[0]]):
            continue
        at = np.flatnonzero(mine[node.output[0]] != other[node.output[0]])
        steps = [float(row[node.input[0]][at[0]] / row[node.output[1]][0]) for row in (mine, other)]
        yield {"node": node.name, "other_steps": len(at), "of": len(mine[node.output[0]]), "first_in_steps_here": steps[0],
               "first_in_steps_there": steps[1]}


def largest_difference(some: Sequence[Row], others: Sequence[Row]) -> float:
    """Return by how much the logits of two runs differ at most."""
    return float(max(np.abs(a["logits"] - b["logits"]).max() for a, b in zip(some, others, strict=True)))


def findings(path: Path, vectors: Sequence[Mapping[str, Any]], work: Path) -> dict[str, Any]:
    """Compare both runtimes on golden vectors; onnxruntime-web is installed in `work`."""
    model = onnx.load(path)
    taps, feeds = tapped(model), feeds_of(model, vectors)
    onnx.save(taps, work / "tapped.onnx")
    (work / "main.mjs").write_text(NODE, encoding="utf-8")
    (work / "feeds.json").write_text(json.dumps(feeds), encoding="utf-8")
    ours, theirs = here(path, feeds), there(path, work)
    all_ours, all_theirs = here(work / "tapped.onnx", feeds), there(work / "tapped.onnx", work)
    errors = [np.abs(a["logits"] - b["logits"]).max() for a, b in zip(ours, theirs, strict=True)]
    flips = [list(other_steps(taps, a, b)) for a, b in zip(all_ours, all_theirs, strict=True)]
    firsts = Counter(next((node.op_type for node in taps.graph.node if any(
        name in a and not np.array_equal(a[name], b[name]) for name in node.output)), "none")
        for a, b in zip(all_ours, all_theirs, strict=True))
    return {
        "operators": compared_operators(taps, all_ours, all_theirs), "first_operator_that_differs": dict(firsts),
        "texts": [{"max_abs_error": float(f"{error:.3g}"), "quantizations_with_other_steps": found}
                  for error, found in zip(errors, flips, strict=True) if found or error > 1e-3],
        "largest_difference_of_logits": {
            **{f"here, {level} against ORT_ENABLE_ALL": largest_difference(ours, here(path, feeds, level)) for level in LEVELS},
            **{f"there, {level}, {threads} threads against all, 1 thread":
                largest_difference(theirs, there(path, work, level, threads)) for level, threads in OTHER_WAYS},
            "here, every node an output": largest_difference(ours, all_ours),
            "there, every node an output": largest_difference(theirs, all_theirs),
        },
    }


def random_bundle(folder: Path) -> Path:
    """Make what this script needs of a bundle, with random weights and token ids; returns its folder."""
    from random_student import build_student

    model = build_student(folder / "student", RANDOM_SHAPE)
    random = np.random.default_rng(0)
    lengths = random.integers(4, 34, RANDOM_TEXTS)
    vectors = [{"ids": random.integers(5, RANDOM_SHAPE.vocabulary, n).tolist()} for n in lengths]
    bundle = folder / "bundle"
    (bundle / "web").mkdir(parents=True)
    shutil.copyfile(model, bundle / "model.onnx")
    (bundle / "golden.json").write_text(json.dumps({"vectors": vectors}), encoding="utf-8")
    manifest = {"recipe_id": "random weights", "model_sha256": hashlib.sha256(model.read_bytes()).hexdigest()}
    (bundle / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    package = {"private": True, "dependencies": {"onnxruntime-web": MOBILE_VERSIONS["onnxruntime_web"].version}}
    (bundle / "web" / "package.json").write_text(json.dumps(package), encoding="utf-8")
    return bundle


def main(arguments: Sequence[str]) -> int:
    """Compare and record."""
    with tempfile.TemporaryDirectory() as name:
        bundle = shutil.copytree(arguments[0], Path(name) / "bundle") if arguments else random_bundle(Path(name))
        problem = install(bundle)
        if problem:
            print(problem)
            return 1
        golden, manifest = (json.loads((bundle / file).read_text(encoding="utf-8")) for file in ("golden.json", "bundle.json"))
        found = findings(bundle / "model.onnx", golden["vectors"], bundle / "web")
        web = json.loads((bundle / "web" / "node_modules" / "onnxruntime-web" / "package.json").read_text(encoding="utf-8"))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    row = {
        "command": f"python benchmarks/web_operators.py{' BUNDLE' if arguments else ''}", "commit": commit,
        "recipe_id": manifest["recipe_id"], "model_sha256": manifest["model_sha256"], "vectors": len(golden["vectors"]),
        "onnxruntime": onnxruntime.__version__, "onnxruntime_web": web["version"], **found,
    }
    RESULT.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found["operators"], indent=1), found["largest_difference_of_logits"], len(found["texts"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
