"""Which cores a target's int8 file is replayed on, on how many rows, and what is said of those on which it is not."""

from dataclasses import dataclass

from edgedistill.emulation.cores import Core, core_for, other_cores
from edgedistill.emulation.environment import Environment, find
from edgedistill.host import Host
from edgedistill.recipe import Parity
from edgedistill.results import InstructionSetCheck
from edgedistill.target import Target

_BUILD = "edgedistill arm-env; then the same command again"
_ON_DEVICE = "edgedistill verify BUNDLE, on the device itself"


@dataclass(frozen=True)
class Order:
    """A replay that is to be done.

    Attributes:
        core: where.
        environment: where emulator and runtime are.
        rows_limit: on how many rows at most.
        is_target: is it the target's core, or the one that stands for it?
    """

    core: Core
    environment: Environment
    rows_limit: int
    is_target: bool


@dataclass(frozen=True)
class Choice:
    """What is replayed and what is not.

    Attributes:
        orders: the replays, the target's core first; none without an environment.
        unchecked: a line for each core that is left out, the target's first.
    """

    orders: tuple[Order, ...]
    unchecked: tuple[InstructionSetCheck, ...]


def choose_replays(target: Target, host: Host, gates: Parity) -> Choice:
    """Choose the cores: the target's own where this host is of another kind, then the others of its architecture.

    Args:
        target: whose file it is.
        host: this machine; its own kind is not emulated, as it gives the answers that the others are compared with.
        gates: how many rows.
    """
    environment = find() if gates.emulated_rows else None
    orders: list[Order] = []
    unchecked: list[InstructionSetCheck] = []
    for core, is_target in _cores(target, host):
        limit = gates.emulated_rows if is_target else min(gates.emulated_rows, gates.emulated_other_rows)
        if isinstance(core, str):
            unchecked.append(_line(core, why=f"{core} cannot be emulated", hint=_ON_DEVICE, is_target=is_target))
        elif not limit:
            key = "emulated_rows" if not gates.emulated_rows else "emulated_other_rows"
            unchecked.append(_line(core.name, why=f"parity.{key} is 0", hint=f"--set parity.{key}={_usual(key)}",
                                   is_target=is_target))
        elif environment is None:
            unchecked.append(_line(core.name, why="there is no emulated environment for it here", hint=_BUILD,
                                   is_target=is_target))
        else:
            orders.append(Order(core, environment, limit, is_target))
    return Choice(tuple(orders), tuple(unchecked))


def _cores(target: Target, host: Host) -> list[tuple[Core | str, bool]]:
    """Return the cores to look at, each with whether it is the target's; words for one that the emulator does not have."""
    cpu = target.cpu
    architecture = host.target_architecture
    is_own_kind = architecture == cpu.architecture and (
        architecture == "aarch64" or host.saturates_u8s8 == cpu.saturates_u8s8)
    own: list[tuple[Core | str, bool]] = [] if is_own_kind else [(core_for(cpu) or "x86 with VNNI", True)]
    others = [core for core in other_cores(cpu) if not (core.architecture == architecture == "x86_64" and host.saturates_u8s8)]
    return [*own, *((core, False) for core in others)]


def _line(core: str, *, why: str, hint: str, is_target: bool) -> InstructionSetCheck:
    return InstructionSetCheck(core=core, is_target=is_target, not_checked=why, hint=hint)


def _usual(key: str) -> int:
    return int(Parity.model_fields[key].default)
