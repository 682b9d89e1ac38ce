"""Adapter to torch.distributed: short notes that all processes read, and the group that computes together.

torch is imported inside the functions: the kernel must start without it.
"""

import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import EdgedistillError, UsageError
from edgedistill.processes import Group, ResultT, Seat

_LOOK_EVERY_S = 0.2
_MEET_WITHIN = timedelta(minutes=10)
_COMPUTE_WITHIN = timedelta(hours=24)
"""How long a process may wait for the others inside a stage. A process that dies is noticed at once (its connections
close), so this only has to be longer than the longest thing that the main process does alone in a shared stage."""

_LOST_WORDS = ("connection closed by peer", "connection reset", "connection refused", "broken pipe", "gloo", "nccl")


class Board:
    """Notes that every process can read: a TCPStore, kept by the launcher or by the main process."""

    def __init__(self, seat: Seat, *, may_host: bool) -> None:
        """Connect, or open the board.

        Raises:
            UsageError: the port is taken, or nobody answers there.
        """
        import torch.distributed as dist

        is_host = may_host and seat.is_main and not seat.is_served_by_launcher
        try:
            store = dist.TCPStore(  # type: ignore[attr-defined]
                seat.address, seat.port, is_master=is_host, wait_for_workers=False, timeout=_MEET_WITHIN
            )
        except dist.DistError as bad:
            what = "cannot listen" if is_host else "no main process answers"
            raise UsageError(f"{what} at {seat.address}:{seat.port} ({_first_line(bad)})",
                             hint="check MASTER_ADDR, take another MASTER_PORT (accelerate: --main_process_port)") from None
        self.store = dist.PrefixStore(f"edgedistill/{seat.attempt}", store)  # type: ignore[attr-defined]

    def post(self, name: str, text: str) -> None:
        """Write a note."""
        self.store.set(name, text)

    def has(self, name: str) -> bool:
        """Is there such a note?"""
        return bool(self.store.check([name]))

    def read(self, name: str, *, within_s: float | None = None) -> str | None:
        """Return a note, as soon as it is there; None when it does not come in time. Without a limit waits for ever."""
        began = time.monotonic()
        while not self.has(name):  # asks again and again, for a waiting store takes no Ctrl-C
            if within_s is not None and time.monotonic() - began > within_s:
                return None
            time.sleep(_LOOK_EVERY_S)
        return str(self.store.get(name).decode())

    def count(self, name: str) -> int:
        """Count one more and return how many there are."""
        return int(self.store.add(name, 1))

    def arrive(self, name: str, expected: int) -> None:
        """Say that this process has come to a place; the last one of `expected` posts `name/all`."""
        if self.count(name) == expected:
            self.post(f"{name}/all", "")


class TorchGroup(Group):
    """The processes of a launch, computing together over gloo, and over nccl between GPUs."""

    def __init__(self, seat: Seat, board: Board) -> None:
        """Meet the other processes; all must do this at the same time."""
        import torch
        import torch.distributed as dist

        self.rank, self.size, self.local_rank = seat.rank, seat.size, seat.local_rank
        self._board, self._shared = board, 0
        has_gpus = torch.cuda.is_available()
        if has_gpus:
            torch.cuda.set_device(seat.local_rank % torch.cuda.device_count())
        else:  # accelerate would say cpu:0, and with that torch.load refuses the optimizer's state of a checkpoint
            os.environ.setdefault("ACCELERATE_TORCH_DEVICE", "cpu")
        store = dist.PrefixStore("group", board.store)  # type: ignore[attr-defined]
        dist.init_process_group("cpu:gloo,cuda:nccl" if has_gpus else "gloo", store=store, rank=seat.rank,
                                world_size=seat.size, timeout=_COMPUTE_WITHIN)

    def on_main(self, work: Callable[[], ResultT]) -> ResultT | None:
        """See `Group.on_main`."""
        result = work() if self.is_main else None
        self.wait()
        return result

    def wait(self) -> None:
        """See `Group.wait`. Goes over gloo, which notices when a process dies."""
        import torch
        import torch.distributed as dist

        dist.all_reduce(torch.zeros(1))

    def share(self, text: str) -> str:
        """See `Group.share`."""
        self._shared += 1
        name = f"share/{self._shared}"
        if self.is_main:
            self._board.post(name, text)
        self.wait()
        return self._board.read(name) or ""

    def merge(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Group.merge`. Adds the bits as integers: a float sum would turn -0.0 into 0.0."""
        import torch
        import torch.distributed as dist

        merged = torch.from_numpy(rows.view(np.int32).copy())
        dist.reduce(merged, dst=0)
        return np.asarray(merged.numpy().view(np.float32))


def leave_group() -> None:
    """Close the connections of the group, if there ever was one."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


def as_lost(failure: BaseException) -> BaseException:
    """Return an error that a person understands when a failure only says that another process is gone."""
    import torch.distributed as dist

    text = str(failure).lower()
    is_lost = isinstance(failure, dist.DistError) or any(word in text for word in _LOST_WORDS)
    if isinstance(failure, RuntimeError) and is_lost:
        return lost_process()
    return failure


def lost_process() -> EdgedistillError:
    """Return the error for a process that has ended without a word."""
    return EdgedistillError(
        "another process of this run has ended without a message: it was killed, or ran out of memory",
        hint="see what the launcher says of it, and run the same command again: it goes on where it stopped",
    )


def _first_line(failure: Exception) -> Any:
    return str(failure).partition("\n")[0]
