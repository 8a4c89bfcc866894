"""The one pool of threads that a tier's blocking work runs on, with a bounded queue in front of it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from services.chassis.errors import NotReady, Overloaded
from services.chassis.metrics import TierMetrics

T = TypeVar("T")


class WorkerPool:
    """Runs blocking work off the event loop, `workers` pieces at once; `queue_size` more may wait, others are refused.

    A piece whose caller left before it began is dropped; one that runs is finished and its result discarded.
    """

    def __init__(self, *, workers: int, queue_size: int, metrics: TierMetrics) -> None:
        self.workers = workers
        self._capacity = workers + queue_size
        self._metrics = metrics
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._lock = threading.Lock()
        self._admitted = 0
        self._closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """Runs `work` on a worker and returns its result.

        Raises:
            Overloaded: The queue is full.
            NotReady: The pool is closed.
        """
        if self._closed:
            raise NotReady("this server is stopping; send the call again")
        with self._lock:
            if self._admitted >= self._capacity:
                self._metrics.refusals.inc()
                raise Overloaded("the queue is full; try again in a second")
            self._admitted += 1
        waiting_since = time.perf_counter()
        self._metrics.queue_depth.inc()
        context = contextvars.copy_context()

        def started() -> T:
            self._metrics.queue_depth.dec()
            self._metrics.queue_wait_seconds.observe(time.perf_counter() - waiting_since)
            return context.run(work)

        future = self._executor.submit(started)
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def _leave(self, future: Future[T]) -> None:
        with self._lock:
            self._admitted -= 1
        if future.cancelled():  # it never started, so it is still counted as waiting
            self._metrics.queue_depth.dec()

    async def close(self) -> None:
        """Refuses new work and waits for what runs; what still waits is dropped."""
        self._closed = True
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)
