"""Measure what int8 costs the students of benchmarks/suites/students.yaml: accuracy, coverage and bytes against their float ONNX.

`python benchmarks/int8.py --data DIR --work DIR` writes benchmarks/results/int8/<task>.json, a row for each seed and size; the
students are those of benchmarks/students.py (with the same --work they are found trained), and rows that are there are not made
again. Candidates are chosen on validation; the figures are those on the test split.

Asked for: int8 within 0.3 points of float on average and 0.8 at worst, coverage of the weight bytes >= 0.95, size <= 0.27 of the
float ONNX; `--summary` says how far the rows are from it.
"""

import json
import sys
from collections.abc import Sequence

from resumable_rows import Row, RowFile
from script_options import ScriptOptions, option_parser, read_options, run_script
from student_line import Line, wanted_tasks
from students import Job, job_settings, jobs_of
from suite_files import StudentsSuite, read_suite_file, shape_of

from edgedistill.errors import UsageError
from edgedistill.results import QuantizationVerdict

SUITE = "students"
MEAN_LOSS, WORST_LOSS, LEAST_COVERAGE, LARGEST_RATIO = 0.003, 0.008, 0.95, 0.27


def int8_settings(line: Line, job: Job) -> Row:
    """Return the settings that a row is known by: the student's, and that it is about int8."""
    return {**job_settings(line, job), "benchmark": "int8"}


def int8_row(line: Line, rows: RowFile, job: Job, command: str) -> Row:
    """Make a row: the student, its float ONNX, its int8, and both on the test split."""
    recipe, shape, teacher_seed = line.recipe(), shape_of(job.rung), line.teacher_seed(job.seed)
    exported = line.exported(line.student(recipe, shape, job.seed))
    small = line.quantized(recipe, exported, teacher_seed)
    verdict = QuantizationVerdict.read_json(small.folder / "verdict.json")
    before, after = (line.answers(exported, "student_onnx", "test", teacher_seed),
                     line.answers(small, "student_int8", "test", teacher_seed))
    float_bytes, int8_bytes = (step.folder.joinpath("model.onnx").stat().st_size for step in (exported, small))
    figures = {
        "task": line.task, "seed": job.seed, "size": job.rung.size, "rung": job.rung.rung,
        "float_test": before.accuracy, "int8_test": after.accuracy, "n_test": after.evaluation.n,
        "float_right": before.right, "int8_right": after.right, "float_bytes": float_bytes, "int8_bytes": int8_bytes,
        "size_ratio": int8_bytes / float_bytes, "scheme": verdict.scheme, "decision": verdict.decision,
        "weight_bytes_share": verdict.coverage.weight_bytes_share, "nodes_share": verdict.coverage.nodes_share,
        "runtime_nodes_share": verdict.coverage.runtime_nodes_share, "float_nodes": list(verdict.coverage.float_nodes),
        "candidates": [row.model_dump(mode="json") for row in verdict.table], "quantize_s": small.manifest.duration_s,
    }
    return rows.add(int8_settings(line, job), figures, command=command)


def measure_task(line: Line, jobs: Sequence[Job], options: ScriptOptions) -> None:
    """Make the rows of a task that are missing."""
    rows = RowFile(options.results / f"{line.task}.json")
    for job in jobs:
        if rows.find(int8_settings(line, job)) is not None:
            continue
        if options.is_dry:
            print(f"{line.task}: int8 of {job.name}, {job.rung.rung}")
            continue
        with line.held():
            row = rows.find(int8_settings(line, job)) or int8_row(line, rows, job, options.command)
        print(f"{line.task}, {job.name}: {row['scheme']}, float {row['float_test']:.4f}, int8 {row['int8_test']:.4f}, "
              f"{row['size_ratio']:.3f} of the bytes, {row['weight_bytes_share']:.1%} of the weight bytes int8", file=sys.stderr,
              flush=True)


def summary(rows: Sequence[Row]) -> Row:
    """Return how far some rows are from what is asked for.

    Raises:
        UsageError: there are no rows.
    """
    if not rows:
        raise UsageError("no rows to sum up", hint="python benchmarks/int8.py --data DIR --work DIR")
    losses = [row["float_test"] - row["int8_test"] for row in rows]
    mean, worst = sum(losses) / len(losses), max(losses)
    coverage, ratio = min(row["weight_bytes_share"] for row in rows), max(row["size_ratio"] for row in rows)
    return {
        "rows": len(rows), "mean_loss": mean, "worst_loss": worst, "least_coverage": coverage, "largest_ratio": ratio,
        "met": {"mean_loss": mean <= MEAN_LOSS, "worst_loss": worst <= WORST_LOSS, "least_coverage": coverage >= LEAST_COVERAGE,
                "largest_ratio": ratio <= LARGEST_RATIO},
        "schemes": {name: sum(row["scheme"] == name for row in rows) for name in sorted({row["scheme"] for row in rows})},
    }


def main() -> None:
    """Read the command line and measure."""
    parser = option_parser(__doc__, name="int8")
    parser.add_argument("--sizes", nargs="+", metavar="SIZE", help="only these, as the suite names them: 1/30")
    parser.add_argument("--summary", action="store_true", help="print how far the rows that are there are from what is asked for")
    given = parser.parse_args()
    if given.summary:
        rows = [row for path in sorted(given.results.glob("*.json")) for row in RowFile(path).rows()]
        print(json.dumps(summary(rows), indent=2))
        return
    options = read_options(given, script="int8.py")
    suite = read_suite_file(StudentsSuite, SUITE)
    sizes = tuple(given.sizes) if given.sizes else tuple(rung.size for rung in suite.rungs if rung.is_judged)
    for task in wanted_tasks(suite, options.tasks):
        line = Line(suite, task, options.data, options.work, options.overrides)
        jobs = list(jobs_of(suite, task, seeds=options.seeds, sizes=sizes, kinds=("student",)))
        measure_task(line, jobs, options)


if __name__ == "__main__":
    run_script(main)
