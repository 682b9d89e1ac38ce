"""The crew: several processes under one main process, which leads; the others help with the stages that can be shared.

Only the main process runs the command: it holds the lock, decides what is done or skipped, commits and prints. The
others wait for its orders, so nothing that depends on a clock or a file has to be decided alike in two places. A
failure is told once, by the process that failed first; the others end with the same exit code.
"""

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from edgedistill.errors import INTERRUPTED_EXIT_CODE, EdgedistillError, StorageError, TrainingDivergedError
from edgedistill.orders import Call, Order, look_up, write_down
from edgedistill.process_group import Board, TorchGroup, as_lost, leave_group, lost_process
from edgedistill.processes import Group, Seat, is_launched_alone, read_seat, working_in
from edgedistill.storage import storage_errors

log = logging.getLogger("edgedistill")

_LOOK_EVERY_S = 0.5
_ANSWER_WITHIN_S = 300.0
_NOTICE_WITHIN_S = 15.0
_LEAVE_WITHIN_S = 30.0
_LAST_WORD_S = 2.0
"""A launcher kills all processes as soon as one has ended: the one that failed must be able to say why before."""

_SEE_FOLDER_WITHIN_S = 60.0
_ENDED_BY_WATCHER_WITHIN_S = 30.0

Teller = Callable[[EdgedistillError], None]


class Crew:
    """This process's part in the crew.

    Attributes:
        seat: which process it is.
    """

    def __init__(self, seat: Seat, tell: Teller) -> None:
        """Meet the others.

        Args:
            seat: which process this is.
            tell: shows an error to a person.

        Raises:
            UsageError: the main process cannot be reached.
        """
        self.seat = seat
        self._tell = tell
        self._board = Board(seat, may_host=True)
        self._orders = 0
        self._group: Group | None = None
        self._has_failed = False
        self._is_closed = threading.Event()
        threading.Thread(target=self._watch, args=(Board(seat, may_host=False),), daemon=True).start()

    # the main process

    def run_together(self, call: Call, work: Callable[[], Any]) -> Any:
        """Do a stage together with the other processes.

        Args:
            call: what the others are told to do.
            work: the same, as the main process does it.

        Returns:
            the result of `work`.
        """
        try:
            name = self._give(Order(work=write_down(call)))
            if self._board.read(f"{name}/heard/all", within_s=_ANSWER_WITHIN_S) is None:
                raise lost_process()
            with storage_errors(call.out):  # a full disk is told alike, and with one exit code, whichever process notices it
                return self._in_group(work)
        except TrainingDivergedError:  # a result that all came to: the group goes on
            raise
        except BaseException as failure:
            found = self._fail(failure)
            if found is failure:
                raise
            raise found from failure

    def dismiss(self, exit_code: int) -> None:
        """Let the other processes leave with an exit code; after a failure, wait until they know of it."""
        if self._has_failed:
            self._board.read("noticed/all", within_s=_NOTICE_WITHIN_S)
            self._is_closed.set()
            return
        self._is_closed.set()
        self._give(Order(exit_code=exit_code))
        self._board.read("left/all", within_s=_LEAVE_WITHIN_S)
        leave_group()

    def _give(self, order: Order) -> str:
        self._orders += 1
        name = f"order/{self._orders}"
        self._board.post(name, order.model_dump_json())
        return name

    # the others

    def serve(self) -> int:
        """Do what the main process says until it lets go, and return the exit code that it names.

        Only the main process speaks: the log of this one is silent, and Ctrl-C is left to the main process.

        Raises:
            BaseException: this process was the first that failed; it is the one that must say why.
        """
        log.handlers[:] = [logging.NullHandler()]
        log.propagate = False
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return self._serve()
        except BaseException as failure:
            found = self._fail(failure)
            if isinstance(found, EdgedistillError):
                where = f"process {self.seat.rank} of {self.seat.size}"
                raise type(found)(f"{where}: {found.message}", hint=found.hint) from failure
            raise
        finally:
            signal.signal(signal.SIGINT, before)

    def _serve(self) -> int:
        while True:
            self._orders += 1
            name = f"order/{self._orders}"
            order = Order.model_validate_json(self._board.read(name) or "")
            if order.work is None:
                self._is_closed.set()
                self._board.arrive("left", self.seat.size - 1)
                leave_group()
                return order.exit_code
            self._board.arrive(f"{name}/heard", self.seat.size - 1)
            call = look_up(order.work)
            with suppress(TrainingDivergedError):  # the main process says it
                self._in_group(lambda found=call: self._do(found))  # type: ignore[misc]

    def _do(self, call: Call) -> None:
        self._require_shared_folder(call)
        with storage_errors(call.out):
            call.stage.run(call.settings, call.inputs, call.out)

    def _require_shared_folder(self, call: Call) -> None:
        """Wait a little for a folder that the main process has made: a network's file system may lag.

        Raises:
            StorageError: it is not there.
        """
        began = time.monotonic()
        while not call.out.is_dir():
            if time.monotonic() - began > _SEE_FOLDER_WITHIN_S:
                raise StorageError(f"{call.out}: made by the main process, but not to be seen from this machine",
                                   hint="choose a folder with -o DIR that all machines share under one path")
            time.sleep(_LOOK_EVERY_S)

    # all

    def _in_group(self, work: Callable[[], Any]) -> Any:
        if self._group is None:
            self._group = TorchGroup(self.seat, self._board)
        with working_in(self._group):
            try:
                result = work()
            except TrainingDivergedError:  # its losses are those of the whole group, so every process raises it
                self._group.wait()
                raise
            self._group.wait()
        return result

    def _fail(self, failure: BaseException) -> BaseException:
        """Claim to be the first that failed, and return what is to be told; does not return when another one was."""
        self._has_failed = True
        found = as_lost(failure)
        try:
            is_first = self._board.count("failures") == 1
            if is_first:
                self._board.post("failure", json.dumps({"rank": self.seat.rank, "exit_code": _exit_code(found)}))
        except RuntimeError:  # the board is gone, and with it the process that kept it
            is_first = False
        if not is_first:
            time.sleep(_ENDED_BY_WATCHER_WITHIN_S)  # the watcher ends this process meanwhile
        return found

    def _watch(self, board: Board) -> None:
        """End this process, whatever it is waiting for, when another one has failed or the board is gone."""
        while not self._is_closed.wait(_LOOK_EVERY_S):
            try:
                if not board.has("failure"):
                    continue
                note = json.loads(board.read("failure") or "")
                if note["rank"] == self.seat.rank:
                    return
                board.arrive("noticed", self.seat.size - 1)
                code = int(note["exit_code"])
            except RuntimeError:  # what torch's errors of connection are
                if self._is_closed.is_set():
                    return
                if self.seat.rank == 1:  # one is enough to say it
                    self._tell(lost_process())
                code = EdgedistillError.exit_code
            time.sleep(_LAST_WORD_S)
            sys.stderr.flush()
            os._exit(code)


def _exit_code(failure: BaseException) -> int:
    if isinstance(failure, KeyboardInterrupt):
        return INTERRUPTED_EXIT_CODE
    return failure.exit_code if isinstance(failure, EdgedistillError) else EdgedistillError.exit_code


_crew: Crew | None = None


def run_stage(call: Call) -> Any:
    """Run a stage: with the whole crew when there is one and the stage can be shared, else in this process alone."""

    def work() -> Any:
        return call.stage.run(call.settings, call.inputs, call.out)

    if _crew is None or not call.stage.is_shared:
        return work()
    return _crew.run_together(call, work)


@contextmanager
def joined(tell: Teller | None = None) -> Iterator[Crew | None]:
    """Take this process's seat for the time of a with-block; yields None when it is the only process.

    In a process that is not the main one, the block must do nothing but call `serve()`; in the main one, whatever is
    done in the block is shared with the others, and `dismiss()` lets them go. `lead` and the command line do all that.

    Args:
        tell: shows an error to a person; by default it is logged.

    Raises:
        UsageError: the launcher's variables are wrong, or the main process cannot be reached.
    """
    global _crew
    seat = read_seat(os.environ)
    if seat.size == 1:
        if is_launched_alone(os.environ):
            log.warning("accelerate started one process only: on CPUs take --multi_gpu instead of --cpu, or torchrun")
        yield None
        return
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # before torch is imported: a lost connection fills a screen
    crew = Crew(seat, tell or (lambda failure: log.error("%s; %s", failure.message, failure.hint)))
    _crew = crew if seat.is_main else None
    try:
        yield crew
    finally:
        _crew = None


def lead(work: Callable[[], int], tell: Teller | None = None) -> int:
    """Do something in the main process, with the help of the others where there are any.

    Args:
        work: what the main process does; returns an exit code.
        tell: see `joined`.

    Returns:
        the exit code, in every process.
    """
    with joined(tell) as crew:
        if crew is None:
            return work()
        if not crew.seat.is_main:
            return crew.serve()
        code = EdgedistillError.exit_code
        try:
            code = work()
        finally:
            crew.dismiss(code)
        return code
