"""Time plain against fused attention on the CPU, forward and in training: `python benchmarks/attention_speed.py`.

Writes benchmarks/results/attention_speed.json: the seconds of every repetition, the two kinds in turn.
"""

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from edgedistill.host import this_host, tool_version
from edgedistill.torch_setup import set_up_torch

RESULT = Path(__file__).parent / "results" / "attention_speed.json"
SHAPES = {"teacher-6x384": (384, 6, 12, 1536, 30522), "student-6x192": (192, 6, 6, 512, 3000)}
BATCHES = ((128, 11), (64, 24), (32, 60))  # texts, tokens a text
KINDS = ("eager", "sdpa")
REPETITIONS = 7


def step(model: BertForSequenceClassification, tokens: torch.Tensor, *, is_training: bool) -> float:
    """Return the seconds of one forward, or of one forward and backward."""
    started = time.perf_counter()
    with torch.set_grad_enabled(is_training), torch.autocast("cpu", torch.bfloat16, enabled=this_host().has_bf16):
        logits = model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits
    if is_training:
        logits.float().square().mean().backward()
        model.zero_grad()
    return time.perf_counter() - started


def rows_of(shape: str) -> list[dict[str, object]]:
    """Time one shape: every batch, forward and training, the two kinds of attention in turn."""
    hidden, layers, heads, intermediate, vocabulary = SHAPES[shape]
    config = BertConfig(
        vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=intermediate, num_labels=150, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )
    models: dict[str, BertForSequenceClassification] = {}
    for kind in KINDS:
        torch.manual_seed(0)
        models[kind] = AutoModelForSequenceClassification.from_config(config, attn_implementation=kind)
    rows: list[dict[str, object]] = []
    for texts, tokens in BATCHES:
        ids = torch.randint(5, vocabulary, (texts, tokens))
        for is_training in (False, True):
            seconds = timed_in_turn({kind: partial(step, model, ids, is_training=is_training) for kind, model in models.items()})
            rows.append({"shape": shape, "texts": texts, "tokens": tokens, "is_training": is_training, "seconds": seconds})
    return rows


def timed_in_turn(runs: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Return the seconds that each run says it took, the runs in turn; the first turn warms up and is left out."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(REPETITIONS + 1):
        for name, run in runs.items():
            taken = run()
            if turn:
                seconds[name].append(taken)
    return seconds


def write_result(path: Path, script: str, rows: list[dict[str, object]]) -> None:
    """Write rows with what they were measured on."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    content = {
        "command": f"python benchmarks/{script}", "commit": commit, "threads": 1,
        "host": this_host().model_dump(mode="json"), "torch": tool_version("torch"),
        "transformers": tool_version("transformers"), "rows": rows,
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Time all shapes and write the result."""
    set_up_torch()
    torch.set_num_threads(1)
    write_result(RESULT, "attention_speed.py", [row for shape in SHAPES for row in rows_of(shape)])


if __name__ == "__main__":
    main()
