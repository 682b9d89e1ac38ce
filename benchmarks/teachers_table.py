"""The teachers of docs/students.md: ours, and the one that somebody fine-tunes by hand, on the same test rows."""

from collections.abc import Callable, Mapping, Sequence

from result_rows import bits_of, markdown_table, marked, points, shown
from resumable_rows import Row
from row_statistics import gain_interval
from students_summary import Students

SLACK = 0.01
"""Ours may be so far behind."""


def teachers_table(
    students: Students, tuned: Sequence[Row], *, keys: Mapping[str, frozenset[str]], is_todays: Callable[[Row], bool]
) -> str:
    """Return a line for each of today's teachers: ours, and its task's hand-tuned one; empty without rows.

    Where no teacher is of today's settings, those stand in its place that taught the students of the other tables.

    Args:
        students: ours; their rows name their teachers.
        tuned: the rows of teachers.py.
        keys: by task, those of the rows that today's suite means; the best of them on validation is taken.
        is_todays: was a teacher's row made with today's settings?
    """
    lines = []
    for task in students.tasks:
        tried = [row for row in tuned if row["task"] == task and row["key"] in keys[task]]
        names = {row["teacher_row"] for row in students.rows if row["task"] == task and row["size"] in _judged(students)}
        known = [row for row in students.everything if row["kind"] == "teacher" and row["task"] == task]
        todays = {row["right"]: row for row in known if is_todays(row)}  # each machine has its own
        ours = [{**row, "is_older": not todays} for row in todays.values() or [row for row in known if row["key"] in names]]
        if tried:
            best = max(tried, key=lambda row: row["validation"])  # of equals the first, the lower rate
            lines += [_line(task, own, best, len(tried)) for own in ours]
    header = ("task", "ours: validation", "ours: test", "by hand: validation", "by hand: test", "its learning rate",
              "points that ours is ahead (95 %)", "at most a point behind")
    return markdown_table(header, lines) if lines else ""


def _judged(students: Students) -> set[str]:
    return {rung.size for rung in students.suite.rungs if rung.is_judged}


def _line(task: str, ours: Row, theirs: Row, tried: int) -> list[str]:
    ahead = gain_interval(bits_of([ours]), bits_of([theirs]), seed=0)
    accuracies = [f"{row[split]:.4f}" for row in (ours, theirs) for split in ("validation", "test")]
    return [marked(task, [ours]), *accuracies, f"{theirs['learning_rate']:g} of {tried}", shown(ahead, points),
            "met" if ahead.value >= -SLACK else "missed"]
