"""From work and rates to a p50 with its interval, at one length or over the lengths of the data."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgedistill.latency.rates import Origin, Rates
from edgedistill.latency.workload import Workload
from edgedistill.target import Target

MOST_THREADS = 8
"""The published latencies that the model was fitted on have no more."""


@dataclass(frozen=True)
class Parts:
    """Seconds of one inference by the class of operator.

    Attributes:
        int8: products with the weights.
        attention: products between activations.
        glue: softmax, LayerNorm, GELU and sums.
        memory: reading weights and embedding rows.
        nodes: the runtime's cost of every node and of the run.
    """

    int8: float
    attention: float
    glue: float
    memory: float
    nodes: float

    @property
    def total(self) -> float:
        """Seconds in all."""
        return self.int8 + self.attention + self.glue + self.memory + self.nodes


@dataclass(frozen=True)
class LatencyEstimate:
    """A predicted p50.

    Attributes:
        p50_s: seconds.
        interval_s: the 80 % interval.
        parts: the p50 by class of operator.
        origin: where the rates come from.
    """

    p50_s: float
    interval_s: tuple[float, float]
    parts: Parts
    origin: Origin


def parts_of(work: Workload, rates: Rates, *, threads: int = 1) -> Parts:
    """Return the seconds of one inference.

    A roofline summed over classes of operators (Williams et al. 2009), so that compute and memory do not overlap:
    `t = work / (rate x threads^g)`, and nodes that do not get faster: `nodes x cost x (1 + s (threads - 1))`.
    """
    speed = threads**rates.thread_exponent
    return Parts(
        int8=work.int8_macs * rates.int8_mac_s / speed,
        attention=work.float_macs * rates.float_mac_s / speed,
        glue=work.glue_elements * rates.glue_element_s / speed,
        memory=(work.weight_bytes + work.gathered_bytes) * rates.byte_s / speed,
        nodes=rates.call_s + work.nodes * rates.node_s * (1 + rates.node_threads * (threads - 1)),
    )


def estimate(work: Workload, rates: Rates, *, threads: int = 1) -> LatencyEstimate:
    """Predict the p50 of one inference, with the 80 % interval."""
    parts = parts_of(work, rates, threads=threads)
    seconds = parts.total
    return LatencyEstimate(seconds, (seconds * rates.low, seconds * rates.high), parts, rates.origin)


def weighted_quantile(values: Mapping[int, float], counts: Mapping[int, int], share: float) -> float:
    """Return the value that `share` of the texts do not exceed.

    Args:
        values: seconds by length; longer texts are not faster.
        counts: texts by length.
        share: 0 to 1.
    """
    total = sum(counts.values())
    seen = 0
    for length in sorted(counts):
        seen += counts[length]
        if seen >= share * total:
            return values[length]
    return values[max(counts)]


def static_p50(work: Workload, target: Target) -> float | None:
    """Return the second opinion: counted instructions through a cycle model, None where nobody counted.

    Transformers were counted, so there is none for work without attention, as that of convolutions.
    Whole graphs were counted, so the cost of nodes and glue is in it. Good to a factor of two either way; on ARM it
    was never compared with a device.
    """
    static = target.static_estimate
    if static is None or not work.float_macs:
        return None
    cycles = work.int8_macs * static.int8_cycles_per_mac.value + work.float_macs * static.float_cycles_per_mac.value
    return cycles / target.cpu.clock_hz.value
