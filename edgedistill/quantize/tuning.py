"""Adapter to neural-compressor's tuning loop: a set of ways to int8, sampled in an order that goes by what came before."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

from neural_compressor.common.base_config import BaseConfig
from neural_compressor.common.base_tuning import ConfigSet, Sampler, TuningConfig, init_tuning

from edgedistill.quantize.calibration import CalibrationMethod
from edgedistill.quantize.scheme_names import Scheme


@dataclass(frozen=True)
class Way:
    """A choice out of the options: one scheme, one calibration, and how far it departs from the two.

    Attributes:
        scheme: of the target's list.
        method: how the ranges of a static scheme are chosen.
        departure: 0 for the scheme as it is; `rescue` says what the others are.
    """

    scheme: Scheme
    method: CalibrationMethod
    departure: int = 0


@dataclass(frozen=True)
class Options:
    """A scheme with all that may be chosen for it.

    Attributes:
        scheme: of the target's list.
        methods: calibrations, the wanted one first; one alone where nothing is calibrated.
        departures: from the scheme as it is.
    """

    scheme: Scheme
    methods: tuple[CalibrationMethod, ...]
    departures: tuple[int, ...]

    @property
    def ways(self) -> tuple[Way, ...]:
        """One way for each choice."""
        return tuple(Way(self.scheme, method, departure) for method in self.methods for departure in self.departures)


@dataclass(frozen=True)
class Terms:
    """When the loop stops.

    Attributes:
        baseline: the float model's figure, more than 0.
        tolerable_loss: what may be lost of it, as a share.
        plain: ways that are the schemes as they are; among them the order alone says when it is enough.
        trials: further ways that are tried at most.
    """

    baseline: float
    tolerable_loss: float
    plain: int
    trials: int

    @property
    def least(self) -> float:
        """The least figure that is tolerable, computed as neural-compressor does."""
        return self.baseline * (1 - self.tolerable_loss)


class _SchemeConfig(BaseConfig):
    """A scheme as neural-compressor's config sets want it: options in lists, which `expand` turns into one of each."""

    name = "edgedistill_scheme"
    params_list = ("scheme", "method", "departure")

    def __init__(self, options: Options) -> None:
        super().__init__(white_list=None)
        self.options = options

    @property
    def way(self) -> Way:
        """The one way of a configuration that was expanded."""
        (way,) = self.options.ways
        return way

    def expand(self) -> list[Self]:
        """Return a configuration for each choice."""
        return [type(self)(Options(way.scheme, (way.method,), (way.departure,))) for way in self.options.ways]

    def to_dict(self) -> dict[str, object]:
        """Return what tells it from others."""
        return {"scheme": self.options.scheme.name, "method": list(self.options.methods),
                "departure": list(self.options.departures)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _SchemeConfig) and other.options == self.options

    def __hash__(self) -> int:
        return hash(self.options)

    @classmethod
    def register_supported_configs(cls) -> None:
        """Nothing to register: the loop is used, not the registry of algorithms."""

    @classmethod
    def get_config_set_for_tuning(cls) -> list[Self]:
        """There is no set that fits every model."""
        return []


class _OrderedSampler(Sampler):
    """Samples a config set in an order that is asked for the next way only when the one before was tried."""

    def __init__(self, config_source: ConfigSet, *, order: Callable[[], Iterator[Way]]) -> None:
        super().__init__(config_source)
        self._order = order
        self._numbers = {config.way: number for number, config in enumerate(config_source.config_list)}

    def __iter__(self) -> Iterator[int]:
        return (self._numbers[way] for way in self._order())


def tune(
    options: Sequence[Options], order: Callable[[], Iterator[Way]], score: Callable[[Way], float], terms: Terms
) -> tuple[Way, ...]:
    """Try ways in an order until the order ends, one loses little enough, or the trials are used up.

    Args:
        options: what there is to choose from, at least one scheme.
        order: yields ways among these, each once; it may look at what was tried before.
        score: tries a way and says how good it is; higher is better.
        terms: when it is enough.

    Returns:
        what was tried, in order: the history of neural-compressor's monitor.
    """
    logging.getLogger("neural_compressor").setLevel(logging.WARNING)  # it prints a table for each trial
    settings = TuningConfig(
        config_set=[_SchemeConfig(each) for each in options], sampler=partial(_OrderedSampler, order=order),
        tolerable_loss=terms.tolerable_loss, max_trials=terms.plain + terms.trials,
    )
    loader, _, monitor = init_tuning(settings)
    monitor.set_baseline(terms.baseline)
    for trial, config in enumerate(loader):
        monitor.add_trial_result(trial, score(config.way), config)
        if monitor.get_number_of_trials() >= terms.plain and monitor.need_stop():
            break
    return tuple(record.quant_config.way for record in monitor.tuning_history)
