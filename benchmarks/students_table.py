"""Write the measured parts of docs/students.md from benchmarks/results/: `python benchmarks/students_table.py [--check]`.

Also draws docs/students.svg, the frontier. A part without rows says which command makes them.
"""

import argparse
import functools
import sys
from pathlib import Path

import other_family
import rivals
import teachers
import training_speed
from ablation_table import ablation_table
from result_rows import read_folder
from script_options import RESULTS, run_script
from student_line import base_keys
from students import todays_teacher
from students_judged import judged_table, verdicts
from students_summary import (
    Students,
    frontier_svg,
    frontier_table,
    rivals_table,
    speed_table,
)
from suite_files import AblationSuite, RivalsSuite, SpeedSuite, StudentsSuite, TeachersSuite, read_suite_file
from teachers_table import teachers_table

from edgedistill.errors import UsageError

PAGE = Path(__file__).resolve().parent.parent / "docs" / "students.md"
PLOT = "students.svg"
_NOTHING = "Not measured yet: `{}`."


@functools.cache
def students_of(results: Path) -> Students:
    """Return the students' rows of a results folder, read once."""
    suite = read_suite_file(StudentsSuite, "students")
    return Students(suite, read_folder(results / "students"), base_keys(suite), times=read_folder(results / "students_time"))


def parts_of(results: Path) -> dict[str, str]:
    """Return the text of each measured part by the name of its markers."""
    students = students_of(results)
    ablation = base_keys(students.suite, read_suite_file(AblationSuite, "ablation").overrides)
    rival = rivals.current_base(read_suite_file(RivalsSuite, "rivals"), students.suite)
    family = other_family.base_keys(students.suite, read_suite_file(AblationSuite, other_family.SUITE).overrides)
    speed = training_speed.current_base(read_suite_file(SpeedSuite, "training_speed"), students.suite)
    by_hand = teachers.current_keys(read_suite_file(TeachersSuite, teachers.SUITE), students.suite)
    frontier = frontier_table(students)
    if frontier:
        frontier = f"![accuracy over bytes, a panel a task]({PLOT})\n\n{frontier}"
    return {
        "students": judged_table(students) or _NOTHING.format("make bench-students"),
        "verdicts": verdicts(students) or _NOTHING.format("make bench-students"),
        "teachers": teachers_table(students, read_folder(results / teachers.SUITE), keys=by_hand,
                                   is_todays=todays_teacher(students.suite)) or _NOTHING.format("make bench-teachers"),
        "frontier": frontier or _NOTHING.format("make bench-students"),
        "ablation": ablation_table(results / "ablation", ablation) or _NOTHING.format("make bench-ablation"),
        "family": ablation_table(results / other_family.SUITE, family, suite=other_family.SUITE)
        or _NOTHING.format("make bench-other-family"),
        "rivals": rivals_table(students, read_folder(results / "rivals"), current=rival)
        or _NOTHING.format("make bench-rivals"),
        "speed": speed_table(read_folder(results / "speed"), current=speed) or _NOTHING.format("make bench-speed"),
    }


def filled(text: str, parts: dict[str, str]) -> str:
    """Return a page with the parts between their markers.

    Raises:
        UsageError: a marker is missing.
    """
    for name, part in parts.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, opened, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not opened or not closed:
            raise UsageError(f"the page has no place for {name}: {begin} ... {end}", hint="put the two markers back")
        text = f"{before}{begin}\n{part}\n{end}{after}"
    return text


def main() -> None:
    """Rewrite the page and the plot, or say that they are stale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 when the page is stale")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")
    given = parser.parse_args()
    plot = frontier_svg(students_of(given.results))
    text, drawn = given.page.read_text(encoding="utf-8"), given.page.with_name(PLOT)
    fresh = filled(text, parts_of(given.results))
    if given.check:
        is_current = fresh == text and (not plot or (drawn.is_file() and drawn.read_text(encoding="utf-8") == plot))
        sys.exit(0 if is_current else f"{given.page.name} is stale: python benchmarks/students_table.py")
    given.page.write_text(fresh, encoding="utf-8")
    if plot:
        drawn.write_text(plot, encoding="utf-8")


if __name__ == "__main__":
    run_script(main)
