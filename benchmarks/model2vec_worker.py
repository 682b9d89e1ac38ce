"""Distil, cut and judge static embeddings with model2vec; runs in its own environment: `python model2vec_worker.py JOB.json`.

Started by benchmarks/rivals.py, because model2vec wants another transformers than edgedistill. Imports nothing of edgedistill.
"""

import json
import sys
import time
import warnings
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from model2vec import StaticModel, vocabulary_quantization
from model2vec.distill import distill
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from static_bytes import StaticTable


def static_model(job: dict, clusters: int) -> Path:
    """Distil the encoder once for each vocabulary quantization, at full width; PCA sorts the columns, so they can be cut."""
    folder = Path(job["models"]) / f"clusters-{clusters}"
    if not (folder / "done").is_file():
        # one start of at most 50 rounds: the package's ten of 300 take very long on one core
        vocabulary_quantization.KMeans = partial(KMeans, n_init=1, max_iter=50)
        distill(job["encoder"], pca_dims=job["width"], quantize_to="float32", device="cpu",
                vocabulary_quantization=clusters or None).save_pretrained(str(folder))
        (folder / "done").touch()
    return folder


def tokens_of(folder: Path) -> int:
    """Return the size of the vocabulary."""
    return len(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])


def judged(job: dict, clusters: int, dtype: str) -> dict | None:
    """Return the best head on one table, by validation; None when nothing fits."""
    folder = static_model(job, clusters)
    table = StaticTable(tokens_of(folder), clusters, np.dtype(dtype).itemsize, job["classes"])
    width = min(job["width"], table.widest(job["limit_bytes"]))
    if width < 2:
        return None
    model = StaticModel.from_pretrained(folder, quantize_to=dtype, dimensionality=width)
    texts = {name: model.encode(split["texts"], max_length=job["max_tokens"]) for name, split in job["splits"].items()}
    truth = {name: np.asarray(split["labels"]) for name, split in job["splits"].items()}
    best: dict | None = None
    for c in job["inverse_penalties"]:
        head = LogisticRegression(C=c, max_iter=1000).fit(texts["train"], truth["train"])
        accuracy = float(np.mean(head.predict(texts["validation"]) == truth["validation"]))
        if best is None or accuracy > best["validation"]:
            best = {"clusters": clusters, "dtype": dtype, "width": width, "inverse_penalty": c, "validation": accuracy,
                    "bytes": table.size_bytes(width), "head": head, "test_texts": texts["test"]}
    return best


def main() -> None:
    """Read the job, choose on validation, read test once, write the result."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    path = Path(sys.argv[1])
    job = json.loads(path.read_text(encoding="utf-8"))
    started = time.perf_counter()
    found = [candidate for clusters in job["clusters"] for dtype in job["dtypes"]
             if (candidate := judged(job, clusters, dtype)) is not None]
    best = max(found, key=lambda candidate: candidate["validation"])
    right = best.pop("head").predict(best.pop("test_texts")) == np.asarray(job["splits"]["test"]["labels"])
    tried = [{k: v for k, v in f.items() if k not in ("head", "test_texts")} for f in found]
    result = {**best, "right": right.tolist(), "seconds": time.perf_counter() - started, "tried": tried,
              "model2vec": version("model2vec"), "transformers": version("transformers"), "scikit-learn": version("scikit-learn")}
    path.with_suffix(".result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
