"""Quantize one ONNX model with another tool's accuracy control; runs in that tool's own environment, without edgedistill.

`python int8_rival_worker.py JOB.json`: the job names the tool, the float model, rows (.npz files, one a row) to calibrate and to
judge, the labels, the accuracy that may be lost, and the file to make. Prints one JSON object: seconds, evaluations, versions,
failure; all else that a tool says goes to stderr.
"""

import contextlib
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime


def rows_of(path: str) -> list[dict[str, np.ndarray]]:
    """Read rows: <input>/<number> in an .npz."""
    with np.load(path) as stored:
        names = [name.rpartition("/") for name in stored.files]
        count = 1 + max(int(number) for _, _, number in names)
        inputs = sorted({name for name, _, _ in names})
        return [{name: stored[f"{name}/{i}"] for name in inputs} for i in range(count)]


class Judge:
    """Accuracy of a model on the judged rows, and how often it was asked."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.rows, self.labels, self.asked = rows_of(job["judged"]), np.load(job["labels"]), 0

    def accuracy(self, model: onnx.ModelProto) -> float:
        """Return the share of right answers."""
        self.asked += 1
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        wanted = [item.name for item in session.get_inputs()]
        answers = [session.run(None, {name: row[name] for name in wanted})[0].argmax() for row in self.rows]
        return float(np.mean(np.asarray(answers) == self.labels))


def by_neural_compressor(job: dict[str, Any], judge: Judge) -> None:
    """neural-compressor 3.7.1, the last version with an ONNX adaptor: its accuracy-driven tuning, static and dynamic."""
    from neural_compressor import PostTrainingQuantConfig, quantization
    from neural_compressor.config import AccuracyCriterion, TuningCriterion

    wanted = [item.name for item in onnx.load(job["model"]).graph.input]

    class Loader:
        batch_size = 1

        def __iter__(self):
            for row in rows_of(job["calibration"]):
                yield {name: row[name] for name in wanted}, 0

    config = PostTrainingQuantConfig(
        approach="auto", accuracy_criterion=AccuracyCriterion(criterion="absolute", tolerable_loss=float(job["max_loss"])),
        tuning_criterion=TuningCriterion(max_trials=int(job["trials"])),
    )
    found = quantization.fit(
        job["model"], config, calib_dataloader=Loader(),
        eval_func=lambda model: judge.accuracy(getattr(model, "model", model)),
    )
    if found is None:
        raise RuntimeError("neural-compressor returned no model")
    onnx.save(found.model, job["out"])


def by_nncf(job: dict[str, Any], judge: Judge) -> None:
    """NNCF's accuracy control: static int8, and the operations that cost most go back to float."""
    import nncf

    model = onnx.load(job["model"])
    wanted = [item.name for item in model.graph.input]
    calibration = nncf.Dataset([{name: row[name] for name in wanted} for row in rows_of(job["calibration"])])
    found = nncf.quantize_with_accuracy_control(
        model, calibration, nncf.Dataset([0]), validation_fn=lambda candidate, _: (judge.accuracy(candidate), None),
        max_drop=float(job["max_loss"]), drop_type=nncf.DropType.ABSOLUTE,
        model_type=nncf.ModelType.TRANSFORMER if job["is_transformer"] else None,
    )
    onnx.save(found, job["out"])


TOOLS = {"neural-compressor": by_neural_compressor, "nncf": by_nncf}


def main() -> None:
    """Do the job; whatever the tool raises is its result."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    judge, failure, begin = Judge(job), None, time.monotonic()
    with contextlib.redirect_stdout(sys.stderr):
        try:
            TOOLS[job["tool"]](job, judge)
        except Exception as bad:  # noqa: BLE001 - a rival that fails is a row of the table
            failure = f"{type(bad).__name__}: {str(bad)[:300]}"
    versions = {name: version(name) for name in (job["tool"], "onnx", "onnxruntime", "numpy")}
    print(json.dumps({"seconds": time.monotonic() - begin, "evaluations": judge.asked, "versions": versions, "failure": failure}))


if __name__ == "__main__":
    main()
