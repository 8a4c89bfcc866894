"""Replicas ended, started again, and watched until they bear load again."""

from __future__ import annotations

import asyncio
import time

from tests.scaling.fleet import answered_calls
from tests.support.processes import RunningTier

BACK_CALLS = 5
"""So many more have been answered: not only one that had come before."""
BACK_WITHIN_S = 20.0
_POLL_S = 0.1


async def stop(*running: RunningTier) -> None:
    """Ends them with SIGTERM, all at once."""
    codes = await asyncio.gather(*(asyncio.to_thread(one.stop) for one in running))
    assert not any(codes), codes


async def restart(*running: RunningTier, **settings: str) -> None:
    """Ends them and starts them again, listening but perhaps not ready; keyword arguments are settings from now on."""
    await stop(*running)
    await asyncio.gather(*(asyncio.to_thread(one.restart, **settings) for one in running))


async def ready(*replicas: RunningTier) -> None:
    """Waits until they are."""
    await asyncio.gather(*(asyncio.to_thread(replica.wait_ready) for replica in replicas))


async def seconds_until_used(*replicas: RunningTier) -> float:
    """Waits until each of them bears load.

    Raises:
        TimeoutError: One does not come back by itself.
    """
    started_s = time.monotonic()
    async with asyncio.timeout(BACK_WITHIN_S):
        await asyncio.gather(*map(_used, replicas))
    return time.monotonic() - started_s


async def _used(replica: RunningTier) -> None:
    calls = first = await asyncio.to_thread(answered_calls, replica)
    while calls < first + BACK_CALLS:
        await asyncio.sleep(_POLL_S)
        calls = await asyncio.to_thread(answered_calls, replica)
