"""Fine-tuning at several learning rates, one after the other: validation says which teacher is kept."""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from transformers import PreTrainedModel

from edgedistill.checkpoints import CHECKPOINTS
from edgedistill.errors import TrainingDivergedError
from edgedistill.manifest import Decision
from edgedistill.processes import current_group
from edgedistill.results import TrainingLog
from edgedistill.stage import write_text_durably
from edgedistill.teach.files import CURVE_FILE
from edgedistill.teach.fine_tuning import fine_tune
from edgedistill.training import Schedule, TrainingSet

log = logging.getLogger("edgedistill")

_DIVERGED = "diverged.json"
"""Says in a rate's folder that its training diverged, and how: it is not tried again after a kill."""


@dataclass(frozen=True)
class Kept:
    """The teacher that was kept.

    Attributes:
        accuracy: on validation, 0 to 1.
        decisions: which rate it was trained at, and why, where there were several.
        scratch: what was needed on the way, below the folder of the step.
    """

    accuracy: float
    decisions: tuple[Decision, ...] = ()
    scratch: tuple[str, ...] = (CHECKPOINTS,)


def tune_at(
    rates: tuple[float, ...], make: Callable[[], PreTrainedModel], sets: tuple[TrainingSet, TrainingSet], *, schedule: Schedule,
    out: Path,
) -> Kept:
    """Fine-tune once at each rate and leave the best teacher by validation in `out`; continues from what it finds there.

    Args:
        rates: peaks of the schedule, one at least; without a second one the training is that of `fine_tune`.
        make: makes the untrained model; each time from the same random state.
        sets: train and validation.
        schedule: how long, by what the best is chosen, and the seed; its learning rate counts for nothing.
        out: the folder of the step.

    Raises:
        TrainingDivergedError: every training did.
    """
    if len(rates) == 1:
        return Kept(_tuned(make, sets, replace(schedule, learning_rate=rates[0]), out))
    group, failures = current_group(), []
    made: dict[float, TrainingLog] = {}
    for place, rate in enumerate(rates, 1):
        folder = out / _folder(rate)
        is_done = group.share("yes" if (folder / CURVE_FILE).is_file() else "no") == "yes"  # it is written last
        told = group.share(_told_failure(folder))
        if told:
            failures.append(TrainingDivergedError(**json.loads(told)))
            continue
        try:
            if not is_done:
                log.info("teach: learning rate %g, %d of %d; --set teacher.fine_tuning.learning_rate=%g trains at one alone",
                         rate, place, len(rates), rate)
                _tuned(make, sets, replace(schedule, learning_rate=rate), folder)
                group.wait()
                group.on_main(partial(shutil.rmtree, folder / CHECKPOINTS, ignore_errors=True))  # several times the model's size
        except TrainingDivergedError as diverged:
            failures.append(diverged)
            group.on_main(partial(_mark, folder, diverged))
            continue
        made[rate] = TrainingLog.read_json(folder / CURVE_FILE)
    if not made:
        raise failures[-1]
    best = max(made, key=lambda rate: _score(made[rate], schedule))  # of equals the first
    group.on_main(lambda: _copy(out / _folder(best), out))
    return Kept(_accuracy(made[best], schedule), (_decision(made, best, rates, schedule),),
                (CHECKPOINTS, *(_folder(rate) for rate in rates)))


def _folder(rate: float) -> str:
    return f"rate-{rate:g}"


def _told_failure(folder: Path) -> str:
    """Return how the training of a rate's folder diverged, as JSON; an empty string where it did not."""
    mark = folder / _DIVERGED
    return mark.read_text(encoding="utf-8") if mark.is_file() else ""


def _mark(folder: Path, diverged: TrainingDivergedError) -> None:
    write_text_durably(folder / _DIVERGED, json.dumps({"message": diverged.message, "hint": diverged.hint}))
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def _tuned(
    make: Callable[[], PreTrainedModel], sets: tuple[TrainingSet, TrainingSet], schedule: Schedule, out: Path
) -> float:
    out.mkdir(exist_ok=True)
    torch.manual_seed(schedule.seed)
    return fine_tune(make(), sets, schedule=schedule, out=out)


def _looks(log: TrainingLog) -> list[tuple[float, float]]:
    """Return accuracy and loss at each look at validation."""
    return [(p.validation_accuracy or 0.0, p.validation_loss) for p in log.points if p.validation_loss is not None]


def _score(log: TrainingLog, schedule: Schedule) -> tuple[float, float]:
    """Return what is greater for the better of two teachers: their best looks by what the schedule goes by, then by the loss."""
    if schedule.best_by == "loss":
        return (-min(loss for _, loss in _looks(log)), 0.0)
    return max((accuracy, -loss) for accuracy, loss in _looks(log))


def _accuracy(log: TrainingLog, schedule: Schedule) -> float:
    """Return the accuracy of what was kept."""
    if schedule.best_by == "loss":
        return min(_looks(log), key=lambda look: look[1])[0]
    return max(_looks(log))[0]


def _copy(source: Path, out: Path) -> None:
    for file in source.iterdir():
        if file.is_file():
            shutil.copyfile(file, out / file.name)


def _decision(made: dict[float, TrainingLog], best: float, rates: tuple[float, ...], schedule: Schedule) -> Decision:
    figure = "loss" if schedule.best_by == "loss" else "accuracy"
    told = [f"{rate:g}: {abs(_score(made[rate], schedule)[0]):.4f}" if rate in made else f"{rate:g}: diverged" for rate in rates]
    return Decision(step="teach", what=f"kept the teacher that was fine-tuned at a learning rate of {best:g}",
                    why=f"its best {figure} on validation, of {', '.join(told)}")
