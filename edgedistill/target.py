"""The target: what a device class is, what its runtime can read, and its budgets. Code asks it, never compares ids."""

from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, model_validator

from edgedistill.document import Document, parse, read_text, wrong_at
from edgedistill.errors import TargetError
from edgedistill.figure import Figure, Origin
from edgedistill.processor import Cpu, InstructionSet
from edgedistill.runtime import DeniedVersion, Platform, Runtime

__all__ = [
    "Budget", "Cpu", "DeniedVersion", "Figure", "InstructionSet", "LatencyModel", "Memory", "Origin", "Platform", "Runtime",
    "StaticEstimate", "Target", "TargetBudgets", "read_target",
]

_MOST_RAM_BYTES, _FEWEST_CYCLES, _MOST_CYCLES = 2**46, 1 / 256, 1e4
_SLOWEST_COPY, _FASTEST_COPY = 1e7, 1e12
_RATES = {"int8_macs_per_s": 1e5, "float_macs_per_s": 1e5, "glue_elements_per_s": 1e4, "read_bytes_per_s": 1e6}
"""The least that one thread of a processor that runs onnxruntime does in a second."""

MOST_WORK_PER_S, LEAST_S = 1e13, 1e-13
"""More than one thread does in a second, less than anything takes: a calibration writes them for what took no time that could
be seen."""

MOST_SPREAD = 1e3
_MOST_NODE_S, _MOST_CALL_S = 1.0, 60.0


class Memory(Document):
    """The memory's rates, one thread."""

    copy_bytes_per_s: Figure = Field(description="memcpy; a byte that is copied counts once")
    read_bytes_per_s: Figure | None = None

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        for name in ("copy_bytes_per_s", "read_bytes_per_s"):
            _check(getattr(self, name), (name, "value"), _SLOWEST_COPY, _FASTEST_COPY, "what one core moves in a second")
        return self


def _check(figure: Figure | None, place: tuple[str, ...], least: float, most: float, what: str) -> None:
    """Refuse a figure that lies outside what can be."""
    if figure is not None and not least <= figure.value <= most:
        raise wrong_at(place, f"{figure.value:g} cannot be: {what} lies between {least:g} and {most:g}; correct it, or leave it "
                       "out where it is optional")


class LatencyModel(Document):
    """Rates of one thread that replace the fitted ones. `spread` widens the sum to an interval.

    time = work / rate, summed over the classes of operators, + nodes x overhead.
    """

    int8_macs_per_s: Figure
    float_macs_per_s: Figure
    read_bytes_per_s: Figure
    node_overhead_s: Figure
    spread: Figure = Field(description="the true p50 is expected within [p50 / spread, p50 * spread]")
    glue_elements_per_s: Figure | None = Field(None, description="numbers of softmax, LayerNorm and GELU; None: not counted")
    call_overhead_s: Figure | None = Field(None, description="what a run costs besides its nodes; None: not counted")
    thread_exponent: Figure | None = Field(None, description="n threads are n to this power as fast; None: the fitted one")
    origin: Literal["given", "calibrated"] = "given"
    residual_error: float | None = Field(None, ge=0, description="calibrated: median |predicted / measured - 1| of the graphs")
    warnings: tuple[str, ...] = Field((), description="calibrated: why the fit must not be trusted")

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        for name, least in _RATES.items():
            _check(getattr(self, name), (name, "value"), least, MOST_WORK_PER_S, "what one thread does in a second")
        _check(self.node_overhead_s, ("node_overhead_s", "value"), LEAST_S, _MOST_NODE_S, "the seconds that a node costs")
        _check(self.call_overhead_s, ("call_overhead_s", "value"), LEAST_S, _MOST_CALL_S, "the seconds that a run costs")
        _check(self.thread_exponent, ("thread_exponent", "value"), 0.0, 1.0, "the power of their number that threads are worth")
        _check(self.spread, ("spread", "value"), 1.0, MOST_SPREAD, "the factor by which a prediction is widened")
        return self


class StaticEstimate(Document):
    """Cycles a multiply-accumulate, whole graph: executed instructions counted under emulation, through a cycle model."""

    int8_cycles_per_mac: Figure
    float_cycles_per_mac: Figure

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for name in ("int8_cycles_per_mac", "float_cycles_per_mac"):
            _check(getattr(self, name), (name, "value"), _FEWEST_CYCLES, _MOST_CYCLES, "what a multiply-accumulate takes")
        return self


class Budget(Document):
    """A limit and the reason for it."""

    limit: float = Field(gt=0)
    why: str = Field(min_length=3)


class TargetBudgets(Document):
    """What a model may cost on this device."""

    model_bytes: Budget
    peak_memory_bytes: Budget = Field(description="resident memory over the bare runtime's")
    latency_p50_s: Budget = Field(description="one example of the data's median length, one thread")
    accuracy_loss: Budget | None = Field(
        None, description="share of the teacher's accuracy that the int8 student may lose on the test split; null: not judged"
    )


class Target(Document):
    """One device class."""

    schema_version: Literal[1] = 1
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    name: str
    cpu: Cpu
    ram_bytes: Figure
    memory: Memory | None = None
    runtime: Runtime
    latency: LatencyModel | None = Field(None, description="rates of this device; without them, the fitted model and cpu.peaks")
    static_estimate: StaticEstimate | None = None
    budgets: TargetBudgets

    def to_yaml(self) -> str:
        """Return YAML in the order of the fields, without the keys that say nothing."""
        content = _whole_numbers(self.model_dump(mode="json", exclude_none=True))
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.budgets.peak_memory_bytes.limit > self.ram_bytes.value:
            raise wrong_at(("budgets", "peak_memory_bytes", "limit"), "is more than the device's ram_bytes")
        if self.budgets.model_bytes.limit > self.ram_bytes.value:
            raise wrong_at(("budgets", "model_bytes", "limit"), "is more than the device's ram_bytes")
        if self.ram_bytes.value > _MOST_RAM_BYTES:
            raise wrong_at(("ram_bytes", "value"), f"{self.ram_bytes.value:g} is more memory than any machine has")
        if self.budgets.accuracy_loss is not None and self.budgets.accuracy_loss.limit > 1:
            raise wrong_at(("budgets", "accuracy_loss", "limit"), "is a share of the teacher's accuracy: at most 1")
        for name in ("l1d_bytes", "l2_bytes", "l3_bytes") if self.cpu.caches is not None else ():
            cache = getattr(self.cpu.caches, name)
            if cache is not None and cache.value > self.ram_bytes.value:
                raise wrong_at(("cpu", "caches", name, "value"), f"{cache.value:g} is more than ram_bytes; lscpu -B shows bytes")
        if self.latency is None and (self.cpu.peaks is None or self.memory is None):
            raise ValueError("cpu.peaks and memory are needed, or latency: nothing to predict a latency from")
        return self


def _whole_numbers(value: Any) -> Any:
    """Write 1.8e9 Hz as 1800000000, not as 1800000000.0."""
    if isinstance(value, dict):
        return {key: _whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def read_target(path: Path) -> Target:
    """Read a target profile.

    Raises:
        TargetError: it cannot be read, is not YAML, or has an unknown key or an impossible value.
    """
    return parse(Target, read_text(path, error=TargetError), path, error=TargetError)
