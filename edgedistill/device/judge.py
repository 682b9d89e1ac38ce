"""What may be said of rounds on a device: was it throttled, did it drift or jump, was the machine busy? Pure functions."""

from collections.abc import Iterable, Sequence

from edgedistill.benchmark.machine import thread_warnings
from edgedistill.benchmark.shape_of_times import shape_warnings
from edgedistill.benchmark.statistics import noise_warnings
from edgedistill.device.results import DeviceFacts, DeviceRound, DeviceState

CLOCK_FELL = 0.95
"""A clock below this share of what it was before the round has been lowered."""

HOT_C = 80.0
"""A Raspberry Pi 4 or 5 begins to lower its clock here, and few boards later (raspberrypi.com, documentation of
`temp_soft_limit` and frequency management)."""

_BUSY_LOAD = 0.7
EMULATED = "an emulator answered: its answers count, its times and its memory are void"


def device_warnings(
    facts: DeviceFacts, rounds: Sequence[DeviceRound], *, threads: int = 1, reconnections: int = 0
) -> tuple[str, ...]:
    """Return a sentence for everything that a reader of the figures must know.

    Args:
        facts: what the device is.
        rounds: in the order in which they ran; none when emulated.
        threads: of the runtime.
        reconnections: how often the connection came back.
    """
    if facts.is_emulated:
        return (EMULATED,)
    found = list(throttling(rounds))
    found += [f"the governor is {name!r}: clocks rise and fall with the load; fix it to 'performance' for figures that repeat"
              for name in _governors(rounds) if name not in ("performance", "userspace")]
    if not any(found.before.frequencies_hz for found in rounds):
        found.append("the device does not tell its clock: whether it was held back is not known")
    load = max((r.before.load_average or 0.0 for r in rounds[:1]), default=0.0)
    if load > _BUSY_LOAD:
        found.append(f"its load average was {load:.1f} before the first round: something else ran there")
    if reconnections:
        found.append(f"the connection was lost {reconnections} time(s) and came back; finished rounds were kept")
    times = tuple(r.samples_s for r in rounds)
    return (*found, *noise_warnings(times), *shape_warnings(times), *thread_warnings(threads, facts.cores))


def throttling(rounds: Sequence[DeviceRound]) -> tuple[str, ...]:
    """Return a sentence for every sign that the clock was held back."""
    return throttled_states([(found.cpus, found.before, found.after) for found in rounds])


def throttled_states(rounds: Sequence[tuple[Sequence[int], DeviceState, DeviceState]]) -> tuple[str, ...]:
    """Do the same for the cores that were used, and the states before and after, of each round."""
    signs: dict[str, None] = {}
    for index, (cpus, first, last) in enumerate(rounds, start=1):
        for word in (*first.throttling, *last.throttling):
            signs[f"throttled: {word}"] = None
        before, after = _clock(first, cpus), _clock(last, cpus)
        if before and after and after < CLOCK_FELL * before:
            signs[f"throttled: the clock fell from {before / 1e6:.0f} to {after / 1e6:.0f} MHz in round {index}"] = None
    hottest = max((heat for _, *states in rounds for state in states for heat in processor_heats(state)), default=0.0)
    if hottest >= HOT_C:
        signs[f"{hottest:.0f} C is where boards begin to lower their clock; cool it"] = None
    return tuple(signs)


def _governors(rounds: Iterable[DeviceRound]) -> tuple[str, ...]:
    return tuple(sorted({name for r in rounds for name in r.before.governors}))


def _clock(state: DeviceState, cpus: Sequence[int]) -> float:
    """Return the slowest clock of the cores that were used, 0 where none is told."""
    return min((hz for c in cpus if (hz := state.frequencies_hz.get(f"cpu{c}"))), default=0.0)


def processor_heats(state: DeviceState) -> Iterable[float]:
    """Return what can be the processor's temperature: sensors of something else may be hotter, or not in Celsius."""
    return (c for name, c in state.temperatures_c.items() if any(word in name.lower() for word in ("cpu", "soc", "pkg")))
