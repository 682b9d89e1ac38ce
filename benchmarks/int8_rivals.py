"""Other tools' accuracy-driven int8 on the students of benchmarks/int8.py: neural-compressor 3.7.1 and NNCF.

`python benchmarks/int8_rivals.py --data DIR --work DIR` writes benchmarks/results/int8_rivals/<task>.json, and makes only the
rows that are missing. Each tool runs in an environment of its own below --work, as neural-compressor's ONNX adaptor wants an
older onnx and numpy. Both get the float ONNX that our court gets, 256 calibration rows of the training split, the validation
rows that our court judges on, and the accuracy that may be lost; what they make is evaluated by our stages on the test split.
"""

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np
from int8 import SUITE, int8_settings
from resumable_rows import Row, RowFile, key_of
from script_options import ScriptOptions, WorkerFailedError, option_parser, read_options, run_script
from student_line import Line, wanted_tasks
from students import Job, jobs_of
from suite_files import StudentsSuite, read_suite_file, shape_of

from edgedistill.errors import MissingDependencyError
from edgedistill.examples import read_examples
from edgedistill.quantize.court import answers_of
from edgedistill.quantize.coverage import measure_coverage, with_runtime
from edgedistill.quantize.rows import Rows, SomeRows, each, read_rows

TOOLS = {
    "neural-compressor": ("neural-compressor==3.7.1", "onnx==1.18.0", "numpy<2", "setuptools<81", "six", "onnxruntime==1.22.1",
                          "onnxruntime-extensions", "psutil", "py-cpuinfo", "prettytable"),
    "nncf": ("nncf==3.4.0", "onnx", "onnxruntime"),
}
"""What each tool's environment holds; the pins of neural-compressor 3.7.1 are those with which its ONNX adaptor still works."""

JUDGED_ROWS, CALIBRATION_ROWS, TRIALS = 1000, 256, 24
_WORKER = Path(__file__).resolve().with_name("int8_rival_worker.py")


def environment(folder: Path, tool: str) -> Path:
    """Return the interpreter of a tool's environment; makes it once.

    Raises:
        MissingDependencyError: pip could not install it.
    """
    python = folder / "bin" / "python"
    mark = folder / f"ready-{key_of({'packages': TOOLS[tool]})}"
    if not mark.is_file():
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *TOOLS[tool]]
        done = subprocess.run(pip, check=False, capture_output=True, text=True)
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1]
            raise MissingDependencyError(f"pip could not install {tool}: {reason}", hint=" ".join(pip))
        mark.touch()
    return python


def save_rows(path: Path, rows: Rows) -> None:
    """Write rows as <input>/<number>: texts differ in length, so they are no one array."""
    np.savez(path, **{f"{name}/{i}": array for i, row in enumerate(each(rows)) for name, array in row.items()})


def rival_settings(line: Line, job: Job, tool: str) -> Row:
    """Return the settings that a row is known by."""
    return {**int8_settings(line, job), "tool": tool, "packages": list(TOOLS[tool]), "trials": TRIALS}


def rival_row(line: Line, rows: RowFile, job: Job, tool: str, options: ScriptOptions) -> Row:
    """Make the row of a tool: quantize in its environment, evaluate in ours; a failure is a row too."""
    python = environment(options.work / f"env-{tool}", tool)
    recipe, teacher_seed = line.recipe(), line.teacher_seed(job.seed)
    exported = line.exported(line.student(recipe, shape_of(job.rung), job.seed)).folder
    data = line.prepared(teacher_seed).folder
    source, made = exported / "model.onnx", options.work / line.task / f"{tool}-{job.seed}-{job.rung.rung}.onnx"
    made.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        train = read_rows(data / "train.arrow", exported)
        judged = read_rows(data / "validation.arrow", exported, limit=JUDGED_ROWS)
        chosen = np.sort(np.random.default_rng(recipe.seed).permutation(len(train))[:CALIBRATION_ROWS])
        save_rows(folder / "calibration.npz", SomeRows(train, chosen))
        save_rows(folder / "judged.npz", judged)
        np.save(folder / "labels.npy", judged.labels)
        content = {"tool": tool, "model": str(source), "out": str(made), "calibration": str(folder / "calibration.npz"),
                   "judged": str(folder / "judged.npz"), "labels": str(folder / "labels.npy"),
                   "max_loss": str(recipe.quantization.max_accuracy_loss), "trials": str(TRIALS)}
        (folder / "job.json").write_text(json.dumps(content), encoding="utf-8")
        done = subprocess.run([str(python), str(_WORKER), str(folder / "job.json")], check=False, capture_output=True, text=True)
    if done.returncode:
        raise WorkerFailedError(f"{tool} ended with {done.returncode}: {done.stderr.strip()[-500:]}", hint="run it again")
    figures = {"task": line.task, "seed": job.seed, "size": job.rung.size, "rung": job.rung.rung, "tool": tool,
               **json.loads(done.stdout.strip().splitlines()[-1])}
    if made.is_file():
        test = read_rows(data / "test.arrow", exported)
        coverage = with_runtime(measure_coverage(made), made)
        right = answers_of(made, test).argmax(1) == read_examples(data / "test.arrow").labels
        figures |= {"int8_test": float(np.mean(right)), "n_test": len(right), "int8_bytes": made.stat().st_size,
                    "size_ratio": made.stat().st_size / source.stat().st_size, "weight_bytes_share": coverage.weight_bytes_share,
                    "nodes_share": coverage.nodes_share, "runtime_nodes_share": coverage.runtime_nodes_share}
    return rows.add(rival_settings(line, job, tool), figures, command=options.command)


def main() -> None:
    """Read the command line and measure."""
    parser = option_parser(__doc__, name="int8_rivals")
    parser.add_argument("--sizes", nargs="+", metavar="SIZE", help="only these, as the suite names them: 1/30")
    parser.add_argument("--tools", nargs="+", choices=sorted(TOOLS), default=sorted(TOOLS))
    given = parser.parse_args()
    options = read_options(given, script="int8_rivals.py")
    suite = read_suite_file(StudentsSuite, SUITE)
    sizes = tuple(given.sizes) if given.sizes else tuple(rung.size for rung in suite.rungs if rung.is_judged)
    for task in wanted_tasks(suite, options.tasks):
        line = Line(suite, task, options.data, options.work, options.overrides)
        rows = RowFile(options.results / f"{task}.json")
        for job in jobs_of(suite, task, seeds=options.seeds, sizes=sizes, kinds=("student",)):
            for tool in given.tools:
                if rows.find(rival_settings(line, job, tool)) is not None:
                    continue
                if options.is_dry:
                    print(f"{task}: {tool} on {job.name}, {job.rung.rung}")
                    continue
                with line.held():
                    row = rows.find(rival_settings(line, job, tool)) or rival_row(line, rows, job, tool, options)
                outcome = row["failure"] or f"int8 test {row['int8_test']:.4f}, {row['size_ratio']:.3f} of the bytes"
                print(f"{task}, {job.name}, {tool}: {outcome}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    run_script(main)
