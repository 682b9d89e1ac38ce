"""Time the models of a job under whatever onnxruntime is importable; needs numpy and onnxruntime alone.

`python norm_speed_worker.py JOB`: JOB is a JSON object with `models` (files by precision and form), `lengths` and `ids` (how many
ids there are). The last line of stdout is a JSON list of rows.
"""

import json
import sys
import time
from typing import Any

import numpy as np
import onnxruntime

TURNS, CALLS, WARM_UP = 9, 100, 20


def session_of(path: str) -> onnxruntime.InferenceSession:
    """Load a model as a user does, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def median_of(session: onnxruntime.InferenceSession, feeds: dict[str, np.ndarray]) -> float:
    """Return the median seconds of a call."""
    for _ in range(WARM_UP):
        session.run(None, feeds)
    seconds = []
    for _ in range(CALLS):
        started = time.perf_counter()
        session.run(None, feeds)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def main() -> None:
    """Time all, the forms in turn, and print the rows."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    rows = []
    for precision, forms in job["models"].items():
        sessions = {form: session_of(path) for form, path in forms.items()}
        for length in job["lengths"]:
            ids = np.random.default_rng(0).integers(5, job["ids"], (1, length)).astype(np.int64)
            inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            seconds: dict[str, list[float]] = {form: [] for form in forms}
            answers = {}
            for _ in range(TURNS):
                for form, session in sessions.items():
                    feeds = {item.name: inputs[item.name] for item in session.get_inputs()}
                    seconds[form].append(median_of(session, feeds))
                    answers[form] = session.run(None, feeds)[0]
            first, *others = answers.values()
            rows.append({"runtime": onnxruntime.__version__, "precision": precision, "tokens": length, "seconds": seconds,
                         "largest_difference": float(max(np.abs(first - other).max() for other in others))})
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
