"""The target: what a device class is, what its runtime can read, and its budgets. Code asks it, never compares ids."""

from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, model_validator

from edgedistill.document import Document, parse, read_text, wrong_at
from edgedistill.errors import TargetError
from edgedistill.processor import Cpu, Figure, InstructionSet

__all__ = [
    "Budget", "Cpu", "DeniedVersion", "Figure", "InstructionSet", "LatencyModel", "Memory", "Runtime", "StaticEstimate",
    "Platform", "Target", "TargetBudgets", "read_target",
]

Platform = Literal["android", "ios", "linux"]


_MOST_RAM_BYTES, _FASTEST_COPY, _FEWEST_CYCLES = 2**46, 1e12, 1 / 256


class Memory(Document):
    """The memory's rates, one thread."""

    copy_bytes_per_s: Figure = Field(description="memcpy; a byte that is copied counts once")
    read_bytes_per_s: Figure | None = None


class DeniedVersion(Document):
    """An onnxruntime version that must not be used on this device."""

    version: str
    reason: str
    reference: str

    def covers(self, installed: str) -> bool:
        """Is the installed version this one? "1.21" stands for every 1.21.x."""
        wanted = self.version.split(".")
        return installed.split("+")[0].split(".")[: len(wanted)] == wanted


class Runtime(Document):
    """What the device's onnxruntime reads."""

    name: Literal["onnxruntime"] = "onnxruntime"
    oldest: str = Field(pattern=r"^\d+\.\d+(\.\d+)?$", description="oldest version the bundle must load in")
    max_ir_version: int = Field(ge=7, le=13)
    max_opset: int = Field(ge=13, le=25)
    denied: tuple[DeniedVersion, ...] = ()
    execution_providers: tuple[str, ...] = Field(
        ("CPUExecutionProvider",), min_length=1, description="those that exist there; edgedistill counts on the CPU's alone"
    )

    @model_validator(mode="after")
    def _oldest_is_allowed(self) -> Self:
        denied = self.denial_of(self.oldest)
        if denied is not None:
            raise ValueError(f"oldest {self.oldest} is denied: {denied.reason}")
        return self

    @property
    def platform(self) -> Platform:
        """The system that onnxruntime is built for: NNAPI exists on Android alone, and CoreML stands for iOS."""
        if "NnapiExecutionProvider" in self.execution_providers:
            return "android"
        return "ios" if "CoreMLExecutionProvider" in self.execution_providers else "linux"

    def denial_of(self, installed: str | None) -> DeniedVersion | None:
        """Return why a version of onnxruntime must not be used on the device, None when it may."""
        return next((d for d in self.denied if installed is not None and d.covers(installed)), None)


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


class StaticEstimate(Document):
    """Cycles a multiply-accumulate, whole graph: executed instructions counted under emulation, through a cycle model."""

    int8_cycles_per_mac: Figure
    float_cycles_per_mac: Figure

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for name in ("int8_cycles_per_mac", "float_cycles_per_mac"):
            value = getattr(self, name).value
            if value < _FEWEST_CYCLES:
                raise wrong_at((name, "value"), f"{value:g} is less than a core needs for one of 256 products a cycle")
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
        if self.memory is not None and self.memory.copy_bytes_per_s.value > _FASTEST_COPY:
            rate = self.memory.copy_bytes_per_s.value
            raise wrong_at(("memory", "copy_bytes_per_s", "value"), f"{rate:g} is more than one core can move")
        if self.budgets.accuracy_loss is not None and self.budgets.accuracy_loss.limit > 1:
            raise wrong_at(("budgets", "accuracy_loss", "limit"), "is a share of the teacher's accuracy: at most 1")
        if self.latency is not None and self.latency.spread.value < 1:
            raise wrong_at(("latency", "spread", "value"), "is a factor of at least 1")
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
