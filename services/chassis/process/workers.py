"""The one pool of threads that a tier's blocking work runs on, with a bounded queue in front of it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from services.chassis.errors import NotReady, Overloaded
from services.chassis.process import tracing
from services.chassis.process.metrics import TierMetrics
from services.chassis.process.patience import Patience, awaited_by, still_awaited

T = TypeVar("T")

_LATEST = 0.1
"""The share of the latest piece of work in what one is expected to take."""


class WorkerPool:
    """Runs blocking work off the event loop, `workers` pieces at once; `queue_size` more may wait, others are refused.

    So is one that would make all that wait and run hold more than `queue_bytes`, unless it is alone, and one that would
    wait past its deadline: better refused at once, while its caller can still go elsewhere.
    A piece whose caller left before it began is dropped; one that runs ends when it next asks whether it is still
    awaited (`patience.py`), as it does when its caller's deadline has passed.
    """

    def __init__(self, *, workers: int, queue_size: int, queue_bytes: int, metrics: TierMetrics) -> None:
        self.workers = workers
        self._capacity = workers + queue_size
        self._capacity_bytes = queue_bytes
        self._metrics = metrics
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._lock = threading.Lock()
        self._admitted = 0
        self._admitted_bytes = 0
        self._work_s = 0.0  # what a piece of work takes
        self._closed = False

    async def run(self, work: Callable[[], T], *, size_bytes: int = 0, within_s: float | None = None) -> T:
        """Runs `work` on a worker and returns its result.

        Args:
            work: Blocks.
            size_bytes: What the message holds that it works on.
            within_s: How long its caller waits.

        Raises:
            Overloaded: The queue is full, or too long for its caller.
            NotReady: The pool is closed.
        """
        if self._closed:
            raise NotReady("this server is stopping; send the call again")
        with self._lock:
            if self._admitted and self._is_full_for(size_bytes, within_s):
                self._metrics.refusals.inc()
                raise Overloaded("the queue is full; try again in a second")
            self._admitted += 1
            self._admitted_bytes += size_bytes
        waiting_since = time.perf_counter()
        self._metrics.queue_depth.inc()
        context = contextvars.copy_context()
        patience = Patience(within_s)

        def started() -> T:
            self._metrics.queue_depth.dec()
            started_s = time.perf_counter()
            self._metrics.queue_wait_seconds.observe(started_s - waiting_since)
            try:
                return context.run(_traced, work, started_s - waiting_since, patience)
            finally:
                self._learn(time.perf_counter() - started_s)

        future = self._executor.submit(started)
        future.add_done_callback(partial(self._leave, size_bytes))
        try:
            return await asyncio.wrap_future(future)
        finally:
            patience.leave()

    def _is_full_for(self, size_bytes: int, within_s: float | None) -> bool:
        if self._admitted >= self._capacity or self._admitted_bytes + size_bytes > self._capacity_bytes:
            return True
        waiting = self._admitted + 1 - self.workers
        expected_s = (waiting / self.workers + 1) * self._work_s
        return within_s is not None and waiting > 0 and expected_s > within_s

    def _learn(self, work_s: float) -> None:
        with self._lock:
            self._work_s += _LATEST * (work_s - self._work_s)

    def _leave(self, size_bytes: int, future: Future[T]) -> None:
        with self._lock:
            self._admitted -= 1
            self._admitted_bytes -= size_bytes
        if future.cancelled():  # it never started, so it is still counted as waiting
            self._metrics.queue_depth.dec()

    async def close(self) -> None:
        """Refuses new work and waits for what runs; what still waits is dropped."""
        self._closed = True
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)


def _traced(work: Callable[[], T], waited_s: float, patience: Patience) -> T:
    """In the context of whoever asked for the work."""
    tracing.record_span("queue", waited_s)
    with tracing.span("work"), awaited_by(patience):
        still_awaited()
        return work()
