"""The course of the trainings: accuracy on validation, the hard and the soft loss of the student, all losses as trained."""

from collections.abc import Sequence

import plotly.graph_objects as go
from markupsafe import escape

from edgedistill.report import tables
from edgedistill.report.figure import COLOURS, Chart, NoChart, figure_json, lay_out
from edgedistill.report.model import TargetReport
from edgedistill.results import TrainingPoint

_STEP: dict[str, object] = {"title": {"text": "step"}, "rangemode": "tozero"}
_NO_LOG = "No training log came with this run."
_TERMS = {"hard_loss": ("hard loss", COLOURS["student_no_kd"]), "soft_loss": ("soft loss", COLOURS["student"])}


def training_accuracy(target: TargetReport) -> Chart | NoChart:
    """Return validation accuracy over steps, by training."""
    title = "Validation accuracy during training"
    if not any(target.curves.values()):
        return NoChart(title, _NO_LOG)
    figure = go.Figure()
    for index, (name, points) in enumerate(target.curves.items()):
        _add_curve(figure, points, "validation_accuracy", name, {"color": _colour(name, index), "width": 2})
    lay_out(figure, x=_STEP, y={"title": {"text": "validation accuracy"}, "tickformat": ".0%"})
    return Chart(title, figure_json(figure), "Validation accuracy over training steps.", tables.curves(target))


def student_losses(target: TargetReport) -> Chart | NoChart:
    """Return the hard and the soft loss of the student, on training and on validation."""
    title = "Hard and soft loss of the student"
    points = target.curves.get("student", ())
    if not points:
        return NoChart(title, _NO_LOG)
    if all(point.soft_loss is None and point.validation_soft_loss is None for point in points):
        return NoChart(title, "The log of this training does not tell the hard from the soft loss: an earlier version wrote "
                       "it. A new training does.")
    figure = go.Figure()
    for attribute, (name, colour) in _TERMS.items():
        _add_curve(figure, points, attribute, f"{name}, training", {"color": colour, "width": 2})
        dashed = {"color": colour, "width": 2, "dash": "dash"}
        _add_curve(figure, points, f"validation_{attribute}", f"{name}, validation", dashed)
    lay_out(figure, x=_STEP, y={"title": {"text": "loss"}, "rangemode": "tozero"})
    return Chart(title, figure_json(figure), "Soft loss: how far the student is from the teacher's distribution (T² KL). Hard "
                 "loss: cross-entropy with the labels, over the rows that have one. Solid is training, dashed is validation.",
                 tables.student_losses(target))


def training_loss(target: TargetReport) -> Chart | NoChart:
    """Return training and validation loss over steps, by training."""
    title = "Loss that was trained on"
    if not any(target.curves.values()):
        return NoChart(title, _NO_LOG)
    figure = go.Figure()
    for index, (name, points) in enumerate(target.curves.items()):
        colour = _colour(name, index)
        _add_curve(figure, points, "loss", f"{name}, training", {"color": colour, "width": 2})
        dashed = {"color": colour, "width": 2, "dash": "dash"}
        _add_curve(figure, points, "validation_loss", f"{name}, validation", dashed)
    lay_out(figure, x=_STEP, y={"title": {"text": "loss"}, "rangemode": "tozero"})
    return Chart(title, figure_json(figure), "Loss over training steps; solid is training, dashed is validation. Losses of "
                 "different trainings have different formulas and are not to be compared.", tables.curves(target))


def _add_curve(
    figure: go.Figure, points: Sequence[TrainingPoint], attribute: str, name: str, line: dict[str, object]
) -> None:
    known = [(p.step, getattr(p, attribute)) for p in points if getattr(p, attribute) is not None]
    if known:
        figure.add_scatter(x=[step for step, _ in known], y=[value for _, value in known], mode="lines+markers",
                           name=str(escape(name)), line=line, marker={"size": 5})


def _colour(name: str, index: int) -> str:
    return COLOURS.get(name, list(COLOURS.values())[index % len(COLOURS)])
