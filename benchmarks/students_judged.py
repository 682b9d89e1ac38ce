"""The judged sizes of docs/students.md: a line a task with retention, gains and minutes, and what was met or missed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from result_rows import bits_of, markdown_table, marked, mean_of, points, seeds_in_words, select, shown, teacher_bits
from resumable_rows import Row
from row_statistics import Drawn, draws_of, gain, gain_interval, mean_over_tasks, retention, significant_seeds
from students_summary import Students
from suite_files import SuiteRung

_COMPARISONS: Mapping[str, str] = {
    "no_kd": "points over the shape without a teacher", "random_init_no_transfer": "points over random weights, no transfer set",
}

_TIME_VERDICTS = {"met": "met", "missed": "missed", "not known": "not known for two"}


@dataclass(frozen=True)
class Gain:
    """By how much a student is ahead of the same shape trained otherwise, and the cell that says so."""

    drawn: Drawn
    cell: str


@dataclass(frozen=True)
class TaskFigures:
    """What a task came to at one size.

    Attributes:
        task: its name.
        rung: the size.
        found: the student's rows, one a seed; at least one.
        kept: the share of the teacher's accuracy.
        gains: by comparison; those that were not made are missing.
        limit_s: how long soft labels and distillation may take.
        timed: the row of a time that was taken alone on the machine; None: there is none.
    """

    task: str
    rung: SuiteRung
    found: Sequence[Row]
    kept: Drawn
    gains: Mapping[str, Gain]
    limit_s: float
    timed: Row | None = None

    @property
    def is_over(self) -> bool:
        """Is the int8 file larger than the size allows?"""
        divisor = self.rung.divisor
        return divisor is not None and mean_of(self.found, "int8_bytes") > self.found[0]["teacher_fp32_bytes"] / divisor

    @property
    def slowest(self) -> Row | None:
        """The row that was timed alone, else that whose soft labels and training took longest; None: all were interrupted."""
        if self.timed is not None:
            return self.timed
        whole = [row for row in self.found if row["distill_s_is_whole"]]
        return max(whole, key=_seconds) if whole else None

    @property
    def time_verdict(self) -> Literal["met", "missed", "not known"]:
        """Did it take no longer than it may on two cores?

        Seconds of one thread that are over the limit, but not over twice of it, say nothing about two.
        """
        if self.slowest is None:
            return "not known"
        seconds, threads = _seconds(self.slowest), self.slowest.get("threads") or [None]
        if seconds <= self.limit_s:
            return "met"
        return "not known" if 1 in threads and seconds <= 2 * self.limit_s else "missed"


def figures_of(students: Students, rung: SuiteRung) -> list[TaskFigures]:
    """Return the figures of the tasks that have rows of a size, in the suite's order."""
    figures = []
    for task in students.suite.tasks:
        found = list(select(students.rows, task=task, size=rung.size, kind="student").values())
        if found:
            kept = retention(bits_of(found), teacher_bits(found, students.everything), seed=draws_of(task))
            gains = {kind: made for kind in _COMPARISONS
                     if (made := _gain(students.rows, task, rung.size, kind)) is not None}
            figures.append(TaskFigures(task, rung, found, kept, gains, students.suite.limit_of(task), students.timed(found[0])))
    return figures


def _gain(rows: Sequence[Row], task: str, size: str, kind: str) -> Gain | None:
    ours = select(rows, task=task, size=size, kind="student")
    theirs = select(rows, task=task, size=size, kind=kind)
    both = [seed for seed in ours if seed in theirs]
    if not both:
        return None
    own, other = [ours[s] for s in both], [theirs[s] for s in both]
    first, second, draws = bits_of(own), bits_of(other), draws_of(task)
    cell = (f"{shown(gain_interval(first, second, seed=draws), points)}; McNemar p < 0.05 in "
            f"{significant_seeds(first, second)} of {len(both)}; {mean_of(other, 'rows_seen') / 1000:.0f} k rows seen against "
            f"{mean_of(own, 'rows_seen') / 1000:.0f} k")
    return Gain(gain(first, second, seed=draws), cell)


def judged_table(students: Students) -> str:
    """Return a table with a line for each task and judged size, and the mean over tasks; empty without rows."""
    lines = []
    for rung in students.suite.rungs:
        figures = figures_of(students, rung) if rung.is_judged else []
        if figures:
            lines += [*(_task_line(of_task) for of_task in figures), _mean_line(figures)]
    header = ("size", "task", "int8 file", "teacher", "int8 student", "kept (95 %)", *_COMPARISONS.values(),
              "soft labels + distillation, at most")
    return markdown_table(header, lines) if lines else ""


def _task_line(figures: TaskFigures) -> list[str]:
    found = figures.found
    size, teacher_size = mean_of(found, "int8_bytes"), found[0]["teacher_fp32_bytes"]
    gains = [figures.gains[kind].cell if kind in figures.gains else "-" for kind in _COMPARISONS]
    return [figures.rung.size, marked(figures.task, found),
            f"{size / 1e6:.2f} MB (1/{teacher_size / size:.0f}){', over the limit' if figures.is_over else ''}",
            f"{mean_of(found, 'teacher_test'):.4f}", f"{mean_of(found, 'int8_test'):.4f} ({seeds_in_words(len(found))})",
            _kept(figures.kept), *gains, _time_cell(figures)]


def _mean_line(figures: Sequence[TaskFigures]) -> list[str]:
    gains = []
    for kind in _COMPARISONS:
        made = [of_task.gains[kind].drawn for of_task in figures if kind in of_task.gains]
        gains.append(shown(mean_over_tasks(made).interval, points) if made else "-")
    kept = _kept(mean_over_tasks([of_task.kept for of_task in figures]))
    return [figures[0].rung.size, f"**mean of {len(figures)}**", "", "", "", f"**{kept}**", *gains, ""]


def _kept(drawn: Drawn) -> str:
    return shown(drawn.interval, "{:.4f}".format)


def _seconds(row: Row) -> float:
    return float(row["soft_labels_s"] + row["distill_s"])


def _time_cell(figures: TaskFigures) -> str:
    """Return the minutes of the slowest seed against the limit, and with how many threads."""
    row = figures.slowest
    if row is None:
        return "interrupted"
    noted = sorted({-1 if threads is None else threads for threads in row.get("threads") or [None]})
    threads = "threads not noted" if -1 in noted else f"threads: {' and '.join(map(str, noted))}"
    threads += ", alone" if row is figures.timed else ""
    return (f"{row['soft_labels_s'] / 60:.1f} + {row['distill_s'] / 60:.1f} = {_seconds(row) / 60:.1f} min of "
            f"{figures.limit_s / 60:.0f}, {_TIME_VERDICTS[figures.time_verdict]}; {threads}")


def verdicts(students: Students) -> str:
    """Return a table that says of each judged size what was asked for and whether it was met; empty without rows."""
    lines = []
    for rung in students.suite.rungs:
        figures = figures_of(students, rung) if rung.is_judged else []
        if figures:
            lines.append([rung.size, *_verdict_cells(students, figures), _unfinished(students, figures)])
    header = ("size", "mean kept", "lowest task", "file", "time",
              *(f"{what}: above 0 on every task" for what in _COMPARISONS.values()), "not finished")
    return f"{markdown_table(header, lines)}\n\n{_without_the_tie_break(students)}" if lines else ""


def _without_the_tie_break(students: Students) -> str:
    """Return a sentence with the means kept where shapes of one size are chosen among by accuracy on validation alone."""
    plain = replace(students, by_accuracy_alone=True)
    means = {rung.size: mean_over_tasks([of_task.kept for of_task in figures]).value
             for rung in students.suite.rungs if rung.is_judged and (figures := figures_of(plain, rung))}
    return (f"Were shapes of one size chosen among by accuracy on validation alone, the means would be "
            f"{' and '.join(f'{mean:.4f} at {size}' for size, mean in means.items())}.")


def _verdict_cells(students: Students, figures: Sequence[TaskFigures]) -> list[str]:
    goal = figures[0].rung.goal or 0.0
    mean, floor = mean_over_tasks([of_task.kept for of_task in figures]).value, goal - students.suite.slack
    lowest = min(figures, key=lambda of_task: of_task.kept.value)
    times = {verdict: [t.task for t in figures if t.time_verdict == verdict] for verdict in ("missed", "not known")}
    return [
        f"{mean:.4f} of {goal:g}, {_met(mean >= goal)}",
        f"{lowest.task} {lowest.kept.value:.4f} of {floor:g}, {_met(lowest.kept.value >= floor)}",
        _verdict([of_task.task for of_task in figures if of_task.is_over], of=len(figures)),
        _verdict(times["missed"], unknown=times["not known"], of=len(figures)),
        *(_verdict([t.task for t in figures if kind in t.gains and t.gains[kind].drawn.value <= 0],
                   unknown=[t.task for t in figures if kind not in t.gains], of=len(figures)) for kind in _COMPARISONS),
    ]


def _unfinished(students: Students, figures: Sequence[TaskFigures]) -> str:
    """Return the tasks that do not have a row of today's settings for every seed, and what is amiss."""
    by_task, said = {of_task.task: of_task for of_task in figures}, []
    for task in students.suite.tasks:
        wanted = len(students.suite.seeds_of(task)[: figures[0].rung.seeds])
        found = by_task[task].found if task in by_task else []
        if not found:
            said.append(f"{task} (no row)")
        elif found[0]["is_older"] or len(found) < wanted or _lacks_shapes(students, figures[0].rung, task):
            shapes = ", one of two shapes" if _lacks_shapes(students, figures[0].rung, task) else ""
            said.append(marked(f"{task} ({len(found)} of {seeds_in_words(wanted)}{shapes})", found))
    return "; ".join(said) or "nothing"


def _lacks_shapes(students: Students, rung: SuiteRung, task: str) -> bool:
    """Is a shape of a size missing, so that validation had nothing to choose among?"""
    wanted = (task, rung.size, "student")
    made = {row["rung"] for row in students.of_all_rungs if (row["task"], row["size"], row["kind"]) == wanted}
    return len(made) < len(rung.choices())


def _verdict(failing: Sequence[str], unknown: Sequence[str] = (), *, of: int) -> str:
    """Return what came of a demand on so many tasks, of which some failed and of some it is not known."""
    if failing:
        return f"missed: {', '.join(failing)}"
    if len(unknown) == of:
        return "not known"
    return f"met but for what is not known: {', '.join(unknown)}" if unknown else "met"


def _met(is_met: bool) -> str:
    return "met" if is_met else "missed"
