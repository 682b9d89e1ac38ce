"""Is the plan right? Every rung: its predicted int8 and float bytes against the files made, its predicted p50 against this host.

    python benchmarks/plan_check.py --bytes-only     # bytes and memory: any machine, at any time
    python benchmarks/plan_check.py                  # an idle machine: calibrates it, then times every rung

Rows are kept in benchmarks/results/plan_check.json: stopped and started again, it makes those that are missing. A host has
a calibration of its own; --again forgets it and the times that were predicted with it. The summary is printed: bytes, and
the rank correlation and the errors of p50.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from random_student import CLASSES, FLOAT_FILE, POSITIONS, build_student, write_inputs
from resumable_rows import RowFile
from scipy import stats
from script_options import RESULTS, run_script

from edgedistill.benchmark.protocol import Candidate, measure
from edgedistill.benchmark.statistics import noise_warnings, percentile, pooled
from edgedistill.calibrate.local import calibrate_this_machine
from edgedistill.export.norm_form import norm_form
from edgedistill.host import this_host
from edgedistill.latency.estimate import estimate
from edgedistill.latency.rates import rates_of
from edgedistill.latency.workload import workload_of
from edgedistill.local_target import local_target
from edgedistill.plan import memory_bytes
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.shape import StudentShape, weigh
from edgedistill.target import LatencyModel, Target
from edgedistill.tasks.text_classification.task import ladder

TOKENS, MEMORY_TOKENS = 12, (12, 64)
BYTES_LIMIT, RANK_LIMIT, TIME_LIMIT = 0.02, 0.95, 0.25
Row = dict[str, Any]


@dataclass(frozen=True)
class ByteRows:
    """The rows of a rung's bytes: of its int8 file and of its float file."""

    int8: Row
    float_: Row


def byte_rows(file: RowFile, shape: StudentShape, command: str) -> ByteRows:
    """Return the rows of a rung's bytes; make its files, once for both rows, where one is missing."""
    common = {"shape": shape.model_dump(), "classes": CLASSES, "positions": POSITIONS}
    of_int8, of_float = {"kind": "bytes", **common}, {"kind": "float-bytes", **common}
    int8, float_ = file.find(of_int8), file.find(of_float)
    if int8 is None or float_ is None:
        predicted = weigh(shape, classes=CLASSES, positions=POSITIONS)
        with tempfile.TemporaryDirectory() as scratch:
            made = build_student(Path(scratch) / shape.id, shape)
            int8_bytes, float_bytes = made.stat().st_size, made.with_name(FLOAT_FILE).stat().st_size
        if int8 is None:
            figures = {"predicted_bytes": predicted.int8_bytes, "made_bytes": int8_bytes}
            int8 = file.add(of_int8, figures, command=command)
        if float_ is None:
            figures = {"predicted_float_bytes": predicted.float_bytes, "made_float_bytes": float_bytes}
            float_ = file.add(of_float, figures, command=command)
    return ByteRows(int8, float_)


def calibration(file: RowFile, attempt: int, command: str) -> Target:
    """Return this host as a target, calibrated once an attempt."""
    settings = {"kind": "calibration", "host": this_host().model_dump(mode="json"), "norms": norm_form(local_target()),
                "attempt": attempt}
    found = file.find(settings)
    if found is None:
        found = file.add(settings, {"profile": calibrate_this_machine().to_yaml()}, command=command)
    return with_rates_of(found["profile"])


def with_rates_of(profile: str) -> Target:
    """Return this host with the rates of a stored profile of it: the rest may be in the form of an earlier version."""
    return local_target().model_copy(update={"latency": LatencyModel.model_validate(yaml.safe_load(profile)["latency"])})


def time_row(file: RowFile, shape: StudentShape, target: Target, attempt: int, command: str) -> Row:
    """Return the row of a rung's times: raw samples, and what the calibrated profile predicts."""
    protocol = BenchmarkProtocol()
    settings = {"kind": "time", "shape": shape.model_dump(), "tokens": TOKENS, "host": this_host().model_dump(mode="json"),
                "protocol": protocol.model_dump(), "norms": norm_form(target), "attempt": attempt}
    found = file.find(settings)
    if found is not None:
        return found
    predicted = estimate(workload_of(shape, tokens=TOKENS, classes=CLASSES), rates_of(target))
    with tempfile.TemporaryDirectory() as scratch:
        model = build_student(Path(scratch) / shape.id, shape, norms=norm_form(target))
        inputs = write_inputs(Path(scratch) / "inputs.npz", tokens=TOKENS, vocabulary=shape.vocabulary)
        trace = measure([Candidate(shape.id, "onnx", model, inputs, TOKENS)], protocol, seed=0)[shape.id]
    figures = {"predicted_p50_s": predicted.p50_s, "predicted_interval_s": predicted.interval_s, "rounds_s": trace.rounds_s,
               "warnings": noise_warnings(trace.rounds_s)}
    return file.add(settings, figures, command=command)


def memory_row(file: RowFile, shape: StudentShape, tokens: int, command: str) -> Row:
    """Return the row of a rung's peak memory over the bare runtime's, and of what the plan predicts; any machine will do."""
    predicted = memory_bytes(weigh(shape, classes=CLASSES, positions=POSITIONS).int8_bytes)
    settings = {"kind": "memory", "shape": shape.model_dump(), "tokens": tokens, "host": this_host().model_dump(mode="json")}
    found = file.find(settings)
    if found is None:
        with tempfile.TemporaryDirectory() as scratch:
            model = build_student(Path(scratch) / shape.id, shape)
            inputs = write_inputs(Path(scratch) / "inputs.npz", tokens=tokens, vocabulary=shape.vocabulary)
            protocol = BenchmarkProtocol(processes=1, rounds=2, pinned=False)
            trace = measure([Candidate(shape.id, "onnx", model, inputs, tokens)], protocol, seed=0)[shape.id]
        found = file.add(settings, {"peak_rss_bytes": trace.peak_rss_bytes, "baseline_rss_bytes": trace.baseline_rss_bytes},
                         command=command)
    return {**found, "predicted_bytes": predicted, "measured_bytes": found["peak_rss_bytes"] - found["baseline_rss_bytes"]}


def summarize_memory(rows: list[Row]) -> str:
    """Say how far the predicted memory is from what the processes took."""
    errors = np.array([row["predicted_bytes"] / row["measured_bytes"] - 1 for row in rows])
    worst = rows[int(np.abs(errors).argmax())]["settings"]["shape"]["id"]
    return (f"memory: {len(rows)} sessions, median error {np.median(np.abs(errors)):.1%}, from {errors.min():+.1%} to "
            f"{errors.max():+.1%} ({worst} is furthest)")


def summarize_bytes(rows: list[ByteRows]) -> str:
    """Say how far predicted bytes are from those of the int8 and of the float files."""
    int8, float_ = [row.int8 for row in rows], [row.float_ for row in rows]
    return "\n".join((_bytes_text("int8 bytes", int8, predicted="predicted_bytes", made="made_bytes"),
                      _bytes_text("float bytes", float_, predicted="predicted_float_bytes", made="made_float_bytes")))


def _bytes_text(what: str, rows: list[Row], *, predicted: str, made: str) -> str:
    errors = np.array([row[predicted] / row[made] - 1 for row in rows])
    worst = rows[int(np.abs(errors).argmax())]["settings"]["shape"]["id"]
    return (f"{what}: {len(rows)} rungs, median error {np.median(np.abs(errors)):.2%}, largest {np.abs(errors).max():.2%} "
            f"({worst}): {'within' if np.abs(errors).max() <= BYTES_LIMIT else 'BEYOND'} {BYTES_LIMIT:.0%}")


def summarize_times(rows: list[Row]) -> str:
    """Say how the predicted times rank and how far they are from the measured ones."""
    predicted = np.array([row["predicted_p50_s"] for row in rows])
    measured = np.array([percentile(pooled(row["rounds_s"]), 50) for row in rows])
    rank = float(stats.spearmanr(predicted, measured).statistic)
    errors = np.abs(predicted / measured - 1)
    low, high = np.array([row["predicted_interval_s"] for row in rows]).T
    inside = ((low <= measured) & (measured <= high)).mean()
    noisy = sum(bool(row["warnings"]) for row in rows)
    place = "at least" if rank >= RANK_LIMIT else "BELOW"
    return (f"p50: {len(rows)} rungs, Spearman {rank:.3f} ({place} {RANK_LIMIT}), median error {np.median(errors):.1%}, "
            f"largest {errors.max():.1%} ({(errors <= TIME_LIMIT).mean():.0%} within {TIME_LIMIT:.0%}), "
            f"{inside:.0%} inside the interval, {noisy} rows noisy")


def main() -> None:
    """Make the rows that are missing and print the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes-only", action="store_true", help="bytes and memory alone: time nothing")
    parser.add_argument("--again", type=int, default=0, metavar="N", help="attempt N: calibrate and time anew")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="where plan_check.json lies")
    given = parser.parse_args()
    command = "python benchmarks/plan_check.py" + (" --bytes-only" if given.bytes_only else "")
    file = RowFile(given.results / "plan_check.json")
    shapes = sorted(ladder(), key=lambda shape: shape.id)
    print(summarize_bytes([byte_rows(file, shape, command) for shape in shapes]))
    print(summarize_memory([memory_row(file, shape, tokens, command) for shape in shapes for tokens in MEMORY_TOKENS]))
    if given.bytes_only:
        return
    target = calibration(file, given.again, command)
    for warning in target.latency.warnings if target.latency else ():
        print(f"calibration: {warning}", file=sys.stderr)
    print(summarize_times([time_row(file, shape, target, given.again, command) for shape in shapes]))


if __name__ == "__main__":
    run_script(main)
