"""Adapter to neural-compressor's tuning loop: candidates are tried in order until the loss is tolerable."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Self

from neural_compressor.common.base_config import BaseConfig
from neural_compressor.common.base_tuning import SequentialSampler, TuningConfig, init_tuning

from edgedistill.quantize.candidates import Candidate

log = logging.getLogger("edgedistill")


class _CandidateConfig(BaseConfig):
    """A candidate as neural-compressor's loop wants it: a configuration that expands to itself alone."""

    name = "edgedistill_candidate"
    params_list = ("title",)

    def __init__(self, candidate: Candidate) -> None:
        super().__init__(white_list=None)
        self.candidate = candidate
        self.title = candidate.title

    def expand(self) -> list[Self]:
        """Return the one configuration that this is."""
        return [self]

    def to_dict(self) -> dict[str, str]:
        """Return what tells it from others."""
        return {"title": self.title}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _CandidateConfig) and other.candidate == self.candidate

    def __hash__(self) -> int:
        return hash(self.candidate)

    @classmethod
    def register_supported_configs(cls) -> None:
        """Nothing to register: the loop is used, not the registry of algorithms."""

    @classmethod
    def get_config_set_for_tuning(cls) -> list[Self]:
        """There is no set that fits every model."""
        return []


def tune(
    candidates: Sequence[Candidate], score: Callable[[Candidate], float], *, baseline: float, tolerable_loss: float,
    max_trials: int, time_limit_s: float,
) -> bool:
    """Try candidates in order until one loses little enough.

    Args:
        candidates: at least one, the most wanted first.
        score: makes a candidate and says how good it is; higher is better.
        baseline: the float model's score, more than 0.
        tolerable_loss: what may be lost, as a share of the baseline.
        max_trials: candidates tried at most.
        time_limit_s: no further candidate is started after so many seconds.

    Returns:
        whether one reached baseline * (1 - tolerable_loss).
    """
    logging.getLogger("neural_compressor").setLevel(logging.WARNING)  # it prints a table for each trial
    settings = TuningConfig(
        config_set=[_CandidateConfig(candidate) for candidate in candidates], sampler=SequentialSampler,
        tolerable_loss=tolerable_loss, max_trials=max_trials,
    )
    loader, _, monitor = init_tuning(settings)
    monitor.set_baseline(baseline)
    deadline = time.monotonic() + time_limit_s
    for trial, config in enumerate(loader):
        monitor.add_trial_result(trial, score(config.candidate), config)
        if monitor.need_stop():
            break
        if time.monotonic() > deadline:
            log.warning("the search for an int8 model ends after %d trials: its time is over", trial + 1)
            break
    return bool(monitor.get_best_trial_record().trial_result >= baseline * (1 - tolerable_loss))
