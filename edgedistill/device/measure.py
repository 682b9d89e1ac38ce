"""Measure a model on a device: answers first, then rounds of timed runs, each round in a process of its own."""

import io
import json
import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from edgedistill.benchmark.inputs import choose_rows
from edgedistill.benchmark.protocol import share_of_round
from edgedistill.device.results import DeviceRound
from edgedistill.device.session import Device, Session, Work
from edgedistill.errors import DeviceError
from edgedistill.examples import Examples
from edgedistill.progress import Progress
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.tasks.registry import open_encoder

log = logging.getLogger("edgedistill")

ANSWERS_A_PART = 512
"""Rows that one part answers: few enough that a lost connection costs seconds, many enough that loading is not most of it."""


@dataclass(frozen=True)
class Observed:
    """What came back.

    Attributes:
        logits: shape (rows, classes), one row a call.
        rounds: empty when emulated.
        sequence_tokens: length of the timed rows.
        reconnections: how often the connection was lost and came back.
    """

    logits: NDArray[np.float32]
    rounds: tuple[DeviceRound, ...]
    sequence_tokens: int
    reconnections: int


def observe(
    device: Device, model: Path, examples: Examples, *, protocol: BenchmarkProtocol,
    open_session: Callable[[Device, Work], Session] = Session,
) -> Observed:
    """Let a device answer all rows and time the rows of median length.

    An emulated device answers and is not timed.

    Args:
        device: from `find_device`.
        model: an .onnx file with the file of its encoder beside it: tokenizer.json or preprocessor_config.json.
        examples: at least one row.
        protocol: threads, warm-up, runs, seconds and rounds.
        open_session: for tests.

    Raises:
        TargetUnreachableError: the connection broke and did not come back; what is finished is kept on the device.
        DeviceError: a part failed there.
    """
    encoder = open_encoder(model.parent)
    chosen = choose_rows(examples, encoder)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_rows(folder / "rows.npz", encoder.pack(examples))
        write_rows(folder / "timed.npz", encoder.pack(chosen.examples))
        write_job(folder / "job.json", protocol)
        names = ("rows.npz", "timed.npz", "job.json")
        work = Work({"model.onnx": model} | {name: folder / name for name in names})
        with open_session(device, work).opened() as session:
            logits = _answers(session, len(examples))
            count = 0 if device.facts.is_emulated else protocol.rounds
            rounds = _rounds(session, count)
    return Observed(logits, rounds, chosen.sequence_tokens, session.reconnections)


def write_rows(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write what an encoder packed for the runner; the same arrays give the same bytes."""
    np.savez(path, allow_pickle=False, **arrays)


def write_job(path: Path, protocol: BenchmarkProtocol) -> None:
    """Write what the runner needs to know of the protocol; a round's share of runs and time, rounded up."""
    share = share_of_round(protocol.model_copy(update={"processes": 1}))  # here every round is a process of its own
    job = {"threads": protocol.threads, "pinned": protocol.pinned, "warmup_runs": protocol.warmup_runs, "runs": share.runs,
           "duration_ns": share.duration_ns}
    path.write_text(json.dumps(job, sort_keys=True), encoding="utf-8")


def _answers(session: Session, rows: int) -> NDArray[np.float32]:
    name, found = session.device.transport.name, []
    with Progress(f"{name}: answers", total=rows, unit="rows") as progress:
        for start in range(0, rows, ANSWERS_A_PART):
            stop = min(rows, start + ANSWERS_A_PART)
            log.info("%s: answers rows %d to %d of %d, %s", name, start + 1, stop, rows, progress.left())
            found.append(_answers_of_part(session, start, stop))
            progress.advance(stop - start)
    return np.concatenate(found).astype(np.float32)


def _answers_of_part(session: Session, start: int, stop: int) -> NDArray[np.floating]:
    content = session.part(f"answers-{start}-{stop}")
    try:
        logits = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError) as bad:
        raise _garbled(session, bad) from None
    if logits.shape[:1] != (stop - start,):
        raise _garbled(session, f"{logits.shape[0]} answers to {stop - start} rows")
    return np.asarray(logits)


def _rounds(session: Session, count: int) -> tuple[DeviceRound, ...]:
    name, found = session.device.transport.name, []
    with Progress(f"{name}: timing", total=count, unit="rounds") as progress:
        for index in range(count):
            log.info("%s: round %d of %d, %s", name, index + 1, count, progress.left())
            found.append(_round(session, index))
            progress.advance()
    return tuple(found)


def _round(session: Session, index: int) -> DeviceRound:
    try:
        return DeviceRound.model_validate_json(session.part(f"round-{index}"))
    except ValidationError as bad:
        raise _garbled(session, f"{bad.error_count()} problems in a round's result") from None


def _garbled(session: Session, what: object) -> DeviceError:
    return DeviceError(f"{session.device.transport.name}: sent a result that cannot be read ({what})",
                       hint="does its login print text? a shell's start-up files must be silent")

