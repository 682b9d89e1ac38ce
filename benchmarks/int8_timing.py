"""Which int8 candidate is fast on this machine: `python benchmarks/int8.py --timing`, over the files of the pass before it.

Float, every candidate that the court considers for a target with this machine's int8 instructions, what the court chose for it,
and the files of other tools (benchmarks/int8_rivals.py) take turns in fresh processes, by the benchmark's own protocol. A ratio
is that of `edgedistill.benchmark.comparison`: over pairs of processes, with its exact 99 % interval. The court's choice rests on
times of its own, taken before: these are new ones.
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from int8_subjects import ONNX_FILE, Subject, read_verdict
from resumable_rows import Row, RowFile
from script_options import ScriptOptions

from edgedistill.artifact import sha256_of_file
from edgedistill.benchmark.comparison import Pair, compare_pairs
from edgedistill.benchmark.protocol import Candidate, measure
from edgedistill.benchmark.statistics import median_interval, noise_warnings, pooled
from edgedistill.errors import UsageError
from edgedistill.host import this_host
from edgedistill.quantize.instruction_rules import shares_path
from edgedistill.quantize.rows import read_rows
from edgedistill.quantize.timing import rows_of_median_size
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.results import Interval
from edgedistill.target import Target

TIMING = "int8-timing"
FLOAT, CHOICE = "float", "the court's choice"
PROTOCOL = BenchmarkProtocol(min_runs=120, min_duration_s=1.2, rounds=3, processes=8)
ASKED_WITHIN = 1.05
SPLITS: tuple[Literal["test", "validation"], ...] = ("test", "validation")
RIVALS_FOLDER = "int8-rivals"
"""Below --work: a file for each tool and source, by task and student."""


def rivals_folder(work: Path, subject: Subject) -> Path:
    """Return where other tools' int8 files of a student lie."""
    return work / RIVALS_FOLDER / subject.task / f"{subject.seed}-{subject.rung}"


def measure_timing(options: ScriptOptions, target: Target, subject: Subject) -> None:
    """Make the row of a student when it is missing: of these very files it is made once.

    Raises:
        UsageError: this machine has other int8 instructions than the target.
    """
    host = this_host()
    if not shares_path(target.cpu, architecture=host.architecture, features=host.features):
        raise UsageError(f"{target.id} makes int8 products with other instructions than this machine", hint="--target local")
    rows = RowFile(options.results / f"{subject.task}.json")
    if options.is_dry:
        is_timed = any(row["kind"] == TIMING and row["rung"] == subject.rung for row in rows.rows())
        print(f"{subject.name}: " + ("timed; the files that it was timed over are compared when it is started" if is_timed
                                     else "timing"))
        return
    chosen, files = files_to_time(subject, target, rivals_folder(options.work, subject))
    settings = subject.settings(TIMING, target=target.id, protocol=PROTOCOL.model_dump(mode="json"),
                                files={name: sha256_of_file(path) for name, path in files.items()})
    if rows.find(settings) is not None:
        return
    found = {**timed(subject, files), **chosen_figures(subject, target), "chosen": chosen}
    figures = {"kind": TIMING, **subject.labels, "target": target.id, **found, **judged(found["rounds_p50_s"], chosen)}
    row = rows.add(settings, figures, command=options.command + f" --timing --target {target.id}")
    print(f"{subject.name}: {chosen} takes {row['slowdown']['value']:.3f} times as long as {row['fastest']}"
          f"{', NOISY' if row['warnings'] else ''}", file=sys.stderr, flush=True)


def files_to_time(subject: Subject, target: Target, rivals: Path) -> tuple[str, dict[str, Path]]:
    """Return which file the court chose, and all files by name; equal files stand once."""
    source, court = subject.exported_for(target) / ONNX_FILE, subject.court(target) / ONNX_FILE
    files = {FLOAT: source, **subject.candidates(target)}
    digest = sha256_of_file(court)
    chosen = next((name for name, path in files.items() if sha256_of_file(path) == digest), CHOICE)
    if chosen == CHOICE:  # a rescued one: nodes in float, or another calibration
        files[CHOICE] = court
    return chosen, files | {f"{path.stem}": path for path in sorted(rivals.glob("*.onnx"))}


def chosen_figures(subject: Subject, target: Target) -> Row:
    """Return accuracy and bytes of what the court chose for a target, and which schemes it refused."""
    court = subject.court(target)
    verdict = read_verdict(court)
    test, validation = (subject.answers(court, "student_int8", split) for split in SPLITS)
    return {
        "int8_test": test.accuracy, "n_test": test.n, "int8_right": test.right, "int8_validation": validation.accuracy,
        "int8_bytes": (court / ONNX_FILE).stat().st_size, "scheme": verdict.scheme, "decision": verdict.decision,
        "refused": sorted({row.scheme for row in verdict.table if row.outcome == "refused"}),
    }


def timed(subject: Subject, files: Mapping[str, Path]) -> Row:
    """Time files side by side on validation rows of the median size."""
    inputs = rows_of_median_size(read_rows(subject.data / "validation.arrow", subject.exported, limit=256))
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "inputs.npz"
        np.savez(file, allow_pickle=False, **dict(inputs))
        first = next(iter(inputs.values()))
        candidates = [Candidate(name, "onnx", path, file, int(first[0].size)) for name, path in files.items()]
        traces = measure(candidates, PROTOCOL, seed=subject.recipe.seed)
    rounds = PROTOCOL.rounds
    return {
        "row_shape": list(first[:1].shape), "runtime": traces[FLOAT].runtime,
        "bytes": {name: path.stat().st_size for name, path in files.items()},
        "p50_s": {name: _plain(median_interval(pooled(trace.rounds_s))) for name, trace in traces.items()},
        "rounds_p50_s": {name: [[float(np.median(samples)) for samples in trace.rounds_s[start : start + rounds]]
                                for start in range(0, len(trace.rounds_s), rounds)] for name, trace in traces.items()},
        "warnings": {name: list(noise_warnings(t.rounds_s)) for name, t in traces.items() if noise_warnings(t.rounds_s)},
    }


def judged(rounds_p50_s: Mapping[str, list[list[float]]], chosen: str) -> Row:
    """Return how the chosen file compares with the fastest candidate, with float, and with other tools' files.

    Args:
        rounds_p50_s: medians of the rounds in seconds, by file: a list for each process.
        chosen: what the court chose.
    """
    ours = {name: _pairs(found) for name, found in rounds_p50_s.items() if "@" not in name}
    medians = {name: float(np.median([np.median(process) for process in rounds_p50_s[name]])) for name in ours}
    fastest = min(medians, key=lambda name: medians[name])
    slowdown = compare_pairs(ours[chosen], ours[fastest]).ratio
    to_float = compare_pairs(ours[FLOAT], ours[chosen])
    others = {name: _plain(compare_pairs(_pairs(found), ours[chosen]).ratio)
              for name, found in rounds_p50_s.items() if "@" in name}
    return {
        "fastest": fastest, "slowdown": _plain(slowdown), "is_within_5_percent": slowdown.value <= ASKED_WITHIN,
        "speed_to_float": _plain(to_float.ratio), "is_slower_than_float": to_float.ratio.high < 1,
        "speed_to_rivals": others,
    }


def _pairs(found: list[list[float]]) -> list[Pair]:
    """Return processes as `compare_pairs` wants them: a median stands for the runs of its round."""
    return [[[median] for median in process] for process in found]


def _plain(interval: Interval) -> dict[str, Any]:
    return interval.model_dump(mode="json")
