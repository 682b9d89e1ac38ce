"""Adapter to optuna: a study in a journal file that survives a kill and that processes and machines may share.

A trial is claimed without a lock that could be left behind: it is enqueued, popped (optuna makes that atomic), and the
journal's numbering, which all see alike, decides who keeps it when two had the same idea: the lower number.
"""

import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgedistill.distill.search.moves import Move
from edgedistill.distill.search.trial import Trial, TrialOutcome, TrialSettings
from edgedistill.errors import StorageError
from edgedistill.results import Milestone
from edgedistill.storage import storage_errors

_SETTINGS, _BECAUSE, _MILESTONES, _OUTCOME = "settings", "because", "milestones", "outcome"
_RUN, _STAGES, _RUN_ID = "run", "stages", "run_id"
_DRAWS = 20
"""How often the sampler is asked again when it proposes what was tried before."""

_MOST_WAITED_S, _LOOK_AGAIN_S = 5.0, 0.05
_RANDOM_AT_FIRST = 5
"""Trials before the sampler goes by their results."""


@dataclass(frozen=True)
class Owner:
    """Who does a trial: a run folder by an id that moves with it, where that is, and where it keeps its steps."""

    run_id: str
    run: str
    stages: str


@dataclass(frozen=True)
class Space:
    """Where the sampler may look, around the recipe's own settings.

    Attributes:
        base: the recipe's settings.
        carried: where a drawn trial has its transfer set, its rows seen and its int8 scheme from.
        rungs: ids of the shapes that fit, from the cheapest.
        highest_rank: no dearer rung than this one is drawn.
    """

    base: TrialSettings
    carried: TrialSettings
    rungs: tuple[str, ...]
    highest_rank: int


class SearchStudy:
    """A study and its trials.

    Args:
        path: the journal; made when it is not there.
        name: of the study in it: everything that trials of one study have in common.
        seed: of the sampler; each draw has a seed of its own, so that a search that was killed goes on as it would have.

    Raises:
        StorageError: the file is no such journal.
    """

    def __init__(self, path: Path, name: str, *, seed: int) -> None:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna, self._seed = optuna, seed
        self._renewed: dict[int, TrialOutcome] = {}
        with storage_errors(path):
            _cut_half_line(path, JournalFileOpenLock(str(path)))
            backend = JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path)))
        try:
            self._storage = JournalStorage(backend)
            self._study = optuna.create_study(
                storage=self._storage, study_name=name, direction="maximize", load_if_exists=True
            )
            self._id = self._storage.get_study_id_from_name(name)
        except (json.JSONDecodeError, KeyError, ValueError, TypeError) as bad:
            raise StorageError(f"{path}: is no study, or was damaged ({bad})", hint="delete it, or name another: --set "
                               "search.study=FILE; finished trials of this run folder are found again") from None

    def trials(self) -> tuple[Trial, ...]:
        """Return the trials that were claimed, in the order of their numbers; those claimed twice stand once."""
        claimed = [t for t in self._study.get_trials(deepcopy=False) if t.state.name in _CLAIMED and _RUN_ID in t.user_attrs]
        found = (_trial(t.number, t.user_attrs) for t in claimed)
        return tuple(replace(t, outcome=self._renewed.get(t.number, t.outcome)) for t in found)

    def claim(self, moves: Iterable[Move], owner: Owner, *, space: Space) -> Trial | None:
        """Claim the first move that nobody has claimed; None when all are taken."""
        known = [t.settings for t in self.trials()]
        for move in moves:
            if move.settings in known:
                continue
            self._study.enqueue_trial(_parameters(move.settings, space), user_attrs={
                _SETTINGS: move.settings.model_dump_json(), _BECAUSE: move.because, **vars(owner),
            })
            while self._is_waiting(move.settings):  # what a killed run left waiting is popped first
                found = self._ask(owner, space, wanted=move.settings)
                if found is not None:
                    return found
        return None

    def _is_waiting(self, settings: TrialSettings) -> bool:
        text = settings.model_dump_json()
        return any(t.state.name == "WAITING" and t.user_attrs.get(_SETTINGS) == text
                   for t in self._study.get_trials(deepcopy=False))

    def sample(self, owner: Owner, *, space: Space) -> Trial | None:
        """Claim what the sampler proposes; None when it finds nothing new."""
        for _ in range(_DRAWS):
            found = self._ask(owner, space)
            if found is not None:
                return found
        return None

    def remember(self, trial: Trial, milestones: Sequence[Milestone]) -> None:
        """Keep with a trial what its training must reach: a trial that is done again asks for the same."""
        self._set(trial.number, _MILESTONES, json.dumps([m.model_dump() for m in milestones]))

    def remembers(self, trial: Trial) -> bool:
        """Was it kept what the trial's training must reach, be it nothing?"""
        return _MILESTONES in self._study.get_trials(deepcopy=False)[trial.number].user_attrs

    def finish(self, trial: Trial, outcome: TrialOutcome, *, value: float) -> None:
        """Record what came of a trial; nothing where that was done.

        Args:
            trial: as claimed.
            outcome: what came of it.
            value: what the sampler maximizes; not used for a training that was given up or diverged.
        """
        state = self._optuna.trial.TrialState
        self._set(trial.number, _OUTCOME, outcome.model_dump_json())
        if outcome.state == "done":
            self._study.tell(trial.number, value, skip_if_finished=True)
        else:
            self._study.tell(trial.number, state=state.PRUNED, skip_if_finished=True)

    def renew(self, trial: Trial, outcome: TrialOutcome) -> None:
        """Let a finished trial count, in this process alone, with what came of it when it was found or made again."""
        self._renewed[trial.number] = outcome

    def _ask(self, owner: Owner, space: Space, *, wanted: TrialSettings | None = None) -> Trial | None:
        """Pop a waiting trial or let the sampler draw one; None when somebody else has the same.

        With `wanted` none is drawn, and what this run left waiting when it was killed is dropped: it was an idea for an earlier
        situation.
        """
        drawn = len(self._study.get_trials(deepcopy=False))
        seed = (self._seed + drawn) % 2**32
        self._study.sampler = self._optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM_AT_FIRST)
        asked = self._study.ask(_distributions(self._optuna.distributions, space))
        attributes = dict(asked.user_attrs)
        is_drawn = _SETTINGS not in attributes  # of what was enqueued, somebody else was quicker
        if is_drawn:
            attributes[_SETTINGS] = _settings(asked.params, space).model_dump_json()
            attributes[_BECAUSE] = "drawn by the sampler from what was tried so far"
            self._set(asked.number, _SETTINGS, attributes[_SETTINGS])
            self._await_settings(before=asked.number)
        is_stale = wanted is not None and attributes.get(_RUN_ID) == owner.run_id and (
            attributes[_SETTINGS] != wanted.model_dump_json())
        if (is_drawn and wanted is not None) or is_stale or self._is_taken(attributes[_SETTINGS], before=asked.number):
            self._study.tell(asked.number, state=self._optuna.trial.TrialState.FAIL)
            return None
        attributes |= vars(owner)
        for name in (_SETTINGS, _BECAUSE, _STAGES, _RUN, _RUN_ID):  # the last one makes the claim
            self._set(asked.number, name, attributes[name])
        return _trial(asked.number, attributes)

    def _await_settings(self, *, before: int) -> None:
        """Wait until trials with lower numbers, which others draw now, say what they are; not long, one may have been killed."""
        end = time.monotonic() + _MOST_WAITED_S
        while time.monotonic() < end and any(
            t.number < before and t.state.name == "RUNNING" and _SETTINGS not in t.user_attrs
            for t in self._study.get_trials(deepcopy=False)
        ):
            time.sleep(_LOOK_AGAIN_S)

    def _is_taken(self, settings: str, *, before: int) -> bool:
        """Has a trial with a lower number the same settings?"""
        states = (*_CLAIMED, "WAITING")
        return any(
            t.number < before and t.state.name in states and t.user_attrs.get(_SETTINGS) == settings
            for t in self._study.get_trials(deepcopy=False)
        )

    def _set(self, number: int, name: str, value: str) -> None:
        if not self._study.get_trials(deepcopy=False)[number].state.is_finished():
            place = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
            self._storage.set_trial_user_attr(place, name, value)


def _cut_half_line(path: Path, lock: Any) -> None:
    """Take off the end of a journal after its last line: what a full disk or a power cut has left of an entry."""
    if not path.is_file() or _half_line(path) is None:
        return
    lock.acquire()
    try:
        if (end := _half_line(path)) is not None:  # nobody was writing it
            os.truncate(path, end)
    finally:
        lock.release()


def _half_line(path: Path) -> int | None:
    """Return where a last line begins that has no end; None where all have one."""
    content = path.read_bytes()
    return None if not content or content.endswith(b"\n") else content.rfind(b"\n") + 1


_CLAIMED = ("RUNNING", "COMPLETE", "PRUNED")


def _trial(number: int, attributes: dict[str, Any]) -> Trial:
    outcome = attributes.get(_OUTCOME)
    return Trial(
        number=number,
        settings=TrialSettings.model_validate_json(attributes[_SETTINGS]),
        because=str(attributes[_BECAUSE]),
        run_id=str(attributes[_RUN_ID]),
        run=str(attributes[_RUN]),
        stages=str(attributes[_STAGES]),
        milestones=tuple(Milestone.model_validate(m) for m in json.loads(attributes.get(_MILESTONES, "[]"))),
        outcome=None if outcome is None else TrialOutcome.model_validate_json(outcome),
    )


_MOST_BATCH = 4096
"""As a recipe has it. What is drawn may be more: the choices of a study never change."""


def _distributions(kinds: Any, space: Space) -> dict[str, Any]:
    base = space.base
    fastest = max(base.learning_rate, min(base.learning_rate * 4, 0.9))
    return {
        "rank": kinds.IntDistribution(0, max(0, space.highest_rank)),
        "learning_rate": kinds.FloatDistribution(base.learning_rate / 4, fastest, log=True),
        "temperature": kinds.FloatDistribution(min(1.0, base.temperature), max(8.0, base.temperature)),
        "alpha": kinds.FloatDistribution(min(0.3, base.alpha), max(1.0, base.alpha)),
        "batch_size": kinds.CategoricalDistribution(_batch_sizes(base)),
    }


def _batch_sizes(base: TrialSettings) -> list[int]:
    return sorted({max(1, base.batch_size // 2), base.batch_size, base.batch_size * 2})


def _parameters(settings: TrialSettings, space: Space) -> dict[str, Any]:
    return {
        "rank": space.rungs.index(settings.rung), "learning_rate": settings.learning_rate,
        "temperature": settings.temperature, "alpha": settings.alpha, "batch_size": _drawn_size(settings, space),
    }


def _drawn_size(settings: TrialSettings, space: Space) -> int:
    """Return the choice of the study that came to a batch size, which may have been cut to what a recipe may have."""
    return next((size for size in _batch_sizes(space.base) if min(size, _MOST_BATCH) == settings.batch_size), settings.batch_size)


def _settings(parameters: dict[str, Any], space: Space) -> TrialSettings:
    learning_rate, temperature, alpha = (
        float(f"{parameters[name]:.3g}") for name in ("learning_rate", "temperature", "alpha")  # three digits read well
    )
    return space.carried.model_copy(update={
        "rung": space.rungs[parameters["rank"]], "learning_rate": learning_rate, "temperature": temperature,
        "alpha": alpha, "batch_size": min(int(parameters["batch_size"]), _MOST_BATCH),
    })
