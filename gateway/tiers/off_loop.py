"""Work that grows with what a caller sends, on threads of its own: the event loop answers the others meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from typing import TypeVar

from gateway.tiers.deadline import Deadline
from services.chassis.process.patience import Patience, awaited_by

T = TypeVar("T")

_THREADS = 16
"""More than processors: long work must not keep others' short work waiting."""


async def off_loop(work: Callable[[], T], deadline: Deadline) -> T:
    """What `work` returns, done on another thread, in the caller's context.

    It ends when it next asks whether it is still awaited once the deadline has passed or the caller has left.

    Raises:
        DeadlinePassed: The deadline passed.
    """
    patience = Patience(deadline.remaining_s())
    context = copy_context()

    def awaited() -> T:
        with awaited_by(patience):
            return work()

    try:
        return await asyncio.get_running_loop().run_in_executor(_threads(), context.run, awaited)
    finally:
        patience.leave()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, "off-loop")
