"""What a person sees: results on stdout, everything else on stderr; errors as one message and one hint."""

import contextlib
import io
import json
import logging
import os
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from edgedistill.errors import EdgedistillError

_is_work_shown = True


def take_any_text() -> None:
    """Let stdout and stderr write a character that their encoding lacks as its number: it must not end finished work."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str = "") -> None:
    """Write a line of the result to stdout."""
    _put(sys.stdout, text + "\n")


def say_json(text: str) -> None:
    """Write one JSON document, and nothing else, to stdout."""
    _put(sys.stdout, json.dumps(json.loads(text), indent=2) + "\n")


def tell(text: str) -> None:
    """Write a line about the work to stderr, at once."""
    _put(sys.stderr, text + "\n")
    with drops(sys.stderr):
        sys.stderr.flush()


@contextlib.contextmanager
def drops(stream: TextIO) -> Iterator[None]:
    """Let a stream whose reader went away lead nowhere from now on: neither the work nor its exit code depends on a reader."""
    try:
        yield
    except BrokenPipeError:
        drop(stream)


def drop(stream: TextIO) -> None:
    """Let what a stream holds and gets from now on go nowhere: the interpreter would fail on it once more at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _put(stream: TextIO, text: str) -> None:
    with drops(stream):
        stream.write(text)


def tell_error(failure: EdgedistillError) -> None:
    """Write an error: what happened, and what to do next."""
    tell(f"{_red('error')}: {failure.message}")
    tell(f"{_bold('hint')}:  {failure.hint}")


def _is_plain() -> bool:
    return not sys.stderr.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def _red(text: str) -> str:
    return text if _is_plain() else f"\033[1;31m{text}\033[0m"


def _bold(text: str) -> str:
    return text if _is_plain() else f"\033[1m{text}\033[0m"


_CHATTY = (
    "torchao", "torch", "torch.utils._pytree", "transformers", "datasets", "onnxruntime", "optimum", "fusion_base",
    "onnx_model",
)


def quiet_libraries() -> None:
    """Keep third-party chatter off the terminal; edgedistill's own log goes to stderr."""
    warnings.filterwarnings("ignore")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)


def show_work(is_shown: bool) -> None:
    """Show edgedistill's own log lines on stderr, indented under the step they belong to; or neither log nor steps."""
    global _is_work_shown
    _is_work_shown = is_shown
    handler = logging.StreamHandler(sys.stderr) if is_shown else logging.NullHandler()
    handler.setFormatter(logging.Formatter("        %(message)s"))
    logger = logging.getLogger("edgedistill")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def step_teller(total: int) -> Callable[[str, str, float], None]:
    """Return a listener that tells each step as it starts and ends, with the time since the beginning."""
    if not _is_work_shown:
        return lambda step, state, seconds: None
    began = time.perf_counter()
    count = 0

    def tell_step(step: str, state: str, seconds: float) -> None:
        """Write a line for a step that starts, ends or is skipped."""
        nonlocal count
        clock = time.perf_counter() - began
        stamp = f"{int(clock // 60):3d}:{int(clock % 60):02d}"
        if state in ("started", "skipped"):
            count += 1
        place = f"[{count:2d} of at most {max(total, count)}]"
        ending = {"started": "...", "skipped": "done before, skipped", "done": f"done in {seconds:.1f} s"}[state]
        tell(f"{stamp} {place} {step}: {ending}")

    return tell_step


_BOX_COLUMNS = 100
_FRAMES = {"utf": ("╭", "╮", "╰", "╯", "─", "│"), "plain": ("+", "+", "+", "+", "-", "|")}


def boxed(lines: Sequence[str], *, is_plain: bool | None = None) -> str:
    """Return lines in a frame; prose that is too long is wrapped, a path or a table row never.

    Args:
        lines: the lines, `""` for an empty one; one may hold several.
        is_plain: draw with ASCII alone; None: as stdout's encoding allows.
    """
    if is_plain is None:
        is_plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    top_left, top_right, low_left, low_right, across, down = _FRAMES["plain" if is_plain else "utf"]
    single = [part for line in lines for part in line.splitlines() or [""]]
    wrapped = [part for line in single for part in (_wrapped(line) if len(line) > _BOX_COLUMNS else [line])]
    width = max(map(len, wrapped), default=0)
    body = [f"{down} {line.ljust(width)} {down}" for line in wrapped]
    rule = across * (width + 2)
    return "\n".join([f"{top_left}{rule}{top_right}", *body, f"{low_left}{rule}{low_right}"])


def _wrapped(line: str) -> list[str]:
    """Wrap prose; a line that aligns its parts by runs of spaces is no prose."""
    is_prose = "  " not in line.strip()
    return textwrap.wrap(line, _BOX_COLUMNS, break_long_words=False, break_on_hyphens=False) if is_prose else [line]


def mebibytes(size_bytes: float) -> str:
    """Return a size with its unit."""
    return f"{size_bytes / 2**20:.2f} MiB"


def milliseconds(seconds: float) -> str:
    """Return a time with its unit."""
    return f"{seconds * 1e3:.2f} ms"


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return an aligned plain-text table; numbers to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(row: tuple[str, ...]) -> str:
        cells = [
            cell.rjust(width) if cell[:1].isdigit() else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), line(tuple("-" * w for w in widths)), *map(line, rows)])
