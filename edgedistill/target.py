"""The target: what a device class is, what its runtime can read, and its budgets. Code asks it, never compares ids."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from edgedistill.document import Document, parse, read_text
from edgedistill.errors import TargetError

InstructionSet = Literal[
    "neon", "asimddp", "asimdhp", "i8mm", "sve", "avx2", "fma", "avx512", "avx_vnni", "avx512_vnni", "avx512_bf16"
]


class Figure(Document):
    """A number with where it comes from. `seen`: read there; `derived`: computed from such; `assumed`: a judgement."""

    value: float = Field(gt=0)
    source: str = Field(min_length=3)
    how: Literal["seen", "derived", "assumed"]


class Cpu(Document):
    """The processor that runs the model."""

    architecture: Literal["aarch64", "x86_64"]
    microarchitecture: str
    cores: int = Field(ge=1, le=1024)
    clock_hz: Figure
    features: tuple[InstructionSet, ...] = Field(min_length=1)

    @property
    def has_int8_dot_product(self) -> bool:
        """Does one instruction multiply and add four int8 pairs (SDOT, VNNI)?"""
        return bool({"asimddp", "i8mm", "avx_vnni", "avx512_vnni"} & set(self.features))

    @property
    def saturates_u8s8(self) -> bool:
        """Does a u8 x s8 product overflow 16 bits here? x86 without VNNI multiplies with VPMADDUBSW.

        Source: onnxruntime's quantization guide, "When and why do I need to try U8U8?".
        """
        return self.architecture == "x86_64" and not self.has_int8_dot_product


class DeniedVersion(Document):
    """An onnxruntime version that must not be used on this device."""

    version: str
    reason: str
    reference: str


class Runtime(Document):
    """What the device's onnxruntime reads."""

    name: Literal["onnxruntime"] = "onnxruntime"
    oldest: str = Field(pattern=r"^\d+\.\d+(\.\d+)?$", description="oldest version the bundle must load in")
    max_ir_version: int = Field(ge=7, le=13)
    max_opset: int = Field(ge=13, le=25)
    denied: tuple[DeniedVersion, ...] = ()


class LatencyModel(Document):
    """A roofline: work / rate + nodes * overhead, each rate for one thread. `spread` widens it to an interval."""

    int8_macs_per_s: Figure
    float_macs_per_s: Figure
    read_bytes_per_s: Figure
    node_overhead_s: Figure
    spread: Figure = Field(description="the true p50 is expected within [p50 / spread, p50 * spread]")


class Budget(Document):
    """A limit and the reason for it."""

    limit: float = Field(gt=0)
    why: str = Field(min_length=3)


class TargetBudgets(Document):
    """What a model may cost on this device."""

    model_bytes: Budget
    peak_memory_bytes: Budget = Field(description="resident memory over the bare runtime's")
    latency_p50_s: Budget = Field(description="one example of the data's median length, one thread")


class Target(Document):
    """One device class."""

    schema_version: Literal[1] = 1
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    name: str
    cpu: Cpu
    ram_bytes: Figure
    runtime: Runtime
    latency: LatencyModel
    budgets: TargetBudgets

    @model_validator(mode="after")
    def _possible(self) -> Self:
        arm = {"neon", "asimddp", "asimdhp", "i8mm", "sve"}
        wrong = [f for f in self.cpu.features if (f in arm) != (self.cpu.architecture == "aarch64")]
        if wrong:
            raise ValueError(f"features {', '.join(wrong)} do not exist on {self.cpu.architecture}")
        if self.budgets.peak_memory_bytes.limit > self.ram_bytes.value:
            raise ValueError("budgets.peak_memory_bytes.limit is more than the device's ram_bytes")
        if self.latency.spread.value < 1:
            raise ValueError("latency.spread is a factor of at least 1")
        return self


def read_target(path: Path) -> Target:
    """Read a target profile.

    Raises:
        TargetError: it cannot be read, is not YAML, or has an unknown key or an impossible value.
    """
    return parse(Target, read_text(path, error=TargetError), path, error=TargetError)
