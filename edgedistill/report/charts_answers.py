"""The confusion: what the teacher and the int8 student answer instead of the label, and instead of each other."""

import plotly.graph_objects as go
from markupsafe import escape

from edgedistill.report import tables_answers
from edgedistill.report.figure import Chart, NoChart, figure_json, lay_out
from edgedistill.report.model import TargetReport

MOST_CLASSES = 30
"""More would not be legible; those with the most wrong or differing answers are shown."""

CHOICES = ("int8 student", "teacher", "teacher against student")
_ROW_PX = 24
_LEAST_WIDTH_PX = 640
_WRONG = [[0, "#f3c9a5"], [0.5, "#e0793f"], [1, "#9c2a14"]]
_RIGHT = [[0, "#aab4bf"], [1, "#aab4bf"]]

_Matrix = list[list[int]]


def confusion(target: TargetReport) -> Chart | NoChart:
    """Return three matrices of counts, one at a time; the diagonal is grey, so that errors are what is seen."""
    title = "Confusion"
    if not target.confusion or not target.teacher_confusion:
        return NoChart(title, "The counts of this run lack the teacher's: an earlier version wrote them. A new report does "
                       "not.")
    matrices = _matrices(target)
    shown = _worst(matrices)
    figure = go.Figure()
    for index, (choice, matrix) in enumerate(zip(CHOICES, matrices, strict=True)):
        _add_matrix(figure, matrix, [target.labels[i] for i in shown], shown, choice, is_visible=index == 0)
    axis: dict[str, object] = {"type": "category", "automargin": True, "showgrid": False, "tickfont": {"size": 11}, "dtick": 1}
    lay_out(figure, x=axis | {"tickangle": -60, "title": {"text": "answered"}},
            y=axis | {"autorange": "reversed", "title": {"text": "true label"}})
    figure.update_layout(showlegend=False)
    whole = len(target.labels)
    which = "" if len(shown) == whole else f" Shown are the {len(shown)} of {whole} classes with the most such answers."
    cut = tables_answers.confusions_left_out(target)
    return Chart(title, figure_json(figure), "Rows: the true label (in the last view: the teacher's answer); columns: the "
                 f"answer. Numbers are test rows; grey is where both are the same.{which}{' ' if cut else ''}{cut}",
                 tables_answers.confusions(target),
                 210 + _ROW_PX * len(shown), _LEAST_WIDTH_PX if len(shown) > 8 else 0, CHOICES)


def _matrices(target: TargetReport) -> tuple[_Matrix, _Matrix, _Matrix]:
    """Return student over label, teacher over label, and student over teacher, the last without what both answer."""
    place = {label: i for i, label in enumerate(target.labels)}
    apart = [[0] * len(place) for _ in place]
    for pair in target.answers_apart:
        apart[place[pair.teacher]][place[pair.student]] = pair.n
    return [list(row) for row in target.confusion], [list(row) for row in target.teacher_confusion], apart


def _worst(matrices: tuple[_Matrix, ...]) -> list[int]:
    """Return the classes with the most answers off the diagonals, in their own order."""
    whole = len(matrices[0])
    wrong = [
        sum(matrix[i][j] + matrix[j][i] for matrix in matrices for j in range(whole) if j != i) for i in range(whole)
    ]
    return sorted(sorted(range(whole), key=lambda i: (-wrong[i], i))[:MOST_CLASSES])


def _add_matrix(  # noqa: PLR0913 - private, and every argument is a different kind of thing
    figure: go.Figure, matrix: _Matrix, names: list[str], shown: list[int], choice: str, *, is_visible: bool
) -> None:
    short = [_short(name) for name in names]
    labels = [str(escape(name)) for name in (short if len(set(short)) == len(short) else names)]
    true_word, answer_word = ("teacher", "student") if choice == CHOICES[-1] else ("true", "answered")
    for is_diagonal, colours in ((False, _WRONG), (True, _RIGHT)):
        cells = [[matrix[i][j] or None if (i == j) is is_diagonal else None for j in shown] for i in shown]
        figure.add_heatmap(
            z=cells, x=labels, y=labels, colorscale=colours, showscale=False, xgap=1, ygap=1, meta=choice,
            visible=is_visible, texttemplate="%{z}", textfont={"size": 11}, zmin=0 if is_diagonal else 1,
            zmax=max((z for row in cells for z in row if z), default=1) + (0 if is_diagonal else 1), hoverongaps=False,
            hovertemplate=f"{true_word} %{{y}}<br>{answer_word} %{{x}}<br>%{{z}} rows<extra></extra>",
        )


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"
