"""Other tools' accuracy-driven int8 on the students of benchmarks/int8.py: neural-compressor 3.7.1 and NNCF.

`python benchmarks/int8_rivals.py --data DIR --work DIR [--images DIR]` writes benchmarks/results/int8_rivals/<task>.json, a
row for each student, tool and source, and makes only the rows that are missing. Each tool runs in an environment of its own
below --work (or --environments), as neural-compressor's ONNX adaptor wants an older onnx and numpy. It gets the float file in
three forms: our graph for the suite's target (`fused`), our graph for this machine where that is another one (`local`: norms
apart, see docs/adr/0020-norms-by-runtime.md), and what the exporter writes (`plain`), since it may not know onnxruntime's own
operators; 256 calibration rows of the training split; the validation rows that our court judges on; and the accuracy that may be
lost. The table takes, for each tool, the source whose file is better on validation. What a tool makes is evaluated here on
validation and test, and stays below --work, so that `int8.py --timing` times it beside ours. A failure is a row too.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from functools import partial
from pathlib import Path

import numpy as np
from int8 import add_places, places_of
from int8_subjects import ONNX_FILE, Subject, for_each_student
from int8_timing import rivals_folder
from resumable_rows import Row, RowFile, key_of, pack_bits
from script_options import ScriptOptions, WorkerFailedError, option_parser, read_options, run_script

from edgedistill.artifact import sha256_of_file
from edgedistill.catalog import load_target
from edgedistill.errors import ArtifactError, MissingDependencyError
from edgedistill.quantize.court import answers_of
from edgedistill.quantize.coverage import measure_coverage, with_runtime
from edgedistill.quantize.rows import Rows, SomeRows, each, read_rows

TOOLS = {
    "neural-compressor": ("neural-compressor==3.7.1", "onnx==1.18.0", "numpy<2", "setuptools<81", "six", "onnxruntime==1.22.1",
                          "onnxruntime-extensions", "psutil", "py-cpuinfo", "prettytable",
                          "transformers==4.57.6"),
    "nncf": ("nncf==3.4.0", "onnx", "onnxruntime"),
}
"""What each tool's environment holds; the pins of neural-compressor 3.7.1 are those with which its ONNX adaptor still works."""

SOURCES = ("fused", "local", "plain")
RIVAL = "int8-rival"
JUDGED_ROWS, CALIBRATION_ROWS, TRIALS, LIMIT_S = 1000, 256, 24, 900
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
            reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise MissingDependencyError(f"pip could not install {tool}: {reason}", hint=" ".join(pip))
        mark.touch()
    return python


def save_rows(path: Path, rows: Rows) -> None:
    """Write rows as <input>/<number>: texts differ in length, so they are no one array."""
    np.savez(path, **{f"{name}/{i}": array for i, row in enumerate(each(rows)) for name, array in row.items()})


def write_job(subject: Subject, tool: str, source: Path, made: Path, folder: Path) -> Path:
    """Write what the worker reads into a folder, and return its job file."""
    train = read_rows(subject.data / "train.arrow", subject.exported)
    judged = read_rows(subject.data / "validation.arrow", subject.exported, limit=JUDGED_ROWS)
    chosen = np.sort(np.random.default_rng(subject.recipe.seed).permutation(len(train))[:CALIBRATION_ROWS])
    save_rows(folder / "calibration.npz", SomeRows(train, chosen))
    save_rows(folder / "judged.npz", judged)
    np.save(folder / "labels.npy", judged.labels)
    content = {
        "tool": tool, "model": str(source.resolve()), "out": str(made.resolve()), "calibration": str(folder / "calibration.npz"),
        "judged": str(folder / "judged.npz"), "labels": str(folder / "labels.npy"), "is_transformer": "input_ids" in train.row(0),
        "max_loss": subject.recipe.quantization.max_accuracy_loss, "trials": TRIALS,
    }
    (folder / "job.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "job.json"


def run_worker(python: Path, job: Path, tool: str) -> Row:
    """Let a tool quantize in its environment; return its seconds, evaluations, versions, and why it failed, if it did.

    Raises:
        WorkerFailedError: the process ended without a word.
    """
    surroundings = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    try:
        done = subprocess.run([str(python), str(_WORKER), str(job)], check=False, capture_output=True, text=True,
                              env=surroundings, cwd=job.parent, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return {"seconds": LIMIT_S, "evaluations": None, "versions": {}, "failure": f"no result within {LIMIT_S} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise WorkerFailedError(f"{tool} ended with {done.returncode}: {done.stderr.strip()[-500:]}", hint="run it again")
    found: Row = json.loads(lines[-1])
    return found


def evaluated(subject: Subject, made: Path, source: Path) -> Row:
    """Return the figures of a file that a tool made; one that this runtime does not load is a failure."""
    size, float_bytes = made.stat().st_size, (subject.exported / ONNX_FILE).stat().st_size
    figures: Row = {"int8_bytes": size, "size_ratio": size / float_bytes, "source_bytes": source.stat().st_size,
                    "sha256": sha256_of_file(made)}
    for split in ("validation", "test"):
        rows = read_rows(subject.data / f"{split}.arrow", subject.exported)
        right = answers_of(made, rows).argmax(1) == rows.labels
        figures |= {f"int8_{split}": float(np.mean(right)), f"n_{split}": len(right)}
    coverage = with_runtime(measure_coverage(made), made)
    return figures | {"right": pack_bits(right), "weight_bytes_share": coverage.weight_bytes_share,
                      "nodes_share": coverage.nodes_share, "runtime_nodes_share": coverage.runtime_nodes_share}


def rival_settings(subject: Subject, tool: str, source: str) -> Row:
    """Return the settings that a row is known by; our `quantize` is left out, as it has no part in another tool's file."""
    known = subject.settings(RIVAL, tool=tool, source=source, packages=list(TOOLS[tool]), trials=TRIALS, limit_s=LIMIT_S)
    return known | {"stages": {name: version for name, version in known["stages"].items() if name != "quantize"}}


def measure_tool(options: ScriptOptions, environments: Path, tools: tuple[str, ...], subject: Subject) -> None:
    """Make the rows of a student that are missing."""
    rows = RowFile(options.results / f"{subject.task}.json")
    for tool, source in ((tool, source) for tool in tools for source in SOURCES):
        settings = rival_settings(subject, tool, source)
        if rows.find(settings) is not None or (source == "local" and not has_local_form(subject)):
            continue
        if options.is_dry:
            print(f"{subject.name}: {tool}, {source}")
            continue
        figures = {"kind": RIVAL, **subject.labels, "tool": tool, "source": source,
                   **rival_figures(subject, tool, source, environments, options.work)}
        row = rows.add(settings, figures, command=options.command)
        outcome = row["failure"] or f"int8 test {row['int8_test']:.4f}, {row['size_ratio']:.3f} of the bytes"
        print(f"{subject.name}, {tool}, {source}: {outcome}", file=sys.stderr, flush=True)


def source_file(subject: Subject, source: str) -> Path:
    """Return the float file of a source."""
    folders = {"fused": lambda: subject.exported, "local": lambda: subject.exported_for(load_target("local")),
               "plain": lambda: subject.plain}
    return folders[source]() / ONNX_FILE


def has_local_form(subject: Subject) -> bool:
    """Is the graph for this machine another one than that for the suite's target? Of pictures it is the same."""
    return sha256_of_file(source_file(subject, "local")) != sha256_of_file(source_file(subject, "fused"))


def rival_figures(subject: Subject, tool: str, source: str, environments: Path, work: Path) -> Row:
    """Quantize in the tool's environment and evaluate in ours."""
    python = environment(environments / f"env-{tool}", tool)
    float_file = source_file(subject, source)
    made = rivals_folder(work, subject) / f"{tool}@{source}.onnx"
    made.parent.mkdir(parents=True, exist_ok=True)
    made.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        figures = run_worker(python, write_job(subject, tool, float_file, made, Path(scratch)), tool)
    if figures["failure"] is None:
        try:
            figures |= evaluated(subject, made, float_file)
        except ArtifactError as refused:
            made.unlink()
            figures["failure"] = refused.message[:300]
    return figures


def better_source(rows: list[Row]) -> Row | None:
    """Return, of a tool's rows on one student, the one that is better on validation, then the smaller; None: both failed."""
    whole = [row for row in rows if row["failure"] is None]
    return max(whole, key=lambda row: (row["int8_validation"], -row["int8_bytes"]), default=None)


def main() -> None:
    """Read the command line and measure."""
    parser = option_parser(__doc__, name="int8_rivals")
    add_places(parser)
    parser.add_argument("--tools", nargs="+", choices=sorted(TOOLS), default=sorted(TOOLS))
    parser.add_argument("--environments", type=Path, metavar="DIR", help="where the tools are installed (default: --work)")
    given = parser.parse_args()
    options = read_options(given, script="int8_rivals.py")
    environments = (given.environments or options.work).resolve()
    for_each_student(places_of(given, options), partial(measure_tool, options, environments, tuple(given.tools)))


if __name__ == "__main__":
    run_script(main)
