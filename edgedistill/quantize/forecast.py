"""What the latency model says of candidates and of the float model, for a target that nothing can be timed for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgedistill.latency.estimate import estimate
from edgedistill.latency.rates import Rates
from edgedistill.latency.workload import Workload

_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Forecast:
    """A candidate's predicted time on the target, one thread, on a row of the median size.

    Attributes:
        p50_s: its p50.
        interval_s: the latency model's 80 % interval.
        float_p50_s: the float model's p50.
    """

    p50_s: float
    interval_s: tuple[float, float]
    float_p50_s: float

    @property
    def is_slower(self) -> bool:
        """Is even the lower end of its interval above the float model's p50?"""
        return self.interval_s[0] > self.float_p50_s


def forecast(work: Workload, *, int8_share: float, int8: Rates, floating: Rates) -> Forecast:
    """Predict a candidate and the float model.

    Args:
        work: of the model with all its weights in int8.
        int8_share: of its nodes on weights; the products, and the bytes read for them, are taken to be int8 in that share.
        int8: the target's rates for int8 graphs.
        floating: the target's rates for float graphs.
    """
    found = estimate(_with(work, int8_share), int8)
    return Forecast(found.p50_s, found.interval_s, float_p50_of(work, floating))


def float_p50_of(work: Workload, floating: Rates) -> float:
    """Predict the p50 of the float model in seconds; a model whose weights alone are in 8 bits restores them and takes as long.

    Args:
        work: of the model with all its weights in int8.
        floating: the target's rates for float graphs.
    """
    in_float = replace(_with(work, 0.0), gathered_bytes=_FLOAT_BYTES * work.gathered_bytes)
    return estimate(in_float, floating).p50_s


def _with(work: Workload, int8_share: float) -> Workload:
    """Return the work with the rest of the products in float."""
    rest = 1 - int8_share
    return replace(work, int8_macs=int8_share * work.int8_macs, float_macs=work.float_macs + rest * work.int8_macs,
                   weight_bytes=work.weight_bytes * (int8_share + _FLOAT_BYTES * rest))


@dataclass(frozen=True)
class TargetRates:
    """A target's rates, for int8 and for float graphs.

    Attributes:
        target: its id.
        int8: seconds a unit of work in an int8 graph.
        floating: the same in a float graph.
    """

    target: str
    int8: Rates
    floating: Rates


def forecasts_of(work: Workload | None, rates: TargetRates | None, int8_shares: Mapping[str, float]) -> dict[str, Forecast]:
    """Predict candidates by their titles; nothing without a target, or for a model whose shape is not known.

    Args:
        work: of the model, all in int8.
        rates: of the target.
        int8_shares: by title, the share of the nodes on weights that are int8.
    """
    if work is None or rates is None:
        return {}
    return {title: forecast(work, int8_share=share, int8=rates.int8, floating=rates.floating)
            for title, share in int8_shares.items()}
