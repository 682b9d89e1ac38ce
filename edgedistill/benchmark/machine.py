"""What the machine gives a benchmark: cores to stay on and how many, and a counter of the energy that is used."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")
_ENERGY = Path("/sys/class/powercap")
_MAX_CLOCK = "cpufreq/cpuinfo_max_freq"
_SIBLINGS = "topology/thread_siblings_list"


def choose_cores(threads: int, *, allowed: frozenset[int] | None = None, cpus: Path = _CPUS) -> tuple[int, ...]:
    """Return the fastest cores that may be used, of equals the last: the first ones serve the system's interrupts.

    Of hyperthreads of one core a second one is taken only when no other core is left: they share what computes.

    Args:
        threads: how many.
        allowed: default: those of this process.
        cpus: where the system tells the cores' clocks and siblings.

    Returns:
        ascending; empty where the system does not let a process be kept to cores, or has fewer than `threads`.
    """
    if allowed is None:
        if not hasattr(os, "sched_getaffinity"):
            return ()
        allowed = frozenset(os.sched_getaffinity(0))
    later = {core: sum(other > core for other in _siblings(core, cpus) & allowed) for core in allowed}
    ranked = sorted(allowed, key=lambda core: (-later[core], _number(cpus / f"cpu{core}" / _MAX_CLOCK) or 0, core))
    return tuple(sorted(ranked[-threads:])) if len(ranked) >= threads else ()


def _siblings(core: int, cpus: Path) -> frozenset[int]:
    """Return the numbers of all that share a core with one ("0,4" or "0-1"); none where the system does not tell."""
    parts = [part.partition("-") for part in _text(cpus / f"cpu{core}" / _SIBLINGS).split(",")]
    return frozenset(
        number for first, dash, last in parts if first.isdigit() for number in range(int(first), int(last if dash else first) + 1)
    )


def thread_warnings(threads: int, cores: int) -> tuple[str, ...]:
    """Return a sentence where more threads are asked for than there are cores."""
    if threads <= cores:
        return ()
    return (f"{threads} threads share {cores} cores and wait for each other; set benchmark.threads to {cores} or less",)


def stay_on(cores: tuple[int, ...]) -> None:
    """Keep this process, and threads that it starts from now on, to cores; none: leave it as it is."""
    if cores:
        os.sched_setaffinity(0, cores)


@contextmanager
def kept_to_cores(threads: int) -> Iterator[None]:
    """Keep this thread, and those that it starts within, to the cores of `choose_cores`; afterwards this one is free again."""
    cores = choose_cores(threads)
    before = os.sched_getaffinity(0) if cores else set()
    stay_on(cores)
    try:
        yield
    finally:
        stay_on(tuple(before))


def energy_uj(folder: Path = _ENERGY) -> int | None:
    """Return the energy that the processor packages have used so far, in microjoules, by RAPL's counters.

    Source: the kernel's powercap interface, intel-rapl:<zone>/energy_uj. The zone of the whole platform, which some laptops have
    beside that of the package and which holds it once more, is left out. None where there is none or it may not be
    read, which since 2020 is so for all but root (CVE-2020-8694).
    """
    zones = [zone for zone in sorted(folder.glob("intel-rapl:*")) if zone.name.count(":") == 1 and _text(zone / "name") != "psys"]
    found = [_number(zone / "energy_uj") for zone in zones]
    known = [value for value in found if value is not None]
    return sum(known) if found and len(known) == len(found) else None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    """Return the stripped text of a file of the system, empty where it cannot be read."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
