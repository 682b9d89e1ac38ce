"""report.md on what is answered: where teacher and student differ, the worst classes, how sure the student is."""

from collections.abc import Sequence

from edgedistill.report import tables_answers
from edgedistill.report.markdown_part import Part
from edgedistill.report.markup import code, folded, folded_table, head, map_plain, row
from edgedistill.report.model import TargetReport, TellingRow
from edgedistill.report.tables import Table
from edgedistill.report.wording import NO_CONFUSION, has_several_labels, share_text

_TELLING, _TELLING_OPEN = 10, 3
_WORST = 10
_LABEL_CHARACTERS = 60
_TELLING_HEADERS = ("text", "class", "teacher", "int8 student")


def answers(target: TargetReport) -> list[Part]:
    """Return the parts on the answers to the test rows."""
    return [*_differences(target), *_classes(target)]


def _differences(target: TargetReport) -> list[Part]:
    title = "### Where teacher and student differ"
    if not target.telling_rows:
        return [Part("where they differ", f"{title}\n\nThey give the same answer on every test row, equally sure.", 3)]
    first, more = target.telling_rows[:_TELLING_OPEN], target.telling_rows[_TELLING_OPEN:_TELLING]
    rest = folded(f"The next {len(more)}", _telling(more)) if more else ""
    said = " ".join(sentence for sentence in (_apart_text(target), _telling_text(target)) if sentence)
    return [
        Part("where they differ", f"{title}\n\n{said}\n\n{_telling(first)}", 3),
        Part("further rows on which they differ", rest, 4),
        Part("answers that differ most often",
             _quoted("The answers that differ most often", tables_answers.apart(target)), 6),
    ]


def _apart_text(target: TargetReport) -> str:
    """Say how often they differ and who is right then; nothing for a report of an earlier version."""
    pairs = target.answers_apart
    if not pairs:
        return "" if tables_answers.differing(target) else "They give the same answer on every test row, not equally sure."
    n, teacher, student = (sum(counts) for counts in zip(*((p.n, p.teacher_right, p.student_right) for p in pairs), strict=True))
    rows = target.variants["teacher"].test_rows
    return (f"They answer {n} of {rows} test rows differently ({share_text(n / rows)}): the teacher is right on {teacher}, the "
            f"int8 student on {student}, neither on {n - teacher - student}.")


def _telling_text(target: TargetReport) -> str:
    pictures = " The pictures are in `report.html`." if any(row.thumbnail for row in target.telling_rows) else ""
    if has_several_labels(target):
        return ("These are the rows whose probabilities lie furthest apart (Jensen-Shannon, temperature 1), those with different "
                "answers first, then those with the same answer, differently sure; with the labels that apply (✓), those that "
                "either model gives (bold: above 50 %), its likeliest where it gives none, and the one on which the two differ "
                "most.")
    return ("These are the rows whose distributions lie furthest apart (Jensen-Shannon, temperature 1), those with different "
            "answers first, then those with the same answer, differently sure; with the true class and the three likeliest of "
            f"each; ✓ marks the true label.{pictures}")


def _telling(rows: Sequence[TellingRow]) -> str:
    return "\n".join([head(_TELLING_HEADERS, 2), *(line for found in rows for line in _telling_lines(found))])


def _telling_lines(found: TellingRow) -> list[str]:
    right = tables_answers.standing(found) + ("; no label applies" if found.true_labels == () else "")
    lines = []
    for place, item in enumerate(found.classes):
        name = "all others" if item.label is None else code(item.label, _LABEL_CHARACTERS)
        mark = " ✓" if tables_answers.is_true(found, item.label) else ""
        text = f"{code(found.text)} ({right})" if not place else ""
        lines.append(row([text, name + mark, *(_share(found, p) for p in (item.teacher, item.student))]))
    return lines or [row([f"{code(found.text)} ({right})", "not recorded", "–", "–"])]


def _share(found: TellingRow, probability: float) -> str:
    share = share_text(probability)
    return f"**{share}**" if tables_answers.is_given(found, probability) else share


def _classes(target: TargetReport) -> list[Part]:
    every = tables_answers.classes(target)
    worst = Table(every.headers, every.rows[:_WORST], every.words)
    count = len(target.classes)
    where = "report.html" if count == len(every.rows) else "report.json"
    said = f"All {count} classes, the worst first." if count <= _WORST else (
        f"The {_WORST} of {count} classes with the lowest F1; `{where}` has all."
    )
    if has_several_labels(target):
        said = f"{said} {NO_CONFUSION}"
        errors = Part("most missed and added labels",
                      _quoted("What the int8 student misses and adds", tables_answers.missed_and_added(target)), 6)
    else:
        confused = tables_answers.confused(target)
        errors = Part("most confused pairs", _quoted("What the int8 student takes for what", confused), 6)
    return [
        Part("by class", f"### By class\n\n{said}\n\n{_quoted_table(worst)}", 3),
        errors,
        Part("calibration", folded_table("Is it as sure as it is right?", tables_answers.calibration(target)), 6),
    ]


def _quoted(title: str, data: Table) -> str:
    return folded(title, _quoted_table(data)) if data.rows else ""


def _quoted_table(data: Table) -> str:
    """Return a table whose columns of words hold the user's labels."""
    lines = (
        row([*(code(cell, _LABEL_CHARACTERS) for cell in cells[: data.words]), *map_plain(cells[data.words :])])
        for cells in data.rows
    )
    return "\n".join([head(data.headers, data.words), *lines])
