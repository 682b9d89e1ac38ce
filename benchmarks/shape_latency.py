"""Does a small student's latency follow its weights or its layers? Times random int8 students of several shapes, as in a run.

`python benchmarks/shape_latency.py` writes benchmarks/results/shape_latency.json: one thread, 12 tokens, interleaved, raw
samples. The ladder in models/students.yaml rests on it (docs/adr/0005).
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

from edgedistill.benchmark.protocol import Candidate, measure
from edgedistill.benchmark.statistics import summarize
from edgedistill.export.exporter import export_classifier
from edgedistill.export.graph import fuse
from edgedistill.export.norm_form import in_norm_form, norm_form
from edgedistill.host import this_host
from edgedistill.local_target import local_target
from edgedistill.quantize.onnx_quantizer import quantize_weights
from edgedistill.recipe import BenchmarkProtocol

TOKENS, CLASSES, VOCABULARY = 12, 28, 3000
SHAPES = {  # the protocol names its candidates by variant; the shape that each stands for is in the result
    "teacher": (6, 384, 12, 1536), "teacher_int8": (6, 192, 6, 512), "student_onnx": (6, 128, 4, 256),
    "student_int8": (3, 192, 6, 512), "student": (3, 256, 8, 512), "student_no_kd": (2, 256, 8, 1024),
}


def build(folder: Path, shape: tuple[int, int, int, int]) -> Path:
    """Make a random int8 student of (layers, width, heads, feed-forward) and return its file."""
    layers, width, heads, inner = shape
    torch.manual_seed(0)
    config = BertConfig(vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                        intermediate_size=inner, max_position_embeddings=64, num_labels=CLASSES)
    BertForSequenceClassification(config).save_pretrained(folder)
    export_classifier(folder, folder / "raw.onnx")
    fuse(folder / "raw.onnx", folder / "fused.onnx", model_type="bert", heads=heads, hidden=width)
    in_norm_form(folder / "fused.onnx", folder / "fused.onnx", norm_form(local_target()))
    quantize_weights(folder / "fused.onnx", folder / "model.onnx", reduced_range=False, per_channel=True)
    return folder / "model.onnx"


def main() -> None:
    """Build, time, write."""
    protocol = BenchmarkProtocol()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        ids = rng.integers(5, VOCABULARY, (32, TOKENS))
        inputs = Path(scratch) / "inputs.npz"
        np.savez(inputs, input_ids=ids, attention_mask=np.ones_like(ids), token_type_ids=np.zeros_like(ids))
        candidates = []
        for name, shape in SHAPES.items():
            folder = Path(scratch) / name
            folder.mkdir()
            candidates.append(Candidate(name, "onnx", build(folder, shape), inputs, TOKENS))
        sizes = {c.name: c.model.stat().st_size for c in candidates}
        traces = measure(candidates, protocol, seed=0)
    rows = [
        {"layers": s[0], "hidden": s[1], "heads": s[2], "intermediate": s[3], "int8_bytes": sizes[name],
         "encoder_weights": s[0] * (4 * s[1] ** 2 + 2 * s[1] * s[3]), "p50_s": summarize(traces[name].rounds_s).p50_s,
         "rounds_s": traces[name].rounds_s}
        for name, s in SHAPES.items()
    ]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    result = {"command": "python benchmarks/shape_latency.py", "commit": commit, "tokens": TOKENS, "threads": protocol.threads,
              "host": this_host().model_dump(mode="json"), "shapes": rows}
    path = Path(__file__).resolve().parent / "results" / "shape_latency.json"
    path.write_text(json.dumps(result, separators=(",", ":")) + "\n", encoding="utf-8")
    for row in rows:
        print(f"{row['layers']}x{row['hidden']} ff {row['intermediate']}: {row['encoder_weights'] / 1e6:.2f} M encoder weights, "
              f"p50 {row['p50_s'] * 1e3:.3f} ms", file=sys.stderr)


if __name__ == "__main__":
    main()
