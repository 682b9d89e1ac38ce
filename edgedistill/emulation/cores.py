"""The processor cores that can be emulated, and which of them stands for a target's."""

from dataclasses import dataclass
from typing import Literal

from edgedistill.errors import UsageError
from edgedistill.processor import Cpu

Architecture = Literal["aarch64", "x86_64"]


@dataclass(frozen=True)
class Core:
    """A core as the emulator knows it.

    Attributes:
        name: what a person calls it.
        architecture: whose programs it runs.
        emulator_cpu: the emulator's name for it, with the features that are switched off.
        part: the "CPU part" that Linux shows, by which a runtime knows the core; empty where nobody looks at it.
        features: the "Features" that Linux shows.
    """

    name: str
    architecture: Architecture
    emulator_cpu: str
    part: str = ""
    features: str = ""


_V80 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
_V82 = f"{_V80} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"

CORES: dict[str, Core] = {
    core.name: core
    for core in (
        Core("cortex-a53", "aarch64", "cortex-a53", part="0xd03", features=_V80),
        Core("cortex-a57", "aarch64", "cortex-a57", part="0xd07", features=_V80),
        Core("cortex-a72", "aarch64", "cortex-a72", part="0xd08", features=_V80),
        Core("cortex-a76", "aarch64", "cortex-a76", part="0xd0b", features=_V82),
        Core("neoverse-n1", "aarch64", "neoverse-n1", part="0xd0c", features=_V82),
        Core("haswell", "x86_64", "Haswell-noTSX,pcid=off,x2apic=off,tsc-deadline=off,invpcid=off"),
    )
}
"""By name. Parts: Linux, arch/arm64/include/asm/cputype.h. `haswell` is x86 with AVX2 and without VNNI;
what is off is what QEMU 7.2 warns that it does not have."""


_TELLING = ("cortex-a53", "cortex-a72", "cortex-a76", "haswell")
"""A core for each way in which onnxruntime makes int8 products without SMMLA and VNNI: by SMULL with loads of half a register
(in-order cores), by SMULL, by SDOT; by MADDUBS."""

_ALIKE = {"cortex-a57": "cortex-a72", "neoverse-n1": "cortex-a76"}
"""Cores whose int8 products another one of the list makes in the same way."""


def core_named(name: str) -> Core:
    """Return a core by its name, small or capital letters.

    Raises:
        UsageError: no such core; the hint lists them.
    """
    core = CORES.get(name.lower())
    if core is None:
        raise UsageError(f"no core {name!r} can be emulated", hint=f"--emulate {' | '.join(CORES)}")
    return core


def core_for(cpu: Cpu) -> Core | None:
    """Return the core to replay a target's model on, None where the emulator has no such instruction set.

    The target's own core where the emulator has it, else one with the same int8 instructions: SDOT, or SMULL on cores
    without it. An i8mm core gets one with SDOT: SMMLA sums the same integers. x86 with VNNI cannot be emulated.
    """
    if cpu.architecture == "x86_64":
        return CORES["haswell"] if cpu.saturates_u8s8 else None
    own = CORES.get(cpu.microarchitecture.removesuffix("ae"))
    if own is not None:
        return own
    return CORES["cortex-a76" if cpu.has_int8_dot_product else "cortex-a53"]


def other_cores(cpu: Cpu) -> tuple[Core, ...]:
    """Return the cores of a target's architecture that make int8 products otherwise than its own core does.

    A phone or a board of the same class may have one of them. Of x86 it is the one without VNNI, for a target that has VNNI.
    """
    own = core_for(cpu)
    alike = None if own is None else _ALIKE.get(own.name, own.name)
    return tuple(CORES[name] for name in _TELLING if CORES[name].architecture == cpu.architecture and name != alike)
