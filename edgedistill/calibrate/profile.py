"""A target profile out of fitted rates: a machine, with rates that were measured on it."""

from edgedistill.calibrate.fit import FittedRates
from edgedistill.target import Figure, LatencyModel, Target

_SPREAD_SOURCE = "derived from the residuals of the fit; at least 1.25, at least 2 after a warning"
_UNKNOWN_RATE = 1e13
"""Units a second where the fit left no time for a class: fast enough that it does not count."""


def calibrated_profile(  # noqa: PLR0913 - what the source of the figures says
    base: Target, rates: FittedRates, *, graphs: int, runtime: str, exponent: float | None,
    where: str = "this machine",
) -> Target:
    """Return `base` with the rates that were measured.

    Args:
        base: the machine as a target.
        rates: from `fit_rates`.
        graphs: how many were timed.
        runtime: name and version of what ran them.
        exponent: speed-up by threads, None where there is one core.
        where: the machine that was measured, for the source of the figures.
    """
    source = f"measured on {where}: {graphs} micro-graphs through {runtime}, one thread"

    def figure(value: float) -> Figure:
        return Figure(value=value, source=source, how="derived")

    def rate(column: str) -> Figure:
        seconds = rates.seconds[column]
        return figure(1 / seconds if seconds > 1 / _UNKNOWN_RATE else _UNKNOWN_RATE)

    call = rates.seconds["call"]
    latency = LatencyModel(
        int8_macs_per_s=rate("int8_macs"),
        float_macs_per_s=rate("float_macs"),
        glue_elements_per_s=rate("glue_elements"),
        read_bytes_per_s=rate("bytes"),
        node_overhead_s=figure(max(rates.seconds["nodes"], 1 / _UNKNOWN_RATE)),
        call_overhead_s=figure(call) if call > 0 else None,
        thread_exponent=None if exponent is None else figure(exponent),
        spread=Figure(value=rates.spread, source=_SPREAD_SOURCE, how="derived"),
        origin="calibrated",
        residual_error=rates.residual_error,
        warnings=rates.warnings,
    )
    return base.model_copy(update={"latency": latency})
