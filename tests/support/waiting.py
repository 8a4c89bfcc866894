"""Waiting for what becomes true by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

POLL_S = 0.02


def eventually(condition: Callable[[], object], *, timeout_s: float = 20.0) -> None:
    """Returns as soon as the condition holds; asks again and again, as another process changes it."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, f"not within {timeout_s:g} s"
        time.sleep(POLL_S)


async def eventually_async(condition: Callable[[], object], *, timeout_s: float = 20.0) -> None:
    """The same on an event loop, whose own work changes it."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  (no event tells of it)
            await asyncio.sleep(POLL_S)
