"""Time soft labels and distillation of the students of benchmarks/suites/students.yaml, alone on the machine.

`python benchmarks/students_time.py --data DIR --work DIR` writes benchmarks/results/students_time/<task>.json, a row a task and
judged size, and makes only the rows that are missing. The seconds in the rows of students.py are those of a machine that does
other things too; these stand in their place in docs/students.md. Teacher and split are taken from --work, where students.py
left them; labels and student are made anew in a folder of their own, with as many threads as the machine has cores or
--threads says. A machine that is busy is refused.
"""

import itertools
import os
import shutil
import sys
import tempfile
from pathlib import Path

from result_rows import of_one_setting, of_one_teacher, preferred_rung, read_folder
from resumable_rows import Row, RowFile
from script_options import RESULTS, option_parser, read_options, run_script
from student_line import Line, wanted_tasks
from suite_files import StudentsSuite, SuiteRung, read_suite_file, shape_of

from edgedistill.errors import UsageError
from edgedistill.host import available_cores

SUITE = "students"
FOLDER = "students_time"
_MOST_LOAD = 0.5


def require_idle() -> None:
    """Refuse to time on a machine that has other work.

    Raises:
        UsageError: its load of the last minute is over 0.5.
    """
    load = os.getloadavg()[0]
    if load > _MOST_LOAD:
        raise UsageError(f"the machine is busy: a load of {load:.1f} in the last minute",
                         hint=f"stop what else runs, wait until `uptime` says {_MOST_LOAD} or less, and start again")


def time_settings(line: Line, rung: SuiteRung, seed: int, threads: int) -> Row:
    """Return the settings that a row is known by."""
    settings = line.base_settings(line.kind_recipe("student"), teacher_seed=line.teacher_seed(seed))
    return {**settings, "kind": "time", "seed": seed, "threads": threads,
            "shape": shape_of(rung).model_dump(mode="json")}


def rung_to_time(suite: StudentsSuite, task: str, size: str, bases: dict[str, str]) -> SuiteRung:
    """Return the rung of a size that validation has chosen; the first where nothing is trained yet."""
    found = [row for row in read_folder(RESULTS / SUITE) if row["task"] == task]
    rows = of_one_teacher(of_one_setting(found, what=SUITE, current=lambda row: bases.get(row["task"])))
    chosen = preferred_rung([row for row in rows if row["size"] == size])
    choices = suite.rung_of(size).choices()
    return next((rung for rung in choices if rung.rung == chosen), choices[0])


def timed_row(line: Line, rung: SuiteRung, rows: RowFile, *, seed: int, threads: int, command: str) -> Row:
    """Label and distil in a folder of its own, and write what it took.

    Raises:
        UsageError: the machine is busy.
    """
    require_idle()
    load = os.getloadavg()[0]
    line.teacher(line.teacher_seed(seed))  # found done, or made before anything is timed
    line.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=line.work, prefix="timing-") as scratch:
        fresh = Line(line.suite, line.task, line.data, Path(scratch), line.overrides)
        for step in ("prepare", "teach"):
            shutil.copytree(line.workspace.root / step, fresh.workspace.root / step)
        recipe = fresh.kind_recipe("student")
        labelled = fresh.soft_labels(recipe, seed)
        student = fresh.student(recipe, shape_of(rung), seed)
        figures = {
            "task": line.task, "kind": "time", "size": rung.size, "rung": rung.rung, "seed": seed,
            "soft_labels_s": labelled.manifest.duration_s, "distill_s": student.manifest.duration_s, "distill_s_is_whole": True,
            "threads": [threads], "load_before": load, "base": line.base_key(), "overrides": list(line.overrides),
        }
    return rows.add(time_settings(line, rung, seed, threads), figures, command=command)


def main() -> None:
    """Read the command line and time."""
    parser = option_parser(__doc__, name=FOLDER)
    parser.add_argument("--sizes", nargs="+", metavar="SIZE", help="only these, as the suite names them: 1/30")
    given = parser.parse_args()
    options = read_options(given, script="students_time.py")
    suite = read_suite_file(StudentsSuite, SUITE)
    sizes = given.sizes or [rung.size for rung in suite.rungs if rung.is_judged]
    threads = given.threads or available_cores()
    for task in wanted_tasks(suite, options.tasks):
        line, rows = Line(suite, task, options.data, options.work, options.overrides), RowFile(options.results / f"{task}.json")
        for seed, size in itertools.product(options.seeds or suite.seeds_of(task)[:1], sizes):
            rung = rung_to_time(suite, task, size, {task: line.base_key()})
            if rows.find(time_settings(line, rung, seed, threads)) is not None:
                continue
            print(f"{task}: seed {seed}, {size}, {rung.rung}", file=sys.stderr, flush=True)
            if not options.is_dry:
                with line.held():
                    row = timed_row(line, rung, rows, seed=seed, threads=threads, command=options.command)
                print(f"  {row['soft_labels_s']:.0f} + {row['distill_s']:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    run_script(main)
