"""The rows of a results folder as tables want them: one settings' worth a task, seeds side by side."""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from resumable_rows import Row, RowFile, unpack_bits
from row_statistics import Bits
from stage_versions import has_todays_start

from edgedistill.distill.search.choice import are_alike
from edgedistill.errors import ArtifactError
from edgedistill.results import Interval


def read_folder(folder: Path) -> list[Row]:
    """Return the rows of every <task>.json of a folder, in the order of the file names.

    Raises:
        ArtifactError: a file is damaged.
    """
    return [row for path in sorted(folder.glob("*.json")) for row in RowFile(path).rows()]


def of_one_setting(
    rows: Sequence[Row], *, what: str, current: Callable[[Row], str | None], by: Sequence[str] = ("task", "size")
) -> list[Row]:
    """Return, for each task and size, the rows of one setting: today's, and where it has none yet the newest.

    Each row says in `is_older` whether it is one of the latter; `marked` writes it into a table. Rows of other settings
    stay in the file and are counted on stderr.

    Args:
        rows: of a folder; those of teachers are left out.
        what: the folder, for the message.
        current: the `base` that a row has where it was made with today's settings; None: there is none for it today.
        by: the figures that rows of one comparison have in common.
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in sorted(rows, key=lambda row: str(row["task"])):  # stable
        if row["kind"] != "teacher":
            groups.setdefault(tuple(str(row.get(name)) for name in by), []).append(row)
    kept: list[Row] = []
    for names, group in groups.items():
        todays = [row for row in group if row["base"] == current(row) and has_todays_start(row)]
        newest = max(group, key=lambda row: str(row["made"]))["base"]
        chosen = todays or [row for row in group if row["base"] == newest]
        kept += [{**row, "is_older": not todays} for row in chosen]
        if len(group) > len(chosen):
            print(f"{what}, {', '.join(names)}: {len(group) - len(chosen)} rows of other settings are left out", file=sys.stderr)
    return kept


def of_one_teacher(rows: Sequence[Row]) -> list[Row]:
    """Return, for each task and size, the rows of one teacher: of the one with most of the task, else of the newest.

    The same settings on another machine end in another teacher (`students.teacher_row`); a student that it taught stands for
    itself, and is not held against students of the first. Comparisons count most, as they need a student of the same teacher.

    Args:
        rows: of one setting a task and size. Teachers of other seeds are other groups.
    """
    by_task: dict[tuple[str, object], list[Row]] = {}
    for row in rows:
        by_task.setdefault((row["task"], row["settings"].get("teacher_seed")), []).append(row)
    return [row for group in by_task.values() for row in _of_one_teacher(group)]


def _of_one_teacher(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of a task's best covered teacher, and of sizes that it lacks those of the newest that has them."""
    of_teacher: dict[str, list[Row]] = {}
    for row in rows:
        of_teacher.setdefault(str(row.get("teacher_row")), []).append(row)
    newest = {teacher: max(str(row["made"]) for row in own) for teacher, own in of_teacher.items()}
    best = max(of_teacher, key=lambda teacher: (*_coverage(of_teacher[teacher]), newest[teacher]))
    kept = []
    for size in dict.fromkeys(row["size"] for row in rows):
        of_size = [row for row in rows if row["size"] == size]
        students = [row for row in of_size if row["kind"] == "student"]
        teachers = {str(row.get("teacher_row")) for row in students or of_size}
        chosen = best if best in teachers else max(teachers, key=lambda teacher: newest[teacher])
        kept += [row for row in of_size if str(row.get("teacher_row")) == chosen]
    return kept


def _coverage(rows: Sequence[Row]) -> tuple[int, int]:
    """Return how many comparisons have a student to be held against, and how many rows there are; rungs count as one."""
    cells = {(row["size"], row["seed"], row["kind"], row.get("name")) for row in rows}
    compared = sum(kind != "student" and (size, seed, "student", None) in cells for size, seed, kind, _ in cells)
    return compared, len(cells)


def marked(text: str, rows: Iterable[Row]) -> str:
    """Return a cell, which says whether its rows are of older settings than today's."""
    return f"{text}, older settings" if any(row["is_older"] for row in rows) else text


def preferred_rung(rows: Sequence[Row], *, by_accuracy_alone: bool = False) -> str | None:
    """Return the rung that a task takes of several with the same size, chosen on validation as the search chooses.

    The most accurate; of those that cannot be told apart from it, rows paired, the closest to its teacher. Rows that do not
    say how close they are (older ones) are chosen among by accuracy alone, then by the smaller file. Only students of the
    lowest seed are looked at, so that a rung is chosen before the other seeds are trained.

    Args:
        rows: of one task and one size.
        by_accuracy_alone: as if no row said how close it is.
    """
    students = [row for row in rows if row["kind"] == "student"]
    if not students:
        return None
    first = min(row["seed"] for row in students)
    judged = [row for row in students if row["seed"] == first]
    best = max(judged, key=lambda row: (row["int8_validation"], -row["int8_bytes"]))
    if not by_accuracy_alone and all("kl_validation" in row for row in judged):
        right = [unpack_bits(row["right_validation"], row["n_validation"]) for row in judged]
        alike = [row for row, own in zip(judged, right, strict=True) if are_alike(right[judged.index(best)], own)]
        best = min(alike, key=lambda row: row["kl_validation"])
    return str(best["rung"])


def of_preferred_rungs(rows: Sequence[Row], *, by_accuracy_alone: bool = False) -> list[Row]:
    """Return the rows without those of rungs that were passed over for another of the same task and size."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["task"], row["size"]), []).append(row)
    chosen = {key: preferred_rung(group, by_accuracy_alone=by_accuracy_alone) for key, group in groups.items()}
    return [row for key, group in groups.items() for row in group if chosen[key] in (None, row["rung"])]


def select(rows: Sequence[Row], **wanted: object) -> dict[int, Row]:
    """Return the rows with these figures by seed, sorted.

    Raises:
        ArtifactError: two rows of one seed: the settings differ in something that the table does not show.
    """
    found: dict[int, Row] = {}
    for row in rows:
        if all(row.get(name) == value for name, value in wanted.items()):
            if row["seed"] in found:
                raise ArtifactError(f"two rows of seed {row['seed']} for {wanted}", hint="remove the one that is not meant")
            found[row["seed"]] = row
    return dict(sorted(found.items()))


def bits_of(rows: Sequence[Row]) -> Bits:
    """Return which test rows were answered right, shape (rows, n)."""
    return np.stack([unpack_bits(row["right"], row["n_test"]) for row in rows])


def teacher_bits(rows: Sequence[Row], everything: Sequence[Row]) -> Bits:
    """Return the same of the teachers that the rows name, shape (rows, n).

    Raises:
        ArtifactError: the teacher's row is missing.
    """
    teachers = {row["key"]: row for row in everything if row["kind"] == "teacher"}
    missing = [row["teacher_row"] for row in rows if row["teacher_row"] not in teachers]
    if missing:
        raise ArtifactError(f"the row of teacher {missing[0]} is missing", hint="start the benchmark again: it makes it")
    return bits_of([teachers[row["teacher_row"]] for row in rows])


def mean_of(rows: Sequence[Row], figure: str) -> float:
    """Return the mean of a figure."""
    return float(np.mean([row[figure] for row in rows]))


def shown(interval: Interval, form: Callable[[float], str] = "{:.3f}".format) -> str:
    """Return `0.990 (0.980 to 1.000)`."""
    return f"{form(interval.value)} ({form(interval.low)} to {form(interval.high)})"


def seeds_in_words(n: int) -> str:
    """Return `1 seed` or `3 seeds`."""
    return "1 seed" if n == 1 else f"{n} seeds"


def points(value: float) -> str:
    """Return a difference of accuracies in points: `+1.2`."""
    return f"{100 * value:+.1f}"


def markdown_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *lines))
