"""How far a long piece of work is, and how long it still takes: a bar on a terminal, else a line now and then, on stderr.

It speaks through the logger "edgedistill": who has not asked for its lines sees no bar either.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from tqdm import tqdm

log = logging.getLogger("edgedistill")

_Item = TypeVar("_Item")
_LINE_EVERY_S = 15.0
_BAR_AFTER_S = 1.0


class Progress:
    """Counts what is done of something long; use it in a `with`.

    Args:
        what: the work, as a participle: "labelling".
        total: how much there is; None where nobody knows beforehand.
        unit: of what, in the plural: "texts".
        done: how much was done before, in an earlier process.
    """

    def __init__(self, what: str, *, total: int | None, unit: str, done: int = 0) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._done = self._before = done
        self._began = self._told = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Self:
        self._began = self._told = time.monotonic()
        if _is_shown() and sys.stderr.isatty():
            self._bar = tqdm(desc=f"        {self._what}", total=self._total, initial=self._done, unit=f" {self._unit}",
                             file=sys.stderr, leave=False, delay=_BAR_AFTER_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self, count: int = 1) -> None:
        """Tell that so much more is done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() - self._told >= _LINE_EVERY_S and (self._total is None or self._done < self._total):
            self._told = time.monotonic()
            whole = "" if self._total is None else f" of {self._total:,}"
            log.info("%s: %s%s %s, %s", self._what, f"{self._done:,}", whole, self._unit, self.left())

    def left(self) -> str:
        """Return how long the rest takes at the speed so far, in words."""
        if self._total is None:
            return f"{duration(time.monotonic() - self._began)} so far"
        if self._done <= self._before:
            return "time left not known yet"
        elapsed_s = time.monotonic() - self._began
        return f"about {duration(elapsed_s / (self._done - self._before) * (self._total - self._done))} left"


def counted(
    items: Iterable[_Item], *, what: str, total: int | None, unit: str, size: Callable[[_Item], int] = lambda item: 1
) -> Iterator[_Item]:
    """Yield items and tell how far it is; `size` says for how much of `total` one of them counts."""
    with Progress(what, total=total, unit=unit) as progress:
        for item in items:
            yield item
            progress.advance(size(item))


def duration(seconds: float) -> str:
    """Return a time in the two largest units that it has: `40 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _is_shown() -> bool:
    return log.isEnabledFor(logging.INFO) and not all(isinstance(handler, logging.NullHandler) for handler in log.handlers)
