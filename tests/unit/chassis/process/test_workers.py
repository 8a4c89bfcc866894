"""The pool of workers: bounded, drops whom nobody waits for any more, and ends cleanly."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from services.chassis.errors import NotReady, Overloaded
from services.chassis.process.metrics import TierMetrics
from services.chassis.process.workers import WorkerPool
from services.chassis.rpc.request_id import current_request_id


class Work:
    """A piece of work that says when it began and lasts until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let_go = threading.Event()
        self.finished = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.let_go.wait(10)
        self.finished.set()
        return "done"


async def begun(work: Work) -> None:
    assert await asyncio.to_thread(work.begun.wait, 10)


@pytest.fixture
def metrics() -> TierMetrics:
    return TierMetrics("test")


@pytest.fixture
async def pool(metrics: TierMetrics) -> AsyncIterator[WorkerPool]:
    """One worker, one place in the queue."""
    pool = WorkerPool(workers=1, queue_size=1, queue_bytes=1000, metrics=metrics)
    yield pool
    await pool.close()


def value(metrics: TierMetrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(f"facet_test_{name}")


async def test_result_of_the_work_is_returned(pool: WorkerPool) -> None:
    assert await pool.run(lambda: 6 * 7) == 42


async def test_error_of_the_work_is_raised_and_the_worker_lives_on(pool: WorkerPool) -> None:
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 // 0)
    assert await pool.run(lambda: "alive") == "alive"


async def test_work_leaves_the_event_loop_and_takes_the_request_id_along(pool: WorkerPool) -> None:
    current_request_id.set("abc")
    thread, request_id = await pool.run(lambda: (threading.current_thread(), current_request_id.get()))
    assert thread is not threading.current_thread()
    assert request_id == "abc"


async def test_as_many_pieces_run_at_once_as_there_are_workers(metrics: TierMetrics) -> None:
    pool = WorkerPool(workers=3, queue_size=1, queue_bytes=1000, metrics=metrics)
    meeting = threading.Barrier(3, timeout=10)
    places = await asyncio.gather(*(pool.run(meeting.wait) for _ in range(3)))
    assert sorted(places) == [0, 1, 2]
    await pool.close()


async def test_one_more_than_the_queue_holds_is_refused_and_counted(pool: WorkerPool, metrics: TierMetrics) -> None:
    running, waiting = Work(), Work()
    first = asyncio.create_task(pool.run(running))
    await begun(running)
    second = asyncio.create_task(pool.run(waiting))
    await asyncio.sleep(0)
    assert value(metrics, "queue_depth") == 1
    with pytest.raises(Overloaded, match="try again"):
        await pool.run(lambda: None)
    assert value(metrics, "refusals_total") == 1
    running.let_go.set()
    waiting.let_go.set()
    assert [await first, await second] == ["done", "done"]
    assert value(metrics, "queue_depth") == 0
    assert value(metrics, "queue_wait_seconds_count") == 2


async def test_cancelled_caller_is_dropped_from_the_queue_and_its_place_is_free(
    pool: WorkerPool, metrics: TierMetrics
) -> None:
    running, dropped = Work(), Work()
    first = asyncio.create_task(pool.run(running))
    await begun(running)
    second = asyncio.create_task(pool.run(dropped))
    await asyncio.sleep(0)
    second.cancel()
    with suppress(asyncio.CancelledError):
        await second
    assert value(metrics, "queue_depth") == 0
    third = asyncio.create_task(pool.run(lambda: "in its place"))
    await asyncio.sleep(0)
    running.let_go.set()
    assert [await first, await third] == ["done", "in its place"]
    assert not dropped.begun.is_set()


async def test_running_work_of_a_cancelled_caller_keeps_its_worker_until_it_ends(pool: WorkerPool) -> None:
    running = Work()
    left = asyncio.create_task(pool.run(running))
    await begun(running)
    left.cancel()
    with suppress(asyncio.CancelledError):
        await left
    queued = asyncio.create_task(pool.run(lambda: "queued"))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await pool.run(lambda: None)
    running.let_go.set()
    assert await queued == "queued"
    assert running.finished.is_set()


async def test_closing_finishes_what_runs_drops_what_waits_and_refuses_what_comes(
    pool: WorkerPool, metrics: TierMetrics
) -> None:
    running, waiting = Work(), Work()
    first = asyncio.create_task(pool.run(running))
    await begun(running)
    second = asyncio.create_task(pool.run(waiting))
    await asyncio.sleep(0)
    closing = asyncio.create_task(pool.close())
    with pytest.raises(asyncio.CancelledError):
        await second
    with pytest.raises(NotReady):
        await pool.run(lambda: None)
    running.let_go.set()
    await closing
    assert await first == "done"
    assert not waiting.begun.is_set()
    assert value(metrics, "queue_depth") == 0


async def test_work_whose_messages_would_hold_too_much_is_refused(pool: WorkerPool) -> None:
    running = Work()
    first = asyncio.create_task(pool.run(running, size_bytes=900))
    await begun(running)
    with pytest.raises(Overloaded):
        await pool.run(Work(), size_bytes=101)
    waiting = asyncio.create_task(pool.run(lambda: "done", size_bytes=100))
    running.let_go.set()
    assert await first == await waiting == "done"
    assert await pool.run(lambda: "done", size_bytes=900) == "done"


async def test_a_message_larger_than_the_queue_is_worked_on_alone(pool: WorkerPool) -> None:
    assert await pool.run(lambda: "done", size_bytes=5000) == "done"


async def test_work_that_would_wait_past_its_deadline_is_refused_at_once(metrics: TierMetrics) -> None:
    pool = WorkerPool(workers=1, queue_size=100, queue_bytes=1000, metrics=metrics)
    for _ in range(20):  # it learns that a piece takes a good 10 ms
        await pool.run(lambda: time.sleep(0.01))
    running = Work()
    waiting = [asyncio.create_task(pool.run(running))]
    await begun(running)
    waiting += [asyncio.create_task(pool.run(lambda: "done", within_s=60)) for _ in range(50)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await pool.run(Work(), within_s=0.2)
    running.let_go.set()
    await asyncio.gather(*waiting)
    assert await pool.run(lambda: "done", within_s=0.2) == "done"
    await pool.close()
