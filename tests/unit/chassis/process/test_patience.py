"""Work ends when nobody waits for it: on a worker, in the queue for memory, wherever it looks."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress

import pytest

from services.chassis.errors import DeadlinePassed
from services.chassis.process.memory_budget import MemoryBudget
from services.chassis.process.metrics import TierMetrics
from services.chassis.process.patience import Patience, awaited_by, still_awaited
from services.chassis.process.workers import WorkerPool


class Endless:
    """Works on for as long as it is awaited."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ended = threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        try:
            while True:
                still_awaited()
        finally:
            self.ended.set()


@pytest.fixture
def pool() -> WorkerPool:
    return WorkerPool(workers=1, queue_size=1, queue_bytes=1000, metrics=TierMetrics("test"))


def test_work_for_nobody_in_particular_goes_on() -> None:
    still_awaited()


def test_work_past_the_deadline_ends() -> None:
    with awaited_by(Patience(0.0)):
        time.sleep(0.001)
        with pytest.raises(DeadlinePassed, match="deadline"):
            still_awaited()


async def test_worker_ends_soon_after_the_deadline_of_its_caller(pool: WorkerPool) -> None:
    work = Endless()
    with pytest.raises(DeadlinePassed):
        await pool.run(work, within_s=0.1)
    assert work.ended.is_set()
    await pool.close()


async def test_worker_ends_soon_after_its_caller_has_left(pool: WorkerPool) -> None:
    work = Endless()
    call = asyncio.create_task(pool.run(work))
    assert await asyncio.to_thread(work.begun.wait, 10)
    call.cancel()
    with suppress(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(work.ended.wait, 10)
    await pool.close()


def test_nobody_waits_for_memory_past_the_deadline() -> None:
    memory = MemoryBudget(100)
    with (
        memory.hold(100),
        awaited_by(Patience(0.1)),
        pytest.raises(DeadlinePassed),
        memory.hold(1),
    ):
        pytest.fail("must not be held")
    with memory.hold(100):
        pass
