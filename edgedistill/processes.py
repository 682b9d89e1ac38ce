"""Which of several processes this one is, and the group of processes that does a stage together. Needs no torch.

The launcher (`accelerate launch`, `torchrun`, `mpirun`) tells each process by environment variables. A stage asks
`current_group()`; with one process that is the group of one, and nothing is different.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from edgedistill.errors import UsageError

if TYPE_CHECKING:  # the command line asks which process it is, and starts without numpy
    import numpy as np
    from numpy.typing import NDArray

_RANK = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
_SIZE = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
_LOCAL_RANK = ("LOCAL_RANK", "MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_RANK")
"""The names that accelerate reads, in its order: torchrun's, Intel MPI's, Open MPI's, MVAPICH's."""

_HINT = "start the processes with accelerate launch or torchrun: see docs/processes.md"
_DEFAULT_PORT = 29500

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Seat:
    """The place of this process among those that were started together.

    Attributes:
        rank: 0 .. size - 1; rank 0 is the main process.
        size: how many processes there are; 1 when nothing was launched.
        local_rank: its number on its own machine; the number of its GPU.
        address: where the main process listens.
        port: on which port.
        is_served_by_launcher: does the launcher listen there, in place of the main process?
        attempt: how often the launcher has started the processes anew.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    address: str = ""
    port: int = _DEFAULT_PORT
    is_served_by_launcher: bool = False
    attempt: int = 0

    @property
    def is_main(self) -> bool:
        """Is it the one that locks, commits and prints?"""
        return self.rank == 0


def read_seat(environment: Mapping[str, str]) -> Seat:
    """Return the seat that a launcher gave to this process; the only one of one when there is no launcher.

    Raises:
        UsageError: the variables contradict each other, or the address of the main process is missing.
    """
    size = _number(environment, _SIZE, 1)
    if size == 1:
        return Seat()
    rank = _number(environment, _RANK, None)
    if not 0 <= rank < size:
        raise UsageError(f"{_RANK[0]} is {rank}, but {_SIZE[0]} is {size}", hint=_HINT)
    if not environment.get("MASTER_ADDR"):
        raise UsageError(f"{_SIZE[0]} is {size}, but MASTER_ADDR does not say where the main process is", hint=_HINT)
    return Seat(
        rank=rank, size=size, local_rank=_number(environment, _LOCAL_RANK, 0), address=environment["MASTER_ADDR"],
        port=_number(environment, ("MASTER_PORT",), _DEFAULT_PORT),
        is_served_by_launcher=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        attempt=_number(environment, ("TORCHELASTIC_RESTART_COUNT",), 0),
    )


def is_launched_alone(environment: Mapping[str, str]) -> bool:
    """Was one process started where several were asked for? `accelerate launch --cpu` without MPI does that."""
    is_of_accelerate = "ACCELERATE_MIXED_PRECISION" in environment and "MASTER_ADDR" in environment
    return is_of_accelerate and not any(name in environment for name in _SIZE)


def _number(environment: Mapping[str, str], names: tuple[str, ...], default: int | None) -> int:
    """Return the first of some variables that is set."""
    for name in names:
        text = environment.get(name)
        if text:
            if not text.isascii() or not text.isdigit():
                raise UsageError(f"{name} is {text!r}, not a number", hint=_HINT)
            return int(text)
    if default is None:
        raise UsageError(f"{names[0]} is not set, so this process does not know its number", hint=_HINT)
    return default


class Group:
    """The processes that do a stage together. This one is the group of one; `process_group` has that of many.

    All processes of a group must make the same calls in the same order.

    Attributes:
        rank: the number of this process, 0 .. size - 1.
        size: how many there are.
        local_rank: its number on its own machine.
    """

    rank = 0
    size = 1
    local_rank = 0

    @property
    def is_main(self) -> bool:
        """Is this the process that writes files?"""
        return self.rank == 0

    def on_main(self, work: Callable[[], ResultT]) -> ResultT | None:
        """Let the main process do something that writes files, while the others wait for it.

        Returns:
            its result in the main process, None in the others.
        """
        return work()

    def wait(self) -> None:
        """Wait until all processes are here."""

    def share(self, text: str) -> str:
        """Return the main process's text in every process."""
        return text

    def merge(self, rows: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Put together rows of which each process filled some and left the others zero; right in the main process only.

        Args:
            rows: any shape, the same in all processes; each value is filled by one process. Bits are kept, NaN too.
        """
        return rows


ALONE = Group()

_group: ContextVar[Group] = ContextVar("group", default=ALONE)


def current_group() -> Group:
    """Return the group that does the present stage; the group of one outside of stages that are shared."""
    return _group.get()


@contextmanager
def working_in(group: Group) -> Iterator[None]:
    """Make a group the current one."""
    token = _group.set(group)
    try:
        yield
    finally:
        _group.reset(token)


def share_of(index: int, group: Group) -> bool:
    """Is the batch with this number one of this process's? They are dealt out in turn."""
    return index % group.size == group.rank
