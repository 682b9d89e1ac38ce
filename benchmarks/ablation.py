"""What each ingredient of the distillation is worth: one shape, one length of training, one setting changed at a time.

`python benchmarks/ablation.py --data DIR` makes the rows that benchmarks/suites/ablation.yaml lists and that are missing, in
benchmarks/results/ablation/<task>.json, and writes the table over them to table.md in that folder. An ablation is a name and
a list of recipe settings, nothing else. Teacher and split are those of benchmarks/students.py, and so are the finished
steps when both are given the same --work folder.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablation_table import ablation_table
from resumable_rows import Row, RowFile
from script_options import ScriptOptions, option_parser, read_options, run_script
from stage_versions import first_weights
from student_line import Line, base_keys, wanted_tasks
from students import missing_anywhere, teacher_row
from suite_files import Ablation, AblationSuite, StudentsSuite, read_suite_file, shape_of

from edgedistill.errors import UsageError
from edgedistill.shape import StudentShape
from edgedistill.stage import write_text_durably

SUITE = "ablation"

BasesOf = Callable[[StudentsSuite, Sequence[str]], dict[str, str]]
"""Returns by task what rows have in common, for the settings of a start."""


@dataclass(frozen=True)
class Ablated:
    """A row to be made."""

    ablation: Ablation
    seed: int
    size: str
    shape: StudentShape


def jobs_of(
    suite: AblationSuite, students: StudentsSuite, *, seeds: tuple[int, ...] | None, names: tuple[str, ...] | None
) -> Iterator[Ablated]:
    """Yield the rows of a task, seed by seed, so that an early stop leaves whole comparisons.

    Raises:
        UsageError: a name is not in the suite, or the size is not in that of the students.
    """
    known = [ablation.name for ablation in suite.ablations]
    unknown = sorted(set(names or ()) - set(known))
    if unknown:
        raise UsageError(f"no ablation {unknown[0]!r} in the suite", hint=f"choose of: {', '.join(known)}")
    shape = shape_of(students.rung_of(suite.size))
    for seed in seeds or suite.seeds:
        for ablation in suite.ablations:
            if names is None or ablation.name in names:
                yield Ablated(ablation, seed, suite.size, shape)


def job_settings(line: Line, job: Ablated) -> Row:
    """Return the settings that a row is known by; two ablations of one recipe would be one row.

    Raises:
        RecipeError: the recipe has no such setting.
    """
    recipe = line.recipe(*job.ablation.overrides)
    base = line.base_settings(recipe, teacher_seed=line.teacher_seed(job.seed))
    return {**base, **first_weights(recipe), "kind": "ablation", "name": job.ablation.name, "seed": job.seed,
            "transfer_seed": line.transfer_seed(job.seed), "shape": job.shape.model_dump(mode="json")}


def ablation_row(line: Line, rows: RowFile, job: Ablated, command: str) -> Row:
    """Make a row: distil with the settings of the ablation, take it to int8, evaluate it."""
    teacher = teacher_row(line, rows, job.seed, command)
    recipe = line.recipe(*job.ablation.overrides)
    model = line.student(recipe, job.shape, job.seed)
    figures = {
        "task": line.task, "seed": job.seed, "kind": "ablation", "name": job.ablation.name,
        "ablation_overrides": list(job.ablation.overrides), "overrides": list(line.overrides), "size": job.size,
        "rung": job.shape.id, **line.figures(recipe, model, job.seed), **line.training_figures(recipe, model, job.seed),
        "teacher_fp32_bytes": teacher["fp32_bytes"], "teacher_test": teacher["test"],
        "teacher_validation": teacher["validation"], "teacher_row": teacher["key"],
        "base": line.base_key(),
    }
    return rows.add({**job_settings(line, job), "teacher_row": teacher["key"]}, figures, command=command)


def missing_jobs(line: Line, jobs: Sequence[Ablated], file: RowFile, teacher: str) -> list[Ablated]:
    """Return the jobs whose rows are not there for a teacher."""
    return [job for job in jobs if file.of_teacher(job_settings(line, job), teacher) is None]


def measure_task(line: Line, jobs: list[Ablated], options: ScriptOptions) -> None:
    """Make the rows of a task that are missing; those of one teacher are all made, so that its students can be compared."""
    file = RowFile(options.results / f"{line.task}.json")
    fewest = missing_anywhere(file, jobs, lambda teacher: missing_jobs(line, jobs, file, teacher))
    if options.is_dry:
        print(*(_name(line, job) for job in fewest), sep="\n", end="\n" if fewest else "")
    if options.is_dry or not fewest:
        return
    with line.held():
        teacher = teacher_row(line, file, jobs[0].seed, options.command)["key"]
    for job in missing_jobs(line, jobs, file, teacher):
        print(_name(line, job), file=sys.stderr, flush=True)
        with line.held():
            row = file.of_teacher(job_settings(line, job), teacher) or ablation_row(line, file, job, options.command)
        print(f"  int8 test {row['int8_test']:.4f}, validation {row['int8_validation']:.4f}", file=sys.stderr, flush=True)


def _name(line: Line, job: Ablated) -> str:
    return f"{line.task}: seed {job.seed}, {job.ablation.name}"


def write_table(results: Path, bases: Mapping[str, str], *, suite: str = SUITE) -> None:
    """Write the Markdown table over the rows beside them; arguments as in `ablation_table`."""
    table = ablation_table(results, bases, suite=suite)
    if table:
        write_text_durably(results / "table.md", table + "\n")


def measure_suite(description: str | None, *, suite_name: str, line_of: type[Line], bases_of: BasesOf) -> None:
    """Read the command line of a script over an ablation suite, make its missing rows, and write the table.

    Args:
        description: of the script, for --help.
        suite_name: of the file in suites/, of the folder in results/, and of the script.
        line_of: how a task gets its teacher.
        bases_of: what the rows of a task have in common, as `base_keys`.
    """
    parser = option_parser(description, name=suite_name)
    parser.add_argument("--names", nargs="+", metavar="NAME", help="only these rows of the suite")
    given = parser.parse_args()
    options = read_options(given, script=f"{suite_name}.py")
    suite, students = read_suite_file(AblationSuite, suite_name), read_suite_file(StudentsSuite, "students")
    jobs = list(jobs_of(suite, students, seeds=options.seeds, names=tuple(given.names) if given.names else None))
    overrides = (*suite.overrides, *options.overrides)
    tasks = [task for task in wanted_tasks(students, options.tasks) if task in (options.tasks or suite.tasks)]
    lines = [line_of(students, task, options.data, options.work, overrides) for task in tasks]
    for line in lines:
        for job in jobs:  # a setting that does not exist is refused before the first hour
            job_settings(line, job)
    for line in lines:
        measure_task(line, jobs, options)
    if not options.is_dry:
        write_table(options.results, bases_of(students, overrides), suite=suite_name)


def main() -> None:
    """Read the command line and measure."""
    measure_suite(__doc__, suite_name=SUITE, line_of=Line, bases_of=base_keys)


if __name__ == "__main__":
    run_script(main)
