"""Milestones: the median of earlier courses less the slack, at three points, and nothing without earlier courses."""

import pytest

from edgedistill.distill.search.milestones import course_of, is_still_falling, milestones_from
from edgedistill.results import Milestone, TrainingLog, TrainingPoint


def log_of(*accuracies: float, planned: int) -> TrainingLog:
    points = tuple(
        TrainingPoint(step=10 * (i + 1), loss=1.0, validation_loss=1.0, validation_accuracy=a) for i, a in enumerate(accuracies)
    )
    return TrainingLog(points=points, steps_planned=planned)


def test_course_when_accuracy_falls_then_keeps_the_best_so_far() -> None:
    course = course_of(log_of(0.5, 0.8, 0.7, planned=40))
    assert [(m.share_of_steps, m.validation_accuracy) for m in course] == [(0.25, 0.5), (0.5, 0.8), (0.75, 0.8)]


def test_milestones_when_nothing_came_before_then_none() -> None:
    assert milestones_from([], rows=600) == ()


def test_milestones_when_three_came_before_then_the_median_less_three_points() -> None:
    courses = [course_of(log_of(a, a + 0.1, a + 0.2, planned=30)) for a in (0.3, 0.5, 0.7)]
    # evaluations at 1/3, 2/3 and 1 of the steps: at 0.34 and 0.5 the first counts, at 0.67 the second
    found = {m.share_of_steps: m.validation_accuracy for m in milestones_from(courses, rows=2000)}
    assert found == pytest.approx({0.34: 0.47, 0.5: 0.47, 0.67: 0.57})


def test_milestones_when_an_earlier_training_stopped_early_then_its_last_figure_counts() -> None:
    found = milestones_from([(Milestone(share_of_steps=0.25, validation_accuracy=0.9),)], rows=2000)
    assert [m.validation_accuracy for m in found] == pytest.approx([0.87, 0.87, 0.87])


@pytest.mark.parametrize(("rows", "wanted"), [
    (100, 0.9 - 2 * (0.9 * 0.1 / 100) ** 0.5),  # two standard errors are 6 points
    (2000, 0.87),
])
def test_milestones_when_validation_is_small_then_chance_gives_nothing_up(rows: int, wanted: float) -> None:
    found = milestones_from([(Milestone(share_of_steps=0.25, validation_accuracy=0.9),)], rows=rows)
    assert [m.validation_accuracy for m in found] == pytest.approx([wanted] * 3)


def test_milestones_when_all_rows_were_right_then_two_may_be_wrong() -> None:
    found = milestones_from([(Milestone(share_of_steps=0.25, validation_accuracy=1.0),)], rows=20)
    assert [m.validation_accuracy for m in found] == pytest.approx([0.9] * 3)


@pytest.mark.parametrize(("losses", "planned", "falling"), [
    ((1.0, 0.8, 0.7, 0.6, 0.5, 0.4), 60, True),
    ((1.0, 0.8, 0.5, 0.4, 0.39, 0.385), 60, False),  # a little it always falls at the end
    ((1.0, 0.8, 0.5, 0.4, 0.45, 0.5), 60, False),
    ((1.0, 0.8, 0.7, 0.6, 0.5, 0.4), 80, False),  # it stopped early
    ((1.0, 0.5), 20, False),
    ((), 60, False),
])
def test_loss_when_clearly_lower_in_the_last_third_of_a_whole_training_then_still_falling(
    losses: tuple[float, ...], planned: int, falling: bool
) -> None:
    points = tuple(TrainingPoint(step=10 * (i + 1), loss=1.0, validation_loss=x, validation_accuracy=0.5) for i, x in enumerate(losses))
    assert is_still_falling(TrainingLog(points=points, steps_planned=planned)) is falling
