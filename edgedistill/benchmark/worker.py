"""The isolated process that loads one model and times it: `python -m edgedistill.benchmark.worker`.

Reads requests from stdin and answers on stdout (see `messages`); ends when stdin closes. It imports only what the
model's own runtime needs, because its memory is what is measured: no pydantic, no torch for an ONNX model.
"""

import gc
import importlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
from numpy.typing import NDArray

from edgedistill.benchmark.machine import energy_uj, stay_on
from edgedistill.benchmark.messages import (
    Engine,
    Load,
    Loaded,
    Message,
    Open,
    Opened,
    Ran,
    Refused,
    Run,
    decode,
    encode,
)
from edgedistill.benchmark.raw_rows import raw_of
from edgedistill.errors import EdgedistillError

Arrays = Mapping[str, NDArray[Any]]
"""The model inputs of one call by name: of texts, shape (batch, tokens)."""

Row = Arrays | tuple[bytes, ...]
"""What one call gets: model inputs, or texts or picture files that become model inputs inside of it."""


class Model(Protocol):
    """Something that answers; see `edgedistill.evaluate.predictor.Predictor`, which is too heavy to import here."""

    def logits(self, batch: Arrays) -> NDArray[np.float32]:
        """Return raw logits, shape (batch, classes)."""


@dataclass(frozen=True)
class Runtime:
    """An imported runtime: its name and version, and how it loads a model, with or without an arena."""

    name: str
    load: Callable[[Path, bool], Model]


@dataclass
class Bench:
    """What the worker holds between requests; the one thing here that changes."""

    runtime: Runtime | None = None
    rows: tuple[Row, ...] = ()
    call: Callable[[Any], object] | None = None
    turns: int = 0

    def answer(self, request: Message) -> Message:
        """Do what a request asks for.

        Raises:
            EdgedistillError: the model cannot be loaded.
            ValueError: the request is none, or comes before the one that it needs.
        """
        if isinstance(request, Open):
            return self._open(request)
        if isinstance(request, Load) and self.runtime is not None:
            return self._load(request, self.runtime)
        if isinstance(request, Run) and self.call is not None:
            return self._run(request, self.call)
        raise ValueError(f"{type(request).__name__} cannot be asked now")

    def _open(self, request: Open) -> Opened:
        stay_on(request.cpus)
        self.runtime = import_runtime(request.engine, threads=request.threads)
        self.rows = read_rows(Path(request.inputs), batch=request.batch)
        return Opened(self.runtime.name, peak_rss_bytes())

    def _load(self, request: Load, runtime: Runtime) -> Loaded:
        path = Path(request.model)
        kind = import_encoder(request.encoder, path.parent) if request.encoder else None
        begin = time.perf_counter_ns()
        model = runtime.load(path, request.arena)
        self.call = model.logits if kind is None else with_encoder(model, kind.load(path.parent))
        load_ns = time.perf_counter_ns() - begin
        (first_run_ns,) = self._time(self.call, runs=1)
        return Loaded(load_ns, first_run_ns, self._time(self.call, runs=request.warmup_runs))

    def _run(self, request: Run, call: Callable[[Any], object]) -> Ran:
        self._time(call, runs=request.rewarm_runs)
        before = energy_uj()
        samples = self._time(call, runs=request.runs, duration_ns=request.duration_ns)
        return Ran(samples, peak_rss_bytes(), _used(before, energy_uj()))

    def _time(self, call: Callable[[Any], object], *, runs: int, duration_ns: int = 0) -> tuple[int, ...]:
        """Return the nanoseconds of every run; the rows are taken in turn, on from where the last call stopped."""
        samples: list[int] = []
        total = 0
        clock = time.perf_counter_ns
        gc.collect()
        gc.disable()  # a collection in the middle of a run would be counted as the model's
        try:
            while len(samples) < runs or total < duration_ns:
                row = self.rows[self.turns % len(self.rows)]
                self.turns += 1
                begin = clock()
                call(row)
                samples.append(clock() - begin)
                total += samples[-1]
        finally:
            gc.enable()
        return tuple(samples)


def import_runtime(engine: Engine, *, threads: int) -> Runtime:
    """Import ONNX Runtime or torch, and nothing of the other."""
    if engine == "onnx":
        import onnxruntime

        from edgedistill.evaluate.onnx_model import OnnxModel

        name = f"onnxruntime {onnxruntime.__version__}"
        return Runtime(name, lambda path, arena: OnnxModel(path, threads=threads, arena=arena))
    import torch

    from edgedistill.evaluate.torch_model import TorchModel

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    return Runtime(f"torch {torch.__version__}", lambda path, arena: TorchModel(path))


def import_encoder(name: str, folder: Path) -> Any:
    """Return the class of an encoder, with all that it imports late: an app would not pay for this package's imports.

    Args:
        name: "module:class" (see `Load`).
        folder: the model's.
    """
    module, _, kind = name.partition(":")
    found = getattr(importlib.import_module(module), kind)
    found.load(folder).encode_raw(())
    return found


def with_encoder(model: Model, encoder: Any) -> Callable[[Row], object]:
    """Return what is timed end to end: an encoder (see `edgedistill.tasks.encoding.Encoder`) and a model, on raw rows."""

    def answer(raw: Row) -> object:
        encoded = encoder.encode_raw(raw)
        return model.logits(encoded.batch(range(len(encoded))))

    return answer


def _used(before: int | None, after: int | None) -> int | None:
    """Return the energy between two readings; None where one is missing or the counter began anew in between."""
    return None if before is None or after is None or after < before else after - before


def read_rows(path: Path, *, batch: int = 1) -> tuple[Row, ...]:
    """Return what each call gets: `batch` rows of an .npz of model inputs, contiguous in memory; or as many raw ones."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: np.ascontiguousarray(stored[name]) for name in stored.files}
    raw = raw_of(arrays)
    if raw is not None:
        return tuple(raw[i : i + batch] for i in range(0, len(raw) - batch + 1, batch))
    count = min(len(array) for array in arrays.values())
    starts = range(0, count - batch + 1, batch)
    return tuple({name: array[i : i + batch] for name, array in arrays.items()} for i in starts)


def peak_rss_bytes() -> int:
    """Return the largest resident memory of this process so far.

    VmHWM starts at zero with the program. `getrusage`, used where there is no /proc, counts the parent's size at the
    fork too on some systems; its unit is bytes on macOS and KiB elsewhere.
    """
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answer requests until they end; an expected failure is an answer, any other ends the process."""
    bench = Bench()
    for line in requests:
        try:
            reply = bench.answer(decode(line))
        except EdgedistillError as refusal:
            reply = Refused(refusal.message, refusal.hint)
        replies.write(encode(reply))
        replies.flush()


def main() -> None:
    """Serve stdin; whatever a runtime writes to stdout goes to stderr, so that it cannot break into an answer."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as replies:
        os.dup2(2, 1)
        serve(sys.stdin, replies)


if __name__ == "__main__":
    main()
