"""The rates of a device: what a unit of each class of work takes there, on one thread, and where that is known from."""

from dataclasses import dataclass
from typing import Literal

from edgedistill.errors import TargetError
from edgedistill.latency.constants import Constants, fitted_constants
from edgedistill.target import LatencyModel, Target

Origin = Literal["fitted", "given", "calibrated"]


@dataclass(frozen=True)
class Rates:
    """Seconds of one thread for a unit of work.

    Attributes:
        int8_mac_s: a multiply-accumulate with a weight.
        float_mac_s: a multiply-accumulate between activations.
        glue_element_s: a number of softmax, LayerNorm, GELU.
        byte_s: a byte of weights or of the embedding's rows.
        node_s: a node besides its work.
        call_s: a run besides its nodes.
        thread_exponent: n threads are n to this power as fast.
        node_threads: share of a node's cost that each further thread adds.
        low: lower end of the 80 % interval over the prediction.
        high: upper end of the 80 % interval over the prediction.
        origin: `fitted` on published latencies, `given` by the profile, `calibrated` on the device.
    """

    int8_mac_s: float
    float_mac_s: float
    glue_element_s: float
    byte_s: float
    node_s: float
    call_s: float
    thread_exponent: float
    node_threads: float
    low: float
    high: float
    origin: Origin


def rates_of(target: Target) -> Rates:
    """Return the rates of a target: its own where the profile has them, else the fitted ones."""
    constants = fitted_constants()
    if target.latency is not None:
        return _own_rates(target.latency, constants)
    return _fitted_rates(target, constants, of_graph=constants.int8)


def float_rates_of(target: Target) -> Rates:
    """Return the rates of a target for float graphs; its int8 products are not meant.

    What int8 graphs take over float ones besides the peaks is a factor of the fit, taken out here; a profile's own rates are
    used as they are.
    """
    constants = fitted_constants()
    if target.latency is not None:
        return _own_rates(target.latency, constants)
    return _fitted_rates(target, constants, of_graph=1.0)


def _own_rates(own: LatencyModel, constants: Constants) -> Rates:
    return Rates(
        int8_mac_s=1 / own.int8_macs_per_s.value,
        float_mac_s=1 / own.float_macs_per_s.value,
        glue_element_s=1 / own.glue_elements_per_s.value if own.glue_elements_per_s else 0.0,
        byte_s=1 / own.read_bytes_per_s.value,
        node_s=own.node_overhead_s.value,
        call_s=own.call_overhead_s.value if own.call_overhead_s else 0.0,
        thread_exponent=own.thread_exponent.value if own.thread_exponent else constants.thread_exponent,
        node_threads=constants.node_threads,
        low=1 / own.spread.value,
        high=own.spread.value,
        origin=own.origin,
    )


def _fitted_rates(target: Target, constants: Constants, *, of_graph: float) -> Rates:
    """Turn the peaks of a core into rates; equation in docs/plan.md, fit in benchmarks/latency_model.py."""
    cpu, memory = target.cpu, target.memory
    if cpu.peaks is None or memory is None:  # the target's own validation refuses that
        raise TargetError(f"{target.id}: no peaks and no rates", hint=f"edgedistill targets show {target.id}")
    core = cpu.microarchitecture.removesuffix("ae")  # the automotive A78AE is an A78 in all that matters here
    factor = constants.runtime * constants.cores.get(core, 1.0)
    if core in constants.in_order_cores:
        factor *= constants.in_order
    factor *= of_graph
    path = cpu.peaks.best_int8_path
    inefficiency = constants.matmul.get(path, max(constants.matmul[p] for p in ("smull", "maddubs")))
    float_path = "fp32_neon" if cpu.architecture == "aarch64" else "fp32_x86"
    fp32 = cpu.peaks.fp32_flops.value
    return Rates(
        int8_mac_s=factor * inefficiency * 2 / cpu.peaks.int8_ops[path].value,
        float_mac_s=factor * constants.matmul[float_path] * 2 / fp32,
        glue_element_s=factor * constants.glue_cycles * 8 / fp32,
        byte_s=factor * constants.bytes / memory.copy_bytes_per_s.value,
        node_s=constants.node_cycles / cpu.clock_hz.value,
        call_s=0.0,
        thread_exponent=constants.thread_exponent,
        node_threads=constants.node_threads,
        low=constants.low,
        high=constants.high,
        origin="fitted",
    )
