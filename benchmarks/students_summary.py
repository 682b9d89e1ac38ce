"""The tables of docs/students.md over the rows of students, rivals and training speed, each as Markdown.

Those that judge the students stand in `students_judged`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean, median

import numpy as np
from result_rows import (
    bits_of,
    markdown_table,
    marked,
    mean_of,
    of_one_setting,
    of_one_teacher,
    of_preferred_rungs,
    points,
    seeds_in_words,
    select,
    shown,
)
from resumable_rows import Row
from row_statistics import draws_of, gain_interval
from suite_files import StudentsSuite
from svg_plot import Panel, draw

_LOOPS = ("ours", "ours_default", "plain_precomputed", "plain")


@dataclass(frozen=True)
class Students:
    """The rows of a results folder, those of the teachers too, and the suite that they are of.

    Attributes:
        suite: tasks and sizes.
        everything: the rows.
        bases: by task, the `base` of rows that are made with today's settings.
        by_accuracy_alone: choose the rung of a size without regard to how close its student is to the teacher.
        times: the rows of students_time.py.
    """

    suite: StudentsSuite
    everything: Sequence[Row]
    bases: Mapping[str, str]
    by_accuracy_alone: bool = False
    times: Sequence[Row] = ()

    def timed(self, student: Row) -> Row | None:
        """Return the row of a time, taken alone on the machine, of a student's task, shape and settings; None: there is none."""
        wanted = (student["task"], student["size"], student["rung"], student["base"])
        return next((row for row in self.times if (row["task"], row["size"], row["rung"], row["base"]) == wanted), None)

    @cached_property
    def rows(self) -> list[Row]:
        """The students' rows, one settings' worth, one teacher and one rung a task and size."""
        return of_preferred_rungs(self.of_all_rungs, by_accuracy_alone=self.by_accuracy_alone)

    @cached_property
    def of_all_rungs(self) -> list[Row]:
        """The same, with the rungs that were passed over."""
        return of_one_teacher(
            of_one_setting(self.everything, what="students", current=lambda row: self.bases.get(row["task"]))
        )

    @property
    def tasks(self) -> list[str]:
        """The tasks that have rows, in the suite's order."""
        present = {row["task"] for row in self.rows}
        return [task for task in self.suite.tasks if task in present]


def frontier_table(students: Students) -> str:
    """Return int8 accuracy on test, and what it is of the teacher's, by task and size; empty without rows."""
    rows = students.rows
    lines = []
    for task in students.tasks:
        cells = []
        for rung in students.suite.rungs:
            found = list(select(rows, task=task, size=rung.size, kind="student").values())
            if not found:
                cells.append("-")
                continue
            cell = (f"{mean_of(found, 'int8_bytes') / 1e6:.2f} MB: {mean_of(found, 'int8_test'):.4f} "
                    f"({mean([r['int8_test'] / r['teacher_test'] for r in found]):.3f})")
            cells.append(marked(cell, found))
        lines.append([task, *cells])
    return markdown_table(("task", *(rung.size for rung in students.suite.rungs)), lines) if lines else ""


def frontier_svg(students: Students) -> str:
    """Return the frontier as SVG: a panel a task, int8 accuracy on test over the bytes of the int8 file; empty without rows."""
    panels = []
    for task in students.tasks:
        of_task = [row for row in students.rows if row["task"] == task and row["kind"] == "student"]
        if not of_task:
            continue
        by_size: dict[str, list[Row]] = {}
        for row in of_task:
            by_size.setdefault(row["size"], []).append(row)
        line = sorted((mean_of(rows, "int8_bytes"), mean_of(rows, "int8_test")) for rows in by_size.values())
        single = [(row["int8_bytes"], row["int8_test"]) for row in of_task]
        panels.append(Panel(marked(task, of_task), line, single, mean_of(of_task, "teacher_test")))
    if not panels:
        return ""
    return draw(panels, x_label="int8 file in MB, logarithmic", y_label="accuracy on test, int8; line: mean over seeds",
                level_label=f"teacher, fp32, {students.rows[0]['teacher_fp32_bytes'] / 1e6:.1f} MB")


def rivals_table(students: Students, rivals: Sequence[Row], *, current: Callable[[Row], str | None]) -> str:
    """Return a line for each task, size and rival: its bytes and accuracy, ours, and the difference; empty without rows.

    Args:
        students: ours.
        rivals: the rows of theirs.
        current: the `base` that such a row has where it was made with today's settings.
    """
    lines, rows = [], students.rows
    kept = of_one_setting(rivals, what="rivals", current=current, by=("task", "size", "name"))
    names = sorted({(row["size"], row["name"]) for row in kept})
    for task in students.suite.tasks:
        for size, name in names:
            theirs = select(kept, task=task, size=size, name=name)
            ours = select(rows, task=task, size=size, kind="student")
            if theirs:
                lines.append([task, size, name, *_rival_cells(task, theirs, ours)])
    header = ("task", "size", "rival", "its int8 file", "its accuracy", "our int8 file", "our accuracy", "points ahead (95 %)")
    return markdown_table(header, lines) if lines else ""


def _rival_cells(task: str, theirs: dict[int, Row], ours: dict[int, Row]) -> list[str]:
    found = list(theirs.values())
    size, limit = mean_of(found, "int8_bytes"), found[0]["limit_bytes"]
    cells = [f"{size / 1e6:.2f} MB{', over the limit' if limit and size > limit else ''}",
             marked(f"{mean_of(found, 'int8_test'):.4f} ({seeds_in_words(len(found))})", found)]
    if not ours:
        return [*cells, "-", "-", "-"]
    # a rival without seeds of its own stands against each of ours
    pairs = [(ours[s], theirs[s] if s in theirs else found[0]) for s in ours if s in theirs or len(found) == 1]
    if not pairs:
        return [*cells, "-", "-", "no seed in common"]
    ahead = gain_interval(bits_of([a for a, _ in pairs]), bits_of([b for _, b in pairs]), seed=draws_of(task))
    mine = [a for a, _ in pairs]
    return [*cells, f"{mean_of(mine, 'int8_bytes') / 1e6:.2f} MB", marked(f"{mean_of(mine, 'int8_test'):.4f}", mine),
            shown(ahead, points)]


def speed_table(rows: Sequence[Row], *, current: Callable[[Row], str | None]) -> str:
    """Return a line for each loop: samples a second, and how many times as fast ours are in the same repetition.

    Args:
        rows: of the loops.
        current: the `base` that such a row has where it was made with today's settings.
    """
    lines = []
    kept = of_one_setting(rows, what="speed", current=current, by=("task", "threads"))
    for task, threads in sorted({(row["task"], row["threads"]) for row in kept}):
        of_both = [row for row in kept if (row["task"], row["threads"]) == (task, threads)]
        ours = {loop: select(of_both, loop=loop) for loop in ("ours", "ours_default")}
        for loop in _LOOPS:
            found = list(select(of_both, loop=loop).values())
            if found:
                lines.append(_speed_line(loop, found, ours))
    header = ("loop", "task", "threads", "samples a second, training", "with tokenizing and soft labels",
              "ours is faster by, training", "ours is faster by, all of it", "ours_default is faster by, training",
              "accuracy on test, float", "points that ours is ahead (95 %)")
    return markdown_table(header, lines) if lines else ""


def _speed_line(loop: str, found: Sequence[Row], ours: Mapping[str, dict[int, Row]]) -> list[str]:
    pairs = [(ours["ours"][row["seed"]], row) for row in found if row["seed"] in ours["ours"]]
    ahead = "-"
    if pairs and loop != "ours":
        both = (bits_of(side) for side in zip(*pairs, strict=True))
        ahead = shown(gain_interval(*both, seed=draws_of(found[0]["task"])), points)
    tests = [row["test"] for row in found]
    return [loop, marked(found[0]["task"], found), str(found[0]["threads"]),
            _span([row["samples"] / row["train_s"] for row in found]), _span([row["samples"] / _all_of_it(row) for row in found]),
            _faster(found, ours["ours"], _training), _faster(found, ours["ours"], _all_of_it),
            _faster(found, ours["ours_default"], _training),
            f"{np.mean(tests):.4f} ({min(tests):.4f} to {max(tests):.4f}, {len(tests)} repetitions)", ahead]


def _training(row: Row) -> float:
    return float(row["train_s"])


def _all_of_it(row: Row) -> float:
    return float(row["train_s"] + row["tokenize_s"] + row["soft_labels_s"])


def _faster(found: Sequence[Row], ours: dict[int, Row], seconds: Callable[[Row], float]) -> str:
    """Return the median over repetitions of how many times as long a loop took as ours did."""
    factors = [seconds(row) / seconds(ours[row["seed"]]) for row in found if row["seed"] in ours]
    return f"{median(factors):.1f}x" if factors else "-"


def _span(values: Sequence[float]) -> str:
    return f"{median(values):.0f} ({min(values):.0f} to {max(values):.0f})"
