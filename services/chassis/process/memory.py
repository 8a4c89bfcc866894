"""Whether a process keeps the memory of one picture for the next."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import time
from collections.abc import Callable

_MIB = 1024 * 1024
# From malloc.h; each comes with the value it is set to.
_M_TRIM_THRESHOLD = (-1, 256 * _MIB)
_M_MMAP_THRESHOLD = (-3, 32 * _MIB)  # the largest that is accepted
_M_ARENA_MAX = (-8, 1)

REST_S = 5.0
_BUSY = 0.05
"""The share of one processor that a process takes at most while it rests: probes and scrapes go on."""


def reuse_freed_memory() -> None:
    """Has the C library keep up to 256 MiB of freed memory, in one arena for all threads. Call it before threads start.

    By default it hands every block of a decoded picture back to the kernel, which must then clear each of its pages for
    the next one: a sixth of the time that a 12-megapixel picture takes. Elsewhere than on glibc this does nothing.
    """
    mallopt = _of_the_c_library("mallopt")
    if mallopt is not None:
        for parameter, value in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX):
            mallopt(parameter, value)


async def return_memory_at_rest() -> None:
    """Hands what `reuse_freed_memory` keeps to the kernel each time that the process has rested for a while.

    Runs until it is cancelled. Elsewhere than on glibc this does nothing.
    """
    trim = _of_the_c_library("malloc_trim")
    if trim is None:
        return
    returned = False
    while True:
        before_s = time.process_time()
        await asyncio.sleep(REST_S)
        rested = time.process_time() - before_s < _BUSY * REST_S
        if rested and not returned:
            await asyncio.to_thread(trim, 0)
        returned = rested


def _of_the_c_library(function: str) -> Callable[..., int] | None:
    """Its function of that name; None where it has none."""
    if sys.platform == "win32":  # has no way to ask for what a process has loaded
        return None
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), function, None)
    return found
