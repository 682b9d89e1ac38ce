"""A worker process seen from outside: start it, ask it, and be sure that it is gone afterwards."""

import contextlib
import logging
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import edgedistill
from edgedistill.benchmark.messages import Loaded, Message, Opened, Ran, Refused, decode, encode
from edgedistill.errors import ArtifactError, EdgedistillError

log = logging.getLogger("edgedistill")

ReplyT = TypeVar("ReplyT", Opened, Loaded, Ran)

_MODULE = "edgedistill.benchmark.worker"
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
_STDERR_LINES = 12
_EXIT_WAIT_S = 10.0
_HINTS_BY_SIGNAL = {
    "SIGILL": "this build of the runtime uses instructions that this CPU does not have: install another version of it",
    "SIGKILL": "the machine may have run out of memory: close other programs, or measure fewer variants at a time",
}


class WorkerProcess:
    """One isolated process; use it in a `with` statement, which kills it however the block ends."""

    def __init__(self, name: str, *, threads: int) -> None:
        """Start the process.

        Args:
            name: what it measures, for messages.
            threads: what OMP_NUM_THREADS and its like are set to in its environment.
        """
        self.name = name
        # a file and not a pipe: nobody reads while a model is timed, and a full pipe would block the worker
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in kill()
        self._process = subprocess.Popen(
            [sys.executable, "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            encoding="utf-8",
            env=worker_environment(os.environ.copy(), threads=threads),
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True, name=f"benchmark {name}").start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Has the process not ended yet?"""
        return self._process.poll() is None

    def ask(self, request: Message, expected: type[ReplyT], *, timeout_s: float) -> ReplyT:
        """Send a request and wait for its answer.

        Raises:
            ArtifactError: the worker refused: the model cannot be loaded.
            EdgedistillError: the worker died (the message holds the end of its stderr), did not answer in
                `timeout_s`, or answered something else.
        """
        with contextlib.suppress(BrokenPipeError):  # a dead worker is reported below, with its stderr
            assert self._process.stdin is not None  # noqa: S101 - opened as a pipe above
            self._process.stdin.write(encode(request))
            self._process.stdin.flush()
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            raise EdgedistillError(
                f"benchmark of {self.name}: no answer to {type(request).__name__} within {timeout_s:.0f} s",
                hint="is the machine busy or the model very slow? lower benchmark.min_runs in the recipe",
            ) from None
        if line is None:
            raise self._death()
        return self._accept(line, expected)

    def kill(self) -> None:
        """End the process at once, wait until it is gone, and close what belongs to it."""
        self._process.kill()
        self._process.wait(timeout=_EXIT_WAIT_S)
        with contextlib.suppress(BrokenPipeError):  # closing flushes what a dead worker never read
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _listen(self) -> None:
        """Pass on the lines of stdout, then None; runs in a thread that sleeps while the worker works."""
        assert self._process.stdout is not None  # noqa: S101 - opened as a pipe above
        with self._process.stdout as stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put(None)

    def _accept(self, line: str, expected: type[ReplyT]) -> ReplyT:
        try:
            reply = decode(line)
        except ValueError as bad:
            raise EdgedistillError(f"benchmark of {self.name}: {bad}", hint="edgedistill doctor") from bad
        if isinstance(reply, Refused):
            raise ArtifactError(f"benchmark of {self.name}: {reply.message}", hint=reply.hint)
        if not isinstance(reply, expected):
            raise EdgedistillError(
                f"benchmark of {self.name}: answered {type(reply).__name__}, expected {expected.__name__}",
                hint="edgedistill doctor",
            )
        return reply

    def _death(self) -> EdgedistillError:
        code = self._process.wait(timeout=_EXIT_WAIT_S)
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self._stderr.seek(0)
        stderr = self._stderr.read().decode("utf-8", errors="replace").strip()
        log.debug("stderr of the worker for %s:\n%s", self.name, stderr)
        tail = "\n".join(stderr.splitlines()[-_STDERR_LINES:]) or "(it wrote nothing to stderr)"
        return EdgedistillError(
            f"benchmark of {self.name}: the worker process died with {how}\n{tail}",
            hint=_HINTS_BY_SIGNAL.get(how, "edgedistill doctor"),
        )


def worker_environment(parent: dict[str, str], *, threads: int) -> dict[str, str]:
    """Return the environment of a worker: the parent's, with threads fixed, hubs off, and this package found first.

    The working directory is kept off the import path (PYTHONSAFEPATH), so that a file of the user named like a library
    is not imported instead of it.
    """
    package_root = str(Path(edgedistill.__file__).resolve().parent.parent)
    path = os.pathsep.join(part for part in (package_root, parent.get("PYTHONPATH", "")) if part)
    return (
        parent
        | dict.fromkeys(_THREAD_VARIABLES, str(threads))
        | {
            "PYTHONPATH": path,
            "PYTHONSAFEPATH": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
        }
    )
