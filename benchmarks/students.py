"""Measure distilled int8 students of several sizes on the data sets of benchmarks/suites/students.yaml.

`python benchmarks/students.py --data DIR` writes benchmarks/results/students/<task>.json, a row for each teacher and for each
seed, size and kind of student; started again it makes the rows that are missing. Two starts may share the folders: on
different tasks they work side by side, on the same task one waits for the other.

By default the seeds of a task share one teacher and one split, of the suite's `teacher_seed`, so that the rows differ by
transfer set, cut and training only; with --teacher-per-seed the seed goes into split and teacher too.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from result_rows import preferred_rung
from resumable_rows import Row, RowFile, key_of
from script_options import ScriptOptions, option_parser, read_options, run_script
from stage_versions import first_weights
from student_line import KINDS, Kind, Line, wanted_tasks
from suite_files import StudentsSuite, SuiteRung, read_suite_file, shape_of

SUITE = "students"
_ANSWERS = "answers"
"""What a teacher's row is known by besides where another machine's teacher with the same settings answers otherwise."""

Wanted = TypeVar("Wanted")


@dataclass(frozen=True)
class Job:
    """A row to be made."""

    seed: int
    rung: SuiteRung
    kind: Kind

    @property
    def name(self) -> str:
        """For the reader."""
        return f"seed {self.seed}, {self.rung.size}, {self.rung.rung}, {self.kind}"


def jobs_of(
    suite: StudentsSuite, task: str, *, seeds: tuple[int, ...] | None, sizes: tuple[str, ...] | None, kinds: tuple[Kind, ...]
) -> Iterator[Job]:
    """Yield the rows of a task, those that are judged first, and of a size all that its rung is chosen by.

    Args:
        suite: tasks, sizes, seeds.
        task: its name.
        seeds: instead of the suite's.
        sizes: only these; None for all.
        kinds: only these; the comparisons are made at judged sizes, and at sizes that are named.

    Raises:
        UsageError: a size is not in the suite.
    """
    rungs = suite.rungs if sizes is None else tuple(suite.rung_of(size) for size in sizes)
    for size in sorted(rungs, key=lambda r: not r.is_judged):
        of_size = [
            Job(seed, rung, kind) for seed in (seeds or suite.seeds_of(task))[: size.seeds] for kind in kinds
            for rung in size.choices() if kind == "student" or rung.is_judged or sizes is not None
        ]
        first = suite.seeds_of(task)[0]
        yield from sorted(of_size, key=lambda job: (job.seed != first, job.kind != "student"))  # stable


def is_passed_over(job: Job, rows: Sequence[Row], *, first_seed: int, base: str) -> bool:
    """Has another rung of the same size been preferred, on the validation of the task's first seed?

    Args:
        job: a row to be made.
        rows: of the task, finished, all of one teacher where the seeds share it.
        first_seed: the one whose students choose the rung; they are all made.
        base: key of the settings that the job shares with the rows to be looked at.
    """
    if not job.rung.alternatives or (job.kind == "student" and job.seed == first_seed):
        return False
    known = [row for row in rows if (row.get("size"), row.get("base"), row["seed"]) == (job.rung.size, base, first_seed)]
    return preferred_rung(known) not in (None, job.rung.rung)


def missing_jobs(line: Line, jobs: Sequence[Job], file: RowFile, teacher: str) -> list[Job]:
    """Return the jobs whose rows are not there for a teacher, without those of rungs that were passed over."""
    rows = [row for row in file.rows() if line.has_teacher_per_seed or row.get("teacher_row") == teacher]
    first_seed, base = line.suite.seeds_of(line.task)[0], line.base_key()
    return [job for job in jobs if file.of_teacher(job_settings(line, job), teacher) is None
            and not is_passed_over(job, rows, first_seed=first_seed, base=base)]


def missing_anywhere(file: RowFile, jobs: Sequence[Wanted], missing: Callable[[str], list[Wanted]]) -> list[Wanted]:
    """Return the jobs that are missing of the teacher that lacks fewest; all where there is no teacher yet."""
    taught = {str(row.get("teacher_row")) for row in file.rows() if row.get("kind") != "teacher"}
    return min(map(missing, sorted(taught)), key=len, default=list(jobs))


def job_settings(line: Line, job: Job) -> Row:
    """Return the settings that a row is known by; those of its kind are among them."""
    recipe = line.kind_recipe(job.kind)
    base = line.base_settings(recipe, teacher_seed=line.teacher_seed(job.seed))
    return {**base, **first_weights(recipe, has_teacher=job.kind != "no_kd"), "kind": job.kind, "seed": job.seed,
            "transfer_seed": line.transfer_seed(job.seed), "shape": shape_of(job.rung).model_dump(mode="json")}


def teacher_settings(line: Line, teacher_seed: int) -> Row:
    """Return the settings that a teacher's row is known by; nothing of the students is in them."""
    base = line.base_settings(line.recipe(), teacher_seed=teacher_seed)
    stages = {name: base["stages"][name] for name in ("prepare", "teach", "export", "evaluate")}
    names = ("task", "data", "validation_share", "teacher", "teacher_seed", "target")
    return {**{name: base[name] for name in names}, "kind": "teacher", "stages": stages}


def todays_teacher(suite: StudentsSuite) -> Callable[[Row], bool]:
    """Return a function that says whether a teacher's row was made with today's settings, on whatever machine."""
    keys = {key_of(teacher_settings(Line(suite, task, Path(), Path()), suite.teacher_seed)) for task in suite.tasks}
    return lambda row: key_of({name: value for name, value in row["settings"].items() if name != _ANSWERS}) in keys


def teacher_row(line: Line, rows: RowFile, seed: int, command: str) -> Row:
    """Return the row of the teacher that belongs to a seed; makes it when it is missing.

    The same settings on another machine round otherwise and end in other weights. A teacher that answers otherwise than the one
    of the row gets a row of its own, so that no student is held against a teacher it never had.
    """
    teacher_seed = line.teacher_seed(seed)
    settings = teacher_settings(line, teacher_seed)
    figures = {"task": line.task, "seed": teacher_seed, "kind": "teacher", **line.teacher_figures(teacher_seed)}
    found = rows.find(settings)
    if found is not None and (found["right"], found["validation"]) != (figures["right"], figures["validation"]):
        settings = {**settings, _ANSWERS: key_of({"right": figures["right"], "validation": figures["validation"]})}
    return rows.add(settings, figures, command=command)  # a row that is there stays


def student_row(line: Line, rows: RowFile, job: Job, command: str) -> Row:
    """Make the row of a student: train it, take it to int8, evaluate it."""
    teacher = teacher_row(line, rows, job.seed, command)
    recipe, shape = line.kind_recipe(job.kind), shape_of(job.rung)
    model = line.trained(job.kind, recipe, shape, job.seed)
    figures = {
        "task": line.task, "seed": job.seed, "kind": job.kind, "size": job.rung.size, "rung": job.rung.rung,
        **line.figures(recipe, model, job.seed),
        **line.training_figures(recipe, model, job.seed, has_teacher=job.kind != "no_kd"),
        "teacher_fp32_bytes": teacher["fp32_bytes"], "teacher_test": teacher["test"],
        "teacher_validation": teacher["validation"], "teacher_row": teacher["key"],
        "base": line.base_key(), "overrides": list(line.overrides),
    }
    return rows.add({**job_settings(line, job), "teacher_row": teacher["key"]}, figures, command=command)


def measure_task(line: Line, jobs: list[Job], options: ScriptOptions) -> None:
    """Make the rows of a task that are missing; those of one teacher are all made, so that its students can be compared."""
    file = RowFile(options.results / f"{line.task}.json")
    for teacher_seed in dict.fromkeys(line.teacher_seed(job.seed) for job in jobs):
        measure_teacher(line, [job for job in jobs if line.teacher_seed(job.seed) == teacher_seed], file, options)


def measure_teacher(line: Line, jobs: Sequence[Job], file: RowFile, options: ScriptOptions) -> None:
    """Make the rows of one teacher that are missing; nothing where some teacher has them all."""
    fewest = missing_anywhere(file, jobs, lambda teacher: missing_jobs(line, jobs, file, teacher))
    if options.is_dry:
        print(*(f"{line.task}: {job.name}" for job in fewest), sep="\n", end="\n" if fewest else "")
    if options.is_dry or not fewest:
        return
    with line.held():
        teacher = teacher_row(line, file, jobs[0].seed, options.command)["key"]
    while missing := missing_jobs(line, jobs, file, teacher):  # a rung may be passed over once its rivals are made
        job = missing[0]
        print(f"{line.task}: {job.name}", file=sys.stderr, flush=True)
        with line.held():
            row = file.of_teacher(job_settings(line, job), teacher) or student_row(line, file, job, options.command)
        print(f"  {row['int8_bytes']} bytes, int8 test {row['int8_test']:.4f} of {row['teacher_test']:.4f} "
              f"({row['int8_test'] / max(row['teacher_test'], 1e-9):.4f}), {row['distill_s']:.0f} s", file=sys.stderr, flush=True)


def main() -> None:
    """Read the command line and measure."""
    parser = option_parser(__doc__, name="students")
    parser.add_argument("--sizes", "--rungs", nargs="+", metavar="SIZE", help="only these, as the suite names them: 1/30")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--teacher-per-seed", action="store_true", help="the seed goes into split and teacher too")
    given = parser.parse_args()
    options = read_options(given, script="students.py")
    suite = read_suite_file(StudentsSuite, SUITE)
    sizes = tuple(given.sizes) if given.sizes else None
    lines = []
    for task in wanted_tasks(suite, options.tasks):
        line = Line(suite, task, options.data, options.work, options.overrides, given.teacher_per_seed)
        jobs = list(jobs_of(suite, task, seeds=options.seeds, sizes=sizes, kinds=tuple(given.kinds)))
        for job in jobs:  # a wrong setting or rung is refused before the first hour
            job_settings(line, job)
        lines.append((line, jobs))
    for line, jobs in lines:
        measure_task(line, jobs, options)


if __name__ == "__main__":
    run_script(main)
