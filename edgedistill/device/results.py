"""What a device says of itself and of a model, as documents."""

from typing import Literal

from pydantic import Field

from edgedistill.document import Document
from edgedistill.processor import Cpu
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.results import Interval, ParityResult, Source

_SPELLINGS = {"amd64": "x86_64", "arm64": "aarch64"}
_ALWAYS_TOLD = {"aarch64": "asimd", "x86_64": "sse2"}
"""What every 64-bit processor of the kind has: where it is not among the features, the system does not tell them."""

_DOT_PRODUCTS = {"aarch64": frozenset({"asimddp", "i8mm"}), "x86_64": frozenset({"avx_vnni", "avx512_vnni"})}


class DeviceFacts(Document):
    """The machine at the other end."""

    system: str
    architecture: str = Field(description="as the system calls it: aarch64, armv7l, x86_64")
    bits: Literal[32, 64] = Field(description="of the Python there, whatever the processor could")
    model: str | None = Field(description="the board's or the machine's own name")
    cpu: str
    cores: int
    max_clock_hz: float | None = Field(None, description="of the fastest core; null where the system does not tell")
    features: tuple[str, ...] = Field(description="as /proc/cpuinfo has them")
    ram_bytes: int
    python: str
    numpy: str | None
    onnxruntime: str | None
    is_emulated: bool = Field(description="an emulator runs it: its answers count, its times and its memory do not")

    @property
    def profile_architecture(self) -> str:
        """The architecture as a target's profile spells it."""
        name = self.architecture.lower()
        return _SPELLINGS.get(name, name)

    def makes_int8_products_as(self, cpu: Cpu) -> bool:
        """Has it, as `cpu` has or has not, a dot product of int8 (SDOT, VNNI)? False where it does not tell its features."""
        kind = self.profile_architecture
        if kind != cpu.architecture or _ALWAYS_TOLD[kind] not in self.features:
            return False
        return bool(_DOT_PRODUCTS[kind] & set(self.features)) == cpu.has_int8_dot_product


class DeviceState(Document):
    """The machine at one moment."""

    governors: tuple[str, ...]
    frequencies_hz: dict[str, float] = Field(description="by core; empty where the system does not tell")
    temperatures_c: dict[str, float] = Field(description="by sensor; empty where the system does not tell")
    throttling: tuple[str, ...] = Field(description="what says just now that the clock is held back")
    load_average: float | None


class DeviceRound(Document):
    """One process on the device: it started, loaded the model, warmed up and was timed."""

    cpus: tuple[int, ...] = Field(description="the cores that it was kept to")
    load_s: float
    first_run_s: float
    warmup_s: tuple[float, ...]
    samples_s: tuple[float, ...] = Field(min_length=1)
    peak_rss_bytes: int = Field(description="VmHWM at its end")
    baseline_rss_bytes: int = Field(description="VmHWM with the runtime imported and no model")
    before: DeviceState
    after: DeviceState
    energy_j: float | None = Field(description="used while timed, by the machine's own counter; null: there is none")


class GraphRound(Document):
    """One pass over the micro-graphs."""

    cpus: tuple[int, ...]
    p50_s: dict[str, float]
    before: DeviceState
    after: DeviceState


class DeviceMeasurement(Document):
    """A model on a device: answers, latency and memory. Raw samples are the record; percentiles are functions."""

    schema_version: Literal[1] = 1
    address: str
    source: Source = Field(description="measured or emulated")
    device: DeviceFacts
    model_sha256: str
    runtime: str
    protocol: BenchmarkProtocol
    sequence_tokens: int
    rounds: tuple[DeviceRound, ...] = Field(description="empty when emulated: times are void there")
    rows: int = Field(description="rows that were answered")
    accuracy: Interval | None = Field(description="null where the rows have no labels")
    against_host: ParityResult = Field(description="the same file on the same rows, here and there")
    reconnections: int = Field(description="how often the connection was lost and came back")
    warnings: tuple[str, ...] = ()

    @property
    def rounds_s(self) -> tuple[tuple[float, ...], ...]:
        """Seconds of every timed run, by round."""
        return tuple(found.samples_s for found in self.rounds)

    @property
    def peak_rss_bytes(self) -> int | None:
        """The largest of the rounds; None when emulated."""
        return max((found.peak_rss_bytes for found in self.rounds), default=None)

    @property
    def baseline_rss_bytes(self) -> int | None:
        """The bare runtime's, the smallest of the rounds; None when emulated."""
        return min((found.baseline_rss_bytes for found in self.rounds), default=None)

    @property
    def energy_per_run_j(self) -> float | None:
        """Energy of the whole package a run, over all rounds; None where it could not be read."""
        used = [found.energy_j for found in self.rounds]
        runs = sum(len(found.samples_s) for found in self.rounds)
        return sum(e for e in used if e is not None) / runs if runs and None not in used else None
