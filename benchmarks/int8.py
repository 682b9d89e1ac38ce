"""Measure what int8 costs: accuracy, coverage and bytes of int8 students against their float ONNX, and which candidate is fast.

`python benchmarks/int8.py --data DIR --work DIR [--images DIR]` writes benchmarks/results/int8/<task>.json, a row for each
student that benchmarks/students.py left trained in --work (first seed, judged sizes), and for the picture student of a finished
run of benchmarks/images.py, whose --work folder --images names. Rows that are there are not made again. Candidates are chosen on
validation; the figures are those on the test split.

    --timing      over the same files, on an idle machine: float, every candidate, the court's choice and the files of
                  benchmarks/int8_rivals.py side by side (int8_timing.py)
    --selections  calibrate on rows drawn at random, balanced by class, and by the teacher (int8_selections.py)
    --summary     how far the rows are from what is asked for, and which tasks are missing

Asked for on six text tasks and one of pictures: int8 within 0.3 points of float on average and 0.8 at worst, coverage of the
weight bytes >= 0.95, size <= 0.27 of the float ONNX.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from int8_selections import measure_selections, selection_tasks
from int8_subjects import ONNX_FILE, TRAINING, Places, Subject, asked_tasks, for_each_student, read_verdict
from int8_timing import measure_timing
from result_rows import read_folder
from resumable_rows import Row, RowFile
from script_options import ScriptOptions, option_parser, read_options, run_script

from edgedistill.catalog import load_target
from edgedistill.errors import UsageError

ACCURACY = "int8"
MEAN_LOSS, WORST_LOSS, LEAST_COVERAGE, LARGEST_RATIO = 0.003, 0.008, 0.95, 0.27
_HINT = "python benchmarks/int8.py --data DIR --work DIR"


def accuracy_row(rows: RowFile, subject: Subject, command: str) -> Row:
    """Make a row: the float ONNX student, what the court made of it for the suite's target, and both on the test split."""
    folder = subject.court(load_target(subject.target))
    verdict = read_verdict(folder)
    before, after = subject.answers(subject.exported, "student_onnx", "test"), subject.answers(folder, "student_int8", "test")
    before_here, after_here = (subject.answers(subject.exported, "student_onnx", "validation"),
                               subject.answers(folder, "student_int8", "validation"))
    float_bytes, int8_bytes = ((model / ONNX_FILE).stat().st_size for model in (subject.exported, folder))
    figures = {
        "kind": ACCURACY, **subject.labels, "float_test": before.accuracy, "int8_test": after.accuracy, "n_test": after.n,
        "float_validation": before_here.accuracy, "int8_validation": after_here.accuracy, "n_validation": after_here.n,
        "float_right": before.right, "int8_right": after.right, "float_bytes": float_bytes, "int8_bytes": int8_bytes,
        "size_ratio": int8_bytes / float_bytes, "scheme": verdict.scheme, "decision": verdict.decision,
        "weight_bytes_share": verdict.coverage.weight_bytes_share, "nodes_share": verdict.coverage.nodes_share,
        "runtime_nodes_share": verdict.coverage.runtime_nodes_share, "float_nodes": list(verdict.coverage.float_nodes),
        "candidates": [row.model_dump(mode="json") for row in verdict.table],
    }
    return rows.add(subject.settings(ACCURACY), figures, command=command)


def measure_accuracy(options: ScriptOptions, subject: Subject) -> None:
    """Make the row of a student when it is missing."""
    rows = RowFile(options.results / f"{subject.task}.json")
    if rows.find(subject.settings(ACCURACY)) is not None:
        return
    if options.is_dry:
        print(f"{subject.name}: int8")
        return
    row = accuracy_row(rows, subject, options.command)
    print(f"{subject.name}: {row['scheme']}, float {row['float_test']:.4f}, int8 {row['int8_test']:.4f}, "
          f"{row['size_ratio']:.3f} of the bytes, {row['weight_bytes_share']:.1%} of the weight bytes int8", file=sys.stderr,
          flush=True)


def summary(rows: Sequence[Row], asked: Sequence[str]) -> Row:
    """Return how far some rows are from what is asked for; nothing is met while a task is missing.

    Args:
        rows: of accuracy.
        asked: the tasks that must be there.

    Raises:
        UsageError: there are no rows.
    """
    if not rows:
        raise UsageError("no rows to sum up", hint=_HINT)
    losses = [row["float_test"] - row["int8_test"] for row in rows]
    mean, worst = sum(losses) / len(losses), max(losses)
    coverage, ratio = min(row["weight_bytes_share"] for row in rows), max(row["size_ratio"] for row in rows)
    missing = [task for task in asked if task not in {row["task"] for row in rows}]
    met = {"mean_loss": mean <= MEAN_LOSS, "worst_loss": worst <= WORST_LOSS, "least_coverage": coverage >= LEAST_COVERAGE,
           "largest_ratio": ratio <= LARGEST_RATIO}
    return {
        "rows": len(rows), "tasks": len({row["task"] for row in rows}), "missing_tasks": missing,
        "mean_loss": {"found": mean, "asked": MEAN_LOSS}, "worst_loss": {"found": worst, "asked": WORST_LOSS},
        "mean_coverage": sum(row["weight_bytes_share"] for row in rows) / len(rows),
        "least_coverage": {"found": coverage, "asked": LEAST_COVERAGE},
        "mean_ratio": sum(row["size_ratio"] for row in rows) / len(rows),
        "largest_ratio": {"found": ratio, "asked": LARGEST_RATIO},
        "met": {name: is_met and not missing for name, is_met in met.items()},
        "all_met": all(met.values()) and not missing,
        "schemes": {name: sum(row["scheme"] == name for row in rows) for name in sorted({row["scheme"] for row in rows})},
    }


def accuracy_rows(results: Path) -> list[Row]:
    """Return the rows of accuracy: of each student that of the newest settings."""
    newest: dict[tuple[object, ...], Row] = {}
    for row in read_folder(results):
        if row["kind"] == ACCURACY:
            newest[row["task"], row["size"], row["rung"], row["seed"]] = row  # a file's rows stand in the order of their making
    return list(newest.values())


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where the students are."""
    parser.add_argument("--sizes", nargs="+", metavar="SIZE", help="only these, as the suite names them: 1/30")
    parser.add_argument("--images", type=Path, metavar="DIR", help="the --work folder of images.py (default: that of --work)")
    parser.add_argument("--train", action="store_true", help="train text students that are missing: hours")


def places_of(given: argparse.Namespace, options: ScriptOptions) -> Places:
    """Return where the students are. A dry run begins nothing."""
    forbidden = ("prepare", *TRAINING, "export") if options.is_dry else () if given.train else TRAINING
    return Places(options.data, options.work, given.images or options.work, options.tasks, options.seeds,
                  tuple(given.sizes) if given.sizes else None, options.overrides, forbidden)


def main() -> None:
    """Read the command line and measure."""
    parser = option_parser(__doc__, name="int8")
    add_places(parser)
    parser.add_argument("--timing", action="store_true", help="time the files of the first pass, on an idle machine")
    parser.add_argument("--target", default="local", help="of --timing: whose candidates; one with this machine's instructions")
    parser.add_argument("--selections", action="store_true", help="compare the ways to choose calibration rows")
    parser.add_argument("--summary", action="store_true", help="print how far the rows that are there are from what is asked for")
    given = parser.parse_args()
    if given.summary:
        print(json.dumps(summary(accuracy_rows(given.results), asked_tasks()), indent=2))
        return
    options = read_options(given, script="int8.py")
    places = places_of(given, options)
    if given.timing:
        for_each_student(places, partial(measure_timing, options, load_target(given.target)))
    elif given.selections:
        for_each_student(selection_tasks(places), partial(measure_selections, options))
    else:
        for_each_student(places, partial(measure_accuracy, options))


if __name__ == "__main__":
    run_script(main)
