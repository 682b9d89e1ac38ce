"""The host: this machine, as far as it matters to a result. Reads, never changes; needs no torch, no onnxruntime."""

import functools
import importlib.metadata
import os
import platform
from pathlib import Path

import psutil

from edgedistill.document import Document

_FEATURES = ("avx2", "fma", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimddp", "i8mm", "bf16")
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
_BF16_FEATURES = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


class Host(Document):
    """This machine: what a measurement must be read with."""

    system: str
    architecture: str
    cpu: str
    cores: int
    features: tuple[str, ...]
    ram_bytes: int
    python: str

    @property
    def target_architecture(self) -> str:
        """The architecture as targets name it: x86_64 and aarch64, which Windows calls AMD64, and macOS arm64."""
        return _ARCHITECTURES.get(self.architecture.lower(), self.architecture)

    @property
    def lasting(self) -> "Host":
        """The same without what changes from boot to boot or with a patch of Python, so that a result stays known."""
        return self.model_copy(update={"ram_bytes": 0, "python": ""})

    @property
    def at_present(self) -> "Host":
        """The same with the memory and the Python of this machine now, which `lasting` leaves out."""
        now = this_host()
        return self.model_copy(update={"ram_bytes": now.ram_bytes, "python": now.python})

    @property
    def has_bf16(self) -> bool:
        """Does the CPU multiply bfloat16 in hardware? Without it autocast is tens of times slower than fp32."""
        return bool(_BF16_FEATURES & set(self.features))

    @property
    def saturates_u8s8(self) -> bool:
        """Does u8 x s8 saturate here (x86 without VNNI)? See `target.Cpu.saturates_u8s8`."""
        return self.target_architecture == "x86_64" and not {"avx_vnni", "avx512_vnni"} & set(self.features)


@functools.cache
def this_host() -> Host:
    """Describe this machine; computed once a process."""
    cpu, flags = _cpu_info()
    return Host(
        system=platform.system(),
        architecture=platform.machine(),
        cpu=cpu,
        cores=available_cores(),
        features=tuple(f for f in _FEATURES if f in flags),
        ram_bytes=psutil.virtual_memory().total,
        python=platform.python_version(),
    )


def available_cores() -> int:
    """Return the cores this process may use (affinity respected, where the system has one)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def tool_version(package: str) -> str | None:
    """Return the installed version of a package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


_ARM = "0x41"
ARM_CORES = {
    "0xd03": "cortex-a53", "0xd04": "cortex-a35", "0xd05": "cortex-a55", "0xd07": "cortex-a57", "0xd08": "cortex-a72",
    "0xd09": "cortex-a73", "0xd0a": "cortex-a75", "0xd0b": "cortex-a76", "0xd0c": "neoverse-n1", "0xd0d": "cortex-a77",
    "0xd40": "neoverse-v1", "0xd41": "cortex-a78", "0xd44": "cortex-x1", "0xd46": "cortex-a510", "0xd47": "cortex-a710",
    "0xd49": "neoverse-n2", "0xd4f": "neoverse-v2",
}
"""Arm's cores by the part number that /proc/cpuinfo gives in the place of a name (Linux: arch/arm64/include/asm/cputype.h)."""


def arm_core(part: str) -> str:
    """Return the name of a core of Arm's by its part number; what is no such number stays."""
    return ARM_CORES.get(part.lower(), part)


def _cpu_info() -> tuple[str, frozenset[str]]:
    """Return (name, features) from /proc/cpuinfo; a name without features where there is no such file."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return platform.processor() or platform.machine(), frozenset()
    lines = (line.partition(":") for line in text.splitlines())
    fields = {name.strip(): value.strip() for name, colon, value in lines if colon}
    flags = fields.get("flags") or fields.get("Features") or ""
    part = fields.get("CPU part") or ""
    named = arm_core(part) if fields.get("CPU implementer", _ARM) == _ARM else part
    return fields.get("model name") or named or platform.machine(), frozenset(flags.split())
