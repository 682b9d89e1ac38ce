"""Latency and memory of a measurement as the report shows them."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from edgedistill.benchmark.statistics import Rounds, percentile, pooled, process_medians, speed_ratio, summarize
from edgedistill.device.results import DeviceMeasurement
from edgedistill.report.model import QUANTILES_PERCENT, DeviceReport, HostLatency, PeakRss, TargetLatency
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
        p50_interval_s=round_interval(_units(measurement), p50_s=figures.p50_s),
        p90_interval_s=figures.p90_interval_s,
        p99_interval_s=figures.p99_interval_s,
        mad_s=figures.mad_s,
        quantiles_s=tuple(percentile(samples, percent) for percent in QUANTILES_PERCENT),
        load_s=measurement.load_s,
        first_run_s=measurement.first_run_s,
        energy_per_run_j=measurement.energy_per_run_j,
        sequence_tokens=measurement.sequence_tokens,
        runtime=measurement.runtime,
        warnings=measurement.warnings,
    )


def _units(measurement: Measurement) -> Rounds:
    """Return what an interval counts as independent: the rounds of the one process, or of several processes each as a round."""
    return measurement.rounds_s if measurement.protocol.processes == 1 else process_medians(measurement.processes_s)


def round_interval(rounds: Rounds, *, p50_s: float) -> tuple[float, float] | None:
    """Return the 95 % interval of the p50 with the round as the unit: Student's t over the logs of the round medians.

    Runs of one round resemble each other, so an interval over the runs would be far too narrow. It lies around the geometric
    mean of the round medians, and what is shown with it is the median of all runs together: it is widened to hold that one.

    Args:
        rounds: the rounds of one process, or a round for each process: those of one process resemble each other.
        p50_s: of all runs together.

    Returns:
        seconds (low, high); None below two rounds.
    """
    if len(rounds) < 2:
        return None
    logs = np.log([np.median(samples) for samples in rounds])
    half = float(stats.t.ppf(0.975, len(logs) - 1)) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return min(p50_s, math.exp(float(logs.mean()) - half)), max(p50_s, math.exp(float(logs.mean()) + half))


def speed_ratio_on_host(teacher: Measurement | None, student: Measurement | None) -> Interval | None:
    """Return how many times faster the student is, paired by round, or by process where there are several; else None.

    None: one of the two was not measured.
    """
    if teacher is None or student is None:
        return None
    return speed_ratio(_units(teacher), _units(student))


def own_latency(measurement: Measurement) -> TargetLatency:
    """Return what was measured here as the target's latency: for a target that is this machine."""
    host = host_latency(measurement)
    return TargetLatency(p50_s=host.p50_s, interval_s=host.p50_interval_s or (host.p50_s, host.p50_s), source="measured")


def peak_rss(measurement: Measurement) -> PeakRss:
    """Return the peak of the measuring process and of the bare runtime."""
    return PeakRss(
        value=measurement.peak_rss_bytes, baseline=measurement.baseline_rss_bytes, source="measured"
    )


def target_latency(name: Variant, ledger: Sequence[Prediction]) -> TargetLatency | None:
    """Return what the plan predicted for the int8 student, in int8; nobody predicted the other variants."""
    chosen = next((row for row in ledger if row.is_chosen), None)
    if name != "student_int8" or chosen is None:
        return None
    return TargetLatency(p50_s=chosen.latency_p50_s, interval_s=chosen.latency_interval_s, source="predicted")


def device_latency(name: Variant, found: DeviceMeasurement | None) -> TargetLatency | None:
    """Return what was measured of the int8 student on a device; None where nothing was timed, as on an emulated one."""
    if name != "student_int8" or found is None or not found.rounds:
        return None
    samples = pooled(found.rounds_s)
    p50_s = percentile(samples, 50)
    interval_s = round_interval(found.rounds_s, p50_s=p50_s) or (min(samples), max(samples))  # a round there is a process
    return TargetLatency(p50_s=p50_s, interval_s=interval_s, source="measured")


def device_memory(found: DeviceMeasurement | None) -> PeakRss | None:
    """Return the peak of the int8 student's processes on a device and of the bare runtime there."""
    if found is None or found.peak_rss_bytes is None or found.baseline_rss_bytes is None:
        return None
    return PeakRss(value=found.peak_rss_bytes, baseline=found.baseline_rss_bytes, source="measured")


def device_report(found: DeviceMeasurement) -> DeviceReport:
    """Return what a report says of a device; the raw samples stay with the measurement."""
    figures = summarize(found.rounds_s) if found.rounds else None
    return DeviceReport(
        address=found.address, source=found.source, device=found.device, runtime=found.runtime, rows=found.rows,
        accuracy=found.accuracy, against_host=found.against_host, peak_rss_bytes=device_memory(found),
        p50_s=figures and figures.p50_s, p90_s=figures and figures.p90_s, p99_s=figures and figures.p99_s,
        p50_interval_s=figures and round_interval(found.rounds_s, p50_s=figures.p50_s),
        p90_interval_s=figures and figures.p90_interval_s, p99_interval_s=figures and figures.p99_interval_s,
        mad_s=figures and figures.mad_s,
        load_s=found.rounds[0].load_s if found.rounds else None,
        first_run_s=found.rounds[0].first_run_s if found.rounds else None,
        energy_per_run_j=found.energy_per_run_j, warnings=found.warnings,
    )
