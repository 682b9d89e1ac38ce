"""What a benchmark and its worker say to each other: one JSON object a line, each kind a frozen dataclass.

Imports the standard library only: this module is loaded in the worker, whose memory is measured.
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal

Engine = Literal["onnx", "torch"]
"""Which runtime answers: ONNX Runtime, or eager torch."""


@dataclass(frozen=True)
class Open:
    """Import the runtime and read the inputs; no model yet.

    Attributes:
        engine: the runtime.
        threads: its intra-op threads.
        inputs: an .npz of model inputs, the rows first; or of raw rows (see `raw_rows`), which become model inputs inside
            the timed call.
        cpus: the cores to stay on; empty: any.
        batch: rows a call.
    """

    engine: Engine
    threads: int
    inputs: str
    cpus: tuple[int, ...] = ()
    batch: int = 1


@dataclass(frozen=True)
class Opened:
    """The runtime is imported. `peak_rss_bytes` is what a process without a model costs."""

    runtime: str
    peak_rss_bytes: int


@dataclass(frozen=True)
class Load:
    """Load the model, run it once, then `warmup_runs` times more.

    Attributes:
        model: an .onnx file or a folder.
        warmup_runs: how often it runs after the first run.
        arena: may onnxruntime keep freed memory?
        encoder: "module:class" of what makes model inputs of raw rows, loaded from the model's folder; empty: the rows
            are model inputs.
    """

    model: str
    warmup_runs: int
    arena: bool = True
    encoder: str = ""


@dataclass(frozen=True)
class Loaded:
    """Nanoseconds of the load, of the first run, and of every warm-up run."""

    load_ns: int
    first_run_ns: int
    warmup_ns: tuple[int, ...]


@dataclass(frozen=True)
class Run:
    """Run the loaded model until both `runs` and `duration_ns` (the sum of the timed runs) are reached.

    `rewarm_runs` runs come first and are not reported: other variants had the caches in between.
    """

    runs: int
    duration_ns: int
    rewarm_runs: int


@dataclass(frozen=True)
class Ran:
    """Nanoseconds of every timed run, in order, the peak of the process so far, and the energy of the timed runs.

    `energy_uj` is the whole processor package's, by its own counter; None where that cannot be read.
    """

    samples_ns: tuple[int, ...]
    peak_rss_bytes: int
    energy_uj: int | None = None


@dataclass(frozen=True)
class Refused:
    """The worker will not do it: an expected failure, with its hint."""

    message: str
    hint: str


Message = Open | Opened | Load | Loaded | Run | Ran | Refused

_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in (Open, Opened, Load, Loaded, Run, Ran, Refused)}


def encode(message: Message) -> str:
    """Return a message as one line of JSON, newline included."""
    return json.dumps({"kind": type(message).__name__, **dataclasses.asdict(message)}) + "\n"


def decode(line: str) -> Message:
    """Return the message that a line holds; the inverse of `encode`.

    Raises:
        ValueError: the line is not a message.
    """
    try:
        fields = json.loads(line)
        kind = _KINDS[fields.pop("kind")]
        values: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in fields.items()}
        return kind(**values)
    except (AttributeError, KeyError, TypeError, ValueError) as bad:
        raise ValueError(f"not a message: {line[:200]!r}") from bad
