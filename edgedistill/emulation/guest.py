"""What runs inside the emulator: one model answers rows, one a call, one thread. It needs numpy and onnxruntime alone.

    python guest.py MODEL ROWS OUT COUNTED_ROW MARKS INFERENCES

ROWS is an .npz that `write_rows` made. Into OUT come logits.npy, shape (rows, classes) or, of a model that answers for each
token, (tokens of all rows, classes), and guest.json. With MARKS above 0 the counted row is then answered MARKS x INFERENCES
times, and the emulator's plugin is told before and after each MARK.
"""

import ctypes
import gc
import json
import platform
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOGITS_FILE = "logits.npy"
RESULT_FILE = "guest.json"
MARK_SYSCALL = 5000
_WARMUP_RUNS = 3

Feeds = Mapping[str, NDArray[Any]]
"""The inputs of one call by name."""


def write_rows(path: Path, rows: Sequence[Feeds]) -> None:
    """Write the inputs of n calls, of any shapes: by input, all values in a row and the shape of each call's."""
    arrays = {}
    for name in rows[0]:
        arrays[f"{name}.values"] = np.concatenate([row[name].reshape(-1) for row in rows])
        arrays[f"{name}.shapes"] = np.array([row[name].shape for row in rows], dtype=np.int64)
    np.savez(path, **arrays)  # type: ignore[arg-type] # numpy's stub takes the names for its own options


def read_rows(path: Path) -> Iterator[Feeds]:
    """Yield the inputs of each call."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    names = [name.removesuffix(".values") for name in arrays if name.endswith(".values")]
    starts = dict.fromkeys(names, 0)
    for index in range(len(arrays[f"{names[0]}.shapes"])):
        row = {}
        for name in names:
            shape = arrays[f"{name}.shapes"][index]
            end = starts[name] + int(shape.prod())
            row[name], starts[name] = arrays[f"{name}.values"][starts[name]:end].reshape(shape), end
        yield row


def scores_among(answers: Sequence[Any]) -> int | None:
    """Return which output of a model holds the scores of classes.

    Args:
        answers: all outputs of one call.

    Returns:
        the first of float numbers with two or more columns; else the first of float numbers; None where there is none.
    """
    floats = [place for place, answer in enumerate(answers) if isinstance(answer, np.ndarray) and answer.dtype.kind == "f"]
    wide = [place for place in floats if answers[place].ndim > 1 and answers[place].shape[-1] > 1]
    return next(iter((*wide, *floats)), None)


def by_classes(answer: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return one call's answer with a row for each decision: one, or one for each token where it has an axis for these."""
    return answer.reshape(-1, answer.shape[-1] if answer.ndim > 2 else answer.size)  # noqa: PLR2004 - (1, tokens, classes)


def resident_bytes(maps: Path = Path("/proc/self/maps"), smaps: Path = Path("/proc/self/smaps")) -> int:
    """Return the resident memory of this program alone; 0 where the system does not tell.

    Under QEMU 7.2 `maps` shows the guest's own mappings and `smaps` those of the whole emulator: what lies outside the
    guest's is the emulator's. On a real machine both show the same, and this is the resident size.
    """
    try:
        own = sorted(_span(line.split()[0]) for line in maps.read_text(encoding="ascii", errors="replace").splitlines())
        lines = smaps.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    starts, total, is_own = [start for start, _ in own], 0, False
    for line in lines:
        word = line.split()[0]
        if not word.endswith(":"):
            start, end = _span(word)
            before = bisect_right(starts, end - 1) - 1
            is_own = before >= 0 and own[before][1] > start
        elif is_own and word == "Rss:":
            total += int(line.split()[1]) * 1024
    return total


def _span(word: str) -> tuple[int, int]:
    start, end = word.split("-")
    return int(start, 16), int(end, 16)


def mark(tag: int) -> None:
    """Tell the counting plugin; without one the kernel answers that there is no such call."""
    ctypes.CDLL(None).syscall(ctypes.c_long(MARK_SYSCALL), ctypes.c_long(tag))


def count(run: Callable[[], object], *, marks: int, inferences: int) -> None:
    """Let the plugin count `marks` times `inferences` runs; mark 0 is where counting starts."""
    for _ in range(_WARMUP_RUNS):
        run()
    gc.collect()
    gc.disable()
    for tag in range(marks + 1):
        for _ in range(inferences if tag else 0):
            run()
        mark(tag)


def main(model: str, rows: str, out: str, counted_row: str, marks: str, inferences: str) -> None:
    """Answer all rows and write what came of it."""
    import onnxruntime

    memory = [resident_bytes()]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    memory.append(resident_bytes())
    wanted = [node.name for node in session.get_inputs()]
    feeds = [{name: row[name] for name in wanted} for row in read_rows(Path(rows))]
    logits = []
    for index, row in enumerate(feeds):
        answers = session.run(None, row)
        logits.append(by_classes(np.asarray(answers[scores_among(answers) or 0], dtype=np.float32)))
        if index == 0:
            memory.append(resident_bytes())
    memory.append(resident_bytes())
    np.save(Path(out) / LOGITS_FILE, np.concatenate(logits))
    if int(marks):
        chosen = feeds[int(counted_row)]
        count(lambda: session.run(None, chosen), marks=int(marks), inferences=int(inferences))
    result = {"machine": platform.machine(), "onnxruntime": onnxruntime.__version__, "baseline_rss_bytes": memory[0],
              "peak_rss_bytes": max(memory)}
    (Path(out) / RESULT_FILE).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
