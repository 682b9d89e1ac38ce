"""The processor of a target: cores, clocks, instruction set, caches, and what one core can do at most."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from edgedistill.document import Document, wrong_at
from edgedistill.figure import Figure, Origin

InstructionSet = Literal[
    "neon", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2", "sse4", "avx2", "fma", "avx512", "avx_vnni", "avx512_vnni",
    "avx512_bf16",
]

Int8Path = Literal["scalar", "smull", "sdot", "smmla", "maddubs", "vnni"]
"""How int8 products are made: one at a time; widening multiplies (SMULL, SMLAL); a dot product of four (SDOT); a 2 x 8 x 2
matrix product (SMMLA); VPMADDUBSW with its saturation; a dot product of four (VPDPBUSD)."""

_ARM = frozenset({"neon", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2"})
_NEEDS: dict[str, frozenset[str]] = {
    "scalar": frozenset(), "smull": frozenset({"neon"}), "sdot": frozenset({"asimddp"}), "smmla": frozenset({"i8mm"}),
    "maddubs": frozenset({"sse4", "avx2", "avx512"}), "vnni": frozenset({"avx_vnni", "avx512_vnni"}),
}
_SLOWEST_HZ, _FASTEST_HZ = 1e7, 1e10
_LEAST_A_CYCLE, _MOST_FLOAT_A_CYCLE, _MOST_INT8_A_CYCLE = 0.5, 128, 512
"""Two vectors of 512 bits a cycle are 64 float operations and 256 of int8; twice that leaves room for what is to come."""

THIRTY_TWO_BIT = frozenset({"armv6l", "armv7l", "armv7", "armv8l", "armhf", "arm", "arm32", "armel", "aarch32"})
"""What a 32-bit ARM system, or a 32-bit system on a 64-bit processor, calls itself."""


THIRTY_TWO_BIT_BOARDS = {
    "raspberry-pi-zero": "Armv6", "raspberry-pi-zero-w": "Armv6", "raspberry-pi-1": "Armv6", "raspberry-pi-2": "Armv7",
    "beaglebone-black": "Armv7",
}
"""Boards that people ask for, whose processors take no 64-bit system. (The last Pi 2, 1.2, has the Pi 3's: `raspberry-pi-3`.)"""


def refuse_32_bit_board(board: str) -> str:
    """Return why there is no target for one of `THIRTY_TWO_BIT_BOARDS`, and what there is instead."""
    return (f"{board} is a 32-bit ARM board ({THIRTY_TWO_BIT_BOARDS[board]}), for which PyPI has no onnxruntime, and it takes no "
            "64-bit system; a Pi Zero 2 W, 3, 4 or 5 does")


def refuse_32_bit(architecture: str) -> str:
    """Return why there is no target for a 32-bit ARM system.

    Seen on PyPI: no armv7l wheel of onnxruntime or numpy for any Python.
    """
    return (f"{architecture} is 32-bit ARM, for which PyPI has no onnxruntime; install the board's 64-bit system and use "
            "architecture: aarch64 (a Pi Zero 2 W, 3, 4 or 5 can; a Pi Zero, 1 or 2 with its Armv6 or Armv7 cannot)")


def _possible_clock(clock: Figure) -> Figure:
    if not _SLOWEST_HZ <= clock.value <= _FASTEST_HZ:
        raise wrong_at(("value",), f"{clock.value:g} Hz is no clock of a processor that runs onnxruntime: write one of "
                       f"{_SLOWEST_HZ:g} to {_FASTEST_HZ:g}, as lscpu shows it")
    return clock


Clock = Annotated[Figure, AfterValidator(_possible_clock)]
"""Cycles a second, 10 MHz to 10 GHz."""


class Cluster(Document):
    """Further cores of another kind."""

    microarchitecture: str
    cores: int = Field(ge=1, le=1024)
    clock_hz: Clock


class Caches(Document):
    """Sizes of the caches, for the reader; `l2` of one core unless it says that it is shared."""

    l1d_bytes: Figure
    l2_bytes: Figure
    l2_is_shared: bool = False
    l3_bytes: Figure | None = None

    @model_validator(mode="after")
    def _grow_outwards(self) -> Self:
        if self.l1d_bytes.value > self.l2_bytes.value:
            raise wrong_at(("l1d_bytes", "value"), f"{self.l1d_bytes.value:g} is more than l2_bytes {self.l2_bytes.value:g}")
        return self


class CpuSources(Document):
    """Where the facts of the processor come from that are no `Figure`."""

    cores: Origin = Field(description="how many cores of the fastest kind, and which")
    others: Origin | None = Field(None, description="the same of the other kinds; needed where there are any")
    features: Origin


class Peaks(Document):
    """What one core of the first kind can do in a second at most; a multiply-accumulate counts as two operations."""

    fp32_flops: Figure
    int8_ops: dict[Int8Path, Figure] = Field(min_length=1, description="by the way the products are made")

    @property
    def best_int8_path(self) -> Int8Path:
        """The path that a runtime takes: the newest instruction that is there, SMMLA left out.

        SMMLA is twice SDOT on some cores and slower on others (pigirons/cpufp), and no published latency of a
        transformer tells what onnxruntime makes of it.
        """
        ranked: tuple[Int8Path, ...] = ("sdot", "vnni", "smull", "maddubs", "scalar", "smmla")
        return next(path for path in ranked if path in self.int8_ops)

    @model_validator(mode="after")
    def _faster_than_scalar(self) -> Self:
        scalar = self.int8_ops.get("scalar")
        if scalar is None:
            raise wrong_at(("int8_ops",), "scalar is missing, by which the other paths are judged: write it, 2 x clock_hz for a "
                           "core that makes one multiply-accumulate a cycle, how: assumed")
        slower = [path for path, figure in self.int8_ops.items() if figure.value < scalar.value]
        if slower:
            raise wrong_at(("int8_ops", slower[0]), f"{self.int8_ops[slower[0]].value:g} is slower than the scalar path's "
                           f"{scalar.value:g}: correct one of them, or leave this path out")
        return self


class Cpu(Document):
    """The processor that runs the model. `cores` are the fastest ones; the others stand in `others`."""

    architecture: Literal["aarch64", "x86_64"]
    microarchitecture: str
    cores: int = Field(ge=1, le=1024)
    clock_hz: Clock
    others: tuple[Cluster, ...] = ()
    features: tuple[InstructionSet, ...] = Field(min_length=1)
    sources: CpuSources = Field(description="source and how of cores, of features and, where there are any, of others")
    caches: Caches | None = None
    peaks: Peaks | None = None

    @field_validator("architecture", mode="before")
    @classmethod
    def _is_64_bit(cls, value: object) -> object:
        if isinstance(value, str) and value.lower() in THIRTY_TWO_BIT:
            raise ValueError(refuse_32_bit(value))
        return value

    @field_validator("features")
    @classmethod
    def _features_are_of_the_architecture(cls, features: tuple[InstructionSet, ...], info: object) -> tuple[InstructionSet, ...]:
        architecture = getattr(info, "data", {}).get("architecture")
        wrong = [f for f in features if architecture is not None and (f in _ARM) != (architecture == "aarch64")]
        if wrong:
            raise wrong_at((features.index(wrong[0]),), f"features {', '.join(wrong)} do not exist on {architecture}")
        return features

    @field_validator("sources")
    @classmethod
    def _others_have_a_source(cls, sources: CpuSources, info: object) -> CpuSources:
        if getattr(info, "data", {}).get("others") and sources.others is None:
            raise wrong_at(("others",), "is missing: cpu.others needs its source and how here")
        return sources

    @field_validator("peaks")
    @classmethod
    def _peaks_are_possible(cls, peaks: Peaks | None, info: object) -> Peaks | None:
        known = getattr(info, "data", {})
        features, clock = known.get("features"), known.get("clock_hz")
        if peaks is None or features is None or clock is None:
            return peaks
        for path, figure in peaks.int8_ops.items():
            if _NEEDS[path] and not _NEEDS[path] & set(features):
                raise wrong_at(("int8_ops", path), f"needs {' or '.join(sorted(_NEEDS[path]))} in cpu.features")
            per_cycle = figure.value / clock.value
            if not _LEAST_A_CYCLE <= per_cycle <= _MOST_INT8_A_CYCLE:
                raise wrong_at(("int8_ops", path, "value"), f"is {per_cycle:.3g} operations a cycle of clock_hz; a core does "
                               f"{_LEAST_A_CYCLE:g} to {_MOST_INT8_A_CYCLE}: write the peak of one core a second")
        per_cycle = peaks.fp32_flops.value / clock.value
        if not _LEAST_A_CYCLE <= per_cycle <= _MOST_FLOAT_A_CYCLE:
            raise wrong_at(("fp32_flops", "value"), f"is {per_cycle:.3g} operations a cycle of clock_hz; a core does "
                           f"{_LEAST_A_CYCLE:g} to {_MOST_FLOAT_A_CYCLE}: write the peak of one core a second")
        return peaks

    @property
    def all_cores(self) -> int:
        """Cores of every kind."""
        return self.cores + sum(cluster.cores for cluster in self.others)

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
