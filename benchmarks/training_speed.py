"""Samples a second of our distillation against the same one written with plain transformers, at equal accuracy.

`python benchmarks/training_speed.py --data DIR --threads 2` writes benchmarks/results/speed/<task>.json: a row for each variant
and repetition, the variants interleaved, each in a process of its own (ours flushes denormals for the whole process; the
plain one must not profit). All start from the same student, which is cut out of the teacher, see the same training texts
equally often at the same learning rate and batch size, and are judged on test in float.

ours              `edgedistill.training.train` on soft labels made before, with the loss that the plain loops have: bf16 where the
                  CPU has it, batches of like length, the attention that is quickest here; one look at validation, at the end
ours_default      the same as `edgedistill distill` trains by default: sentence vectors too, twelve looks at validation
plain             Trainer, fp32, batches padded to their longest text, the teacher answers in every step; attention, optimizer
                  and data loader as transformers sets them (torch's fused attention, AdamW); no looks at validation
plain_precomputed the same with the soft labels made before: what is left is what loop, batches and precision buy
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

from resumable_rows import Row, RowFile, key_of, pack_bits
from script_options import WorkerFailedError, option_parser, read_options, run_script
from student_line import Line
from students import teacher_row
from suite_files import SpeedSuite, StudentsSuite, read_suite_file, shape_of

from edgedistill.errors import UsageError
from edgedistill.host import available_cores, tool_version

SUITE = "training_speed"
Loop = Literal["ours", "ours_default", "plain", "plain_precomputed"]
LOOPS: tuple[Loop, ...] = get_args(Loop)
_LOOKS = {"ours": 1, "ours_default": 12}
_WORKER_VERSION = 2  # of what the worker does in the time that it measures; raised, the rows are made anew


def speed_settings(line: Line, suite: SpeedSuite, loop: Loop, repetition: int, threads: int) -> Row:
    """Return the settings that a row is known by; the host is one of them."""
    base = line.base_settings(line.recipe(*_recipe_settings(suite)), teacher_seed=line.suite.teacher_seed)
    wanted = suite.model_dump(mode="json", exclude={"repetitions", "description", "kind", "schema_version"})
    tools = {name: tool_version(name) for name in ("torch", "transformers")}
    return {**base, "kind": "speed", "loop": loop, "repetition": repetition, "threads": threads, "speed": wanted,
            "worker": _WORKER_VERSION,
            "shape": shape_of(line.suite.rung_of(suite.size)).model_dump(mode="json"), "tools": tools}


def speed_base(line: Line, suite: SpeedSuite, threads: int) -> str:
    """Return what the rows of one comparison have in common: a key of their settings without loop and repetition."""
    return key_of({**speed_settings(line, suite, "ours", 0, threads), "loop": ""})


def current_base(suite: SpeedSuite, students: StudentsSuite) -> Callable[[Row], str | None]:
    """Return a function that says which `base` a row has where it was made with today's settings and tools."""

    def current(row: Row) -> str | None:
        if row["task"] != suite.task:
            return None
        return speed_base(Line(students, row["task"], Path(), Path()), suite, row["threads"])

    return current


def job_of_loop(line: Line, suite: SpeedSuite, loop: Loop, shared: Row) -> Row:
    """Return the job of a loop: what all share and, for ours, losses and looks at validation."""
    if loop not in _LOOKS:
        return {**shared, "loop": loop}
    losses = ("distillation.losses=[]",) if loop == "ours" else ()
    recipe = line.recipe(*_recipe_settings(suite), *losses)
    return {**shared, "loop": loop, "evaluations": _LOOKS[loop], "distillation": recipe.distillation.model_dump(mode="json")}


def _recipe_settings(suite: SpeedSuite) -> tuple[str, ...]:
    names = ("temperature", "alpha", "learning_rate", "batch_size", "warmup_share")
    values = tuple(f"distillation.{name}={getattr(suite, name):f}".rstrip("0").rstrip(".") for name in names)
    return (*values, "distillation.transfer_set.rows=0", "student.initialisation=cut")


def make_job(line: Line, suite: SpeedSuite) -> Row:
    """Make what all variants share, teacher, soft labels and the untrained student, and return where it is."""
    from edgedistill.prepare.stage import LABELS_FILE, TEST_FILE, TRAIN_FILE, VALIDATION_FILE
    from edgedistill.teach.stage import SOFT_LABELS_FILE

    recipe, seed = line.recipe(*_recipe_settings(suite)), line.suite.teacher_seed
    data, teacher, soft = line.prepared(seed).folder, line.teacher(seed), line.soft_labels(recipe, seed)
    start = line.work / line.task / "speed-start" / key_of(speed_settings(line, suite, "ours", 0, 0))
    job = {"teacher": teacher.folder, "train": data / TRAIN_FILE, "validation": data / VALIDATION_FILE,
           "test": data / TEST_FILE, "labels": data / LABELS_FILE, "soft_labels": soft.folder / SOFT_LABELS_FILE,
           "start": start}
    return {**{name: str(path.resolve()) for name, path in job.items()}, "samples": suite.samples,
            "batch_size": suite.batch_size, "learning_rate": suite.learning_rate, "temperature": suite.temperature,
            "alpha": suite.alpha, "warmup_share": suite.warmup_share, "max_tokens": recipe.teacher.max_tokens, "seed": seed,
            "shape": shape_of(line.suite.rung_of(suite.size)).model_dump(mode="json")}


def run_worker(job: Row, *, threads: int, scratch: Path) -> Path:
    """Do a job in a process of its own and return the file of its figures; the job `start` has none.

    Raises:
        WorkerFailedError: the process failed; what it said stands above.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / f"job-{job['loop']}.json"
    result = path.with_suffix(".result.json")
    result.unlink(missing_ok=True)
    path.write_text(json.dumps(job), encoding="utf-8")
    surroundings = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads),
                                 "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, str(Path(__file__).resolve().with_name("speed_worker.py")), str(path)]
    done = subprocess.run(command, env=surroundings, check=False)
    if done.returncode:
        raise WorkerFailedError(f"the training of {job['loop']} ended with {done.returncode}", hint="read what it said above")
    return result


def measure(line: Line, suite: SpeedSuite, given: argparse.Namespace, rows: RowFile, command: str) -> None:
    """Make the rows that are missing, one repetition of every variant after the other."""
    threads = given.threads or available_cores()
    with line.held():
        teacher = teacher_row(line, rows, line.suite.teacher_seed, command)
        job = make_job(line, suite)
        scratch = line.work / line.task / "speed"
        run_worker({**job, "loop": "start"}, threads=threads, scratch=scratch)
        for repetition in range(suite.repetitions):
            for loop in LOOPS:
                settings = speed_settings(line, suite, loop, repetition, threads)
                if rows.find(settings) is not None:
                    continue
                print(f"{line.task}: repetition {repetition}, {loop}", file=sys.stderr, flush=True)
                started = time.time()
                load = os.getloadavg()[0]
                of_loop = {**job_of_loop(line, suite, loop, job), "seed": job["seed"] + repetition}
                result = run_worker(of_loop, threads=threads, scratch=scratch)
                figures = json.loads(result.read_text(encoding="utf-8"))
                right = figures.pop("right")
                row: dict[str, Any] = {
                    "task": line.task, "kind": "speed", "seed": repetition, "loop": loop, "threads": threads,
                    **figures, "test": sum(right) / len(right), "n_test": len(right), "right": pack_bits(right),
                    "load_before": round(load, 2), "wall_s": round(time.time() - started, 1),
                    "teacher_test": teacher["test"], "teacher_row": teacher["key"],
                    "base": speed_base(line, suite, threads),
                }
                rows.add(settings, row, command=command)
                print(f"  {row['samples'] / row['train_s']:.0f} samples/s, test {row['test']:.4f}", file=sys.stderr, flush=True)


def main() -> None:
    """Read the command line and measure."""
    parser = option_parser(__doc__, name="speed")
    parser.add_argument("--samples", type=int, help="instead of the suite's")
    parser.add_argument("--repetitions", type=int, help="instead of the suite's")
    given = parser.parse_args()
    options = read_options(given, script="training_speed.py")
    suite, students = read_suite_file(SpeedSuite, SUITE), read_suite_file(StudentsSuite, "students")
    changes = {name: value for name in ("samples", "repetitions") if (value := getattr(given, name)) is not None}
    task = options.tasks[0] if options.tasks else suite.task
    if task not in students.tasks:
        raise UsageError(f"no task {task!r} in the suite", hint=f"choose of: {', '.join(students.tasks)}")
    suite = suite.model_copy(update={**changes, "task": task})
    line = Line(students, task, options.data, options.work, options.overrides)
    rows = RowFile(options.results / f"{task}.json")
    if options.is_dry:
        threads = given.threads or available_cores()
        for repetition in range(suite.repetitions):
            for loop in LOOPS:
                if rows.find(speed_settings(line, suite, loop, repetition, threads)) is None:
                    print(f"{task}: repetition {repetition}, {loop}")
        return
    measure(line, suite, given, rows, options.command)


if __name__ == "__main__":
    run_script(main)
