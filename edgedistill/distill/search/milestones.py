"""Milestones: what a training must have reached by a share of its steps, or it is given up.

After the median rule of Golovin et al. 2017, "Google Vizier", section 3.2.2: a trial is stopped when its best figure so far is
below the median of the earlier trials at the same point. There it is the median of their running averages up to that point, here
of their best figures so far, which asks for more, and so with a slack: accuracy on a small validation split moves by chance. The
figure is accuracy: losses at another temperature or alpha are other formulas.
"""

import math
from collections.abc import Sequence
from statistics import median

from edgedistill.results import Milestone, TrainingLog

STILL_FALLING = 0.05
"""A loss that fell by more, as a share of itself, in the last third of the training has not come to its end."""

_LAST_THIRD, _AT_THE_END = 0.67, 0.9

LOOKED_AT = (0.34, 0.5, 0.67)
"""Shares of the steps at which a training may be given up: not before it had a third of them."""

SLACK, SLACK_ERRORS = 0.03, 2.0
"""How far below the median a training may be: a share of the validation rows, and at least so many standard errors of one."""


def course_of(log: TrainingLog) -> tuple[Milestone, ...]:
    """Return the best validation accuracy so far after each evaluation of a training."""
    best, found = 0.0, []
    for point in log.points:
        best = max(best, point.validation_accuracy or 0.0)
        share = point.step / log.steps_planned if log.steps_planned else 1.0
        found.append(Milestone(share_of_steps=min(1.0, share), validation_accuracy=best))
    return tuple(found)


def is_still_falling(log: TrainingLog) -> bool:
    """Is the least loss on validation in the last third of a training clearly below the least before it?

    Clearly, since a rate that falls to 0 always lets the loss fall a little at the end. With fewer than three evaluations, or
    after a training that stopped early, nothing is said to fall.
    """
    if not log.steps_planned:
        return False
    losses = [(p.step / log.steps_planned, p.validation_loss) for p in log.points if p.validation_loss is not None]
    early = [loss for share, loss in losses if share <= _LAST_THIRD]
    late = [loss for share, loss in losses if share > _LAST_THIRD]
    if len(losses) < 3 or not early or losses[-1][0] < _AT_THE_END:
        return False
    return min(late) < (1 - STILL_FALLING) * min(early)


def milestones_from(courses: Sequence[tuple[Milestone, ...]], *, rows: int) -> tuple[Milestone, ...]:
    """Return what the next training of the same shape must reach.

    Args:
        courses: of earlier trainings of that shape that were not given up; with none of them nothing is asked for.
        rows: of the validation split: on few rows a share moves more by chance.
    """
    found = []
    for share in LOOKED_AT:
        reached = [course[-1].validation_accuracy for all_of in courses
                   if (course := [m for m in all_of if m.share_of_steps <= share + 1e-9])]
        middle = median(reached) if reached else 0.0
        wanted = middle - max(SLACK, SLACK_ERRORS * math.sqrt(middle * (1 - middle) / rows), SLACK_ERRORS / rows)
        if wanted > 0:
            found.append(Milestone(share_of_steps=share, validation_accuracy=wanted))
    return tuple(found)
