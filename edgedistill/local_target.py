"""The target `local`: this machine as a profile, from what the system says; every peak in it is a judgement."""

from dataclasses import dataclass

import psutil

from edgedistill.errors import TargetError
from edgedistill.figure import Figure, Origin
from edgedistill.host import Host, this_host, tool_version
from edgedistill.processor import THIRTY_TWO_BIT, Cpu, CpuSources, InstructionSet, Int8Path, Peaks, refuse_32_bit
from edgedistill.runtime import Runtime, RuntimeSources, ceiling_of
from edgedistill.target import Budget, Memory, Target, TargetBudgets

LOCAL = "local"
_ASSUMED_CLOCK_HZ = 2.0e9
_USUAL_RUNTIME, _OLDEST_RUNTIME = "1.17", "1.6"
_MOST_OPSET, _MOST_IR_VERSION = 20, 9
"""Of the shipped profiles: a bundle made for this machine loads on those devices too."""

_FEATURES: dict[str, InstructionSet] = {
    "asimd": "neon", "asimddp": "asimddp", "asimdhp": "asimdhp", "i8mm": "i8mm", "bf16": "bf16", "sve": "sve", "sve2": "sve2",
    "avx2": "avx2", "fma": "fma", "avx512f": "avx512", "avx_vnni": "avx_vnni", "avx512_vnni": "avx512_vnni",
    "avx512_bf16": "avx512_bf16",
}


@dataclass(frozen=True)
class Machine:
    """A machine as its own system describes it.

    Attributes:
        id: of the target.
        name: in words.
        host: what it is.
        clock_hz: None where the system does not tell.
        runtime: version of its onnxruntime, None where there is none.
    """

    id: str
    name: str
    host: Host
    clock_hz: float | None
    runtime: str | None


def local_target(host: Host | None = None) -> Target:
    """Describe this machine as a target.

    Clock and memory are what the system reports; the peaks are judgements by instruction set, so the interval of its
    predictions matters more than their middle. `edgedistill targets calibrate --local` measures instead.

    Args:
        host: another machine than this one, for tests.

    Raises:
        TargetError: see `described_target`.
    """
    machine = host or this_host()
    found = Machine(LOCAL, f"this machine ({machine.cpu})", machine, _clock_hz(), tool_version("onnxruntime"))
    return described_target(found)


def described_target(machine: Machine) -> Target:
    """Describe a machine as a target, by what its system says and by judgement.

    Raises:
        TargetError: 32-bit ARM, an architecture that edgedistill does not know, or a system that does not tell its memory.
    """
    host = machine.host
    architecture = host.target_architecture
    if architecture.lower() in THIRTY_TWO_BIT:
        raise TargetError(refuse_32_bit(architecture), hint="edgedistill targets list")
    if architecture not in ("aarch64", "x86_64"):
        raise TargetError(f"{machine.name} is {architecture}; targets are aarch64 or x86_64",
                          hint="edgedistill targets list")
    if host.ram_bytes < 1:
        raise TargetError(f"{machine.name} does not tell how much memory it has",
                          hint="write a profile from one that is like it: edgedistill targets list")
    features = tuple(_FEATURES[f] for f in host.features if f in _FEATURES)
    if architecture == "aarch64":
        features = tuple(dict.fromkeys(("neon", *features)))
    clock = _clock(machine.clock_hz)
    cpu = Cpu.model_validate({
        "architecture": architecture, "microarchitecture": host.cpu or "unknown", "cores": host.cores,
        "clock_hz": clock, "features": features or ("sse4",), "sources": _cpu_sources(is_told=bool(features)),
        "peaks": _peaks(set(features), clock.value),
    })
    return Target(
        id=machine.id,
        name=machine.name,
        cpu=cpu,
        ram_bytes=_figure(host.ram_bytes, "the system: memory in all", is_seen=True),
        memory=Memory(copy_bytes_per_s=_figure(10e9 if architecture == "x86_64" else 4e9,
                                               "a judgement: one core's memcpy on a machine of this kind")),
        runtime=_runtime(machine.runtime),
        budgets=_budgets(host.ram_bytes),
    )


def _cpu_sources(*, is_told: bool) -> CpuSources:
    cores = Origin(source="the system: processors that it counts, all taken for one kind", how="seen")
    if is_told:
        return CpuSources(cores=cores, features=Origin(source="the system: flags of its processor", how="seen"))
    usual = "a judgement: the system names none; every 64-bit x86 of the last fifteen years has these"
    return CpuSources(cores=cores, features=Origin(source=usual, how="assumed"))


def _runtime(installed: str | None) -> Runtime:
    """Describe the runtime: the release that is there is the oldest that a bundle must load in."""
    oldest = ".".join((installed or _USUAL_RUNTIME).split(".")[:2])
    ceiling = ceiling_of(oldest)
    if ceiling is None:
        raise TargetError(f"onnxruntime {installed} is older than {_OLDEST_RUNTIME} and reads none of these models",
                          hint="pip install --upgrade onnxruntime")
    said = (Origin(source=f"the system: onnxruntime {installed} is installed", how="seen") if installed
            else Origin(source="a judgement: no onnxruntime is installed; that of the shipped profiles", how="assumed"))
    reads = f"onnxruntime {oldest} reads opset {ceiling.opset} and IR version {ceiling.ir_version} (microsoft/onnxruntime " \
            "docs/reference/compatibility.md, or the release itself); no more than the shipped profiles have"
    read = Origin(source=reads, how="derived")
    providers = Origin(source="microsoft/onnxruntime docs/execution-providers/index.md: the CPU's is in every build", how="seen")
    return Runtime(
        oldest=oldest, max_ir_version=min(_MOST_IR_VERSION, ceiling.ir_version), max_opset=min(_MOST_OPSET, ceiling.opset),
        sources=RuntimeSources(oldest=said, max_ir_version=read, max_opset=read, execution_providers=providers),
    )


def _figure(value: float, source: str, *, is_seen: bool = False) -> Figure:
    return Figure(value=value, source=source, how="seen" if is_seen else "assumed")


def _clock_hz() -> float | None:
    """Return the highest clock of this machine, None where the system does not tell one that can be.

    The present one, which stands in for it, wavers: it is rounded to 100 MHz, as the keys of steps depend on it.
    """
    found = psutil.cpu_freq() if hasattr(psutil, "cpu_freq") else None
    mhz = (found.max or round(found.current, -2)) if found is not None else 0.0
    return mhz * 1e6 if mhz and mhz > 100 else None


def _clock(clock_hz: float | None) -> Figure:
    if clock_hz is not None:
        return _figure(clock_hz, "the system: highest frequency of the processor, or the present one", is_seen=True)
    return _figure(_ASSUMED_CLOCK_HZ, "a judgement: the system does not tell its clock")


def _peaks(features: set[InstructionSet], clock_hz: float) -> Peaks:
    """Judge the peaks of a core by its instruction set, as benchmarks/latency/cores.csv has them for known cores."""
    is_wide = bool({"avx2", "avx512"} & features)
    flop = 32 if is_wide else 16 if "asimddp" in features else 8
    macs: dict[Int8Path, float] = {"scalar": 1}
    if "asimddp" in features:
        macs |= {"smull": 16, "sdot": 32}
    elif "neon" in features:
        macs["smull"] = 8
    if is_wide:
        macs["maddubs"] = 32
    if {"avx_vnni", "avx512_vnni"} & features:
        macs["vnni"] = 64
    return Peaks(
        fp32_flops=_figure(flop * clock_hz, f"a judgement: {flop} operations a cycle for this instruction set"),
        int8_ops={path: _figure(2 * count * clock_hz, f"a judgement: {count:g} multiply-accumulates a cycle")
                  for path, count in macs.items()},
    )


def _budgets(ram_bytes: int) -> TargetBudgets:
    why = "this machine promises nothing to anybody: set budgets in the recipe"
    return TargetBudgets(
        model_bytes=Budget(limit=64 * 2**20, why=why),
        peak_memory_bytes=Budget(limit=min(512 * 2**20, ram_bytes // 4), why=why),
        latency_p50_s=Budget(limit=0.010, why=why),
        accuracy_loss=Budget(limit=0.10, why=why),
    )
