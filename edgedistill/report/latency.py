"""Latency and memory of a measurement as the report shows them."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from edgedistill.benchmark.statistics import percentile, pooled, speed_ratio, summarize
from edgedistill.report.model import QUANTILES_PERCENT, HostLatency, PeakRss, TargetLatency
from edgedistill.results import Interval, Measurement, Prediction, Variant


def host_latency(measurement: Measurement) -> HostLatency:
    """Summarize a measurement; percentiles are over all rounds together."""
    samples = pooled(measurement.rounds_s)
    figures = summarize(measurement.rounds_s)
    return HostLatency(
        threads=measurement.protocol.threads,
        p50_s=figures.p50_s,
        p90_s=figures.p90_s,
        p99_s=figures.p99_s,
        n=figures.n,
        noisy=measurement.is_noisy,
        p50_interval_s=round_interval(measurement.rounds_s),
        quantiles_s=tuple(percentile(samples, percent) for percent in QUANTILES_PERCENT),
        load_s=measurement.load_s,
        first_run_s=measurement.first_run_s,
        sequence_tokens=measurement.sequence_tokens,
        runtime=measurement.runtime,
        warnings=measurement.warnings,
    )


def round_interval(rounds: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """Return the 95 % interval of the p50 with the round as the unit: Student's t over the logs of the round medians.

    Runs of one round resemble each other, so an interval over the runs would be far too narrow. None below two rounds.
    """
    if len(rounds) < 2:
        return None
    logs = np.log([np.median(samples) for samples in rounds])
    half = float(stats.t.ppf(0.975, len(logs) - 1)) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return math.exp(float(logs.mean()) - half), math.exp(float(logs.mean()) + half)


def speed_ratio_on_host(teacher: Measurement | None, student: Measurement | None) -> Interval | None:
    """Return how many times faster the student is, paired by round; None when one of them was not measured."""
    if teacher is None or student is None:
        return None
    return speed_ratio(teacher.rounds_s, student.rounds_s)


def peak_rss(measurement: Measurement) -> PeakRss:
    """Return the peak of the measuring process and of the bare runtime."""
    return PeakRss(
        value=measurement.peak_rss_bytes, baseline=measurement.baseline_rss_bytes, source="measured"
    )


def target_latency(name: Variant, ledger: Sequence[Prediction]) -> TargetLatency | None:
    """Return what the plan predicted for the int8 student; nobody predicted the other variants."""
    chosen = next((row for row in ledger if row.is_chosen), None)
    if name != "student_int8" or chosen is None:
        return None
    return TargetLatency(p50_s=chosen.latency_p50_s, interval_s=chosen.latency_interval_s, source="predicted")
