"""How long the event loop works on one thing, in time of its own thread: what other processes take does not count."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

TICK_S = 0.005


class Standstill:
    """The longest so far."""

    longest_s = 0.0


@asynccontextmanager
async def watched_loop() -> AsyncIterator[Standstill]:
    """Watches for as long as the context lasts."""
    seen = Standstill()

    async def tick() -> None:
        last_s = time.thread_time()
        while True:
            await asyncio.sleep(TICK_S)
            seen.longest_s = max(seen.longest_s, time.thread_time() - last_s)
            last_s = time.thread_time()

    ticking = asyncio.create_task(tick())
    try:
        await asyncio.sleep(4 * TICK_S)
        yield seen
        await asyncio.sleep(2 * TICK_S)
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
