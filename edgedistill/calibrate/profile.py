"""A target profile out of fitted rates: a machine, with rates that were measured on it."""

from edgedistill.calibrate.fit import FittedRates
from edgedistill.target import LEAST_S, MOST_SPREAD, MOST_WORK_PER_S, Figure, LatencyModel, Target

_SPREAD_SOURCE = "derived from the residuals of the fit; at least 1.25, at least 2 after a warning"


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
        return figure(1 / seconds if seconds > 1 / MOST_WORK_PER_S else MOST_WORK_PER_S)

    call = rates.seconds["call"]
    latency = LatencyModel(
        int8_macs_per_s=rate("int8_macs"),
        float_macs_per_s=rate("float_macs"),
        glue_elements_per_s=rate("glue_elements"),
        read_bytes_per_s=rate("bytes"),
        node_overhead_s=figure(max(rates.seconds["nodes"], LEAST_S)),
        call_overhead_s=figure(call) if call > LEAST_S else None,
        thread_exponent=None if exponent is None else figure(exponent),
        spread=Figure(value=min(rates.spread, MOST_SPREAD), source=_SPREAD_SOURCE, how="derived"),
        origin="calibrated",
        residual_error=rates.residual_error,
        warnings=rates.warnings,
    )
    return base.model_copy(update={"latency": latency})
