"""Replaying a model on an emulated core: rows in, raw logits, memory and counted instructions out."""

import json
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import sha256_of_file
from edgedistill.emulation import guest
from edgedistill.emulation.cores import Core
from edgedistill.emulation.environment import Environment
from edgedistill.emulation.findings import InstructionCount
from edgedistill.emulation.instructions import int8_path, read_counts
from edgedistill.emulation.qemu import GuestRun, last_words

COUNTS_FILE = "counts.txt"
_ROWS_FILE = "rows.npz"
_ROUNDS = 3
_LEAST_RESIDENT_BYTES = 8 << 20
"""Less than any Python with numpy has: the emulator did not tell (QEMU 10 shows zeros)."""


@dataclass(frozen=True)
class Replay:
    """What the model did on the core.

    Attributes:
        logits: raw logits, shape (rows, classes), or of a model that answers for each token (tokens of all rows, classes); None
            when it did not run.
        failure: why it did not run; empty when it did.
        runtime: the guest's, for example "onnxruntime 1.32.0".
        model_sha256: of the file that was run.
        peak_rss_bytes: of the guest alone; None where the emulator does not tell.
        baseline_rss_bytes: before a model was loaded.
        instructions: of one inference; None when they were not counted.
        not_counted_because: why; empty when they were.
    """

    logits: NDArray[np.float32] | None
    failure: str
    runtime: str
    model_sha256: str
    peak_rss_bytes: int | None = None
    baseline_rss_bytes: int | None = None
    instructions: InstructionCount | None = None
    not_counted_because: str = ""


def replay(
    model: Path, rows: Sequence[guest.Feeds], *, core: Core, environment: Environment, is_counted: bool = True
) -> Replay:
    """Let a model answer rows on an emulated core, one a call, one thread.

    Args:
        model: an .onnx or .ort file.
        rows: the inputs of each call, at least one row.
        core: which one.
        environment: where emulator and runtime are.
        is_counted: count the instructions of the row of median size too.

    Returns:
        the answers, or why there are none: a model that does not run there is a finding, no error.

    Raises:
        EdgedistillError: the emulator itself does not work.
    """
    facts, middle = environment.facts, _middle_row(rows)
    counts_at_all = is_counted and facts.counts_instructions
    inferences = _inferences(model)
    digest, runtime = sha256_of_file(model), f"onnxruntime {facts.onnxruntime}"
    with tempfile.TemporaryDirectory(prefix="edgedistill-emulated-") as name:
        folder = Path(name)
        guest.write_rows(folder / _ROWS_FILE, rows)
        arguments = [guest.__file__, str(model.resolve()), str(folder / _ROWS_FILE), name, str(middle),
                     str(_ROUNDS if counts_at_all else 0), str(inferences)]
        done = environment.emulator.run(core, arguments, counts=folder / COUNTS_FILE if counts_at_all else None)
        if done.code != 0:
            return Replay(None, _failure(done), runtime, digest, not_counted_because="it did not run")
        result = json.loads((folder / guest.RESULT_FILE).read_text(encoding="utf-8"))
        counted = None
        if counts_at_all:
            first = next(iter(rows[middle].values()))
            counted = _counted(folder / COUNTS_FILE, core, inferences=inferences, row_shape=first.shape)
        told = result["baseline_rss_bytes"] >= _LEAST_RESIDENT_BYTES
        return Replay(
            logits=np.load(folder / guest.LOGITS_FILE, allow_pickle=False), failure="",
            runtime=f"onnxruntime {result['onnxruntime']}", model_sha256=digest,
            peak_rss_bytes=result["peak_rss_bytes"] if told else None,
            baseline_rss_bytes=result["baseline_rss_bytes"] if told else None,
            instructions=counted, not_counted_because=facts.no_counts_because if is_counted else "nobody asked",
        )


def _middle_row(rows: Sequence[guest.Feeds]) -> int:
    """Return the first row of median size."""
    sizes = np.array([next(iter(row.values())).size for row in rows])
    return int(np.argsort(sizes, kind="stable")[len(sizes) // 2])


def _inferences(model: Path) -> int:
    """Return how many inferences a round has: small models need more to be counted to a thousandth."""
    size = model.stat().st_size
    return 20 if size < 4 << 20 else 5 if size < 16 << 20 else 2


def _counted(path: Path, core: Core, *, inferences: int, row_shape: tuple[int, ...]) -> InstructionCount:
    """Take the cheapest round: what comes on top is a thread of the runtime that wakes up once."""
    with path.open(encoding="ascii") as lines:
        rounds = read_counts(lines, core.architecture)
    cheapest, dearest = (pick(rounds, key=lambda found: found.total) for pick in (min, max))
    by_class = {name: round(count / inferences) for name, count in cheapest.by_class.items()}
    return InstructionCount(
        total=round(cheapest.total / inferences), by_class=by_class, row_shape=row_shape, inferences=inferences,
        spread=dearest.total / cheapest.total - 1, int8_path=int8_path(by_class, core.architecture),
    )


def _failure(done: GuestRun) -> str:
    if done.code < 0 or done.code > 128:  # the emulator ends with the guest's signal
        number = -done.code if done.code < 0 else done.code - 128
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        return f"ended with {name}: {last_words(done)}"
    return last_words(done)
