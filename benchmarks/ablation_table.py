"""The ablation table: accuracy of each row of benchmarks/suites/ablation.yaml, and its distance to the first."""

from collections.abc import Mapping
from pathlib import Path

from result_rows import (
    bits_of,
    markdown_table,
    marked,
    mean_of,
    of_one_setting,
    of_one_teacher,
    points,
    read_folder,
    select,
    shown,
)
from resumable_rows import Row
from row_statistics import draws_of, gain_interval
from suite_files import AblationSuite, read_suite_file


def ablation_table(folder: Path, bases: Mapping[str, str], *, suite: str = "ablation") -> str:
    """Return a Markdown table with a row for each ablation and a column for each task; empty without rows.

    A cell holds the int8 student's test accuracy, mean over seeds, and its difference to the first row over the seeds that
    both have, in points with a 95 % interval.

    Args:
        folder: of the rows.
        bases: by task, the `base` of rows that are made with today's settings.
        suite: the file that lists the rows.
    """
    rows = of_one_teacher(of_one_setting(read_folder(folder), what=suite, current=lambda row: bases.get(row["task"])))
    if not rows:
        return ""
    listed = read_suite_file(AblationSuite, suite)
    names = [ablation.name for ablation in listed.ablations]
    tasks = [task for task in listed.tasks if any(row["task"] == task for row in rows)]
    tasks += sorted({row["task"] for row in rows} - set(tasks))
    lines = [[name, *(_cell(rows, task, name, names[0]) for task in tasks)] for name in names
             if any(row["name"] == name for row in rows)]
    heads = [marked(task, [row for row in rows if row["task"] == task]) for task in tasks]
    return markdown_table(["what is changed", *heads], lines)


def _cell(rows: list[Row], task: str, name: str, base: str) -> str:
    found, first = select(rows, task=task, name=name), select(rows, task=task, name=base)
    if not found:
        return "-"
    accuracy = f"{mean_of(list(found.values()), 'int8_test'):.3f}"
    both = [seed for seed in found if seed in first]
    if name == base or not both:
        return f"{accuracy} ({len(found)} seed{'s' * (len(found) > 1)})"
    difference = gain_interval(bits_of([found[s] for s in both]), bits_of([first[s] for s in both]), seed=draws_of(task))
    return f"{accuracy}, {shown(difference, points)}"
