"""Time a student's residual sums and LayerNorms, fused and apart, by version of onnxruntime: `python benchmarks/norm_speed.py`.

Writes benchmarks/results/norm_speed.json: for each version, length and precision the median seconds of a call, the two forms in
turn, one thread. The student has the shape of the rung bert-6x96 and random weights, which do not matter here.
Fused is SkipLayerNormalization, apart the same graph with Sum and LayerNormalization, which the runtime does not fuse again; a
run exports either, by the target (edgedistill/export/norm_form.py). Each version is installed by pip below --work.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from attention_speed import write_result
from script_options import WorkerFailedError, run_script
from transformers import BertConfig, BertForSequenceClassification

from edgedistill.errors import MissingDependencyError
from edgedistill.export.exporter import export_classifier
from edgedistill.export.graph import fuse
from edgedistill.export.norm_form import in_norm_form
from edgedistill.quantize.onnx_quantizer import quantize_dynamically
from edgedistill.quantize.scheme_names import parse_scheme

RESULT = Path(__file__).parent / "results" / "norm_speed.json"
VERSIONS = ("1.20.1", "1.22.1", "1.24.4", "1.27.0", "1.29.0", "1.30.0", "1.31.1", "1.32.0")
SCHEME = "dynamic_wi8_afp32_per_channel"
LENGTHS = (10, 22, 42)
SHAPE = {"vocab_size": 6000, "hidden_size": 96, "num_hidden_layers": 6, "num_attention_heads": 3, "intermediate_size": 192}
_WORKER = Path(__file__).resolve().with_name("norm_speed_worker.py")


def make_models(folder: Path) -> dict[str, dict[str, Path]]:
    """Make the student in both forms, float and int8; return the files by precision and form."""
    student = folder / "student"
    BertForSequenceClassification(BertConfig(**SHAPE, num_labels=4)).save_pretrained(student)
    export_classifier(student, folder / "plain.onnx")
    fused = {"float": folder / "float.onnx", "int8": folder / "int8.onnx"}
    fuse(folder / "plain.onnx", fused["float"], model_type="bert", heads=SHAPE["num_attention_heads"],
         hidden=SHAPE["hidden_size"])
    quantize_dynamically(fused["float"], fused["int8"], parse_scheme(SCHEME))
    made = {}
    for precision, path in fused.items():
        made[precision] = {"fused": path, "apart": in_norm_form(path, folder / f"{precision}-apart.onnx", "apart")}
    return made


def runtime_folder(work: Path, version: str) -> Path:
    """Return a folder with a version of onnxruntime alone; installs it once.

    Raises:
        MissingDependencyError: pip could not install it.
    """
    folder = work / f"onnxruntime-{version}"
    mark = folder / "ready"
    if not mark.is_file():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(folder),
               f"onnxruntime=={version}"]
        done = subprocess.run(pip, check=False, capture_output=True, text=True)
        if done.returncode:
            raise MissingDependencyError(f"pip could not install onnxruntime {version}: {done.stderr.strip()[-200:]}",
                                         hint=" ".join(pip))
        mark.touch()
    return folder


def rows_of(version: str, models: dict[str, dict[str, Path]], work: Path) -> list[dict[str, object]]:
    """Time both forms under a version, in a process of its own.

    Raises:
        MissingDependencyError: the version is not to be had.
        WorkerFailedError: the process ended without a result.
    """
    job = {"models": {precision: {form: str(path) for form, path in forms.items()} for precision, forms in models.items()},
           "lengths": LENGTHS, "ids": SHAPE["vocab_size"]}
    surroundings = os.environ | {"PYTHONPATH": str(runtime_folder(work, version)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(_WORKER), json.dumps(job)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=surroundings)
    if done.returncode:
        raise WorkerFailedError(f"onnxruntime {version}: {done.stderr.strip()[-300:]}", hint="run it again")
    found: list[dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    if any(row["runtime"] != version for row in found):
        raise MissingDependencyError(f"another onnxruntime than {version} was timed", hint="delete the folder below --work")
    return found


def main() -> None:
    """Time all versions and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks/norm_speed"), help="where the versions are installed")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        models = make_models(Path(scratch))
        rows = [row for version in VERSIONS for row in rows_of(version, models, given.work.resolve())]
    write_result(RESULT, "norm_speed.py", rows)


if __name__ == "__main__":
    run_script(main)
