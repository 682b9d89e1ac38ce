"""The ablation table: accuracy of each row of benchmarks/suites/ablation.yaml, and its distance to the first."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from result_rows import bits_of, markdown_table, mean_of, points, read_folder, select, shown
from resumable_rows import Row
from row_statistics import draws_of, gain_interval
from stage_versions import has_todays_start
from suite_files import AblationSuite, read_suite_file


@dataclass(frozen=True)
class Course:
    """Rows of a task that are held against each other: of one teacher and of the same settings but for what is changed."""

    rows: tuple[Row, ...]
    is_todays: bool

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Today's settings first, then the course of most lines, then the newest."""
        return self.is_todays, len({row["name"] for row in self.rows}), max(str(row["made"]) for row in self.rows)

    def has(self, *names: str) -> bool:
        """Are there rows of all these lines?"""
        return set(names) <= {row["name"] for row in self.rows}


def ablation_table(folder: Path, bases: Mapping[str, str], *, suite: str = "ablation") -> str:
    """Return a Markdown table with a row for each ablation and a column for each task; empty without rows.

    A cell holds the int8 student's test accuracy, mean over seeds, and its difference to the first row over the seeds that
    both have, in points with a 95 % interval. The first row is always that of the same teacher and settings; where it is not the
    one that the table shows, its accuracy stands with it.

    Args:
        folder: of the rows.
        bases: by task, the `base` of rows that are made with today's settings.
        suite: the file that lists the rows.
    """
    known = [row for row in read_folder(folder) if row["kind"] != "teacher"]
    rows = [row for row in known if has_todays_start(row)]
    if len(rows) < len(known):
        print(f"{suite}: {len(known) - len(rows)} rows of other first weights are left out", file=sys.stderr)
    if not rows:
        return ""
    listed = read_suite_file(AblationSuite, suite)
    names = [ablation.name for ablation in listed.ablations]
    tasks = [task for task in listed.tasks if any(row["task"] == task for row in rows)]
    tasks += sorted({row["task"] for row in rows} - set(tasks))
    courses = {task: _courses([row for row in rows if row["task"] == task], bases.get(task)) for task in tasks}
    lines = [[name, *(_cell(courses[task], name, names[0]) for task in tasks)] for name in names
             if any(row["name"] == name for row in rows)]
    return markdown_table(["what is changed", *tasks], lines)


def _courses(rows: Sequence[Row], todays_base: str | None) -> list[Course]:
    """Return the courses of a task, that which a line is taken from first in front."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["base"], str(row.get("teacher_row"))), []).append(row)
    courses = [Course(tuple(group), base == todays_base) for (base, _), group in groups.items()]
    return sorted(courses, key=lambda course: course.rank, reverse=True)


def _cell(courses: Sequence[Course], name: str, base: str) -> str:
    course = next((c for c in courses if c.has(name, base)), None) or next((c for c in courses if c.has(name)), None)
    if course is None:
        return "-"
    found, first = select(course.rows, name=name), select(course.rows, name=base)
    accuracy = f"{mean_of(list(found.values()), 'int8_test'):.3f}"
    both = [seed for seed in found if seed in first]
    older = "" if course.is_todays else ", older settings"
    if name == base or not both:
        return f"{accuracy} ({len(found)} seed{'s' * (len(found) > 1)}){older}"
    of = "" if course is courses[0] else f" of {mean_of([first[s] for s in both], 'int8_test'):.3f}"
    seed = draws_of(str(course.rows[0]["task"]))
    difference = gain_interval(bits_of([found[s] for s in both]), bits_of([first[s] for s in both]), seed=seed)
    return f"{accuracy}{of}, {shown(difference, points)}{older}"
