"""Memory that is freed and not given back: glibc may keep what large arrays leave behind, until the machine is full.

Seen once while a teacher labelled pictures of 64 x 64: 23 GB after 725,000 of them, where the same program under another
allocator stayed at half a gigabyte.
"""

import ctypes
import sys
from functools import cache
from typing import Any

EVERY_BATCHES = 64
"""How often a long loop over batches gives memory back: it takes about a millisecond."""


def give_back_freed(done: int = 0) -> None:
    """Give freed memory back to the system, where the C library is glibc; elsewhere nothing is done.

    Args:
        done: batches so far; it is done for every 64th, the 0th among them.
    """
    trim = _trim()
    if trim is not None and done % EVERY_BATCHES == 0:
        trim(0)


@cache
def _trim() -> Any:
    """Return glibc's malloc_trim, None where there is none."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
